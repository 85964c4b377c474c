"""Which competition is looked at next: the most urgent news first, a share for the others, each once."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from coordinator.engine.inbox import GROUP, RESERVED, Turns
from coordinator.ports.store import InboxClass, News

SEQ = count()


def news(prio: int, number: int, name: str = "") -> list[News]:
    return [News(prio, next(SEQ), f"{name or prio}-{n}") for n in range(number)]


def test_most_urgent_first_and_among_equals_the_longest_waiting() -> None:
    late, early = news(InboxClass.TIMER, 1), news(InboxClass.RESULT, 2)
    assert Turns().choose([*late, *early], 3) == ["0-0", "0-1", "5-0"]


def test_a_flood_leaves_every_fourth_place_to_the_others_in_turn() -> None:
    turns, flood = Turns(), news(InboxClass.RESULT, 400)
    others = [*news(InboxClass.BLOCK, 9), *news(InboxClass.TIMER, 1), *news(InboxClass.RECONCILE, 1)]
    seen: list[str] = []
    for _ in range(3 * RESERVED):
        [lane] = turns.choose([*flood, *others], 1)
        seen.append(lane)
        others = [one for one in others if one.lane != lane]
        flood = [one for one in flood if one.lane != lane]
    assert {"5-0", "6-0"} <= set(seen)
    assert len([lane for lane in seen if lane.startswith("0-")]) == 3 * (RESERVED - 1)


def test_result_of_a_duty_does_not_wait_for_ten_thousand_commands() -> None:
    assert Turns().choose([*news(InboxClass.COMMAND, 10_000), *news(InboxClass.RESULT, 1)])[0] == "0-0"


@given(st.lists(st.tuples(st.sampled_from(InboxClass), st.integers(0, 30)), max_size=60), st.integers(1, GROUP))
def test_each_once_and_as_many_as_there_is_room(rows: list[tuple[InboxClass, int]], size: int) -> None:
    waiting = [News(int(prio), next(SEQ), f"lane-{lane}") for prio, lane in rows]
    chosen = Turns().choose(waiting, size)
    assert len(chosen) == len(set(chosen)) == min(size, len({one.lane for one in waiting}))
