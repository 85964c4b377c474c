"""The messages that the REST subset takes, with every field of LND's own."""

from __future__ import annotations

from typing import Final

from coordinator.embedded.lightning.protojson import (
    anything,
    boolean,
    fields,
    integer,
    message,
    octets,
    repeated,
    text,
)

_INT64 = integer(64)
_UINT64 = integer(64, signed=False)
_INT32 = integer(32)
_UINT32 = integer(32, signed=False)

ADD_HOLD_INVOICE: Final = fields(
    {
        "memo": text,
        "hash": octets,
        "value": _INT64,
        "value_msat": _INT64,
        "description_hash": octets,
        "expiry": _INT64,
        "cltv_expiry": _UINT64,
        "private": boolean,
    },
    {"fallback_addr": text, "route_hints": anything},
)
ADD_INVOICE: Final = fields(
    {
        "memo": text,
        "r_preimage": octets,
        "value": _INT64,
        "value_msat": _INT64,
        "description_hash": octets,
        "expiry": _INT64,
        "cltv_expiry": _UINT64,
        "private": boolean,
    },
    {
        "fallback_addr": text,
        "route_hints": anything,
        "is_amp": boolean,
        "is_blinded": boolean,
        "blinded_path_config": anything,
        "is_keysend": boolean,
        "r_hash": octets,
        "settled": boolean,
        "creation_date": _INT64,
        "settle_date": _INT64,
        "payment_request": text,
        "add_index": _UINT64,
        "settle_index": _UINT64,
        "amt_paid": _INT64,
        "amt_paid_sat": _INT64,
        "amt_paid_msat": _INT64,
        "state": anything,
        "htlcs": anything,
        "features": anything,
        "payment_addr": octets,
        "amp_invoice_state": anything,
    },
)
SETTLE_INVOICE: Final = fields({"preimage": octets})
CANCEL_INVOICE: Final = fields({"payment_hash": octets})
SEND_PAYMENT: Final = fields(
    {
        "payment_request": text,
        "amt": _INT64,
        "amt_msat": _INT64,
        "fee_limit_sat": _INT64,
        "fee_limit_msat": _INT64,
        "timeout_seconds": _INT32,
        "cltv_limit": _INT32,
        "max_parts": _UINT32,
        "no_inflight_updates": boolean,
    },
    {
        "dest": octets,
        "payment_hash": octets,
        "final_cltv_delta": _INT32,
        "payment_addr": octets,
        "outgoing_chan_id": _UINT64,
        "outgoing_chan_ids": anything,
        "last_hop_pubkey": octets,
        "route_hints": anything,
        "dest_custom_records": anything,
        "allow_self_payment": boolean,
        "dest_features": anything,
        "max_shard_size_msat": _UINT64,
        "amp": boolean,
        "time_pref": anything,
        "cancelable": boolean,
        "first_hop_custom_records": anything,
    },
)
BUILD_ROUTE: Final = fields(
    {"amt_msat": _INT64, "final_cltv_delta": _INT32, "hop_pubkeys": repeated(octets), "payment_addr": octets},
    {"outgoing_chan_id": _UINT64, "first_hop_custom_records": anything},
)
_MPP_RECORD = fields({"payment_addr": octets, "total_amt_msat": _INT64})
_HOP = fields(
    {
        "chan_id": _UINT64,
        "chan_capacity": _INT64,
        "amt_to_forward": _INT64,
        "fee": _INT64,
        "expiry": _UINT32,
        "amt_to_forward_msat": _INT64,
        "fee_msat": _INT64,
        "pub_key": text,
        "tlv_payload": boolean,
        "mpp_record": message(_MPP_RECORD),
        "total_amt_msat": _UINT64,
    },
    {
        "amp_record": anything,
        "custom_records": anything,
        "metadata": octets,
        "blinding_point": octets,
        "encrypted_data": octets,
    },
)
_ROUTE = fields(
    {
        "total_time_lock": _UINT32,
        "total_fees": _INT64,
        "total_amt": _INT64,
        "hops": repeated(message(_HOP)),
        "total_fees_msat": _INT64,
        "total_amt_msat": _INT64,
        "first_hop_amount_msat": _INT64,
    },
    {"custom_channel_data": octets},
)
SEND_TO_ROUTE: Final = fields(
    {"payment_hash": octets, "route": message(_ROUTE), "skip_temp_err": boolean},
    {"first_hop_custom_records": anything},
)
_PERMISSIONS: Final = repeated(message(fields({"entity": text, "action": text})))
BAKE_MACAROON: Final = fields(
    {"permissions": _PERMISSIONS, "root_key_id": _UINT64},
    {"allow_external_permissions": boolean},
)
CHECK_MACAROON: Final = fields(
    {"macaroon": octets, "permissions": _PERMISSIONS, "fullMethod": text},
    {"check_default_perms_from_full_method": boolean},
)
EMPTY: Final = fields({})
