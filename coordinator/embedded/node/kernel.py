"""The validation engine: libbitcoinkernel through `pbk`, behind the few calls this node makes.

What the binding does not say is learnt here once: `process_block` reports success for a block that fails its scripts,
so the verdict comes from the block_checked callback; the reject reason stands only in the engine's log; and misuse
(an input index out of range, a wrong number of spent outputs) aborts the process, so it is ruled out before each call.
The engine's own files are a cache in a directory that is emptied on opening: the journal is what lasts.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coordinator.embedded.node.codec import Transaction, TxOutput, hash256
from coordinator.embedded.node.errors import KernelMissing
from coordinator_core.errors import Misuse

try:
    import pbk
    from pbk.script import PrecomputedTransactionData
except ImportError as missing:
    raise KernelMissing(
        "The embedded node needs the package py-bitcoinkernel, which exists for Python 3.11 to 3.13: "
        "use one of these versions and install the extra `node`."
    ) from missing

if TYPE_CHECKING:
    from ctypes import c_void_p

WOULD_CONNECT: Final = "bad-cb-amount"
"""The engine's reason for a block whose only fault is a coinbase that pays itself too much."""

_LOG_MARKERS: Final = (("AcceptBlock FAILED (", ")"), ("Block validation error: ", ""))

# The engine logs through one connection a process. The lock keeps the lines of one block together when several
# nodes run in one process; callbacks never take it, they run under the engine's own locks.
_engine_lock: Final = threading.Lock()
_log: Final[deque[str]] = deque(maxlen=200)
_log_connection: pbk.LoggingConnection | None = None


def _connect_log() -> None:
    global _log_connection
    with _engine_lock:
        if _log_connection is None:
            pbk.logging_set_options(pbk.LoggingOptions(log_timestamps=False))
            _log_connection = pbk.LoggingConnection(_keep_line)


def _keep_line(line: str) -> None:
    _log.append(line.rstrip())


class Kernel:
    """One chainstate of regtest in `directory`, which is emptied first. Not thread-safe: one caller at a time."""

    def __init__(self, directory: Path) -> None:
        _connect_log()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self._directory = directory
        self._verdicts: dict[bytes, bool] = {}
        self._callbacks = pbk.ValidationInterfaceCallbacks(block_checked=self._block_checked)
        context = pbk.make_context(pbk.ChainType.REGTEST, self._callbacks)
        options = pbk.ChainstateManagerOptions(context, str(directory), str(directory / "blocks"))
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        self._context = context
        self._manager: pbk.ChainstateManager | None = pbk.ChainstateManager(options)
        # Activates the genesis block.
        self._manager.import_blocks([])
        self.rejected: set[bytes] = set()
        """Hashes of blocks that failed validation when they were to be connected."""

    def _block_checked(self, _data: c_void_p, block: pbk.Block, state: pbk.BlockValidationState) -> None:
        self._verdicts[bytes(block.block_hash)] = state.validation_mode == pbk.ValidationMode.VALID

    def _open(self) -> pbk.ChainstateManager:
        if self._manager is None:
            raise Misuse("the validation engine was used after it was closed")
        return self._manager

    def submit(self, raw: bytes) -> str | None:
        """Validate a block. None: connected, or stored as a side chain; otherwise Core's reject reason.

        `raw` must be one decodable block.
        """
        manager = self._open()
        block_hash = hash256(raw[:80])
        with _engine_lock:
            _log.clear()
            self._verdicts.clear()
            try:
                new = manager.process_block(pbk.Block(raw))
            except pbk.ProcessBlockException:
                return _logged_reason()
            self.rejected.update(h for h, valid in self._verdicts.items() if not valid)
            if self._verdicts.get(block_hash) is False:
                return _logged_reason()
        return None if new else "duplicate"

    def tip(self) -> bytes:
        """Hash of the last block of the active chain, internal order."""
        chain = self._open().get_active_chain()
        return bytes(chain.block_tree_entries[chain.height].block_hash)

    def close(self) -> None:
        """Free the engine and delete its files."""
        if self._manager is not None:
            # Leaving the binding's context frees the engine now, not whenever it is collected.
            with self._manager:
                self._manager = None
            shutil.rmtree(self._directory, ignore_errors=True)


def _logged_reason() -> str:
    for line in reversed(_log):
        for start, end in _LOG_MARKERS:
            _, found, reason = line.partition(start)
            if found:
                return reason.removesuffix(end) if end else reason
    return "rejected"


def failing_input(transaction: Transaction, spent: Sequence[TxOutput]) -> int | None:
    """Run all scripts under Core's consensus flags; the first input that fails, None when all pass.

    `spent` holds the output of each input, in order. Raises Misuse when their number differs.
    """
    if len(spent) != len(transaction.inputs):
        raise Misuse("one spent output is needed for each input")
    spender = pbk.Transaction(transaction.raw)
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(o.script), o.value) for o in spent]
    shared = PrecomputedTransactionData(spender, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    for index, (output, native) in enumerate(zip(spent, outputs, strict=True)):
        if not native.script_pubkey.verify(output.value, spender, shared, index, flags):
            return index
    return None
