"""Statements that the coordinator signs for a player, and what they prove (money sections 3 and 6).

A receipt is an event signed by the key that the terms name.
"""

from coordinator_core.receipts.debt import (
    DebtReason,
    DebtReceipt,
    sign_prize_debt,
    sign_repayment_debt,
    verify_debt,
)
from coordinator_core.receipts.entry import EntryReceipt, sign_entry_receipt, verify_entry_receipt
from coordinator_core.receipts.fraud import (
    FundingEvidence,
    RepaymentEvidence,
    RepaymentRequest,
    Verdict,
    judge_ticket,
    sign_repayment_request,
)
from coordinator_core.receipts.reservation import ReservationReceipt, sign_reservation, verify_reservation

__all__ = [
    "DebtReason",
    "DebtReceipt",
    "EntryReceipt",
    "FundingEvidence",
    "RepaymentEvidence",
    "RepaymentRequest",
    "ReservationReceipt",
    "Verdict",
    "judge_ticket",
    "sign_entry_receipt",
    "sign_prize_debt",
    "sign_repayment_debt",
    "sign_repayment_request",
    "sign_reservation",
    "verify_debt",
    "verify_entry_receipt",
    "verify_reservation",
]
