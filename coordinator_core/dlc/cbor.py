"""CBOR of parameters, signatures and signed contracts, byte for byte as dlctix writes it (section 7).

Only written: contracts come in as JSON. Lengths are definite, structures are maps with text keys, byte strings are
bytes, an outcome is its index or -1, and a transaction id is in internal order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from coordinator_core.dlc.outcomes import EXPIRY
from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.dlc.signatures import ContractSignatures
from coordinator_core.transaction import OutPoint

CborValue: TypeAlias = "bool | int | bytes | str | Sequence[CborValue] | Mapping[Any, CborValue] | None"

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_SIMPLE: Final[dict[bool | None, bytes]] = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}


def parameters_to_cbor(parameters: ContractParameters) -> bytes:
    """Parameters; anchor and outcome_bound_splits only when they are on."""
    return _encode(_parameters(parameters))


def signatures_to_cbor(signatures: ContractSignatures) -> bytes:
    """Signatures."""
    return _encode(_signatures(signatures))


def signed_contract_to_cbor(
    parameters: ContractParameters, outpoint: OutPoint, signatures: ContractSignatures
) -> bytes:
    """dlctix's SignedContract."""
    funding = {"txid": outpoint.txid, "vout": outpoint.vout}
    contract: CborValue = {"params": _parameters(parameters), "funding_outpoint": funding}
    return _encode({"signatures": _signatures(signatures), "dlc": contract})


def _parameters(parameters: ContractParameters) -> dict[str, CborValue]:
    value: dict[str, CborValue] = {
        "market_maker": {"pubkey": parameters.market_maker},
        "players": [
            {"pubkey": p.public_key, "ticket_hash": p.ticket_hash, "payout_hash": p.payout_hash}
            for p in parameters.players
        ],
        "event": {"locking_points": parameters.event.locking_points, "expiry": parameters.event.expiry},
        "outcome_payouts": {outcome: dict(weights) for outcome, weights in parameters.outcome_payouts.items()},
        "fee_rate": parameters.fee_rate,
        "funding_value": parameters.funding_value,
        "relative_locktime_block_delta": parameters.relative_locktime_block_delta,
    }
    if parameters.anchor is not None:
        value["anchor"] = {"value": parameters.anchor}
    if parameters.outcome_bound_splits:
        value["outcome_bound_splits"] = True
    return value


def _signatures(signatures: ContractSignatures) -> dict[str, CborValue]:
    return {
        "expiry_tx_signature": signatures.by_outcome.get(EXPIRY),
        "outcome_tx_signatures": {o: s for o, s in signatures.by_outcome.items() if o != EXPIRY},
        "split_tx_signatures": dict(signatures.by_win_condition),
    }


def _encode(value: CborValue) -> bytes:
    if value is None or isinstance(value, bool):
        return _SIMPLE[value]
    if isinstance(value, int):
        return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    if isinstance(value, str):
        return _head(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, Mapping):
        return _head(_MAP, len(value)) + b"".join(_encode(key) + _encode(item) for key, item in value.items())
    return _head(_ARRAY, len(value)) + b"".join(map(_encode, value))


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    size = next(size for size in (1, 2, 4, 8) if argument < 1 << (8 * size))
    return bytes((major << 5 | 24 + size.bit_length() - 1,)) + argument.to_bytes(size, "big")
