"""Our node and a player's, on the embedded network and on the real one."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field

import pytest

from coordinator.adapters.lightning import LndNode
from coordinator.ports.faults import Rejected
from coordinator.ports.lightning import HoldInvoice, InvoiceState, Payment
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds
from tests.contract.lightning.owners import EmbeddedNetwork, EmbeddedOwner, Owner, RealOwner

PATIENCE = 20.0
LND = pytest.param("lnd", marks=pytest.mark.regtest)
_runs = itertools.count(1)


@dataclass
class Network:
    """Two nodes behind the port, and the owner's deeds."""

    ours: LndNode
    alice: LndNode
    alias: str
    owner: Owner
    run: int
    tasks: list[asyncio.Task[Payment]] = field(default_factory=list)
    made: list[tuple[LndNode, str]] = field(default_factory=list)

    def preimage(self, number: int = 0) -> Secret:
        """A preimage that no other test uses."""
        return Secret(hashlib.sha256(f"{self.run}/{number}".encode()).digest())

    def hash(self, number: int = 0) -> str:
        return hashlib.sha256(self.preimage(number).reveal()).hexdigest()

    async def hold(
        self,
        number: int = 0,
        *,
        value: int = 50_000,
        node: LndNode | None = None,
        cltv_expiry: int = 144,
        expiry: int = 600,
    ) -> HoldInvoice:
        owner = node or self.ours
        made = await owner.add_hold_invoice(
            self.hash(number),
            Sats(value),
            description_hash=bytes(32),
            expiry=Seconds(expiry),
            cltv_expiry=Blocks(cltv_expiry),
        )
        self.made.append((owner, made.payment_hash))
        return made

    def begin(
        self, invoice: HoldInvoice, *, payer: LndNode | None = None, fee_limit: int = 100
    ) -> asyncio.Task[Payment]:
        """Pay in the background."""
        task = asyncio.create_task(self.pay(invoice, payer=payer, fee_limit=fee_limit))
        self.tasks.append(task)
        return task

    async def pay(self, invoice: HoldInvoice, *, payer: LndNode | None = None, fee_limit: int = 100) -> Payment:
        return await (payer or self.alice).pay(
            invoice.payment_request, fee_limit=Sats(fee_limit), timeout=Seconds(30), cltv_limit=Blocks(500)
        )

    async def reach(self, state: InvoiceState, number: int = 0, *, node: LndNode | None = None) -> HoldInvoice:
        """Wait on the stream for a state, then look it up: the lookup is the truth."""
        owner = node or self.ours
        try:
            async with asyncio.timeout(PATIENCE), aclosing(owner.invoice_updates(self.hash(number))) as states:
                async for seen in states:
                    if seen is state:
                        break
        except TimeoutError:
            ended = [task.result() for task in self.tasks if task.done()]
            pytest.fail(f"the invoice is not {state}; payments that ended: {ended}")
        found = await owner.invoice(self.hash(number))
        assert found is not None
        return found

    async def held(self, number: int = 0) -> tuple[HoldInvoice, asyncio.Task[Payment]]:
        """An invoice of ours that alice pays, ACCEPTED."""
        task = self.begin(await self.hold(number))
        return await self.reach(InvoiceState.ACCEPTED, number), task

    async def height(self) -> int:
        return (await self.ours.info()).block_height

    async def close(self) -> None:
        """Nothing stays held: the network may serve further tests."""
        for node, payment_hash in self.made:
            with suppress(Rejected):
                await node.cancel(payment_hash)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def embedded_lightning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNetwork]:
    """A process that serves the whole module."""
    network = EmbeddedNetwork(tmp_path_factory.mktemp("lightning"))
    network.start()
    yield network
    network.stop()


@pytest.fixture
async def embedded(embedded_lightning: EmbeddedNetwork) -> AsyncIterator[Network]:
    """The embedded network alone, for what only its switches can bring about."""
    async with AsyncExitStack() as stack:
        yield await embedded_network(embedded_lightning, stack)


@pytest.fixture(params=["embedded", LND])
async def network(request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    """Each network in turn. Our node has the least macaroon that the port needs."""
    async with AsyncExitStack() as stack:
        if request.param == "lnd":
            yield await real_network(RealOwner(request.getfixturevalue("real_rig")), stack)
        else:
            yield await embedded_network(request.getfixturevalue("embedded_lightning"), stack)


async def embedded_network(process: EmbeddedNetwork, stack: AsyncExitStack) -> Network:
    owner = EmbeddedOwner(process)
    stack.push_async_callback(owner.close)
    await owner.open()
    return await opened(owner, process.macaroon(), stack)


async def real_network(owner: RealOwner, stack: AsyncExitStack) -> Network:
    return await opened(owner, await owner.bake(), stack)


async def opened(owner: Owner, macaroon: Secret, stack: AsyncExitStack) -> Network:
    run = next(_runs)
    alias = f"alice-{run}"
    ours, alice = owner.node("coordinator", macaroon), await owner.player(alias)
    stack.push_async_callback(ours.close)
    stack.push_async_callback(alice.close)
    network = Network(ours, alice, alias, owner, run)
    stack.push_async_callback(network.close)
    return network
