"""Hand-built facts of one competition and the world around it: plain data for tests of domain, engine and store."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.duties import Channel, Duty
from coordinator.domain.facts import Fact, FactBook, HoldState, PrizeState
from coordinator.domain.lane import Lane, SpendSeen, World
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.competition.terms import Terms
from coordinator_core.receipts.debt import DebtReason
from coordinator_core.units import Blocks, Height, Sats, UnixTime

DOCUMENT = json.loads((Path(__file__).parents[1] / "vectors" / "terms.json").read_text())["terms"]
LANE = DOCUMENT["competition_id"]
CLOSE = DOCUMENT["schedule"]["entries_close"]
CLOSING = DOCUMENT["schedule"]["closing"]
END_OF_CLOSING = (
    CLOSE
    + 3 * (CLOSING["sealing"] + CLOSING["entries"] + CLOSING["approvals"] + CLOSING["signatures"])
    + CLOSING["kickoff_grace"]
)
DEADLINE = DOCUMENT["schedule"]["funding_deadline"]
EXPIRY = DOCUMENT["contract"]["expiry"]
DELTA = DOCUMENT["contract"]["delta"]
SEALING, APPROVALS = CLOSING["sealing"], CLOSING["approvals"]
TIP = 900_000
WALL = 1_800_000_000
PLAYERS = tuple(f"entry-{n}" for n in range(1, 6))
ROSTER = PLAYERS[:3]
EVENT = "event-1"
FUNDING, COIN, CONTRACT = "f" * 64, f"{'c' * 64}:0", "b" * 64
OUTCOME, EXPIRED, SPLIT, STRANGER = "0" * 63 + "1", "0" * 63 + "2", "0" * 63 + "3", "0" * 63 + "9"
MAINNET: Mapping[str, Any] = {
    "network": "mainnet",
    "contract.required_confirmations": 3,
    "contract.delta": 288,
    "oracle.url": "https://oracle.example",
    "keymeld.gateway": "https://keymeld.example",
    "keymeld.pcrs": [{"index": 0, "value": "00" * 48}],
}
"""Terms that ask for three confirmations."""
REFUND_ALL_OF_3 = 6
"""Index of refund-all with three entries and two places: after the six rankings."""


def terms_with(changes: Mapping[str, Any] | None = None) -> Terms:
    """Valid terms with members replaced: {"money.entry_fee": 1}."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in (changes or {}).items():
        *parents, name = path.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        place[name] = value
    return convert_strict(document, Terms, "terms")


def ticket_hash(entry_id: str, generation: int = 1) -> str:
    return f"{PLAYERS.index(entry_id) + 1:02x}{generation:02x}" + "a" * 60


def ticket(entry_id: str, generation: int = 1) -> f.Ticket:
    return f.Ticket(
        entry_id=entry_id,
        player="d" * 64,
        generation=generation,
        ticket_hash=ticket_hash(entry_id, generation),
        entry_fee=Sats(50_000),
        coordinator_fee=Sats(1_500),
        network_fee=Sats(900),
        reserved_at=UnixTime(WALL),
        receipt="{}",
    )


def entry(entry_id: str, generation: int = 1) -> f.Entry:
    return f.Entry(
        entry_id=entry_id,
        generation=generation,
        ticket_hash=ticket_hash(entry_id, generation),
        entry_keys=(),
        payout_hash="e" * 64,
        slot_key="",
        commitment="",
        signed_event="{}",
    )


def invoice(
    entry_id: str,
    state: HoldState = HoldState.ACCEPTED,
    *,
    generation: int = 1,
    accepted_at: int | None = WALL,
    expiry_height: int = DEADLINE + 49,
) -> f.Invoice:
    held = state is HoldState.ACCEPTED
    return f.Invoice(
        entry_id=entry_id,
        generation=generation,
        payment_hash=ticket_hash(entry_id, generation),
        payment_request="lnbcrt1",
        value=Sats(52_400),
        state=state,
        expires_at=UnixTime(WALL + 600),
        accepted_at=None if accepted_at is None or state is HoldState.OPEN else UnixTime(accepted_at),
        expiry_height=Height(expiry_height) if held else None,
    )


def seats(players: Iterable[str] = ROSTER, state: HoldState = HoldState.ACCEPTED) -> list[Fact]:
    """Ticket, entry and invoice of each player."""
    return [fact for e in players for fact in (ticket(e), entry(e), invoice(e, state))]


def holds_read(attempt: int, *, lost: tuple[str, ...] = (), at: int = TIP) -> f.HoldsRead:
    return f.HoldsRead(attempt=attempt, at_height=Height(at), least_left=125, lost=lost)


def oracle_event(attempt: int = 1, entries: int = 3) -> f.OracleEvent:
    return f.OracleEvent(attempt=attempt, event_id=f"event-{attempt}", nonce_point="02" + "1" * 64, entries=entries)


def session(attempt: int = 1, opened_at: int = WALL, roster: tuple[str, ...] = ROSTER) -> f.SessionOpen:
    return f.SessionOpen(
        attempt=attempt,
        session_id=f"session-{attempt}",
        user_id="user",
        manifest="{}",
        recipients="{}",
        epochs=(),
        registration="{}",
        opened_at=UnixTime(opened_at),
        roster=roster,
    )


def seal(entry_id: str, attempt: int = 1, at: int = WALL + 10) -> f.Seal:
    return f.Seal(
        attempt=attempt,
        entry_id=entry_id,
        registration="{}",
        ciphertext="",
        public_key="",
        auth_public_key="",
        salt="",
        picks="[]",
        at=UnixTime(at),
    )


def registered(entry_id: str, attempt: int = 1, refusal: str | None = None) -> f.Registered:
    return f.Registered(attempt=attempt, entry_id=entry_id, refusal=refusal)


def keygen(attempt: int = 1) -> f.Keygen:
    return f.Keygen(attempt=attempt, roster="{}")


def posted(attempt: int = 1) -> f.EntriesPosted:
    return f.EntriesPosted(attempt=attempt, statement="{}")


def pinned(attempt: int = 1) -> f.Pinned:
    return f.Pinned(
        attempt=attempt,
        parameters="p" * 64,
        plan="q" * 64,
        funding_txid=FUNDING,
        funding_vout=0,
        funding_value=Sats(160_000),
        fee_rate=500,
        inputs=(COIN,),
        at_height=Height(100),
    )


def batches(attempt: int = 1, count: int = 2, opened_at: int = WALL) -> f.BatchesOpen:
    listed = tuple(f.Batch(f"batch-{attempt}-{index}", index, 10) for index in range(count))
    return f.BatchesOpen(attempt=attempt, batches=listed, opened_at=UnixTime(opened_at))


def spare(index: int, replaces: str, opened_at: int, attempt: int = 1, name: str = "spare") -> f.SpareOpen:
    batch = f.Batch(f"{name}-{attempt}-{index}", index, 10, replaces=replaces)
    return f.SpareOpen(attempt=attempt, batch=batch, opened_at=UnixTime(opened_at))


def ready(entry_id: str, sessions: tuple[str, ...], attempt: int = 1, at: int = WALL + 10) -> f.Ready:
    return f.Ready(attempt=attempt, entry_id=entry_id, sessions=sessions, at=UnixTime(at))


def approval(entry_id: str, session_id: str, attempt: int = 1, at: int = WALL + 20) -> f.Approval:
    return f.Approval(
        attempt=attempt,
        entry_id=entry_id,
        session_id=session_id,
        approval="{}",
        header="h",
        timestamp=UnixTime(at),
        at=UnixTime(at),
    )


def approvals(players: Iterable[str] = ROSTER, attempt: int = 1, count: int = 2) -> list[Fact]:
    return [approval(e, f"batch-{attempt}-{index}", attempt) for e in players for index in range(count)]


def batch_signed(index: int, attempt: int = 1) -> f.BatchSigned:
    return f.BatchSigned(attempt=attempt, session_id=f"batch-{attempt}-{index}", index=index, blob="", status="")


def contract_signed(attempt: int = 1) -> f.ContractSigned:
    return f.ContractSigned(attempt=attempt, blob=CONTRACT, expiry_txid=EXPIRED)


def built(role: str, txid: str, attempt: int = 1, *, spends: str = COIN, at: int = CLOSE - 1_000) -> f.Built:
    return f.Built(attempt=attempt, role=role, txid=txid, spends=spends, at=UnixTime(at))


def attested(outcome: int = 0, txid: str = OUTCOME) -> f.Attested:
    return f.Attested(outcome=outcome, attestation="1" * 64, txid=txid)


def payout(entry_id: str, state: PrizeState, **changes: Any) -> f.Payout:
    values: dict[str, Any] = {
        "entry_id": entry_id,
        "payment_hash": ticket_hash(entry_id, 9),
        "payment_request": "lnbcrt1",
        "amount": Sats(1_000),
        "atomic": True,
        "state": state,
        "expires_at": UnixTime(WALL + 86_400),
    }
    return f.Payout(**{**values, **changes})


def owed(entry_id: str, **changes: Any) -> f.Owed:
    """A settled ticket that is to be paid back."""
    values: dict[str, Any] = {
        "reason": DebtReason.TICKET,
        "entry_id": entry_id,
        "payment_hash": ticket_hash(entry_id),
        "amount": Sats(52_400),
        "since": UnixTime(WALL),
        "receipt": "{}",
    }
    return f.Owed(**{**values, **changes})


def winners(terms: Terms, outcome: int | None, roster: tuple[str, ...] = ROSTER) -> tuple[str, ...]:
    """Entry ids that are paid in an outcome, in the order of the split's outputs."""
    return tuple(roster[p.player] for p in sorted(payouts_at(terms, len(roster), outcome), key=lambda p: p.player))


@dataclass
class Story:
    """A competition as facts and world; `run` takes a state through the pure functions to its fixpoint."""

    terms: Terms = field(default_factory=terms_with)
    facts: list[Fact] = field(default_factory=list[Fact])
    world: dict[str, Any] = field(default_factory=dict[str, Any])
    published: bool = True

    def put(self, *facts: Fact) -> Story:
        self.facts.extend(facts)
        return self

    def set(self, **world: Any) -> Story:
        self.world.update(world)
        return self

    def confirm(self, txid: str, height: int = TIP) -> Story:
        self.world["confirmed"] = {**self.world.get("confirmed", {}), txid: Height(height)}
        return self

    def spend(self, outpoint: str, txid: str, height: int = TIP) -> Story:
        self.world["spent"] = {**self.world.get("spent", {}), outpoint: SpendSeen(txid, Height(height))}
        return self.confirm(txid, height)

    def copy(self) -> Story:
        world = {name: dict(value) if isinstance(value, dict) else value for name, value in self.world.items()}
        return replace(self, facts=list(self.facts), world=world)

    @property
    def lane(self) -> Lane:
        values: dict[str, Any] = {
            "wall": UnixTime(WALL),
            "now": UnixTime(CLOSE - 1_000),
            "tip": Height(TIP),
            "median_time_past": UnixTime(CLOSE - 4_000),
            "cancel_delta": Blocks(18),
        }
        book = FactBook()
        for fact in self.facts:
            book.put(fact)
        return Lane(LANE, self.terms if self.published else None, book, World(**{**values, **self.world}))

    def step(self, state: s.Competition) -> s.Competition | None:
        found = advance(state, self.lane)
        return None if found is None else found.state

    def run(self, state: s.Competition) -> tuple[s.Competition, list[str]]:
        """The fixpoint and the reasons of the steps to it."""
        lane, reasons = self.lane, list[str]()
        while (found := advance(state, lane)) is not None:
            state = found.state
            reasons.append(found.reason)
            assert len(reasons) <= 32, reasons
        return state, reasons

    def wants(self, state: s.Competition) -> dict[str, Duty]:
        """Wanted duties by kind and key; without messages to players, on which nothing depends."""
        listed = [duty for duty in wanted(state, self.lane) if duty.channel is not Channel.NOTIFY]
        return {f"{duty.kind()}/{duty.key}": duty for duty in listed}

    def kinds(self, state: s.Competition) -> set[str]:
        return {duty.kind() for duty in self.wants(state).values()}


def awaiting_escrow(roster: tuple[str, ...] = ROSTER) -> s.AwaitingEscrow:
    return s.AwaitingEscrow(roster=roster)


def event_created(attempt: int = 1, roster: tuple[str, ...] = ROSTER) -> s.EventCreated:
    return s.EventCreated(roster=roster, attempt=attempt)


def awaiting_keygen(attempt: int = 1, roster: tuple[str, ...] = ROSTER) -> s.AwaitingKeygen:
    return s.AwaitingKeygen(roster=roster, attempt=attempt, event_id=EVENT)


def entries_submitted(attempt: int = 1, roster: tuple[str, ...] = ROSTER) -> s.EntriesSubmitted:
    return s.EntriesSubmitted(roster=roster, attempt=attempt, event_id=EVENT)


def awaiting_signing(attempt: int = 1, roster: tuple[str, ...] = ROSTER) -> s.AwaitingSigning:
    return s.AwaitingSigning(roster=roster, attempt=attempt, event_id=EVENT, funding_txid=FUNDING)


def funding_ready(attempt: int = 1, roster: tuple[str, ...] = ROSTER) -> s.FundingReady:
    return s.FundingReady(roster=roster, attempt=attempt, event_id=EVENT, funding_txid=FUNDING, contract=CONTRACT)


def funding_broadcasted(attempt: int = 1) -> s.FundingBroadcasted:
    return s.FundingBroadcasted(roster=ROSTER, attempt=attempt, event_id=EVENT, funding_txid=FUNDING, contract=CONTRACT)


def funding_confirmed(height: int = TIP) -> s.FundingConfirmed:
    return s.FundingConfirmed(
        roster=ROSTER,
        attempt=1,
        event_id=EVENT,
        funding_txid=FUNDING,
        funding_height=Height(height),
        contract=CONTRACT,
    )


def awaiting_attestation(written_off: tuple[str, ...] = ()) -> s.AwaitingAttestation:
    return s.AwaitingAttestation(
        roster=ROSTER, attempt=1, event_id=EVENT, funding_txid=FUNDING, contract=CONTRACT, written_off=written_off
    )


def outcome_broadcasted(outcome: int = 0, written_off: tuple[str, ...] = ()) -> s.OutcomeBroadcasted:
    return s.OutcomeBroadcasted(
        roster=ROSTER, attempt=1, funding_txid=FUNDING, contract=CONTRACT, written_off=written_off, outcome=outcome
    )


def expiry_broadcasted(written_off: tuple[str, ...] = ()) -> s.ExpiryBroadcasted:
    return s.ExpiryBroadcasted(
        roster=ROSTER, attempt=1, funding_txid=FUNDING, contract=CONTRACT, written_off=written_off
    )


def delta_broadcasted(outcome: int | None = 0, written_off: tuple[str, ...] = ()) -> s.DeltaBroadcasted:
    return s.DeltaBroadcasted(
        roster=ROSTER,
        attempt=1,
        funding_txid=FUNDING,
        contract=CONTRACT,
        written_off=written_off,
        outcome=outcome,
        split_txid=SPLIT,
    )
