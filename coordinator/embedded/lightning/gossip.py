"""The channel update (BOLT 7) that comes with a failure at a channel, signed by the node that reports it."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from coordinator.embedded.lightning import channel as ledger
from coordinator.embedded.lightning.base64url import encode as b64
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.forwarding import BASE_FEE_MSAT, FEE_PPM, TIME_LOCK_DELTA
from coordinator.embedded.lightning.network import Network
from coordinator_core.secp256k1 import ecdsa_sign

REGTEST_CHAIN_HASH: Final = bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f")
_HTLC_MINIMUM_MSAT: Final = 1000
_MESSAGE_FLAGS: Final = 1
"""htlc_maximum_msat is there."""


def channel_update(network: Network, chan_id: int, alias: str) -> dict[str, Any] | None:
    """What `alias` asks for forwarding over a channel of its own; None when the channel is unknown."""
    channel = network.state.channels.peek(str(chan_id))
    if channel is None or alias not in channel.balances:
        return None
    own = network.node(alias).public_key
    direction = int(own > network.node(ledger.other_side(channel, alias)).public_key)
    maximum_msat = (channel.capacity_sat - ledger.reserve_sat(channel)) * MSAT
    signed = b"".join(
        (
            REGTEST_CHAIN_HASH,
            chan_id.to_bytes(8),
            channel.opened_at.to_bytes(4),
            bytes([_MESSAGE_FLAGS, direction]),
            TIME_LOCK_DELTA.to_bytes(2),
            _HTLC_MINIMUM_MSAT.to_bytes(8),
            BASE_FEE_MSAT.to_bytes(4),
            FEE_PPM.to_bytes(4),
            maximum_msat.to_bytes(8),
        )
    )
    digest = hashlib.sha256(hashlib.sha256(signed).digest()).digest()
    return {
        "signature": b64(ecdsa_sign(digest, network.node_key(alias))),
        "chain_hash": b64(REGTEST_CHAIN_HASH),
        "chan_id": str(chan_id),
        "timestamp": channel.opened_at,
        "message_flags": _MESSAGE_FLAGS,
        "channel_flags": direction,
        "time_lock_delta": TIME_LOCK_DELTA,
        "htlc_minimum_msat": str(_HTLC_MINIMUM_MSAT),
        "base_fee": BASE_FEE_MSAT,
        "fee_rate": FEE_PPM,
        "htlc_maximum_msat": str(maximum_msat),
        "extra_opaque_data": "",
    }
