"""Questions to the oracle."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.duties.base import Channel, Duty, OfAttempt, Urgency


class CheckPlanning(Duty, frozen=True, kw_only=True, tag="oracle.check_planning"):
    """Ask the oracle whether it can assess every target and metric."""

    channel: ClassVar[Channel] = Channel.ORACLE
    protective: ClassVar[bool] = False


class PublishTerms(Duty, frozen=True, kw_only=True, tag="oracle.publish_terms"):
    """Read the oracle's key and metrics, with scoring by lines make event 0 and take its lines; fix the terms."""

    channel: ClassVar[Channel] = Channel.ORACLE
    protective: ClassVar[bool] = False


class CreateEvent(OfAttempt, frozen=True, kw_only=True, tag="oracle.create_event"):
    """Make the event of an attempt and verify the announcement."""

    channel: ClassVar[Channel] = Channel.ORACLE
    urgency: ClassVar[Urgency] = Urgency.CLOSING
    protective: ClassVar[bool] = False
    entries: int


class SubmitEntries(OfAttempt, frozen=True, kw_only=True, tag="oracle.submit_entries"):
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
