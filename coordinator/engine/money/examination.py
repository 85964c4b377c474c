"""The house's money as something that can be examined: what /readyz says of it."""

from __future__ import annotations

from coordinator.engine.money.office import MoneyOffice
from coordinator.engine.new_money import Frozen
from coordinator.engine.operators.freezing import Freezer
from coordinator.ports.condition import Condition

MONEY = "money"


class MoneyExamination:
    """See ports.condition.Examined. Always ready: pages are served, and what is owed goes on, while database, chain and
    Lightning are compared, and while an operator or a rule keeps new money out. What is held back is said.
    """

    service = MONEY

    def __init__(self, office: MoneyOffice, freezer: Freezer) -> None:
        self._office = office
        self._freezer = freezer

    async def condition(self) -> Condition:
        """As it is now."""
        progress = self._office.reconciliation.progress()
        if not progress.complete:
            waits = progress.waits_for or "it goes on"
            return Condition(MONEY, note=f"{self._office.reconciliation.waits}: {waits}")
        result = (
            f"{progress.looked_at} compared, {progress.differences} differences, "
            f"{progress.contradictions} contradictions"
        )
        said = (_said("settle-only", self._office.settle_only.since), _said("frozen", self._freezer.frozen))
        return Condition(MONEY, note="; ".join(filter(None, (result, *said))))


def _said(name: str, since: Frozen | None) -> str:
    return "" if since is None else f"{name}: {since.reason}"
