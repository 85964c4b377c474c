"""What of the house's money needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from coordinator.engine.money.audit import Audit
from coordinator.engine.money.handshake import Handshake
from coordinator.engine.new_money import Frozen
from coordinator.engine.operators.acting import MAX_REASON
from coordinator.engine.operators.attention import Attention, Kind, noted
from coordinator.engine.reconciliation.run import Reconciliation
from coordinator_core.units import UnixTime

PATIENCE_SECONDS: Final = 60
"""A comparison that takes longer than that after a start is said to need somebody."""


def of_reconciliation(made: Reconciliation, now: UnixTime) -> Iterator[Attention]:
    """A comparison that does not come to its end, and what it found that nothing here explains."""
    progress = made.progress()
    if not progress.complete and now - made.began >= PATIENCE_SECONDS:
        reason = f"{made.waits}: {progress.waits_for or 'it goes on'}"
        yield noted(Kind.COMPARING, None, "money", reason, made.began, now, "bring the service back that it waits for")
    moments = {payment.payment_hash: payment.created_at for payment in made.unexplained.payments}
    for payment_hash, (lane, entry_id) in sorted(made.unexplained.holding.items()):
        reason = f"payment {payment_hash} may have paid the prize of entry {entry_id}, which waits"
        fix = f'coordinator admin explain {payment_hash} --reason "what it was for"'
        yield noted(Kind.UNEXPLAINED, lane, payment_hash, reason, moments.get(payment_hash, now), now, fix)
    for line in made.strangers:
        reason = f"invoice {line.payment_hash} over {line.value} sat is {line.state.value} and no ticket explains it"
        fix = "restore the newest backup; a held one is given back by Lightning itself"
        yield noted(Kind.UNEXPLAINED, None, line.payment_hash, reason, line.created_at, now, fix)


def of_alarms(made: Reconciliation, frozen: Frozen | None, now: UnixTime) -> Iterator[Attention]:
    """What was found while new money was frozen for another reason: to be looked at before it is let in again."""
    for what, since in made.alarms.items():
        if frozen is not None and frozen.reason != what[:MAX_REASON]:
            fix = "see books_out_of_balance in docs/runbook.md before coordinator admin unfreeze"
            yield noted(Kind.BOOKS, None, "books", what, since, now, fix)


def of_handshake(made: Handshake, now: UnixTime) -> Iterator[Attention]:
    """Keys that are not those that were pinned."""
    for whose, key in sorted(made.changed.items()):
        reason = f"{whose} has the key {key}, which is not the one that it had at first"
        fix = f'find out why; then coordinator admin accept-key "{whose}" {key} and coordinator admin unfreeze'
        yield noted(Kind.KEY, None, whose, reason, made.changed_since or now, now, fix)


def of_audit(audit: Audit, now: UnixTime) -> Iterator[Attention]:
    """What does not add up."""
    for fault in audit.faults:
        fix = "see books_out_of_balance in docs/runbook.md, then coordinator admin unfreeze"
        yield noted(Kind.BOOKS, fault.lane, "books", fault.what, audit.faulty_since or now, now, fix)
