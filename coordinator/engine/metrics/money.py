"""The house's money as gauges. Done when somebody asks for the metrics; what is not known is not shown, or NaN."""

from __future__ import annotations

from math import nan

from coordinator.engine.metrics.meters import Meters
from coordinator.engine.money.office import MoneyOffice
from coordinator_core.units import UnixTime


def publish_money(meters: Meters, office: MoneyOffice, now: UnixTime) -> None:
    """As of the last audit and comparison. `now` is wall-clock time."""
    known = office.audit.buckets
    meters.money.replace({bucket.value: amount.sats for bucket, amount in known.items()})
    meters.money_age.replace({bucket.value: max(0, now - amount.at) for bucket, amount in known.items()})
    meters.money_gap.set(nan if office.audit.gap is None else office.audit.gap)
    meters.money_faults.set(len(office.audit.faults) if known else nan)
    meters.reconciled.set(office.reconciliation.is_complete)
    meters.keys_changed.set(len(office.handshake.changed) if office.handshake.is_known else nan)
    meters.settle_only.set(office.settle_only.is_on)
    unexplained = office.reconciliation.unexplained
    counts = {
        "payments": sum(payment.payment_hash not in unexplained.explained for payment in unexplained.payments),
        "holding": len(unexplained.holding),
        "invoices": len(office.reconciliation.strangers),
    }
    meters.unexplained.replace(counts if office.reconciliation.is_complete else {})
