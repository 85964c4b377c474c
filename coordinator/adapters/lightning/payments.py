"""Outgoing payments as LND tells them, checked: the hash is the one asked for, a success shows its preimage."""

from __future__ import annotations

import hashlib

from coordinator.adapters.lightning.wire import FAILURES, PAYMENT_STATES, PaymentWire
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import FailureKind, Payment, PaymentState
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.transaction import bytes_from_hex
from coordinator_core.units import Sats


def payment_of(item: PaymentWire, payment_hash: bytes, service: str) -> Payment:
    """A payment of the port. Raises Unreachable for an answer that cannot be of `payment_hash` (32 bytes).

    The fee is rounded up to a satoshi: the books never show less than what left.
    """
    if item.payment_hash != payment_hash.hex():
        raise Unreachable(service, "the answer is of another payment", fault=Fault.LIGHTNING)
    state = PAYMENT_STATES.get(item.status, PaymentState.UNKNOWN)
    if state is PaymentState.SUCCEEDED:
        _check_preimage(item.payment_preimage, payment_hash, service)
        return Payment(item.payment_hash, state, item.payment_preimage, Sats(-(-int(item.fee_msat) // 1_000)))
    if state is PaymentState.FAILED:
        return Payment(item.payment_hash, state, failure=FAILURES.get(item.failure_reason, FailureKind.ERROR))
    return Payment(item.payment_hash, state)


def _check_preimage(preimage: str, payment_hash: bytes, service: str) -> None:
    try:
        proves = hashlib.sha256(bytes_from_hex(preimage, 32, "payment_preimage")).digest() == payment_hash
    except InvalidInput:
        proves = False
    if not proves:
        raise Unreachable(service, "a success without the preimage of its hash", fault=Fault.LIGHTNING)
