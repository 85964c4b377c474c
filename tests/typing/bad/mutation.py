"""Misuse: a frozen state, fact or duty changed in place."""

from coordinator.domain.competitions.states import CollectingEntries, FundingReady
from coordinator.domain.duties import SettleInvoice
from coordinator.domain.facts import HoldState, Invoice


def of_a_state(state: FundingReady) -> None:
    state.funding_txid = "x"  # reportAttributeAccessIssue


def removed_from_a_state(state: CollectingEntries) -> None:
    del state.terms_hash  # reportAttributeAccessIssue


def of_a_fact(invoice: Invoice) -> None:
    invoice.state = HoldState.SETTLED  # reportAttributeAccessIssue


def of_a_duty(duty: SettleInvoice) -> None:
    duty.payment_hash = "x"  # reportAttributeAccessIssue
