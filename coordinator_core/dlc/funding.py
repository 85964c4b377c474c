"""The funding output: everyone's aggregate key, without taproot tweak or script tree (dlctix section 2).

Leaving out the tweak is safe because key aggregation randomises the key (BIP341, note on key-only outputs).
"""

from __future__ import annotations

from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.musig2 import KeySet
from coordinator_core.transaction import TxOut, pay_to_taproot


def funding_key_set(parameters: ContractParameters) -> KeySet:
    """Market maker and all players. Raises InvalidInput for keys that are no points."""
    return KeySet.aggregate([parameters.market_maker, *(p.public_key for p in parameters.players)])


def funding_output(parameters: ContractParameters) -> TxOut:
    """The output that the funding transaction must have. Raises InvalidInput for keys that are no points."""
    return TxOut(parameters.funding_value, pay_to_taproot(funding_key_set(parameters).x_only))
