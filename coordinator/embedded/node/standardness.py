"""Which transactions Core relays by their form: version, size, templates of outputs and inputs, dust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator.embedded.node.codec import Transaction, TxOutput, compact_size
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.fees import DUST_RELAY_SAT_PER_KVB, fee_at
from coordinator.embedded.node.index import is_unspendable
from coordinator.embedded.node.script import (
    ScriptType,
    is_push_only,
    multisig_keys,
    operations,
    script_type,
    witness_program,
)
from coordinator_core.errors import InvalidInput

MAX_STANDARD_VERSION: Final = 3
MAX_STANDARD_WEIGHT: Final = 400_000
MAX_STANDARD_SCRIPT_SIG: Final = 1_650
MIN_STANDARD_NONWITNESS_SIZE: Final = 65
MAX_DATA_CARRIER: Final = 100_000
MAX_BARE_MULTISIG_KEYS: Final = 3
MAX_DUST_OUTPUTS: Final = 1


def check_standard(transaction: Transaction) -> None:
    """Core's IsStandardTx and the least size. Raises TransactionRejected."""
    if not 1 <= transaction.version <= MAX_STANDARD_VERSION:
        raise TransactionRejected("version")
    if transaction.weight > MAX_STANDARD_WEIGHT:
        raise TransactionRejected("tx-size")
    for spend in transaction.inputs:
        if len(spend.script_sig) > MAX_STANDARD_SCRIPT_SIG:
            raise TransactionRejected("scriptsig-size")
        if not is_push_only(spend.script_sig):
            raise TransactionRejected("scriptsig-not-pushonly")
    _check_outputs(transaction.outputs)
    if len(dust_outputs(transaction)) > MAX_DUST_OUTPUTS:
        raise TransactionRejected("dust")
    if len(transaction.stripped) < MIN_STANDARD_NONWITNESS_SIZE:
        raise TransactionRejected("tx-size-small")


def _check_outputs(outputs: Sequence[TxOutput]) -> None:
    data_left = MAX_DATA_CARRIER
    for output in outputs:
        kind = script_type(output.script)
        if kind is ScriptType.NONSTANDARD:
            raise TransactionRejected("scriptpubkey")
        if kind is ScriptType.MULTISIG and (multisig_keys(output.script) or 0) > MAX_BARE_MULTISIG_KEYS:
            raise TransactionRejected("scriptpubkey")
        if kind is ScriptType.NULLDATA:
            data_left -= len(output.script)
            if data_left < 0:
                raise TransactionRejected("datacarrier")


def dust_threshold(output: TxOutput) -> int:
    """Least satoshi of an output that is worth spending at the dust relay fee, 0 for unspendable ones."""
    if is_unspendable(output.script):
        return 0
    size = 8 + len(compact_size(len(output.script))) + len(output.script)
    # The input that would spend it: outpoint, script length, signature and key (a quarter in a witness), sequence.
    size += 32 + 4 + 1 + (107 // 4 if witness_program(output.script) else 107) + 4
    return fee_at(DUST_RELAY_SAT_PER_KVB, size)


def dust_outputs(transaction: Transaction) -> list[int]:
    """Indices of the outputs below their dust threshold."""
    return [n for n, o in enumerate(transaction.outputs) if o.value < dust_threshold(o)]


def check_standard_inputs(transaction: Transaction, spent: Sequence[TxOutput]) -> None:
    """Refuse spends of unknown templates (Core's ValidateInputsStandardness). Raises TransactionRejected."""
    for index, (spend, output) in enumerate(zip(transaction.inputs, spent, strict=True)):
        kind = script_type(output.script)
        if kind is ScriptType.NONSTANDARD:
            raise _nonstandard_input(f"input {index} script unknown")
        if kind is ScriptType.WITNESS_UNKNOWN:
            raise _nonstandard_input(f"input {index} witness program is undefined")
        if kind is ScriptType.SCRIPTHASH and redeem_script(spend.script_sig) is None:
            raise _nonstandard_input(f"input {index} P2SH redeemscript missing")


def redeem_script(script_sig: bytes) -> bytes | None:
    """The last push of a P2SH input, None when there is none."""
    try:
        found = list(operations(script_sig))
    except InvalidInput:
        return None
    return found[-1].data if found else None


def _nonstandard_input(details: str) -> TransactionRejected:
    return TransactionRejected("bad-txns-nonstandard-inputs", details)
