"""What Core's relay refuses in witnesses although consensus would take it.

Core's IsWitnessStandard, and of the policy script flags those a signer can trip over: low S, compressed keys in
version 0, OP_SUCCESS and unknown leaf versions in taproot. MINIMALIF and NULLFAIL in version 0 are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator.embedded.node.codec import Transaction, TxInput, TxOutput
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.script import (
    PAY_TO_ANCHOR,
    ScriptType,
    WitnessProgram,
    operations,
    script_type,
    witness_program,
)
from coordinator.embedded.node.standardness import redeem_script
from coordinator_core.errors import InvalidInput

MAX_P2WSH_SCRIPT_SIZE: Final = 3_600
MAX_P2WSH_ITEMS: Final = 100
MAX_ITEM_SIZE: Final = 80
ANNEX_TAG: Final = 0x50
TAPSCRIPT_LEAF: Final = 0xC0
LEAF_VERSION_MASK: Final = 0xFE
MAX_LOW_S: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
OP_SUCCESS: Final = frozenset(
    {0x50, 0x62, 0x89, 0x8A, 0x8D, 0x8E, *range(0x7E, 0x82), *range(0x83, 0x87), *range(0x95, 0x9A), *range(0xBB, 0xFF)}
)


def script_flag_failed(reason: str, details: str = "") -> TransactionRejected:
    """The rejection Core words as a failed script flag."""
    return TransactionRejected(f"mempool-script-verify-flag-failed ({reason})", details)


def check_witnesses(transaction: Transaction, spent: Sequence[TxOutput]) -> None:
    """Check every input's witness. Raises TransactionRejected."""
    for spend, output in zip(transaction.inputs, spent, strict=True):
        if spend.witness:
            _check_witness(spend, output.script)


def _check_witness(spend: TxInput, script: bytes) -> None:
    nested = script_type(script) is ScriptType.SCRIPTHASH
    program_script = (redeem_script(spend.script_sig) or b"") if nested else script
    program = witness_program(program_script)
    if program is None or program_script == PAY_TO_ANCHOR:
        raise _nonstandard()
    if program.version == 0:
        _check_version_0(spend.witness, program)
    elif program.version == 1 and len(program.program) == 32 and not nested:
        _check_taproot(spend.witness)


def _nonstandard() -> TransactionRejected:
    return TransactionRejected("bad-witness-nonstandard")


def _check_version_0(witness: tuple[bytes, ...], program: WitnessProgram) -> None:
    if len(program.program) == 20:
        if len(witness) == 2:
            _check_ecdsa_signature(witness[0])
            if len(witness[1]) != 33:
                raise script_flag_failed("Using non-compressed keys in segwit")
        return
    items = witness[:-1]
    too_long = any(len(item) > MAX_ITEM_SIZE for item in items)
    if len(witness[-1]) > MAX_P2WSH_SCRIPT_SIZE or len(items) > MAX_P2WSH_ITEMS or too_long:
        raise _nonstandard()
    for item in items:
        if 70 <= len(item) <= 73 and item[0] == 0x30:
            _check_ecdsa_signature(item)


def _check_ecdsa_signature(signature: bytes) -> None:
    """Policy on a DER signature. One that is not DER is left to the engine, which refuses it by consensus."""
    if not 9 <= len(signature) <= 73 or signature[0] != 0x30 or signature[1] != len(signature) - 3:
        return
    r_length = signature[3]
    if 6 + r_length > len(signature):
        return
    s_length = signature[5 + r_length]
    s = int.from_bytes(signature[6 + r_length : 6 + r_length + s_length], "big")
    if s > MAX_LOW_S:
        raise script_flag_failed("Non-canonical signature: S value is unnecessarily high")
    if signature[-1] & ~0x80 not in (1, 2, 3):
        raise script_flag_failed("Signature hash type missing or not understood")


def _check_taproot(witness: tuple[bytes, ...]) -> None:
    if len(witness) < 2:
        return
    control = witness[-1]
    if not control or control[0] == ANNEX_TAG:
        raise _nonstandard()
    if control[0] & LEAF_VERSION_MASK != TAPSCRIPT_LEAF:
        raise script_flag_failed("Taproot version reserved for soft-fork upgrades")
    if any(len(item) > MAX_ITEM_SIZE for item in witness[:-2]):
        raise _nonstandard()
    if _has_op_success(witness[-2]):
        raise script_flag_failed("OP_SUCCESSx reserved for soft-fork upgrades")


def _has_op_success(script: bytes) -> bool:
    """True when an OP_SUCCESS comes before the first push that breaks off (BIP342)."""
    try:
        return any(op.opcode in OP_SUCCESS for op in operations(script))
    except InvalidInput:
        return False
