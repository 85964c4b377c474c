"""Messages to players: each topic's words, once, and given up after a few tries without a relay."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.notices import notices
from coordinator.domain.duties import NotifyPlayer
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import notify
from coordinator.engine.executors.notify import NotifyPlayerExecutor
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.errors import Fault, Misuse
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story

ME = scene.PLAYERS[0]


@dataclass
class Relays:
    """Takes notices while it is there."""

    away: bool = False
    sent: list[tuple[str, Notice]] = field(default_factory=list[tuple[str, Notice]])

    async def send(self, lane: str, notice: Notice) -> None:
        if self.away:
            raise Unreachable("relay", "no relay took it", fault=Fault.COORDINATOR)
        self.sent.append((lane, notice))


@pytest.fixture
def relays(bench) -> Relays:
    relays = Relays()
    bench.services = dataclasses.replace(bench.services, notifier=relays)
    return relays


@pytest.fixture
def story() -> Story:
    story = Story()
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms))
    return story


@pytest.fixture
def tell(bench, story: Story):
    async def tell(topic: str, state: s.Competition | None = None, attempts: int = 1):
        duty = NotifyPlayer(entry_id=ME.name, topic=topic)
        task = await bench.task(duty, state or b.awaiting_signing(1, scene.ROSTER), story, attempts)
        return await NotifyPlayerExecutor(bench.services)(task)

    return tell


def told(topic: str, *, delivered: bool = True) -> Done:
    return Done([f.Notified(entry_id=ME.name, topic=topic, delivered=delivered, at=UnixTime(b.WALL))])


@pytest.mark.parametrize(
    ("topic", "subject", "says"),
    [
        ("appointment", "your seat is taken", "Come back at 2026-09-22 01:20 UTC"),
        ("seal/1", "seal your key now", "within"),
        ("compare/2", "is being signed", "until it says done"),
        ("approve/2", "is being signed", "until it says done"),
        ("prize", "you have a prize", "coordinator player watch"),
    ],
)
async def test_words_of_a_topic_go_to_the_key_of_the_ticket(
    tell, relays: Relays, story: Story, topic: str, subject: str, says: str
) -> None:
    assert await tell(topic) == told(topic)
    ((lane, notice),) = relays.sent
    assert lane == b.LANE
    assert notice.recipient == ME.identity.x_only.hex()
    assert notice.subject.startswith(f"{story.terms.title}: ")
    assert subject in notice.subject
    assert says in notice.text


async def test_a_topic_is_named_so_that_a_repeat_can_be_known(tell, relays: Relays) -> None:
    await tell("seal/1")
    await tell("seal/2")
    assert len({notice.topic for _, notice in relays.sent}) == 2


@pytest.mark.parametrize(("seconds", "says"), [(600, "10 minutes"), (20, "20 seconds")])
async def test_the_window_is_named_in_a_unit_one_can_read(bench, relays: Relays, seconds: int, says: str) -> None:
    story = Story(b.terms_with({"schedule.closing.sealing": seconds}))
    story.put(*ME.facts(story.terms))
    task = await bench.task(NotifyPlayer(entry_id=ME.name, topic="seal/1"), b.awaiting_keygen(), story)
    await NotifyPlayerExecutor(bench.services)(task)
    assert relays.sent[0][1].text.endswith(f"within {says}.")


async def test_without_a_relay_it_is_tried_again_a_few_times_and_then_let_go(tell, relays: Relays) -> None:
    relays.away = True
    for attempt in range(1, notify.TRIES):
        again = await tell("prize", attempts=attempt)
        assert isinstance(again, Again)
        assert again.reason is not None
    assert await tell("prize", attempts=notify.TRIES) == told("prize", delivered=False)


async def test_who_has_no_ticket_is_told_nothing(bench, relays: Relays) -> None:
    task = await bench.task(NotifyPlayer(entry_id=ME.name, topic="prize"), b.awaiting_signing(), Story())
    with pytest.raises(Misuse, match="has no ticket"):
        await NotifyPlayerExecutor(bench.services)(task)
    assert relays.sent == []


class TestKit:
    @pytest.fixture
    async def broadcasted(self, bench, story: Story) -> s.FundingBroadcasted:
        blob = await bench.services.put_blob(scene.signed().to_json().encode())
        story.put(f.EntriesPosted(attempt=1, statement=scene.statement(story.terms)))
        return s.FundingBroadcasted(
            roster=scene.ROSTER,
            attempt=1,
            event_id=b.EVENT,
            funding_txid=b.FUNDING,
            contract=blob,
        )

    async def test_is_the_players_own_and_whole(
        self, tell, relays: Relays, story: Story, broadcasted: s.FundingBroadcasted
    ) -> None:
        assert await tell("kit", broadcasted) == told("kit")
        kit = ClaimKit.from_json(relays.sent[0][1].text)
        assert kit.entry_id == ME.id
        assert kit.terms == story.terms

    async def test_too_large_a_one_is_named_not_sent(
        self, tell, relays: Relays, broadcasted: s.FundingBroadcasted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notify, "LARGEST_MESSAGE", 100)
        await tell("kit", broadcasted)
        assert relays.sent[0][1].text.endswith("it is too large for a message.")

    async def test_before_there_is_a_contract_it_is_on_the_page(self, tell, relays: Relays) -> None:
        await tell("kit")
        assert relays.sent[0][1].text == "The contract is signed; fetch your claim kit from the page."


class TestWho:
    def topics(self, state: s.Competition, story: Story) -> dict[str, set[str]]:
        listed: dict[str, set[str]] = {}
        for duty in notices(state, story.lane):
            listed.setdefault(duty.topic, set()).add(duty.entry_id)
        return listed

    def test_the_appointment_goes_to_seats_that_are_taken(self) -> None:
        story = Story().put(*b.seats(("entry-1", "entry-2")), *b.seats(("entry-3",), f.HoldState.OPEN))
        assert self.topics(s.CollectingEntries(terms_hash="h"), story) == {"appointment": {"entry-1", "entry-2"}}

    def test_who_has_sealed_is_not_asked_to(self) -> None:
        story = Story().put(*b.seats(), b.session(), b.seal("entry-1"), b.registered("entry-1"))
        story.set(wall=b.WALL + 12)
        assert self.topics(b.awaiting_keygen(), story) == {"seal/1": {"entry-2", "entry-3"}}

    def test_nobody_is_asked_before_there_is_something_to_do(self) -> None:
        story = Story().put(*b.seats()).set(wall=b.WALL + 1_000)
        assert self.topics(b.awaiting_keygen(), story) == {}
        assert self.topics(b.awaiting_signing(), story) == {}

    def test_who_is_ready_is_asked_to_approve_once_all_are(self) -> None:
        sessions = ("batch-1-0", "batch-1-1")
        story = Story().put(*b.seats(), b.batches(), *(b.ready(e, sessions) for e in b.ROSTER[:2]))
        story.set(wall=b.WALL + 40)
        assert self.topics(b.awaiting_signing(), story) == {"compare/1": {"entry-3"}}
        story.put(b.ready("entry-3", sessions, at=b.WALL + 40), *b.approvals(("entry-1",)))
        assert self.topics(b.awaiting_signing(), story) == {}
        story.set(wall=b.WALL + 52)
        assert self.topics(b.awaiting_signing(), story) == {"approve/1": {"entry-2", "entry-3"}}

    def test_everyone_of_the_roster_gets_a_kit(self) -> None:
        story = Story().put(*b.seats())
        assert self.topics(b.funding_broadcasted(), story) == {"kit": set(b.ROSTER)}

    def test_a_prize_is_told_to_who_can_claim_it(self) -> None:
        story = Story().put(*b.seats(), b.attested())
        winners = set(b.winners(story.terms, 0))
        assert self.topics(b.outcome_broadcasted(), story) == {"prize": winners}
        (first, *_) = sorted(winners)
        story.put(b.payout(first, f.PrizeState.PAID))
        assert self.topics(b.outcome_broadcasted(), story) == {"prize": winners - {first}}

    def test_at_the_expiry_everyone_gets_its_share_back(self) -> None:
        story = Story().put(*b.seats())
        assert self.topics(b.expiry_broadcasted(), story) == {"prize": set(b.ROSTER)}

    @pytest.mark.parametrize("state", [b.awaiting_escrow(), b.funding_ready(), b.delta_broadcasted()])
    def test_the_other_states_have_nothing_to_tell(self, state: s.Competition) -> None:
        assert self.topics(state, Story().put(*b.seats())) == {}
