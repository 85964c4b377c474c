"""Duties: work outside that a competition wants done. Ids are a pure function of competition, kind and natural key,
so wanting a duty twice is the same as wanting it once.

A duty that watches (poll) ends only when what it watches is final.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar, get_args

from msgspec import Struct


class Channel(StrEnum):
    """The dependency a duty talks to: limits, breakers and order are by channel."""

    ORACLE = "oracle"
    KEYMELD = "keymeld"
    LIGHTNING = "lightning"
    CHAIN = "chain"
    LOCAL = "local"
    NOTIFY = "notify"
    WATCH = "watch"
    """Open streams of Lightning: many, idle, and never in the way of a settle or cancel."""


class Urgency(IntEnum):
    """Who gets the next free slot of a channel, the lowest number first. A share is kept for the others, so a flood of
    one class starves none.
    """

    MONEY = 0
    """Somebody's money hangs on the next block or minute: settle, cancel, decide, broadcast, bump, pay."""
    CLOSING = 1
    """People sit in front of a page until it is done."""
    ROUTINE = 2
    NOTICE = 3
    """Watches and messages: later costs nothing."""


class Duty(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every duty."""

    version: ClassVar[int] = 1
    """Of the stored row; the next one when what is stored changes, with an upcaster (`versions`)."""
    channel: ClassVar[Channel]
    urgency: ClassVar[Urgency] = Urgency.ROUTINE
    protective: ClassVar[bool]
    """Leaving it undone can cost someone money, and doing it takes none: settle, cancel, outcome, split, sweep, watch.
    Neither a gate nor a stopped competition holds it back. The others are expansive: they wait. Which of the two a
    duty is where it depends on facts, see `protection.protects`."""

    @property
    def key(self) -> str:
        """Natural key within (competition, kind)."""
        return ""

    @classmethod
    def kind(cls) -> str:
        """The tag under which it is stored."""
        return str(cls.__struct_config__.tag)

    def id(self, lane: str) -> str:
        """Unique over all competitions."""
        return f"{lane}/{self.kind()}/{self.key}"


class _OfAttempt(Duty, frozen=True, kw_only=True):
    attempt: int

    @property
    def key(self) -> str:
        return str(self.attempt)


class CheckPlanning(Duty, frozen=True, kw_only=True, tag="oracle.check_planning"):
    """Ask the oracle whether it can assess every target and metric."""

    channel: ClassVar[Channel] = Channel.ORACLE
    protective: ClassVar[bool] = False


class PublishTerms(Duty, frozen=True, kw_only=True, tag="oracle.publish_terms"):
    """Read the oracle's key and metrics, with scoring by lines make event 0 and take its lines; fix the terms."""

    channel: ClassVar[Channel] = Channel.ORACLE
    protective: ClassVar[bool] = False


class CreateEvent(_OfAttempt, frozen=True, kw_only=True, tag="oracle.create_event"):
    """Make the event of an attempt and verify the announcement."""

    channel: ClassVar[Channel] = Channel.ORACLE
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    entries: int


class SubmitEntries(_OfAttempt, frozen=True, kw_only=True, tag="oracle.submit_entries"):
    """Hand the entries over and verify the event's statement."""

    channel: ClassVar[Channel] = Channel.ORACLE
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    event_id: str
    roster: tuple[str, ...]


class PollAttestation(Duty, frozen=True, kw_only=True, tag="oracle.poll_attestation"):
    """Watch the event until a scalar opens one of our locking points."""

    channel: ClassVar[Channel] = Channel.ORACLE
    protective: ClassVar[bool] = True
    attempt: int
    event_id: str
    entries: int


class CreateInvoice(Duty, frozen=True, kw_only=True, tag="ln.create_invoice"):
    """Make the hold invoice of one generation of a ticket."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    protective: ClassVar[bool] = False
    entry_id: str
    generation: int
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class WatchInvoice(Duty, frozen=True, kw_only=True, tag="ln.watch_invoice"):
    """Look an invoice up until it is SETTLED or CANCELED."""

    channel: ClassVar[Channel] = Channel.WATCH
    urgency: ClassVar[Urgency] = Urgency.NOTICE
    protective: ClassVar[bool] = True
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class ReadHolds(_OfAttempt, frozen=True, kw_only=True, tag="ln.read_holds"):
    """Read every hold of the roster again, just before an irrevocable step."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class DecideHolds(_OfAttempt, frozen=True, kw_only=True, tag="ln.decide_holds"):
    """Holds run short: ask the node whether it holds the funding, and decide for all tickets at once."""

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    funding_txid: str


class SettleInvoice(Duty, frozen=True, kw_only=True, tag="ln.settle"):
    """Release a ticket preimage: only after the funding has required_confirmations."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class CancelInvoice(Duty, frozen=True, kw_only=True, tag="ln.cancel"):
    """Give a held payment back."""

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class PayPrize(Duty, frozen=True, kw_only=True, tag="ln.pay"):
    """Pay a winner's invoice; the payout row was committed before. While its competition is stopped it only asks what
    became of the payment: protective, because a sweep waits for the answer.
    """

    channel: ClassVar[Channel] = Channel.LIGHTNING
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str
    cltv_limit: int
    """Blocks from tip + 3, as of the state that wanted it; computed anew at each try."""

    @property
    def key(self) -> str:
        return self.payment_hash

    def id(self, lane: str) -> str:
        return f"{lane}/{self.kind()}/{self.payment_hash}"


class OpenSession(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_session"):
    """Reserve and initialize a session, register the market maker's key."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class RegisterPlayer(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.register"):
    """Hand a player's sealed key to its enclave."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    entry_id: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class AwaitRoster(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.await_roster"):
    """Poll keygen until the roster is there, recompute every aggregate."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class PinContract(_OfAttempt, frozen=True, kw_only=True, tag="contract.pin"):
    """Kick-off check; then parameters and coins are fixed."""

    channel: ClassVar[Channel] = Channel.LOCAL
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]
    event_id: str


class OpenBatches(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_batches"):
    """Open every signing session of the contract."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class OpenSpare(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_spare"):
    """Sign a batch that hung again in a spare session, with exactly its items."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    replaces: str
    index: int
    roster: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.replaces}"


class ForwardApproval(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.approve"):
    """Hand a player's approval of one session to the gateway."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    entry_id: str
    session_id: str
    timestamp: int

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}/{self.entry_id}/{self.timestamp}"


class CollectSignatures(_OfAttempt, frozen=True, kw_only=True, tag="keymeld.collect"):
    """Poll one signing session and verify every signature."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    session_id: str
    index: int
    roster: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.session_id}"


class AssembleContract(_OfAttempt, frozen=True, kw_only=True, tag="contract.assemble"):
    """Put the batches together and verify the whole contract."""

    channel: ClassVar[Channel] = Channel.LOCAL
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class Broadcast(Duty, frozen=True, kw_only=True, tag="chain.broadcast"):
    """Send a transaction of a role and see it in the node. Re-announced until confirmed."""

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    role: str
    attempt: int
    contract: str
    outcome: int | None = None
    entry_id: str | None = None
    parent: str | None = None

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}" if self.role == "funding" else self.role


class Bump(Duty, frozen=True, kw_only=True, tag="chain.bump"):
    """Make a transaction that is wanted in the chain pay what its urgency asks, until it is confirmed. How urgent it is
    follows from the competition as it stands when the duty runs.
    """

    channel: ClassVar[Channel] = Channel.CHAIN
    urgency: ClassVar[Urgency] = Urgency.MONEY
    protective: ClassVar[bool] = True
    broadcast: Broadcast

    @property
    def key(self) -> str:
        return f"{self.broadcast.role}/{self.broadcast.attempt}"


class ReleaseFeeCoins(_OfAttempt, frozen=True, kw_only=True, tag="wallet.release_fee_coins"):
    """Give the coins back that were reserved for the bumps of a role."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True
    role: str

    @property
    def key(self) -> str:
        return f"{self.role}/{self.attempt}"


class ReleaseCoins(_OfAttempt, frozen=True, kw_only=True, tag="wallet.release"):
    """Give the coins back that an ended attempt had reserved."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True


class RecordDebt(Duty, frozen=True, kw_only=True, tag="debt.record"):
    """Sign and write down what is owed for a ticket that was settled although no contract came about."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class RecordAbsence(_OfAttempt, frozen=True, kw_only=True, tag="attendance.record"):
    """Write down that a player sealed in no attempt of this closing."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = False
    player: str
    at: int
    """End of the sealing window that it missed (wall clock)."""

    @property
    def key(self) -> str:
        return self.player


class NotifyPlayer(Duty, frozen=True, kw_only=True, tag="notify.player"):
    """Tell a player something once. Lost messages cost nothing: the page and the client know the same."""

    channel: ClassVar[Channel] = Channel.NOTIFY
    urgency: ClassVar[Urgency] = Urgency.NOTICE
    protective: ClassVar[bool] = False
    entry_id: str
    topic: str

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.entry_id}"


AnyDuty = (
    CheckPlanning
    | PublishTerms
    | CreateEvent
    | SubmitEntries
    | PollAttestation
    | CreateInvoice
    | WatchInvoice
    | ReadHolds
    | DecideHolds
    | SettleInvoice
    | CancelInvoice
    | PayPrize
    | OpenSession
    | RegisterPlayer
    | AwaitRoster
    | PinContract
    | OpenBatches
    | OpenSpare
    | ForwardApproval
    | CollectSignatures
    | AssembleContract
    | Broadcast
    | Bump
    | ReleaseFeeCoins
    | ReleaseCoins
    | RecordDebt
    | RecordAbsence
    | NotifyPlayer
)

_URGENCY = {member.kind(): member.urgency for member in get_args(AnyDuty)}


def urgency_of(kind: str) -> Urgency:
    """The class of a kind as it is stored; of one that this release does not know the usual one."""
    return _URGENCY.get(kind, Urgency.ROUTINE)
