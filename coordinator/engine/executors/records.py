"""What is only written down: debts and absences. Facts for others to build on; nothing outside is asked."""

from __future__ import annotations

from coordinator.domain.competitions import debts
from coordinator.domain.duties import RecordAbsence, RecordDebt
from coordinator.domain.facts import HoldState, Invoice, Missed, Owed
from coordinator.engine.duty import Done, Outcome, Task
from coordinator.engine.entries import signed_entry
from coordinator.engine.executors.services import Services
from coordinator_core.receipts.debt import DebtReason, sign_repayment_debt
from coordinator_core.units import UnixTime

RECEIPT_KEY = "nostr"


class RecordDebtExecutor:
    """A settled ticket without a contract is owed; its owner gets the coordinator's signature on that."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[RecordDebt]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        invoice = task.lane.facts.get(Invoice, duty.payment_hash)
        if invoice is None or invoice.state is not HoldState.SETTLED:
            return Done()
        now, amount = self._s.clock.wall(), debts.still_due(task.lane, invoice)
        receipt = sign_repayment_debt(
            self._s.secrets.signing_key(RECEIPT_KEY),
            signed_entry(task.lane, duty.entry_id),
            reason=DebtReason.TICKET,
            amount=amount,
            created_at=now,
        )
        owed = Owed(
            reason=DebtReason.TICKET,
            entry_id=duty.entry_id,
            payment_hash=duty.payment_hash,
            amount=amount,
            since=now,
            receipt=receipt.to_json().decode(),
        )
        return Done([owed])


class RecordAbsenceExecutor:
    """Kept under the player's key, where the reservations of every competition look."""

    async def __call__(self, task: Task[RecordAbsence]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        return Done([Missed(player=duty.player, attempt=duty.attempt, at=UnixTime(duty.at))])
