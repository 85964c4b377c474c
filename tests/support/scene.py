"""Three real players of one competition: secrets, signed entries, parameters, a contract with every signature."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

import msgspec

from coordinator.domain import facts as f
from coordinator.domain.facts import Fact, HoldState
from coordinator.ports import bitcoin as bc
from coordinator.ports import oracle as oc
from coordinator_core.competition.contract import contract_parameters
from coordinator_core.competition.entries import Entry, sign_entry
from coordinator_core.competition.observation import CreateEvent, Observation, ScoringRules
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.player_keys import entry_key, payout_preimage, picks_salt
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import EXPIRY, Outcome
from coordinator_core.dlc.signed import SignedContract
from coordinator_core.dlc.verification import assemble
from coordinator_core.musig2 import SoloSigner
from coordinator_core.oracle.locking import challenge, locking_points
from coordinator_core.oracle.outcomes import messages
from coordinator_core.oracle.statement import (
    SIGNING_SECONDS,
    EventStatement,
    ObservationTerms,
    RankingOutcomes,
    SignedStatement,
    StatedLine,
    statement_digest,
)
from coordinator_core.secp256k1 import N, SecretKey, schnorr_sign
from coordinator_core.secret import Secret
from coordinator_core.transaction import PAY_TO_ANCHOR, OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import Confirmations, FeeRate, Height, Sats, UnixTime
from tests.support import lanes as b
from tests.support.ports import MemorySecrets

IDS = tuple(UUID(int=(0x01926F3A_0000_7000_8000 << 48) + n) for n in range(1, 4))
ROSTER = tuple(str(name) for name in IDS)
PICKS = (
    Pick(target="KORD", metric="rain_amt", choice=Choice.UNDER),
    Pick(target="KORD", metric="temp_high", choice=Choice.OVER),
    Pick(target="KSAW", metric="temp_high", choice=Choice.PAR),
)
ORACLE, NONCE = SecretKey.from_bytes((1).to_bytes(32, "big")), SecretKey.from_bytes((7).to_bytes(32, "big"))
COIN = bc.Coin(bc.Outpoint("c" * 64, 0), Sats(1_000_000), b"\x51\x20" + b"\x02" * 32, Confirmations(6))
OWN_SCRIPT = b"\x51\x20" + b"\x05" * 32


def attestation(outcome: int) -> bytes:
    """The oracle's scalar of an outcome of three entries and two places."""
    message = list(messages(3, 2))[outcome]
    e = int.from_bytes(challenge(ORACLE.public_key, NONCE.public_key, message), "big")
    scalar = (int.from_bytes(NONCE.reveal(), "big") + e * int.from_bytes(ORACLE.reveal(), "big")) % N
    return scalar.to_bytes(32, "big")


@dataclass(frozen=True)
class Player:
    id: UUID
    root: Secret
    identity: SecretKey
    preimage: bytes

    @property
    def name(self) -> str:
        return str(self.id)

    @property
    def ticket_hash(self) -> bytes:
        return hashlib.sha256(self.preimage).digest()

    @property
    def payout_preimage(self) -> bytes:
        return payout_preimage(self.root, self.id).reveal()

    def entry(self, terms: Terms) -> Entry:
        return sign_entry(
            self.identity,
            self.root,
            terms_hash=terms.hash,
            entry_id=self.id,
            ticket_hash=self.ticket_hash,
            picks=PICKS,
            created_at=UnixTime(b.WALL),
        )

    def key(self, attempt: int = 1) -> SecretKey:
        return entry_key(self.root, self.id, attempt)

    def facts(self, terms: Terms, state: HoldState = HoldState.ACCEPTED, network_fee: int = 20_000) -> list[Fact]:
        entry = self.entry(terms)
        ticket = f.Ticket(
            entry_id=self.name,
            player=self.identity.x_only.hex(),
            generation=1,
            ticket_hash=self.ticket_hash.hex(),
            entry_fee=Sats(50_000),
            coordinator_fee=Sats(1_500),
            network_fee=Sats(network_fee),
            reserved_at=UnixTime(b.WALL),
            receipt="{}",
        )
        signed = f.Entry(
            entry_id=self.name,
            generation=1,
            ticket_hash=self.ticket_hash.hex(),
            entry_keys=tuple(key.hex() for key in entry.keys),
            payout_hash=entry.payout_hash.hex(),
            slot_key=entry.slot_key.hex(),
            commitment=entry.commitment.hex(),
            signed_event=entry.event.to_json().decode(),
        )
        invoice = f.Invoice(
            entry_id=self.name,
            generation=1,
            payment_hash=self.ticket_hash.hex(),
            payment_request="lnbcrt1",
            value=ticket.price,
            state=state,
            expires_at=UnixTime(b.WALL + 600),
            accepted_at=UnixTime(b.WALL),
            expiry_height=Height(b.DEADLINE + 49),
        )
        return [ticket, signed, invoice]

    def seal(self, attempt: int = 1) -> f.Seal:
        salt = picks_salt(self.root, self.id).reveal().hex()
        made = b.seal("entry-1", attempt)
        opened = msgspec.json.encode(PICKS).decode()
        return f.Seal(**{**msgspec.structs.asdict(made), "entry_id": self.name, "salt": salt, "picks": opened})


PLAYERS = tuple(
    Player(name, Secret(bytes([n]) * 32), SecretKey.from_bytes(bytes([n + 9]) * 32), bytes([n + 20]) * 32)
    for n, name in enumerate(IDS, start=1)
)


@cache
def contract(rate: int = 510, vout: int = 0) -> Contract:
    """The contract of the three players under the terms of the tests."""
    terms = b.terms_with()
    parameters = contract_parameters(
        terms,
        [player.entry(terms) for player in PLAYERS],
        attempt=1,
        market_maker=MemorySecrets().market_maker_key(b.LANE).public_key,
        locking_points=locking_points(ORACLE.public_key, NONCE.public_key, 3, 2),
        fee_rate=FeeRate(rate),
    )
    return Contract.build(parameters, OutPoint(bytes.fromhex(b.FUNDING)[::-1], vout))


@cache
def signed() -> SignedContract:
    """With every signature."""
    keys = [MemorySecrets().market_maker_key(b.LANE), *(player.key() for player in PLAYERS)]
    made = contract()
    return SignedContract.verified(made, assemble(made, SoloSigner(keys).sign(made.signing_items())))


def oracle_event(attempt: int = 1) -> f.OracleEvent:
    ids = b.terms_with().oracle.event_ids
    return f.OracleEvent(attempt=attempt, event_id=str(ids[attempt]), nonce_point=NONCE.public_key.hex(), entries=3)


def statement(terms: Terms, attempt: int = 1, **changes: object) -> str:
    """The oracle's signed statement of the three players' event: what terms and roster say, with members changed."""
    observed = terms.observation
    stated = EventStatement(
        event_id=terms.oracle.event_ids[attempt],
        signing_date=observed.signing_date,
        expiry=observed.signing_date + SIGNING_SECONDS,
        nonce_point=NONCE.public_key.hex(),
        outcomes=RankingOutcomes(kind="ranking", number_of_places_win=terms.places, entry_ids=IDS),
        terms=ObservationTerms(
            kind="observation",
            source=observed.source.id,
            start_observation_date=observed.window.start,
            end_observation_date=observed.window.end,
            targets=observed.targets,
            scoring_fields=tuple(metric.id for metric in observed.metrics),
            number_of_values_per_entry=observed.values_per_entry,
            scoring_rules=terms.scoring.rules.value,
            lines=tuple(
                StatedLine(
                    target=line.target,
                    metric=line.metric,
                    lower=float(line.lower),
                    upper=float(line.upper),
                    window_hours=line.window_hours,
                )
                for line in terms.scoring.lines
            ),
        ),
    )
    stated = msgspec.convert(msgspec.to_builtins(stated) | changes, EventStatement)
    signature = schnorr_sign(statement_digest(stated), ORACLE, bytes(32))
    return msgspec.json.encode(SignedStatement(statement=stated, signature=signature.hex())).decode()


def contract_signed(blob: str) -> f.ContractSigned:
    expiry = contract().outcome_txid(EXPIRY)[::-1].hex()
    return f.ContractSigned(attempt=1, blob=blob, expiry_txid=expiry)


def attested(outcome: int) -> f.Attested:
    txid = contract().outcome_txid(Outcome(outcome))[::-1].hex()
    return f.Attested(outcome=outcome, attestation=attestation(outcome).hex(), txid=txid)


@dataclass
class BookWallet:
    """One big coin and the plans made of it; a plan is kept under its purpose."""

    coins: int = 1_000_000
    plans: dict[tuple[str, str], bc.FundingPlan] = field(default_factory=dict[tuple[str, str], bc.FundingPlan])
    released: list[str] = field(default_factory=list[str])
    required: list[object] = field(default_factory=list[object])
    signatures: int = 0
    fee_supply: list[bc.Coin] = field(default_factory=list[bc.Coin])
    """Confirmed coins that nobody reserved, in the order in which they are taken."""
    taken_back_at: list[FeeRate] = field(default_factory=list[FeeRate])
    reserved: dict[str, list[bc.Coin]] = field(default_factory=dict[str, list[bc.Coin]])

    async def balance(self) -> Sats:
        return Sats(self.coins)

    async def total(self) -> Sats:
        return Sats(self.coins)

    async def holdings(self) -> bc.Holdings:
        return bc.Holdings(Sats(self.coins), Sats(0))

    async def plan_funding(
        self, lane: str, purpose: str, output: bc.Output, fee_rate: FeeRate, *, must_spend_one_of: object = ()
    ) -> bc.FundingPlan:
        self.required.append(must_spend_one_of)
        if (lane, purpose) not in self.plans:
            change = Sats(COIN.value - output.value - 1_000)
            outputs = (TxOut(output.value, output.script), TxOut(change, OWN_SCRIPT))
            raw = Transaction(inputs=(TxIn(OutPoint(bytes.fromhex("c" * 64), 0), 0xFFFFFFFD),), outputs=outputs)
            txid = raw.txid[::-1].hex()
            plan = bc.FundingPlan(raw.serialize(), txid, (COIN,), 0, 1, change, Sats(1_000))
            self.plans[(lane, purpose)] = plan
        return self.plans[(lane, purpose)]

    async def sign(self, plan: bc.FundingPlan) -> bytes:
        self.signatures += 1
        return Transaction.parse(plan.unsigned).with_witness(0, (bytes([self.signatures]) * 64,)).serialize()

    async def take_back(self, plan: bc.FundingPlan, lane: str, fee_rate: FeeRate) -> bytes:
        self.taken_back_at.append(fee_rate)
        outputs = (TxOut(Sats(COIN.value - 500), OWN_SCRIPT),)
        unsigned = Transaction(inputs=(TxIn(OutPoint(bytes.fromhex("c" * 64), 0), 0),), outputs=outputs)
        return unsigned.with_witness(0, (b"\x07" * 64,)).serialize()

    async def fee_coins(self, lane: str, purpose: str, at_least: Sats) -> tuple[bc.Coin, ...]:
        held = self.reserved.setdefault(purpose, [])
        while sum(coin.value for coin in held) < at_least and self.fee_supply:
            held.append(self.fee_supply.pop(0))
        return tuple(held)

    async def spend_to_us(self, lane: str, purpose: str, coins: Sequence[bc.Coin], fee: Sats) -> bytes:
        inputs = tuple(TxIn(OutPoint.parse(str(coin.outpoint)), 0xFFFFFFFD) for coin in coins)
        value = Sats(sum(coin.value for coin in coins) - fee)
        raw = Transaction(inputs=inputs, outputs=(TxOut(value, OWN_SCRIPT),))
        for index, coin in enumerate(coins):
            raw = raw if coin.script == PAY_TO_ANCHOR else raw.with_witness(index, (b"\x07" * 64,))
        return raw.serialize()

    async def script_for(self, lane: str, purpose: str) -> bytes:
        return OWN_SCRIPT

    async def release(self, lane: str, purpose: str) -> None:
        self.released.append(purpose)
        self.reserved.pop(purpose, None)


@dataclass
class BookOracle:
    """Events by id with true points; entries as handed over; attestations as they are put in."""

    key: SecretKey = field(default_factory=lambda: ORACLE)
    nonce: SecretKey = field(default_factory=lambda: NONCE)
    events: dict[UUID, oc.OracleEvent] = field(default_factory=dict[UUID, oc.OracleEvent])
    attested: dict[UUID, bytes] = field(default_factory=dict[UUID, bytes])
    problems: tuple[oc.PlanFinding, ...] = ()
    statement: bytes | None = None
    swapped_points: bool = False

    async def public_key(self) -> bytes:
        return self.key.public_key

    async def sources(self) -> tuple[oc.OracleSource, ...]:
        return ()

    async def stations(self) -> tuple[oc.Station, ...]:
        return ()

    async def check_plan(self, observation: Observation, rules: ScoringRules) -> oc.PlanReport:
        return oc.PlanReport(None, self.problems)

    async def create_event(self, event: CreateEvent) -> oc.OracleEvent:
        if event.id not in self.events:
            self.events[event.id] = self._make(event)
        return self.events[event.id]

    def _make(self, event: CreateEvent) -> oc.OracleEvent:
        points = locking_points(self.key.public_key, self.nonce.public_key, event.total_allowed_entries, 2)
        points = points[::-1] if self.swapped_points else points
        return oc.OracleEvent(
            id=event.id,
            source="noaa_weather",
            window=b.terms_with().observation.window,
            signing_date=UnixTime(0),
            targets=(),
            metrics=(),
            values_per_entry=3,
            total_allowed_entries=event.total_allowed_entries,
            places=2,
            scoring_rules=ScoringRules.FIXED,
            unlisted=False,
            lines=(),
            announcement=oc.Announcement(self.nonce.public_key, points, UnixTime(0)),
            entries=(),
            readings=(),
            statement=self.statement,
            report=self._report(event.id),
            served_secret_nonce=False,
        )

    def _report(self, event_id: UUID) -> oc.AttestationReport:
        return oc.AttestationReport(event_id, oc.EventStatus.LIVE, self.attested.get(event_id), None, False)

    async def get_event(self, event_id: UUID) -> oc.OracleEvent | None:
        return self.events.get(event_id)

    async def submit_entries(self, event_id: UUID, entries: object) -> oc.OracleEvent:
        old = self.events[event_id]
        return oc.OracleEvent(**{**msgspec.structs.asdict(old), "statement": self.statement})

    async def get_entries(self, event_id: UUID) -> tuple[oc.OracleEntry, ...]:
        return ()

    async def get_attestation(self, event_id: UUID) -> oc.AttestationReport:
        return self._report(event_id)
