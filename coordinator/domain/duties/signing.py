"""Keys and signatures of an attempt, and the contract that they are for."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.duties.base import Channel, OfAttempt, Urgency


class OpenSession(OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_session"):
    """Reserve and initialize a session, register the market maker's key."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class RegisterPlayer(OfAttempt, frozen=True, kw_only=True, tag="keymeld.register"):
    """Hand a player's sealed key to its enclave."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    entry_id: str

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class AwaitRoster(OfAttempt, frozen=True, kw_only=True, tag="keymeld.await_roster"):
    """Poll keygen until the roster is there, recompute every aggregate."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class PinContract(OfAttempt, frozen=True, kw_only=True, tag="contract.pin"):
    """Kick-off check; then parameters and coins are fixed."""

    channel: ClassVar[Channel] = Channel.LOCAL
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]
    event_id: str


class OpenBatches(OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_batches"):
    """Open every signing session of the contract."""

    channel: ClassVar[Channel] = Channel.KEYMELD
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]


class OpenSpare(OfAttempt, frozen=True, kw_only=True, tag="keymeld.open_spare"):
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


class ForwardApproval(OfAttempt, frozen=True, kw_only=True, tag="keymeld.approve"):
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


class CollectSignatures(OfAttempt, frozen=True, kw_only=True, tag="keymeld.collect"):
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


class AssembleContract(OfAttempt, frozen=True, kw_only=True, tag="contract.assemble"):
    """Put the batches together and verify the whole contract."""

    channel: ClassVar[Channel] = Channel.LOCAL
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    roster: tuple[str, ...]
