"""Slots: capacity, most urgent first, a share for the others, no competition in the way of the next."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.duties import Channel, Urgency
from coordinator.engine.slots import DEFAULT_LIMITS, RESERVED, Slots, fair_share
from coordinator.ports.leasing import Due

NUMBERS = count()


def due(
    lane: str = "lane", urgency: Urgency = Urgency.ROUTINE, at: float = 0.0, channel: str = "c", **more: bool
) -> Due:
    return Due(f"{lane}/{next(NUMBERS)}", lane, channel, urgency, at, more.get("protective", False))


def spread(number: int, urgency: Urgency, channel: str = "c") -> list[Due]:
    """Each of another competition, the first one waiting longest."""
    return [due(f"lane-{urgency.name}-{n}", urgency, float(n), channel) for n in range(number)]


def run(slots: Slots, waiting: list[Due], attempts: int) -> list[Due]:
    """One slot after the other becomes free: what is started, in order."""
    started: list[Due] = []
    for _ in range(attempts):
        chosen = slots.choose(waiting, slots.free(lambda _, free: free))
        for name in chosen:
            duty = next(one for one in waiting if one.id == name)
            waiting.remove(duty)
            slots.start(duty.channel, duty.lane)
            started.append(duty)
        if started:
            slots.end("c", started[-1].lane)
    return started


def test_every_channel_has_a_limit() -> None:
    assert DEFAULT_LIMITS.keys() == {channel.value for channel in Channel}


def test_the_most_urgent_first_and_among_equals_the_longest_waiting() -> None:
    slots = Slots({"c": 3})
    waiting = [*spread(2, Urgency.CLOSING), *spread(2, Urgency.MONEY), *spread(2, Urgency.NOTICE)]
    chosen = slots.choose(reversed(waiting), {"c": 3})
    assert chosen == [waiting[2].id, waiting[3].id, waiting[0].id]


@pytest.mark.parametrize("limit", [1, 2, 16])
def test_a_flood_of_money_leaves_every_fourth_slot_to_the_others_in_turn(limit: int) -> None:
    others = [*spread(3, Urgency.CLOSING), *spread(3, Urgency.ROUTINE), *spread(3, Urgency.NOTICE)]
    started = run(Slots({"c": limit}), [*spread(400, Urgency.MONEY), *others], 12 * RESERVED)
    places = {duty.id: place for place, duty in enumerate(started)}
    first = {urgency: min(places[d.id] for d in others if d.urgency == urgency) for urgency in list(Urgency)[1:]}
    assert max(first.values()) < 3 * RESERVED
    assert Counter(duty.urgency for duty in started[: 9 * RESERVED])[Urgency.MONEY] == 9 * (RESERVED - 1)


def test_a_flood_of_notices_does_not_hold_up_a_settle() -> None:
    slots = Slots({"c": 4})
    settle = due("another", Urgency.MONEY, at=1e6)
    assert slots.choose([*spread(50, Urgency.NOTICE), settle], {"c": 1}) == [settle.id]


def test_one_competition_gets_half_of_a_channel_and_the_next_one_finds_room() -> None:
    slots = Slots({"c": 8})
    sessions = [due("busy", Urgency.CLOSING, float(n)) for n in range(30)]
    chosen = slots.choose(sessions, {"c": 8})
    assert chosen == [duty.id for duty in sessions[:4]]
    for _ in chosen:
        slots.start("c", "busy")
    assert slots.full == {"c": {"busy"}}
    late = due("other", Urgency.CLOSING, 99.0)
    assert slots.choose([*sessions[4:], late], {"c": 4}) == [late.id]
    slots.end("c", "busy")
    assert slots.full == {}


def test_local_work_of_one_competition_does_not_overlap_however_many_slots_there_are() -> None:
    """Coins that are given back while they are being reserved."""
    slots = Slots({"local": 9})
    pin, release, other = (due(name, channel="local") for name in ("lane", "lane", "other"))
    assert slots.choose([pin, release, other], {"local": 9}) == [pin.id, other.id]
    slots.start("local", "lane")
    assert slots.choose([release], {"local": 8}) == []
    slots.end("local", "lane")
    assert slots.choose([release], {"local": 9}) == [release.id]


def test_who_has_least_gets_next() -> None:
    slots = Slots({"c": 8})
    slots.start("c", "busy")
    early, late = due("busy", at=1.0), due("other", at=2.0)
    assert slots.choose([early, late], {"c": 1}) == [late.id]


def test_full_channel_gives_nothing_and_counts_for_no_other() -> None:
    slots = Slots({"c": 1, "d": 1})
    slots.start("c", "lane")
    assert slots.free(lambda _, free: free) == {"d": 1}
    assert slots.choose([due(), due(channel="d")], {"d": 1})[0].startswith("lane/")
    assert slots.running == 1


def test_probe_is_what_protects_before_what_is_urgent() -> None:
    slots = Slots({"c": 4})
    closing, watch = due("a", Urgency.CLOSING), due("b", Urgency.NOTICE, protective=True)
    assert slots.choose([closing, watch], {"c": 1}, {"c"}) == [watch.id]
    settle = due("c", Urgency.MONEY, at=9.0, protective=True)
    assert slots.choose([closing, watch, settle], {"c": 1}, {"c"}) == [settle.id]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Urgency), st.integers(0, 9)), max_size=40),
    st.integers(1, 9),
    st.lists(st.sampled_from("abc"), max_size=6),
)
def test_never_more_than_there_is_room_for(
    wanted: list[tuple[str, Urgency, int]], limit: int, running: list[str]
) -> None:
    slots = Slots({"c": limit})
    taken: Counter[str] = Counter()
    for lane in running:
        if taken.total() < limit and taken[lane] < fair_share("c", limit):
            slots.start("c", lane)
            taken[lane] += 1
    duties = [due(lane, urgency, float(at)) for lane, urgency, at in wanted]
    free = slots.free(lambda _, left: left)
    chosen = slots.choose(duties, free)
    assert len(chosen) == len(set(chosen))
    lanes = taken + Counter(duty.lane for duty in duties if duty.id in set(chosen))
    assert all(count <= fair_share("c", limit) for count in lanes.values())
    # Nothing is left idle: each slot is taken, or everybody who waits has its share.
    left = [duty for duty in duties if duty.id not in set(chosen) and lanes[duty.lane] < fair_share("c", limit)]
    assert len(chosen) == free.get("c", 0) or not left
