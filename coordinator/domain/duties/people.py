"""What is written down about players, and what they are told."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.duties.base import Channel, Duty, OfAttempt, Urgency


class RecordDebt(Duty, frozen=True, kw_only=True, tag="debt.record"):
    """Sign and write down what is owed for a ticket that was settled although no contract came about."""

    channel: ClassVar[Channel] = Channel.LOCAL
    protective: ClassVar[bool] = True
    entry_id: str
    payment_hash: str

    @property
    def key(self) -> str:
        return self.payment_hash


class RecordAbsence(OfAttempt, frozen=True, kw_only=True, tag="attendance.record"):
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
