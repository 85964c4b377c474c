"""Ticketed Discreet Log Contracts, byte for byte as dlctix 0.0.7 and 0.2 build them."""

from coordinator_core.dlc.amounts import InsufficientFunds
from coordinator_core.dlc.contract import Contract, PresignedOutcome
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, SigningSlot, WinCondition, label
from coordinator_core.dlc.parameters import (
    DEFAULT_ANCHOR_VALUE,
    ContractParameters,
    EventLockingConditions,
    PayoutWeights,
    Player,
)
from coordinator_core.dlc.serialization import (
    parameters_from_json,
    parameters_from_value,
    parameters_to_json,
    parameters_to_value,
    signatures_from_json,
    signatures_from_value,
    signatures_to_json,
    signatures_to_value,
)
from coordinator_core.dlc.signatures import ContractSignatures
from coordinator_core.dlc.signed import SignedContract
from coordinator_core.dlc.validation import UnboundSharedWinners, validate
from coordinator_core.dlc.verification import (
    MissingSignature,
    UnexpectedSignature,
    assemble,
    prune,
    verify_for_player,
    verify_signatures,
)

__all__ = [
    "DEFAULT_ANCHOR_VALUE",
    "EXPIRY",
    "Contract",
    "ContractParameters",
    "ContractSignatures",
    "EventLockingConditions",
    "InsufficientFunds",
    "MissingSignature",
    "Outcome",
    "PayoutWeights",
    "Player",
    "PresignedOutcome",
    "SignedContract",
    "SigningSlot",
    "UnboundSharedWinners",
    "UnexpectedSignature",
    "WinCondition",
    "assemble",
    "label",
    "parameters_from_json",
    "parameters_from_value",
    "parameters_to_json",
    "parameters_to_value",
    "prune",
    "signatures_from_json",
    "signatures_from_value",
    "signatures_to_json",
    "signatures_to_value",
    "validate",
    "verify_for_player",
    "verify_signatures",
]
