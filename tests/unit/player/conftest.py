"""A player, and a coordinator's answers about one ticket of it: signed receipts and real invoices."""

import copy
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from coordinator.embedded.lightning.bolt11 import PaymentRequest, encode
from coordinator.player.http import ServerRefused
from coordinator.player.keys import PlayerKeys
from coordinator.player.play import Player
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.fees import FeeMarket, offer
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.terms import Terms
from coordinator_core.receipts import sign_reservation
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "terms.json").read_text())
COORDINATOR, NODE = (SecretKey.from_bytes(bytes([n]) * 32) for n in (4, 5))
ENTRY = UUID("01926f3a-0000-7000-8000-000000000001")
PICKS = tuple(
    Pick(target=t, metric=m, choice=Choice.OVER)
    for t, m in (("KORD", "temp_high"), ("KORD", "rain_amt"), ("KSAW", "rain_amt"))
)


@dataclass
class Coordinator:
    """Speaks like the API; `ticket_state` and the clock are the test's."""

    terms: Terms
    player: bytes
    generation: int = 0
    entered: int = 0
    ticket_state: str = "reserved"
    expires_in: int = 600
    conflicts: list[str] = field(default_factory=list)
    lapsed: list[str] = field(default_factory=list)
    """Calls that come too late for their reservation, once each."""
    later: dict[str, int] = field(default_factory=dict)
    """How often a call is answered "later" before it is done."""
    calls: list[str] = field(default_factory=list)
    on_look: Callable[[], None] = lambda: None
    invoice: dict[str, Any] = field(default_factory=dict)
    """Members in which the invoice is not what was agreed."""

    @property
    def ticket_hash(self) -> bytes:
        return sha256(b"ticket %d" % self.generation)

    async def get(self, path: str, *, signed: bool = False) -> bytes:
        assert path.endswith("/terms")
        return self.terms.to_bytes()

    async def read(self, path: str, kind: Any, *, signed: bool = False) -> Any:
        self.on_look()
        self.calls.append(self.ticket_state)
        expires = int(time.time()) + self.expires_in if self.entered == self.generation else None
        return msgspec.convert({"ticket_state": self.ticket_state, "expires_at": expires}, kind)

    async def send(self, path: str, body: Any, kind: Any, *, signed: bool = False, method: str = "POST") -> Any:
        name = "hand in" if method == "PUT" else path.rsplit("/", 1)[1]
        self.calls.append(name)
        if name in self.lapsed:
            self.lapsed.remove(name)
            raise ServerRefused("coordinator", 409, "competition.reservation_lapsed", "was reserved long ago")
        if name in self.conflicts:
            raise ServerRefused("coordinator", 409, "competition.conflict", "entries have closed")
        if self.later.get(name, 0):
            self.later[name] -= 1
            raise ServerRefused("coordinator", 503, "competition.fees.no_estimate", "no fee estimate")
        return msgspec.convert(self._invoice() if method == "PUT" else self._reservation(), kind)

    def _reservation(self) -> dict[str, Any]:
        self.generation += 1
        self.ticket_state = "reserved"
        receipt = sign_reservation(
            COORDINATOR,
            self.terms,
            entry_id=ENTRY,
            player=self.player,
            ticket_hash=self.ticket_hash,
            price=offer(self.terms, FeeMarket(1_001, 250)),
            created_at=VECTOR["created"]["time"],
        )
        return {"entry_id": str(ENTRY), "receipt": msgspec.json.decode(receipt.to_json())}

    def _invoice(self) -> dict[str, Any]:
        self.entered, self.ticket_state, self.expires_in = self.generation, "OPEN", 600
        total = offer(self.terms, FeeMarket(1_001, 250)).total
        request = PaymentRequest(
            network="bcrt",
            amount_msat=total * 1_000,
            timestamp=int(time.time()),
            payment_hash=self.ticket_hash,
            payment_addr=bytes(32),
            payee=NODE.public_key,
            description=None,
            description_hash=self.terms.hash,
        )
        return {"payment_request": encode(dataclasses.replace(request, **self.invoice), NODE)}


class RecordingWallet:
    """Pays as the test says."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.reason: str | None = None
        self.under_way: set[str] = set()
        self.on_pay = lambda: None

    async def close(self) -> None:
        pass

    async def pay_held(self, payment_request: str, fee_limit: int) -> None:
        self.paid.append(payment_request)
        self.on_pay()

    async def failure(self, payment_hash: str) -> str | None:
        return self.reason

    async def pending(self, payment_hash: str) -> bool:
        return payment_hash in self.under_way

    async def received(self, payment_request: str) -> bool:
        return False

    async def payment_preimage(self, payment_hash: str) -> None:
        return None

    async def make_invoice(self, amount: int, expiry: int, preimage: Secret | None = None) -> str:
        raise AssertionError("no invoice is wanted")


@pytest.fixture
def make_player(monkeypatch):
    """A player with an in-process coordinator; pauses take no time."""

    async def no_pause(_: float) -> None:
        pass

    monkeypatch.setattr("coordinator.player.pace.asyncio.sleep", no_pause)

    def make() -> tuple[Player, Any, RecordingWallet]:
        document = copy.deepcopy(VECTOR["terms"])
        document["coordinator_key"] = COORDINATOR.x_only.hex()
        terms = convert_strict(document, Terms, "terms")
        keys, wallet = PlayerKeys(Secret(bytes([7]) * 32)), RecordingWallet()
        player = Player("http://test", keys, wallet, str(terms.competition_id))
        coordinator = Coordinator(terms, keys.identity.x_only)
        player._service = coordinator  # type: ignore[assignment]
        return player, coordinator, wallet

    return make


@pytest.fixture
def picks():
    return PICKS
