from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.keymeld.plan import SigningPlan, fresh_id, plan_batches
from coordinator_core.musig2 import KeySet, SigningItem
from coordinator_core.secp256k1 import SecretKey, sha256


@pytest.mark.parametrize(
    ("players", "places", "items", "batches", "quota", "subsets"),
    [
        (3, 1, 14, 1, 4, 4),
        (5, 2, 72, 1, 4, 11),
        (24, 1, 98, 1, 4, 25),
        (25, 1, 102, 2, 5, 26),
        (20, 2, 1182, 12, 17, 191),
        (11, 3, 3984, 40, 52, 166),
        (7, 4, 4216, 43, 56, 36),
        (6, 5, 4334, 44, 57, 7),
    ],
)
def test_numbers_of_a_competition(
    players: int, places: int, items: int, batches: int, quota: int, subsets: int
) -> None:
    plan = SigningPlan.of(players, places)
    found = (plan.items, plan.batches, plan.max_signing_sessions, plan.subsets)
    assert found == (items, batches, quota, subsets)


@pytest.mark.parametrize(("players", "places"), [(21, 2), (12, 3), (8, 4), (7, 5)])
def test_what_does_not_fit_is_refused(players: int, places: int) -> None:
    with pytest.raises(Refused, match="at most"):
        SigningPlan.of(players, places)


@pytest.mark.parametrize(("players", "places"), [(3, 3), (1, 1), (3, 0), (0, 0)])
def test_impossible_numbers_are_refused(players: int, places: int) -> None:
    with pytest.raises(InvalidInput, match="places"):
        SigningPlan.of(players, places)


@given(st.integers(2, 8), st.integers(1, 4))
def test_one_group_for_each_winner_set_and_one_for_everyone(players: int, places: int) -> None:
    if places >= players:
        return
    users = [f"u{index}" for index in range(players)]
    groups = SigningPlan(players, places).groups("mm", users)
    assert len(groups) == SigningPlan(players, places).subsets == len(set(groups))
    assert all("mm" in group for group in groups)
    assert groups[-1] == {"mm", *users}
    assert {len(group) for group in groups[:-1]} == {places + 1}


def test_groups_need_the_plans_number_of_users() -> None:
    with pytest.raises(InvalidInput, match="players"):
        SigningPlan(3, 1).groups("mm", ["a", "b"])
    with pytest.raises(InvalidInput, match="players"):
        SigningPlan(3, 1).groups("mm", ["a", "b", "b"])
    with pytest.raises(InvalidInput, match="players"):
        SigningPlan(3, 1).groups("a", ["a", "b", "c"])


def test_batches_keep_order_and_hold_at_most_100(keygen: Any) -> None:
    roster = keygen.verified()
    items = [SigningItem(roster.key_set, sha256(index.to_bytes(4, "big"))) for index in range(205)]
    batches = plan_batches(items, roster)
    assert [len(batch) for batch in batches] == [100, 100, 5]
    assert [item.message for batch in batches for item in batch] == [item.message for item in items]
    assert len({item.batch_item_id for batch in batches for item in batch}) == 205


def test_items_are_planned_under_their_subset(keygen: Any) -> None:
    items = keygen.contract_items()
    (batch,) = plan_batches(items, keygen.verified())
    named = {subset.subset_id: set(subset.participants) for subset in keygen.manifest.manifest.subset_definitions}
    for index, player in enumerate(keygen.players):
        subset = batch[4 + index].subset_id
        assert subset is not None
        assert named[subset] == {keygen.coordinator, player}
    assert batch[0].adaptor is not None
    assert batch[0].adaptor.point == items[0].adaptor_point
    assert {item.subset_id for item in (*batch[:4], *batch[7:])} == {None}


def test_an_item_of_strangers_cannot_be_planned(keygen: Any) -> None:
    strangers = KeySet.aggregate([SecretKey.generate().public_key])
    with pytest.raises(InvalidInput, match="subset"):
        plan_batches([SigningItem(strangers, bytes(32))], keygen.verified())


def test_fresh_ids_are_canonical_uuids() -> None:
    assert fresh_id() != fresh_id()
    name = fresh_id()
    assert str(UUID(name)) == name
