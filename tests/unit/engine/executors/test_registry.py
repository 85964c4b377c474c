"""The table of executors."""

from __future__ import annotations

from typing import Any, get_args

from coordinator.domain import duties as d
from coordinator.engine.executors.registry import executors
from coordinator.engine.new_money import NewMoney


def test_every_kind_of_duty_has_an_executor_of_its_own(bench: Any) -> None:
    table = executors(bench.services, lambda: NewMoney(None))
    assert set(table) == {kind.kind() for kind in get_args(d.AnyDuty)}
    assert len({type(executor) for executor in table.values()}) == len(table)
