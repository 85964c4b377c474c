"""The whole network behind one object: each public method is one operation, durable when it returns."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from coordinator.embedded.lightning import channel as ledger
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.clock import Clock
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.events import Bus, PaymentEvent
from coordinator.embedded.lightning.forwarding import Forwarder
from coordinator.embedded.lightning.invoices import InvoiceOrder, Invoices
from coordinator.embedded.lightning.macaroon import MacaroonBakery
from coordinator.embedded.lightning.model import (
    Attempt,
    Channel,
    Invoice,
    Mode,
    Node,
    NodeState,
    Payment,
)
from coordinator.embedded.lightning.payments import PaymentOrder, Payments
from coordinator.embedded.lightning.routing import NoRoute, Route, RouteQuery, find_route
from coordinator.embedded.lightning.state import State, Tip, pair_key
from coordinator.embedded.lightning.store import Store
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey

ROUTER: Final = "router"
COORDINATOR: Final = "coordinator"
_MAX_ALIAS: Final = 32


class Network:
    """Nodes, channels, invoices and payments in `data_dir`. `time_source` replaces the system's clock in tests."""

    def __init__(self, data_dir: Path, time_source: Callable[[], float] = time.time) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._seed = _load_seed(data_dir / "seed")
        self._store = Store(data_dir / "network.sqlite")
        self.bus = Bus()
        self.state = State(self._store, self.bus)
        self.clock = Clock(self.state, time_source)
        self._forwarder = Forwarder(self.state, self.clock)
        self._invoices = Invoices(self.state, self.clock, self._forwarder, self.node_key)
        self._payments = Payments(self.state, self.clock, self._forwarder, self._invoices)

    def close(self) -> None:
        """Close the files."""
        self._store.close()

    def node_key(self, alias: str) -> SecretKey:
        """The identity key of a node."""
        return SecretKey.from_bytes(self._derive(f"identity:{alias}"))

    def bakery(self, alias: str) -> MacaroonBakery:
        """The macaroons of a node."""
        return MacaroonBakery(self._derive(f"macaroon:{alias}"))

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._seed, purpose.encode(), hashlib.sha256)

    @contextmanager
    def _operation(self) -> Iterator[None]:
        with self.state.change(self._payments.drain):
            self._invoices.tick()
            yield

    def add_node(self, alias: str) -> Node:
        """A node without channels. Raises InvalidInput for a bad or used alias."""
        if not alias or len(alias) > _MAX_ALIAS or not all(c.isalnum() or c in "-_." for c in alias):
            raise InvalidInput("alias", f"{alias!r} is no alias", "give 1 to 32 letters, digits, dots, dashes")
        if self.state.nodes.peek(alias) is not None:
            raise InvalidInput("alias", f"{alias} exists", "give another")
        with self._operation():
            return self.state.nodes.add(Node(alias, self.node_key(alias).public_key))

    def open_channel(self, opener: str, peer: str, capacity_sat: int, pushed_sat: int) -> Channel:
        """A channel with all its money from `opener`, some of it pushed to `peer`. Raises InvalidInput."""
        self.node(opener)
        self.node(peer)
        if opener == peer:
            raise InvalidInput("peer", "is the opener itself", "name another node")
        if not ledger.MIN_CAPACITY_SAT <= capacity_sat <= ledger.MAX_CAPACITY_SAT:
            raise InvalidInput(
                "capacity_sat",
                f"{capacity_sat} is out of range",
                f"{ledger.MIN_CAPACITY_SAT} to {ledger.MAX_CAPACITY_SAT}",
            )
        least_kept = capacity_sat // 100 + ledger.ANCHORS_SAT + 10_000
        if not 0 <= pushed_sat <= capacity_sat - least_kept:
            raise InvalidInput("pushed_sat", f"{pushed_sat} is out of range", f"0 to {capacity_sat - least_kept}")
        with self._operation():
            tip = self.state.take_tip()
            tip.channels_opened += 1
            chan_id = max(tip.height - 5, 1) << 40 | tip.channels_opened << 16
            return self.state.channels.add(
                Channel(
                    chan_id=chan_id,
                    funding_txid=hashlib.sha256(self._derive(f"funding:{chan_id}")).digest(),
                    opener=opener,
                    peer=peer,
                    capacity_sat=capacity_sat,
                    pushed_sat=pushed_sat,
                    opened_at=self.clock.seconds(),
                    balances={opener: (capacity_sat - pushed_sat) * MSAT, peer: pushed_sat * MSAT},
                    sent={opener: 0, peer: 0},
                    next_index={opener: 0, peer: 0},
                )
            )

    def node(self, alias: str) -> Node:
        """A node, for reading. Raises InvalidInput for an unknown alias."""
        node = self.state.nodes.peek(alias)
        if node is None:
            raise InvalidInput("node", f"{alias!r} is unknown", "name a node of the network")
        return node

    def set_port(self, alias: str, port: int) -> None:
        """Remember where a node listens, so that it does so again after a restart."""
        with self._operation():
            self.state.nodes.take(alias).port = port

    def set_mode(self, alias: str, mode: Mode) -> None:
        """Switch a fault on or off; what the node kept moves on."""
        self.node(alias)
        with self._operation():
            self.state.nodes.take(alias).mode = mode
            self._move_all()

    def force_state(self, alias: str, state: NodeState | None) -> None:
        """Make a node answer as in a start-up state, or as it is."""
        self.node(alias)
        with self._operation():
            self.state.nodes.take(alias).forced_state = state

    def set_tip(self, height: int, block_hash: str, header_time: int) -> None:
        """A new tip, higher or (after a reorg) lower."""
        with self.state.change(self._payments.drain):
            tip = self.state.take_tip()
            tip.height, tip.block_hash, tip.header_time = height, block_hash, header_time
            self._invoices.tick()
            self._move_all()

    def advance_clock(self, seconds: float) -> None:
        """Push the wall clock forward."""
        with self._operation():
            self.state.take_tip().clock_offset += seconds
            self._invoices.tick()

    def tick(self) -> None:
        """Let the wall clock work."""
        with self._operation():
            pass

    def tip(self) -> Tip:
        """Height and clock, for reading."""
        return self.state.tip

    def _move_all(self) -> None:
        for key in self.state.live_attempts():
            attempt = self.state.attempts.take(key)
            self._payments.carry(attempt)
            self._forwarder.expire(attempt)

    def add_invoice(self, alias: str, order: InvoiceOrder) -> Invoice:
        """A new invoice. Raises LndError."""
        with self._operation():
            return self._invoices.add(alias, order)

    def find_invoice(self, alias: str, payment_hash: bytes) -> Invoice:
        """An invoice as it is now, for reading. Raises LndError (code 5)."""
        self.tick()
        return self._invoices.find(alias, payment_hash)

    def invoices(self, alias: str) -> list[Invoice]:
        """All invoices of a node as they are now, oldest first."""
        self.tick()
        own = [invoice for invoice in self.state.invoices.values() if invoice.node == alias]
        return sorted(own, key=lambda invoice: invoice.add_index)

    def settle_invoice(self, alias: str, preimage: bytes) -> None:
        """Settle a held invoice. Raises LndError."""
        with self._operation():
            self._invoices.settle(alias, preimage)

    def cancel_invoice(self, alias: str, payment_hash: bytes) -> None:
        """Cancel an invoice. Raises LndError."""
        with self._operation():
            self._invoices.cancel(alias, payment_hash)

    def send(self, alias: str, order: PaymentOrder) -> Payment:
        """Start a payment; what it became is published. Raises LndError when it cannot begin.

        A refusal because of the hash uses up a payment index, as it does at LND: indexes have gaps.
        """
        try:
            with self._operation():
                return self._payments.send(alias, order)
        except LndError as error:
            if error.grpc_code is Code.ALREADY_EXISTS:
                with self._operation():
                    self.state.nodes.take(alias).last_payment_index += 1
            raise

    def find_payment(self, alias: str, payment_hash: bytes) -> PaymentEvent:
        """A payment as it is now. Raises LndError (code 5) for one that was never started."""
        payment = self.state.payments.peek(pair_key(alias, payment_hash))
        if payment is None:
            raise LndError("payment isn't initiated", Code.NOT_FOUND)
        return self.state.payment_event(payment)

    def payments(self, alias: str) -> list[PaymentEvent]:
        """All payments of a node, oldest first."""
        own = [payment for payment in self.state.payments.values() if payment.payer == alias]
        return [self.state.payment_event(payment) for payment in sorted(own, key=lambda item: item.payment_index)]

    def build_route(self, query: RouteQuery) -> Route:
        """A route through the nodes of `query.path`. Raises LndError."""
        try:
            return find_route(self.state, query)
        except NoRoute as error:
            raise LndError("unable to find a path to destination") from error

    def send_route(
        self, alias: str, payment_hash: bytes, route: Route, payment_addr: bytes, total_msat: int
    ) -> Attempt:
        """Try one route; the attempt as it is when it ended or is held. Raises LndError."""
        with self._operation():
            return self._payments.send_route(alias, payment_hash, route, payment_addr, total_msat)


def _load_seed(path: Path) -> bytes:
    """The seed of all keys, made at the first start. Raises InvalidInput for a damaged file."""
    if not path.exists():
        temporary = path.with_suffix(".new")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    seed = path.read_bytes()
    if len(seed) != 32:
        raise InvalidInput("seed", f"{path.name} holds {len(seed)} bytes", "restore the file of 32 bytes")
    return seed
