"""The whole machine in a small honest world: whatever comes in whatever order, money is conserved and it ends."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coordinator.domain.competitions import states as s
from tests.support import lanes as b
from tests.support.small_world.driver import EVERYBODY, Driver
from tests.support.small_world.judging import judge, judge_end
from tests.support.small_world.lightning import Sent
from tests.support.small_world.outside import Keymeld, Service
from tests.support.transitions import all_states, edges, tag

EDGES = edges()
ENDED = {tag(state) for state in s.Ended.__args__}
WAITING = [tag(state) for state in all_states() if tag(state) not in ENDED]

players = st.sampled_from(b.PLAYERS)
crowds = st.sets(players, min_size=1)
services = st.sampled_from(Service)
indexes = st.integers(min_value=0, max_value=30)


class Competition(RuleBasedStateMachine):
    """Rules are what services, players, operators, blocks and time can do."""

    @initialize(
        required=st.sampled_from([1, 3, 3]),
        outcome=st.sampled_from([None, 0, 2, b.REFUND_ALL_OF_3]),
        begins=st.sampled_from(WAITING),
        later=st.integers(min_value=0, max_value=2),
    )
    def under_way(self, required: int, outcome: int | None, begins: str, later: int) -> None:
        """Trouble begins in a state, or a little later."""
        self.d = Driver.drafted(required, outcome)
        self.d.until(begins)
        for _ in range(later):
            self.d.progress()

    @rule(times=st.integers(min_value=1, max_value=4))
    def everything_does_its_part(self, times: int) -> None:
        for _ in range(times):
            self.d.progress()

    @rule(who=crowds)
    def only_some_do_their_part(self, who: set[str]) -> None:
        self.d.progress(who)

    @rule(who=players, times=st.integers(min_value=1, max_value=2))
    def everybody_but_one_does_its_part(self, who: str, times: int) -> None:
        for _ in range(times):
            self.d.progress(EVERYBODY - {who})

    @rule()
    def services_answer(self) -> None:
        self.d.work()

    @rule(step=st.sampled_from(["claim", "act", "commit"]), which=indexes)
    def a_worker_does_one_step(self, step: str, which: int) -> None:
        """Claimed with what is known now; done outside; written, if it is still wanted then."""
        getattr(self.d, step)(which)

    @rule()
    def the_process_is_killed(self) -> None:
        self.d.crash()

    @rule(which=services, away=st.booleans())
    def a_service_goes_or_comes(self, which: Service, away: bool) -> None:
        self.d.service(which, away=away)

    @rule(how=st.sampled_from(Keymeld), plans=st.booleans(), refused=st.sets(players, max_size=1))
    def answers_change(self, how: Keymeld, plans: bool, refused: set[str]) -> None:
        """Good, wrong, hung or lost at keymeld; planning and kick-off check; a key that is refused."""
        self.d.world.keymeld, self.d.world.plans = how, plans
        self.d.world.bad_keys = refused

    @rule(who=players, what=st.sampled_from(["reserve", "pay", "seal", "approve", "key"]))
    def a_player_acts(self, who: str, what: str) -> None:
        self.d.player(who, what)

    @rule(who=players, atomic=st.booleans(), patient=st.booleans())
    def a_winner_asks_to_be_paid(self, who: str, atomic: bool, patient: bool) -> None:
        self.d.ask(who, atomic=atomic, patient=patient)

    @rule(atomic=st.booleans())
    def winners_ask_and_ask_again(self, atomic: bool) -> None:
        self.d.everybody_insists(atomic=atomic)

    @rule(which=indexes, how=st.sampled_from([Sent.SUCCEEDED, Sent.FAILED, Sent.REJECTED]))
    def a_payment_ends(self, which: int, how: Sent) -> None:
        self.d.payment_ends(which, how)

    @rule(who=players, which=indexes, what=st.sampled_from(["claim", "send", "forget"]))
    def somebody_sends_or_forgets(self, who: str, which: int, what: str) -> None:
        """A winner its claim, anybody what is public; a mempool what it held."""
        if what == "claim":
            self.d.claim_on_chain(who)
        elif what == "send":
            self.d.somebody_sends(which)
        else:
            self.d.forgotten(which)

    @rule(which=indexes)
    def lightning_gives_a_hold_back(self, which: int) -> None:
        self.d.hold_lost(which)

    @rule(count=st.sampled_from([1, 1, 2, 3, 6, 12, 18, 40, 145]), empty=st.booleans())
    def blocks_come(self, count: int, empty: bool) -> None:
        self.d.blocks(count, empty=empty)

    @rule(
        depth=st.integers(min_value=1, max_value=6),
        rivals=st.sets(indexes, max_size=3),
        lost=st.booleans(),
        late=st.integers(min_value=0, max_value=6),
    )
    def a_reorg(self, depth: int, rivals: set[int], lost: bool, late: int) -> None:
        self.d.reorg(depth, rivals, lost=lost, late=late)

    @rule(seconds=st.sampled_from([1, 60, 310, 610, 3_600, 40_000, 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.d.time(seconds)

    @rule(who=st.sampled_from(["operator", "alice", "bob"]))
    def an_operator_asks_to_cancel(self, who: str) -> None:
        self.d.cancel(who)

    @rule(stopped=st.booleans())
    def it_is_stopped_or_goes_on(self, stopped: bool) -> None:
        self.d.stopped(stopped)

    @invariant()
    def nothing_forbidden_happened(self) -> None:
        judge(self.d.played, EDGES)

    def teardown(self) -> None:
        if hasattr(self, "d"):
            self.d.let_it_end()
            judge(self.d.played, EDGES)
            judge_end(self.d.played)


TestCompetition = Competition.TestCase
TestCompetition.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
