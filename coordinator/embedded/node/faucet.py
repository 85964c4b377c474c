"""The faucet: mines to a taproot key of its own and pays from its coins, key path spends signed here (BIP341)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput, with_length
from coordinator.embedded.node.errors import FundsMissing
from coordinator.embedded.node.fees import fee_at
from coordinator.embedded.node.script import push
from coordinator.embedded.node.standardness import dust_threshold
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey, schnorr_sign, tagged_hash

REPLACEABLE: Final = 0xFFFFFFFD
MIN_RATE_SAT_PER_KVB: Final = 2_000
_BASE_VSIZE: Final = 11
_INPUT_VSIZE: Final = 58
_OUTPUT_VSIZE: Final = 43


class Faucet:
    """One key, made from a seed so that the same seed gives the same chain. Regtest coins only."""

    def __init__(self, seed: str) -> None:
        secret = SecretKey.from_bytes(sha256(b"embedded regtest faucet/" + seed.encode()).digest())
        self._key = secret.taproot_tweaked()
        self.script = b"\x51" + push(self._key.x_only)
        """Where the faucet's blocks pay to."""

    def pay(
        self, coins: Sequence[tuple[OutPoint, TxOutput]], outputs: Sequence[TxOutput], rate_sat_per_kvb: int
    ) -> Transaction:
        """A signed payment from the first coins that suffice, change to the faucet. Raises FundsMissing."""
        if not outputs:
            raise InvalidInput("outputs", "is empty", "give at least one")
        wanted = sum(o.value for o in outputs)
        chosen: list[tuple[OutPoint, TxOutput]] = []
        fee = 0
        for coin in coins:
            chosen.append(coin)
            vsize = _BASE_VSIZE + _INPUT_VSIZE * len(chosen) + _OUTPUT_VSIZE * (len(outputs) + 1)
            fee = fee_at(max(rate_sat_per_kvb, MIN_RATE_SAT_PER_KVB), vsize)
            if sum(o.value for _, o in chosen) >= wanted + fee:
                break
        left = sum(o.value for _, o in chosen) - wanted - fee
        if not chosen or left < 0:
            raise FundsMissing(
                "amount", f"the faucet cannot pay {wanted} sat and {fee} sat of fees", "mine blocks to it"
            )
        change = TxOutput(left, self.script)
        paid = [*outputs, change] if left >= dust_threshold(change) else list(outputs)
        return self._signed(chosen, paid)

    def _signed(self, coins: Sequence[tuple[OutPoint, TxOutput]], outputs: Sequence[TxOutput]) -> Transaction:
        unsigned = Transaction.build([TxInput(o, sequence=REPLACEABLE) for o, _ in coins], outputs)
        spent = [o for _, o in coins]
        inputs = [
            TxInput(i.previous, sequence=i.sequence, witness=(self._sign(unsigned, spent, n),))
            for n, i in enumerate(unsigned.inputs)
        ]
        return Transaction.build(inputs, outputs)

    def _sign(self, transaction: Transaction, spent: Sequence[TxOutput], index: int) -> bytes:
        # A fixed auxiliary value keeps a seeded chain reproducible; the nonce still depends on key and message.
        return schnorr_sign(key_path_hash(transaction, spent, index), self._key, bytes(32))


def key_path_hash(transaction: Transaction, spent: Sequence[TxOutput], index: int) -> bytes:
    """The 32 bytes a default (SIGHASH_DEFAULT) taproot key path signature signs (BIP341)."""
    inputs = transaction.inputs
    parts = (
        b"\x00\x00",
        transaction.version.to_bytes(4, "little"),
        transaction.lock_time.to_bytes(4, "little"),
        sha256(b"".join(i.previous.serialize() for i in inputs)).digest(),
        sha256(b"".join(o.value.to_bytes(8, "little") for o in spent)).digest(),
        sha256(b"".join(with_length(o.script) for o in spent)).digest(),
        sha256(b"".join(i.sequence.to_bytes(4, "little") for i in inputs)).digest(),
        sha256(b"".join(o.serialize() for o in transaction.outputs)).digest(),
        b"\x00",
        index.to_bytes(4, "little"),
    )
    return tagged_hash("TapSighash", b"".join(parts))
