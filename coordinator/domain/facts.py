"""Facts: what is known of one competition, each written once or upserted by its natural key.

An event only says "these facts changed": early, late, doubled or reordered notifications end in the same facts.
Facts never hold secrets. Large values (contract parameters, signatures) stand in the blob table under their SHA256.
Heights of transactions are not facts: they are read from the chain index at each load, so a reorg undoes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import ClassVar, TypeVar, cast

from msgspec import Struct

from coordinator_core.units import Height, Sats, UnixTime


class Fact(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every fact. `key` is unique within its kind and competition."""

    repeatable: ClassVar[bool] = False
    """True when a later observation replaces an earlier one; else the first one stands."""

    @property
    def key(self) -> str:
        """Natural key within (competition, kind)."""
        return ""

    @classmethod
    def kind(cls) -> str:
        """The tag under which it is stored."""
        return str(cls.__struct_config__.tag)


class AttemptFact(Fact, frozen=True, kw_only=True):
    """A fact of one attempt of the closing (1 to 8)."""

    attempt: int

    @property
    def key(self) -> str:
        return str(self.attempt)


class Drafted(Fact, frozen=True, kw_only=True, tag="drafted"):
    """What the operator asked for; oracle key, lines and funding deadline are still to come."""

    draft: str
    """The draft as JSON."""
    event_ids: tuple[str, ...]
    """Nine UUIDs for events 0 to 8 at the oracle."""
    closes_at: UnixTime


class Published(Fact, frozen=True, kw_only=True, tag="published"):
    """The final terms: immutable from here on."""

    terms: str
    terms_hash: str


class Ticket(Fact, frozen=True, kw_only=True, tag="ticket"):
    """A reservation. Renewal replaces it with the next generation: same entry id, new hash, new price, new receipt."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    player: str
    """x-only Nostr key of the player, hex."""
    generation: int
    ticket_hash: str
    entry_fee: Sats
    coordinator_fee: Sats
    network_fee: Sats
    reserved_at: UnixTime
    receipt: str
    """The signed reservation receipt as JSON."""

    @property
    def key(self) -> str:
        return self.entry_id

    @property
    def price(self) -> Sats:
        """What the invoice asks for."""
        return Sats(self.entry_fee + self.coordinator_fee + self.network_fee)


class Entry(Fact, frozen=True, kw_only=True, tag="entry"):
    """A signed entry, for one generation of its ticket."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    generation: int
    ticket_hash: str
    entry_keys: tuple[str, ...]
    """Eight compressed keys, hex: key i signs in attempt i."""
    payout_hash: str
    slot_key: str
    commitment: str
    signed_event: str

    @property
    def key(self) -> str:
        return self.entry_id


class HoldState(StrEnum):
    """States of a hold invoice."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    SETTLED = "SETTLED"
    CANCELED = "CANCELED"


class Invoice(Fact, frozen=True, kw_only=True, tag="invoice"):
    """A ticket's hold invoice as the Lightning node shows it. Judged by `state` alone."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    generation: int
    payment_hash: str
    payment_request: str
    value: Sats
    state: HoldState
    expires_at: UnixTime
    accepted_at: UnixTime | None = None
    """When we first saw ACCEPTED; orders the seats."""
    expiry_height: Height | None = None
    """Least expiry height over the accepted HTLCs."""

    @property
    def key(self) -> str:
        return self.payment_hash


class PlanningChecked(Fact, frozen=True, kw_only=True, tag="planning_checked"):
    """The oracle can assess every target and metric of the terms."""


class HoldsRead(AttemptFact, frozen=True, kw_only=True, tag="holds_read"):
    """Every hold of the roster was read again before an irrevocable step. Attempt 0 is the start of the closing."""

    repeatable: ClassVar[bool] = True
    at_height: Height
    least_left: int
    """Blocks left on the shortest hold; negative when one is lost."""
    lost: tuple[str, ...] = ()
    """Entry ids whose hold is gone or too short."""


class OracleEvent(AttemptFact, frozen=True, kw_only=True, tag="oracle_event"):
    """The oracle's event of an attempt, verified against terms, number of entries and dates."""

    event_id: str
    nonce_point: str
    entries: int


class SessionOpen(AttemptFact, frozen=True, kw_only=True, tag="session_open"):
    """A keymeld session that was reserved and initialized, our own key registered."""

    session_id: str
    user_id: str
    manifest: str
    """The signed manifest as JSON."""
    recipients: str
    """The enclave recipients authorization as JSON."""
    epochs: tuple[tuple[int, int], ...]
    """(enclave id, key epoch) as pinned for the attempt."""
    registration: str
    """Our own sealed registration as JSON."""
    opened_at: UnixTime
    roster: tuple[str, ...]


class Seal(AttemptFact, frozen=True, kw_only=True, tag="seal"):
    """A player sealed its entry key of this attempt and opened its picks."""

    entry_id: str
    registration: str
    """The registration authorization as JSON."""
    ciphertext: str
    public_key: str
    auth_public_key: str
    salt: str
    picks: str
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class Registered(AttemptFact, frozen=True, kw_only=True, tag="registered"):
    """keymeld took a player's registration, or refused it (`refusal` says why)."""

    entry_id: str
    refusal: str | None = None

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class Keygen(AttemptFact, frozen=True, kw_only=True, tag="keygen"):
    """Keygen is complete: roster and every aggregate were recomputed and equal."""

    roster: str
    """The signed participant roster as JSON (public keys and signatures only)."""
    encrypted_session_secrets: tuple[tuple[str, str], ...] = ()
    """(entry id, NIP-44 ciphertext) for each player."""


class EntriesPosted(AttemptFact, frozen=True, kw_only=True, tag="entries_posted"):
    """Entries stand at the oracle; the event's signed statement equals roster and terms."""

    statement: str
    scores_shown: bool = False


class Pinned(AttemptFact, frozen=True, kw_only=True, tag="pinned"):
    """Kick-off check passed; contract parameters and coins of the funding are fixed for this attempt."""

    parameters: str
    """Blob name of the contract parameters (JSON)."""
    plan: str
    """Blob name of the funding plan (JSON)."""
    funding_txid: str
    funding_vout: int
    funding_value: Sats
    fee_rate: int
    """Satoshi per 1,000 weight units of the presigned transactions."""
    inputs: tuple[str, ...]
    """Outpoints the funding spends."""


class Batch(Struct, frozen=True):
    """One signing session at keymeld."""

    session_id: str
    index: int
    items: int
    replaces: str | None = None


class BatchesOpen(AttemptFact, frozen=True, kw_only=True, tag="batches_open"):
    """All batches of the contract are at keymeld, waiting for approvals."""

    batches: tuple[Batch, ...]
    opened_at: UnixTime


class SpareOpen(AttemptFact, frozen=True, kw_only=True, tag="spare_open"):
    """A spare session replaces a batch that hung; it holds exactly the same items."""

    batch: Batch
    opened_at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.batch.session_id}"


class BatchHung(AttemptFact, frozen=True, kw_only=True, tag="batch_hung"):
    """A signing session failed, gave a wrong or missing signature, or did not end in time."""

    session_id: str
    reason: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}"


class Ready(AttemptFact, frozen=True, kw_only=True, tag="ready"):
    """A player's client compared every item of every open batch with the contract it derived itself."""

    entry_id: str
    sessions: tuple[str, ...]
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}/{','.join(sorted(self.sessions))}"


class Approval(AttemptFact, frozen=True, kw_only=True, tag="approval"):
    """A player's approval of one signing session. A later one replaces a stale one."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    session_id: str
    approval: str
    """{user_id, timestamp, signature} as JSON."""
    header: str
    """The X-User-Signature made for the gateway, used once."""
    timestamp: UnixTime
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}"


class Forwarded(AttemptFact, frozen=True, kw_only=True, tag="forwarded"):
    """The gateway holds a player's approval of a session."""

    entry_id: str
    session_id: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}"


class BatchSigned(AttemptFact, frozen=True, kw_only=True, tag="batch_signed"):
    """Every signature of one session was received and verified; the blob holds them."""

    session_id: str
    index: int
    blob: str
    status: str
    """Blob name of the gateway's last status as received, archived for the players."""

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.index}"


class ContractSigned(AttemptFact, frozen=True, kw_only=True, tag="contract_signed"):
    """Every signature of the contract verifies; the blob holds the signed contract."""

    blob: str
    expiry_txid: str
    """The expiry transaction: any player may send it, so a spend of the funding output is compared with it."""


class AttemptFault(AttemptFact, frozen=True, kw_only=True, tag="attempt_fault"):
    """keymeld failed this attempt for good: lost state, new epoch, no spare session left. Nobody is dropped for it."""

    reason: str


class KickOffHeld(AttemptFact, frozen=True, kw_only=True, tag="kick_off_held"):
    """The kick-off check says no for now (fee above the ceiling, too few coins, no outbound liquidity)."""

    repeatable: ClassVar[bool] = True
    reason: str


class CoinsReleased(AttemptFact, frozen=True, kw_only=True, tag="coins_released"):
    """The coins an ended attempt had reserved are free again, or stay reserved because its funding was signed."""


class Built(AttemptFact, frozen=True, kw_only=True, tag="built"):
    """The transaction of a role is pinned; it leaves only after this is written, so what confirms is known as ours."""

    role: str
    txid: str

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class HoldsDecided(AttemptFact, frozen=True, kw_only=True, tag="holds_decided"):
    """Holds ran short before the funding confirmed: settled because our node held the funding then, or all canceled."""

    settle: bool
    at_height: Height


class Sent(Fact, frozen=True, kw_only=True, tag="sent"):
    """The node has a transaction of this role: funding, outcome, expiry, split, close, reclaim, sweep:..."""

    role: str
    txid: str

    @property
    def key(self) -> str:
        return self.role


class BroadcastConflict(Fact, frozen=True, kw_only=True, tag="broadcast_conflict"):
    """An input of a transaction is spent by another one."""

    role: str
    by_txid: str

    @property
    def key(self) -> str:
        return self.role


class Attested(Fact, frozen=True, kw_only=True, tag="attested"):
    """A scalar that opens the locking point of an outcome of this contract. Public once it is here."""

    outcome: int
    attestation: str


class PrizeState(StrEnum):
    """States of a prize (money rules of payouts)."""

    CLAIMABLE = "CLAIMABLE"
    PAYING = "PAYING"
    PAID = "PAID"
    UNKNOWN = "UNKNOWN"
    ONCHAIN = "ONCHAIN"
    CLAIMED = "CLAIMED"
    OWED = "OWED"
    LAPSED = "LAPSED"
    VOID = "VOID"


class Payout(Fact, frozen=True, kw_only=True, tag="payout"):
    """A payment a winner asked for: the row is here before the payment leaves. One live payout an entry."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    payment_hash: str
    payment_request: str
    amount: Sats
    atomic: bool
    """True when the payment hash is the entry's payout hash: paying reveals the payout preimage."""
    state: PrizeState
    tries: int = 0
    expires_at: UnixTime = UnixTime(0)
    routing_fee: Sats = Sats(0)
    failure: str | None = None
    next_try: UnixTime = UnixTime(0)

    @property
    def key(self) -> str:
        return self.entry_id


class PreimageHeld(Fact, frozen=True, kw_only=True, tag="preimage_held"):
    """The payout preimage of an entry is in the secret store: by an atomic payment, or handed over first."""

    entry_id: str

    @property
    def key(self) -> str:
        return self.entry_id


class EntryKeyHeld(Fact, frozen=True, kw_only=True, tag="entry_key_held"):
    """A paid winner gave its entry key of the contract's attempt, so outputs can be closed together."""

    entry_id: str

    @property
    def key(self) -> str:
        return self.entry_id


class Notified(Fact, frozen=True, kw_only=True, tag="notified"):
    """A player was told of a topic, or no relay took it after several tries."""

    entry_id: str
    topic: str
    delivered: bool

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.entry_id}"


class CancelAsked(Fact, frozen=True, kw_only=True, tag="cancel_asked"):
    """An operator asked to cancel while entries are open."""

    by: str
    reason: str


class NeedsOperator(Fact, frozen=True, kw_only=True, tag="needs_operator"):
    """Trouble that a person must look at; nothing protective stops for it."""

    repeatable: ClassVar[bool] = True
    topic: str
    reason: str
    resume: str

    @property
    def key(self) -> str:
        return self.topic


AnyFact = (
    Drafted
    | Published
    | Ticket
    | Entry
    | Invoice
    | PlanningChecked
    | HoldsRead
    | OracleEvent
    | SessionOpen
    | Seal
    | Registered
    | Keygen
    | EntriesPosted
    | Pinned
    | BatchesOpen
    | SpareOpen
    | BatchHung
    | Ready
    | Approval
    | Forwarded
    | BatchSigned
    | ContractSigned
    | AttemptFault
    | KickOffHeld
    | CoinsReleased
    | Built
    | HoldsDecided
    | Sent
    | BroadcastConflict
    | Attested
    | Payout
    | PreimageHeld
    | EntryKeyHeld
    | Notified
    | CancelAsked
    | NeedsOperator
)

F = TypeVar("F", bound=Fact)


class FactBook:
    """The facts of one competition, by kind and key. `put` says whether anything changed."""

    __slots__ = ("_by_kind", "changed")

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_kind: dict[str, dict[str, Fact]] = {}
        self.changed: dict[tuple[str, str], Fact] = {}
        for fact in facts:
            self._by_kind.setdefault(fact.kind(), {})[fact.key] = fact

    def put(self, fact: Fact) -> bool:
        """Upsert. A fact that is not repeatable stays as it was first written. True when the book changed."""
        known = self._by_kind.setdefault(fact.kind(), {})
        old = known.get(fact.key)
        if old == fact or (old is not None and not fact.repeatable):
            return False
        known[fact.key] = fact
        self.changed[(fact.kind(), fact.key)] = fact
        return True

    def get(self, kind: type[F], key: str | int = "") -> F | None:
        """The fact of a kind under a key, or None."""
        return cast("F | None", self._by_kind.get(kind.kind(), {}).get(str(key)))

    def all(self, kind: type[F]) -> tuple[F, ...]:
        """All facts of a kind, ordered by key."""
        known: Mapping[str, Fact] = self._by_kind.get(kind.kind(), {})
        return tuple(cast(F, known[key]) for key in sorted(known))

    def of_attempt(self, kind: type[F], attempt: int) -> tuple[F, ...]:
        """All facts of a kind that belong to an attempt, ordered by key."""
        return tuple(fact for fact in self.all(kind) if getattr(fact, "attempt", None) == attempt)

    def __iter__(self) -> Iterator[Fact]:
        for kind in sorted(self._by_kind):
            yield from self._by_kind[kind].values()
