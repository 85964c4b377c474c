"""Approvals on their way to the gateway: none is sent twice, and none that the gateway could not take costs a spare."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import keymeld_session
from coordinator.engine.executors.keymeld_signing import ForwardApprovalExecutor
from coordinator.ports.faults import Unreachable
from coordinator.ports.keymeld import (
    ApprovalRefused,
    ForwardedApproval,
    NotReady,
    RegistrationRefused,
    SessionGone,
    SigningState,
    SigningStatus,
)
from coordinator_core.errors import Fault
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

USER = "01926f3a-0000-7000-8000-000000000001"
BATCH = "batch-1-0"
AT = b.WALL + 20


@dataclass
class Desk:
    """A gateway's book of approvals of one session. `readable` and `refusal` say how it answers now."""

    readable: bool = True
    state: SigningState = SigningState.COLLECTING
    refusal: Exception | None = None
    takes_first: bool = False
    """The approval is taken although the answer is lost."""
    approved: set[str] = field(default_factory=set[str])
    headers: list[str] = field(default_factory=list[str])

    async def gateway_time(self) -> UnixTime:
        return UnixTime(AT + 1)

    async def signing_status(self, user: object, signing_session_id: str) -> SigningStatus:
        if not self.readable:
            raise NotReady("keymeld", "not ready", fault=Fault.SIGNER)
        listed = tuple(sorted(self.approved)) if self.state is SigningState.COLLECTING else ()
        return SigningStatus(self.state, (USER,), listed, (), b"")

    async def approve(self, forwarded: ForwardedApproval) -> None:
        assert forwarded.user_signature not in self.headers, "a header is used once"
        self.headers.append(forwarded.user_signature)
        if self.refusal is None or self.takes_first:
            self.approved.add(forwarded.approval.user_id)
        if self.refusal is not None:
            raise self.refusal


def given(at: int = AT, header: str = "first") -> f.Approval:
    body = json.dumps({"user_id": USER, "timestamp": at, "signature": [0] * 64})
    values = {"approval": body, "header": header, "timestamp": UnixTime(at), "at": UnixTime(at)}
    return f.Approval(attempt=1, entry_id=USER, session_id=BATCH, **values)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def forward(bench, desk: Desk):
    bench.services = dataclasses.replace(bench.services, keymeld=desk)
    opened = b.session()
    values = {name: getattr(opened, name) for name in opened.__struct_fields__}
    opened = f.SessionOpen(**{**values, "session_id": str(UUID(int=1)), "user_id": str(UUID(int=2))})
    story = Story().put(opened, b.batches(count=1))

    async def run(approval: f.Approval | None = None):
        approval = approval or given()
        duty = d.ForwardApproval(attempt=1, entry_id=USER, session_id=BATCH, timestamp=approval.timestamp)
        story.put(approval)
        task = await bench.task(duty, b.awaiting_signing(roster=(USER,)), story)
        return await ForwardApprovalExecutor(bench.services)(task)

    return run


@pytest.mark.parametrize("refused", [False, True])
async def test_a_key_that_keymeld_took_counts_as_attendance_a_refused_one_does_not(
    bench, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    class Gate:
        async def register(self, session: object, registration: object) -> None:
            if refused:
                raise RegistrationRefused("keymeld", "not a key", fault=Fault.PLAYER)

    monkeypatch.setattr(keymeld_session, "sealed_registration", lambda lane, seal: seal)
    opened = b.session()
    values = {name: getattr(opened, name) for name in opened.__struct_fields__}
    opened = f.SessionOpen(**{**values, "session_id": str(UUID(int=1))})
    services = dataclasses.replace(bench.services, keymeld=Gate())
    story = Story().put(opened, b.ticket("entry-1"), b.seal("entry-1"))
    task = await bench.task(d.RegisterPlayer(attempt=1, entry_id="entry-1"), b.awaiting_keygen(), story)
    done = await keymeld_session.RegisterPlayerExecutor(services)(task)
    attended = f.Attended(player=b.ticket("entry-1").player, at=UnixTime(b.WALL))
    taken = [b.registered("entry-1"), attended]
    assert done == Done([b.registered("entry-1", refusal="not a key")] if refused else taken)


FORWARDED = f.Forwarded(attempt=1, entry_id=USER, session_id=BATCH)
SPENT = f.ApprovalSpent(attempt=1, entry_id=USER, session_id=BATCH, timestamp=UnixTime(AT))
LATER = NotReady("keymeld", "not ready", fault=Fault.SIGNER)
LOST = Unreachable("keymeld", "no answer", fault=Fault.SIGNER)


async def test_taken_once_and_known_afterwards(desk: Desk, forward) -> None:
    assert await forward() == Done([FORWARDED])
    assert await forward() == Done([FORWARDED])
    assert desk.headers == ["first"]


async def test_a_session_that_is_not_readable_yet_costs_no_header(desk: Desk, forward) -> None:
    desk.readable = False
    assert isinstance(await forward(), Again)
    assert desk.headers == []
    desk.readable = True
    assert await forward() == Done([FORWARDED])


@pytest.mark.parametrize("trouble", [LATER, LOST])
async def test_a_header_used_up_in_vain_costs_no_spare_session(desk: Desk, forward, trouble) -> None:
    desk.refusal = trouble
    assert isinstance(await forward(), Again)
    desk.readable = False
    assert isinstance(await forward(), Again)
    desk.readable, desk.refusal = True, None
    assert await forward() == Done([SPENT])
    assert await forward(given(AT + 5, "second")) == Done([FORWARDED])
    assert desk.headers == ["first", "second"]


async def test_a_lost_answer_to_an_approval_that_was_taken_is_no_loss(desk: Desk, forward) -> None:
    desk.refusal, desk.takes_first = LOST, True
    assert isinstance(await forward(), Again)
    assert await forward() == Done([FORWARDED])


@pytest.mark.parametrize("state", [SigningState.INITIALIZING, SigningState.FINALIZING, SigningState.COMPLETED])
async def test_a_session_that_went_on_has_every_approval_although_it_lists_none(desk: Desk, forward, state) -> None:
    desk.refusal, desk.takes_first = LOST, True
    await forward()
    desk.state = state
    assert await forward() == Done([FORWARDED])


@pytest.mark.parametrize("error", [ApprovalRefused, SessionGone])
async def test_a_refusal_is_keymelds_fault_and_hangs_the_batch(desk: Desk, forward, error) -> None:
    desk.refusal = error("keymeld", "no", fault=Fault.SIGNER)
    assert await forward() == Done([f.BatchHung(attempt=1, session_id=BATCH, reason="no")])
