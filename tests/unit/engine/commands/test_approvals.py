"""Approvals at intake: what the gateway would refuse is refused here, under its field, as the player's fault."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions.closing import absent_at_approval, forfeited
from coordinator.engine.commands import closing
from coordinator.engine.commands.closing import Evidence, GivenApproval, approve, evidence
from coordinator.engine.submit import Conflict, Decision
from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.errors import Fault, InvalidInput, Misuse, Refused
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.attempt import ROSTER, Attempt, Prepared, altered
from tests.support.keymeld_book import BookKeymeld
from tests.support.scene import PLAYERS, Player

ME, OTHER = PLAYERS[0], PLAYERS[1]
AT = b.WALL
NOBODY = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def new_database(prepared: Prepared, tmp_path: Path) -> Path:
    """One in which the batches of an attempt are open."""
    return Path(shutil.copy(prepared.database, tmp_path / "coordinator.db"))


@pytest.fixture
def attempt(attempt: Attempt, prepared: Prepared) -> Attempt:
    attempt.prepared = prepared
    return attempt


@pytest.fixture
async def session(attempt: Attempt) -> str:
    """The one open signing session."""
    (batch,) = await attempt.batches()
    return batch.session_id


async def given(
    attempt: Attempt, session: str, *, by: Player = ME, over: str = "", at: int = AT, header_at: int | None = None
) -> GivenApproval:
    """An approval as a client hands it over; `over` is the batch that is signed, when it is another."""
    approval, _ = await attempt.approval(by, over or session, at)
    header = (await attempt.user(by)).header(session, UnixTime(at if header_at is None else header_at))
    return GivenApproval(session, approval.payload(), header)


async def judge(
    attempt: Attempt,
    approvals: Sequence[GivenApproval],
    *,
    player: Player = ME,
    entry_id: str = ROSTER[0],
    seen: Evidence | None = None,
) -> Decision:
    lane = attempt.story.lane
    named = [one.signing_session_id for one in approvals]
    seen = seen or await evidence(attempt.services, lane, 1, named)
    decide = approve(player.identity.x_only.hex(), entry_id, 1, approvals, seen)
    return decide(b.awaiting_signing(1, ROSTER), lane)


async def refused(
    attempt: Attempt, one: GivenApproval, field: str, *, kind: type[InvalidInput] = InvalidInput, **how: Any
) -> InvalidInput:
    """Refused as the player's fault, under this member of the body, with a fix; nothing was decided."""
    with pytest.raises(kind) as caught:
        await judge(attempt, [one], **how)
    assert (caught.value.field, caught.value.fault) == (f"approvals[0].{field}", Fault.PLAYER)
    assert caught.value.fix
    return caught.value


async def test_a_good_one_becomes_the_fact_that_is_forwarded(attempt: Attempt, session: str, book: BookKeymeld) -> None:
    one = await given(attempt, session)
    decision = await judge(attempt, [one])
    (fact,) = decision.facts
    assert isinstance(fact, f.Approval)
    assert decision.answer == {"accepted": 1}
    assert (fact.entry_id, fact.session_id, fact.header) == (ROSTER[0], session, one.x_user_signature)
    stored = ParticipantApproval.from_json(fact.approval)
    assert stored.payload() == one.approval
    attempt.story.put(fact)
    await attempt.forward(ME, session, stored, fact.header)
    assert book.approved[session] == {ROSTER[0]}


async def test_one_of_a_spare_session(attempt: Attempt, session: str) -> None:
    (opened,) = (await attempt.spare(session)).facts
    assert isinstance(opened, f.SpareOpen)
    spare = opened.batch.session_id
    assert (await judge(attempt, [await given(attempt, spare)])).facts
    await refused(attempt, await given(attempt, session), "signing_session_id", kind=Conflict)
    await refused(attempt, await given(attempt, spare, over=session), "approval.signature")


class TestWrongSignature:
    async def test_not_over_this_batch(self, attempt: Attempt, session: str) -> None:
        user, at = await attempt.user(ME), UnixTime(AT)
        items = (await attempt.stored(session)).items
        for wrong in (items[:-1], items[::-1], ()):
            signed = ParticipantApproval.sign(user, session, wrong, at)
            one = GivenApproval(session, signed.payload(), user.header(session, at))
            await refused(attempt, one, "approval.signature")

    async def test_not_over_this_session(self, attempt: Attempt, session: str) -> None:
        user, at = await attempt.user(ME), UnixTime(AT)
        signed = ParticipantApproval.sign(user, NOBODY, (await attempt.stored(session)).items, at)
        one = GivenApproval(session, signed.payload(), user.header(session, at))
        await refused(attempt, one, "approval.signature")

    @pytest.mark.parametrize("octet", [0, 32, 63])
    async def test_one_bit_is_enough(self, attempt: Attempt, session: str, octet: int) -> None:
        one = await given(attempt, session)
        signature = list(one.approval["signature"])  # type: ignore[call-overload]
        signature[octet] ^= 1
        await refused(
            attempt,
            altered(one, approval={**one.approval, "signature": signature}),
            "approval.signature",
        )

    async def test_a_time_that_was_not_signed(self, attempt: Attempt, session: str) -> None:
        one = await given(attempt, session)
        later = {**one.approval, "timestamp": AT + 1}
        await refused(attempt, altered(one, approval=later), "approval.signature")

    async def test_by_the_key_of_another_player(self, attempt: Attempt, session: str) -> None:
        """Its own approval under my id: the key is the one that I registered, whatever the body says."""
        theirs = await given(attempt, session, by=OTHER)
        mine = await given(attempt, session)
        forged = {**theirs.approval, "user_id": ROSTER[0]}
        await refused(attempt, altered(mine, approval=forged), "approval.signature")


class TestOthers:
    async def test_an_approval_of_another_user(self, attempt: Attempt, session: str) -> None:
        await refused(attempt, await given(attempt, session, by=OTHER), "approval.user_id")

    async def test_handed_over_for_another_entry(self, attempt: Attempt, session: str) -> None:
        with pytest.raises(InvalidInput, match="is not one of yours"):
            await judge(attempt, [await given(attempt, session, by=OTHER)], entry_id=ROSTER[1])

    async def test_a_session_that_is_not_open(self, attempt: Attempt, session: str) -> None:
        one = altered(await given(attempt, session), signing_session_id=NOBODY)
        await refused(attempt, one, "signing_session_id", kind=Conflict)

    async def test_a_session_that_opened_after_the_batches_were_read(self, attempt: Attempt, session: str) -> None:
        unread = Evidence({}, UnixTime(AT))
        await refused(attempt, await given(attempt, session), "signing_session_id", kind=Conflict, seen=unread)

    async def test_a_session_that_was_replaced_after_the_batches_were_read(
        self, attempt: Attempt, session: str
    ) -> None:
        one = await given(attempt, session)
        seen = await evidence(attempt.services, attempt.story.lane, 1, [session])
        await attempt.spare(session)
        await refused(attempt, one, "signing_session_id", kind=Conflict, seen=seen)

    async def test_of_another_attempt(self, attempt: Attempt, session: str) -> None:
        one = await given(attempt, session)
        decide = approve(ME.identity.x_only.hex(), ROSTER[0], 2, [one], Evidence({}, UnixTime(AT)))
        with pytest.raises(Conflict, match="batches of this attempt are not open"):
            decide(b.awaiting_signing(1, ROSTER), attempt.story.lane)

    async def test_without_a_registration_nothing_can_be_judged(self, attempt: Attempt, session: str) -> None:
        one = await given(attempt, session)
        attempt.story.facts = [fact for fact in attempt.story.facts if not isinstance(fact, f.Seal)]
        with pytest.raises(Misuse, match="has not sealed"):
            await judge(attempt, [one])


class TestHeader:
    async def test_of_another_session(self, attempt: Attempt, session: str) -> None:
        header = (await attempt.user(ME)).header(NOBODY, UnixTime(AT))
        one = altered(await given(attempt, session), x_user_signature=header)
        await refused(attempt, one, "x_user_signature")

    async def test_of_another_user(self, attempt: Attempt, session: str) -> None:
        header = (await attempt.user(OTHER)).header(session, UnixTime(AT))
        one = altered(await given(attempt, session), x_user_signature=header)
        await refused(attempt, one, "x_user_signature")

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: "",
            lambda text: text.replace("v1:", "v2:"),
            lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
            lambda text: text.replace(f":{AT}:", f":0{AT}:"),
            lambda text: text.upper(),
        ],
    )
    async def test_of_another_shape(self, attempt: Attempt, session: str, change: Callable[[str], str]) -> None:
        one = await given(attempt, session)
        broken = altered(one, x_user_signature=change(one.x_user_signature))
        await refused(attempt, broken, "x_user_signature")

    @pytest.mark.parametrize(("age", "taken"), [(120, True), (121, False), (-30, True), (-31, False)])
    async def test_is_fresh_by_the_gateways_clock(
        self, attempt: Attempt, session: str, book: BookKeymeld, age: int, taken: bool
    ) -> None:
        book.time = AT + 60
        one = await given(attempt, session, at=AT + 60, header_at=AT + 60 - age)
        if taken:
            assert (await judge(attempt, [one])).facts
        else:
            await refused(attempt, one, "x_user_signature", kind=Refused)


class TestTime:
    @pytest.mark.parametrize(("age", "taken"), [(120, True), (121, False), (-30, True), (-31, False)])
    async def test_an_approval_is_fresh_by_the_gateways_clock(
        self, attempt: Attempt, session: str, book: BookKeymeld, age: int, taken: bool
    ) -> None:
        """Ours is an hour behind: who dates by the gateway, as clients are told to, is not blamed for that."""
        book.time = AT + 3_600
        one = await given(attempt, session, at=book.time - age, header_at=book.time)
        if taken:
            assert (await judge(attempt, [one])).facts
        else:
            await refused(attempt, one, "approval", kind=Refused)

    @pytest.mark.parametrize("kind", [Unreachable, Rejected])
    async def test_by_our_own_while_the_gateway_does_not_answer(
        self, attempt: Attempt, session: str, book: BookKeymeld, kind: type[Any]
    ) -> None:
        book.refusals = {"gateway_time": kind("keymeld", "down", fault=Fault.SIGNER)}
        assert (await judge(attempt, [await given(attempt, session)])).facts

    async def test_nobody_waits_for_a_gateway_that_hangs(
        self, attempt: Attempt, session: str, book: BookKeymeld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(closing, "CLOCK_PATIENCE_SECONDS", 0.0)

        async def hang() -> UnixTime:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(book, "gateway_time", hang)
        assert (await evidence(attempt.services, attempt.story.lane, 1, [session])).now == b.WALL


async def test_one_bad_approval_refuses_all_and_is_named(attempt: Attempt, session: str) -> None:
    good, bad = await given(attempt, session), await given(attempt, session, by=OTHER)
    with pytest.raises(InvalidInput) as caught:
        await judge(attempt, [good, good, bad])
    assert caught.value.field == "approvals[2].approval.user_id"


@pytest.mark.parametrize(
    ("member", "value"),
    [("user_id", "no uuid"), ("timestamp", "soon"), ("timestamp", -1), ("signature", [1] * 63), ("signature", None)],
)
async def test_another_shape_names_the_member(attempt: Attempt, session: str, member: str, value: object) -> None:
    one = await given(attempt, session)
    broken = altered(one, approval={**one.approval, member: value})
    await refused(attempt, broken, f"approval.{member}")


async def test_only_open_sessions_are_read(attempt: Attempt, session: str) -> None:
    (opened,) = (await attempt.spare(session)).facts
    assert isinstance(opened, f.SpareOpen)
    lane = attempt.story.lane
    seen = await evidence(attempt.services, lane, 1, [session, NOBODY, opened.batch.session_id])
    assert set(seen.batches) == {opened.batch.session_id}
    assert (await evidence(attempt.services, lane, 2, [session])).batches == {}


class TestSpent:
    def spent(self, session: str, *, at: int = AT, header_used: bool = False) -> f.ApprovalSpent:
        return f.ApprovalSpent(
            attempt=1, entry_id=ROSTER[0], session_id=session, timestamp=UnixTime(at), header_used=header_used
        )

    async def test_what_left_in_vain_is_refused_a_fresh_one_taken(self, attempt: Attempt, session: str) -> None:
        attempt.story.put(self.spent(session))
        error = await refused(attempt, await given(attempt, session), "approval.timestamp", kind=Conflict)
        assert error.fix == "sign a fresh approval"
        assert (await judge(attempt, [await given(attempt, session, at=AT + 5)])).facts

    async def test_in_vain_is_still_approved_in_time(self, attempt: Attempt, session: str) -> None:
        decision = await judge(attempt, [await given(attempt, session)])
        attempt.story.put(*decision.facts, self.spent(session))
        assert absent_at_approval(attempt.story.lane, 1, ROSTER) == {ROSTER[1], ROSTER[2]}

    async def test_a_header_that_was_used_up_approves_nothing_and_no_fresh_one_mends_it(
        self, attempt: Attempt, session: str
    ) -> None:
        decision = await judge(attempt, [await given(attempt, session)])
        attempt.story.put(*decision.facts, self.spent(session, header_used=True))
        assert absent_at_approval(attempt.story.lane, 1, ROSTER) == set(ROSTER)
        await refused(attempt, await given(attempt, session, at=AT + 5), "x_user_signature", kind=Conflict)

    async def test_it_counts_for_that_player_and_session_alone(self, attempt: Attempt, session: str) -> None:
        attempt.story.put(self.spent(session, header_used=True))
        lane = attempt.story.lane
        assert forfeited(lane, 1, session, ROSTER[0])
        assert not forfeited(lane, 1, session, ROSTER[1])
        assert not forfeited(lane, 1, NOBODY, ROSTER[0])
        assert not forfeited(lane, 2, session, ROSTER[0])
        mine = await given(attempt, session, by=OTHER)
        assert (await judge(attempt, [mine], player=OTHER, entry_id=ROSTER[1])).facts
