"""Node routes: identity, start-up state, balances, channels, macaroons."""

from __future__ import annotations

from typing import Final

from coordinator.embedded.lightning import schemas
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.http import Call, Endpoint, Json
from coordinator.embedded.lightning.macaroon import ALL_PERMISSIONS, CALL, DEFAULT_ROOT_KEY, Permission
from coordinator.embedded.lightning.model import Mode
from coordinator.embedded.lightning.routing import is_active
from coordinator.embedded.lightning.views import channel_balance_view, channel_view

VERSION: Final = "0.21.1-beta commit="

_NODE_FEATURES: Final = (
    (0, "data-loss-protect"),
    (5, "upfront-shutdown-script"),
    (7, "gossip-queries"),
    (8, "tlv-onion"),
    (12, "static-remote-key"),
    (14, "payment-addr"),
    (17, "multi-path-payments"),
    (23, "anchors-zero-fee-htlc-tx"),
    (25, "route-blinding"),
    (27, "shutdown-any-segwit"),
    (30, "amp"),
    (31, "amp"),
    (35, "quiescence"),
    (39, "onion-messages"),
    (44, "explicit-commitment-type"),
    (261, "accountable-x"),
    (2023, "script-enforced-lease"),
)


async def get_info(call: Call) -> Json:
    """GET /v1/getinfo."""
    network, node, tip = call.network, call.network.node(call.alias), call.network.tip()
    channels = network.state.channels_of(call.alias)
    active = sum(is_active(network.state, channel) for channel in channels)
    peers = {alias for channel in channels for alias in channel.balances} - {call.alias}
    return {
        "version": VERSION,
        "commit_hash": "",
        "identity_pubkey": node.public_key.hex(),
        "alias": node.alias,
        "color": "#3399ff",
        "num_pending_channels": 0,
        "num_active_channels": active,
        "num_inactive_channels": len(channels) - active,
        "num_peers": sum(network.node(alias).mode is not Mode.OFFLINE for alias in peers),
        "block_height": tip.height,
        "block_hash": tip.block_hash,
        "best_header_timestamp": str(tip.header_time),
        "synced_to_chain": call.synced,
        "synced_to_graph": call.synced,
        "testnet": False,
        "chains": [{"chain": "bitcoin", "network": "regtest"}],
        "uris": [],
        "features": {
            str(bit): {"name": name, "is_required": bit % 2 == 0, "is_known": True} for bit, name in _NODE_FEATURES
        },
        "require_htlc_interceptor": False,
        "store_final_htlc_resolutions": False,
        "wallet_synced": call.synced,
        "graph_cache_status": f"GRAPH_CACHE_STATUS_{'LOADED' if call.synced else 'LOADING'}",
    }


async def get_state(call: Call) -> Json:
    """GET /v1/state, the one call without a macaroon."""
    return {"state": str(call.node_state)}


async def channel_balance(call: Call) -> Json:
    """GET /v1/balance/channels."""
    return channel_balance_view(call.network, call.alias)


async def wallet_balance(call: Call) -> Json:
    """GET /v1/balance/blockchain: the embedded nodes own no coins on chain."""
    return {
        "total_balance": "0",
        "confirmed_balance": "0",
        "unconfirmed_balance": "0",
        "locked_balance": "0",
        "reserved_balance_anchor_chan": "0",
        "account_balance": {"default": {"confirmed_balance": "0", "unconfirmed_balance": "0"}},
    }


async def list_channels(call: Call) -> Json:
    """GET /v1/channels."""
    channels = sorted(call.network.state.channels_of(call.alias), key=lambda channel: channel.chan_id)
    return {"channels": [channel_view(call.network, call.alias, channel) for channel in channels]}


def _permissions(call: Call) -> set[Permission]:
    return {(item.get("entity", ""), item.get("action", "")) for item in call.body.get("permissions", [])}


async def bake_macaroon(call: Call) -> Json:
    """POST /v1/macaroon. Permissions for one call may name any method of LND, also those that are not served here."""
    permissions = _permissions(call)
    if not permissions:
        raise LndError("permission list cannot be empty. specify at least one action/entity pair")
    unknown = {permission for permission in permissions if permission[0] != CALL} - ALL_PERMISSIONS
    if unknown:
        raise LndError(f"invalid permission action. {sorted(unknown)[0]}")
    number = call.body.get("root_key_id", DEFAULT_ROOT_KEY)
    return {"macaroon": call.network.bakery(call.alias).bake(permissions, number).hex()}


async def check_macaroon(call: Call) -> Json:
    """POST /v1/macaroon/checkpermissions: whether another macaroon grants permissions, or else a method."""
    bakery, method = call.network.bakery(call.alias), call.body.get("fullMethod", "")
    try:
        granted = bakery.grants(call.body.get("macaroon", b""), _permissions(call), method)
    except LndError as error:
        raise LndError(error.message, Code.INVALID_ARGUMENT) from error
    if not granted:
        raise LndError("permission denied", Code.INVALID_ARGUMENT)
    return {"valid": True}


_OFFCHAIN = ("offchain", "read")

ENDPOINTS: Final = (
    Endpoint("GET", "/v1/state", None, unary=get_state),
    Endpoint("GET", "/v1/getinfo", ("info", "read"), unary=get_info, method_name="/lnrpc.Lightning/GetInfo"),
    Endpoint(
        "GET", "/v1/balance/channels", _OFFCHAIN, unary=channel_balance, method_name="/lnrpc.Lightning/ChannelBalance"
    ),
    Endpoint(
        "GET",
        "/v1/balance/blockchain",
        ("onchain", "read"),
        unary=wallet_balance,
        method_name="/lnrpc.Lightning/WalletBalance",
    ),
    Endpoint("GET", "/v1/channels", _OFFCHAIN, unary=list_channels, method_name="/lnrpc.Lightning/ListChannels"),
    Endpoint(
        "POST",
        "/v1/macaroon",
        ("macaroon", "generate"),
        unary=bake_macaroon,
        schema=schemas.BAKE_MACAROON,
        method_name="/lnrpc.Lightning/BakeMacaroon",
    ),
    Endpoint(
        "POST",
        "/v1/macaroon/checkpermissions",
        ("macaroon", "read"),
        unary=check_macaroon,
        schema=schemas.CHECK_MACAROON,
        method_name="/lnrpc.Lightning/CheckMacaroonPermissions",
    ),
)
