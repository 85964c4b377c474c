"""What is left of the funding value after fees and anchors (dlctix sections 3 and 4, dlctix 0.2 section 3)."""

from __future__ import annotations

from typing import Final

from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.errors import Refused
from coordinator_core.transaction import PAY_TO_ANCHOR, TxOut
from coordinator_core.transaction.weight import P2TR_SCRIPT_BYTES
from coordinator_core.units import DUST_P2TR, Sats

INSUFFICIENT_FIX: Final = "raise funding_value, lower fee_rate or pay fewer players"


class InsufficientFunds(Refused):
    """Fees and anchors leave less than an output needs; `what` names the output."""

    code = "dlc.insufficient_funds"

    def __init__(self, what: str, left: int) -> None:
        reason = f"leaves {left} sat for {what}, where more than {DUST_P2TR} are needed"
        super().__init__("funding_value", reason, INSUFFICIENT_FIX)
        self.what = what


def above_dust(value: int, what: str) -> Sats:
    """`value` in satoshi if it is more than the dust limit of a P2TR output. Raises InsufficientFunds."""
    if value <= DUST_P2TR:
        raise InsufficientFunds(what, value)
    return Sats(value)


def anchor_outputs(parameters: ContractParameters) -> tuple[TxOut, ...]:
    """The anchor output that ends outcome, expiry and split transactions; empty without anchors."""
    return () if parameters.anchor is None else (TxOut(parameters.anchor, PAY_TO_ANCHOR),)


def script_lengths(parameters: ContractParameters, taproot_outputs: int) -> list[int]:
    """Lengths of the output scripts of a pre-signed transaction, for weight prediction."""
    return [P2TR_SCRIPT_BYTES] * taproot_outputs + [len(PAY_TO_ANCHOR)] * (parameters.anchor is not None)
