"""Answers as the real node gives them: every field, 64-bit numbers as strings, bytes in base64 or hex as measured."""

from __future__ import annotations

from typing import Any, Final

from coordinator.embedded.lightning import channel as ledger
from coordinator.embedded.lightning.base64url import encode as b64
from coordinator.embedded.lightning.bolt11 import FEATURE_NAMES, PaymentRequest
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.events import PaymentEvent
from coordinator.embedded.lightning.gossip import channel_update
from coordinator.embedded.lightning.model import (
    Attempt,
    Channel,
    ChannelHtlc,
    Hop,
    Invoice,
    InvoiceHtlc,
    InvoiceState,
    PaymentStatus,
)
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.routing import Route, is_active

Json = dict[str, Any]

_ACCOUNTABLE: Final = {"106823": "AA=="}
"""The experimental accountability signal (TLV type 106823, value 0) that LND 0.21 puts on every HTLC."""
_HTLC_CHANNEL_DATA: Final = "/gABoUcBAA=="
_NODE_CHANNEL_DATA: Final = "AQAA"
_NO_PREIMAGE: Final = "00" * 32
_MAX_CSV_DELAY: Final = 2016
_MIN_CSV_DELAY: Final = 144
_DELAY_SCALE_SAT: Final = 16_777_215
_MAX_HTLCS: Final = 483


def invoice_view(invoice: Invoice) -> Json:
    """An invoice as lookup and subscriptions show it."""
    settled = invoice.state is InvoiceState.SETTLED
    paid = invoice.amount_paid_msat
    return {
        "memo": invoice.memo,
        "r_preimage": b64(invoice.preimage),
        "r_hash": b64(invoice.payment_hash),
        "value": str(invoice.value_msat // MSAT),
        "value_msat": str(invoice.value_msat),
        "settled": settled,
        "creation_date": str(invoice.created_at),
        "settle_date": str(invoice.settled_at),
        "payment_request": invoice.payment_request,
        "description_hash": b64(invoice.description_hash),
        "expiry": str(invoice.expiry),
        "fallback_addr": "",
        "cltv_expiry": str(invoice.cltv_expiry),
        "route_hints": [],
        "private": invoice.private,
        "add_index": str(invoice.add_index),
        "settle_index": str(invoice.settle_index),
        "amt_paid": str(paid),
        "amt_paid_sat": str(paid // MSAT),
        "amt_paid_msat": str(paid),
        "state": str(invoice.state),
        "htlcs": [_invoice_htlc(htlc) for htlc in invoice.htlcs],
        "features": features_view(tuple(FEATURE_NAMES)),
        "is_keysend": False,
        "payment_addr": b64(invoice.payment_addr),
        "is_amp": False,
        "amp_invoice_state": {},
        "is_blinded": False,
        "blinded_path_config": None,
    }


def _invoice_htlc(htlc: InvoiceHtlc) -> Json:
    return {
        "chan_id": str(htlc.chan_id),
        "htlc_index": str(htlc.htlc_index),
        "amt_msat": str(htlc.amount_msat),
        "accept_height": htlc.accept_height,
        "accept_time": str(htlc.accept_time),
        "resolve_time": str(htlc.resolve_time),
        "expiry_height": htlc.expiry_height,
        "state": str(htlc.state),
        "custom_records": _ACCOUNTABLE,
        "mpp_total_amt_msat": str(htlc.total_msat),
        "amp": None,
        "custom_channel_data": _HTLC_CHANNEL_DATA,
    }


def features_view(bits: tuple[int, ...]) -> Json:
    """Feature bits with their names."""
    return {
        str(bit): {
            "name": FEATURE_NAMES.get(bit, "unknown"),
            "is_required": bit % 2 == 0,
            "is_known": bit in FEATURE_NAMES,
        }
        for bit in bits
    }


def payment_view(network: Network, event: PaymentEvent) -> Json:
    """A payment as send, track and the list show it."""
    payment = event.payment
    done = payment.status is PaymentStatus.SUCCEEDED
    fee_msat = payment.fee_msat if done else 0
    return {
        "payment_hash": payment.payment_hash.hex(),
        "value": str(payment.value_msat // MSAT),
        "creation_date": str(payment.created_ns // 1_000_000_000),
        "fee": str(fee_msat // MSAT),
        "payment_preimage": payment.preimage.hex() if done else _NO_PREIMAGE,
        "value_sat": str(payment.value_msat // MSAT),
        "value_msat": str(payment.value_msat),
        "payment_request": payment.payment_request,
        "status": str(payment.status),
        "fee_sat": str(fee_msat // MSAT),
        "fee_msat": str(fee_msat),
        "creation_time_ns": str(payment.created_ns),
        "htlcs": [attempt_view(network, attempt) for attempt in event.attempts],
        "payment_index": str(payment.payment_index),
        "failure_reason": f"FAILURE_REASON_{payment.failure_reason}",
        "first_hop_custom_records": _ACCOUNTABLE,
    }


def attempt_view(network: Network, attempt: Attempt) -> Json:
    """One try of a payment."""
    route = Route(attempt.hops, attempt.time_lock)
    return {
        "attempt_id": str(attempt.attempt_id),
        "status": str(attempt.status),
        "route": route_view(network, route, attempt.payment_addr, attempt.total_msat),
        "attempt_time_ns": str(attempt.started_ns),
        "resolve_time_ns": str(attempt.resolved_ns),
        "failure": _failure(network, attempt) if attempt.resolved_ns else None,
        "preimage": b64(attempt.preimage) if attempt.resolved_ns else "",
    }


def _failure(network: Network, attempt: Attempt) -> Json | None:
    failure = attempt.failure
    if failure is None:
        return None
    update = None
    if failure.code == "TEMPORARY_CHANNEL_FAILURE":
        position = failure.source_index
        sender = attempt.hops[position - 1].node if position else attempt.payer
        update = channel_update(network, failure.chan_id, sender)
    return {
        "code": failure.code,
        "channel_update": update,
        "htlc_msat": "0",
        "onion_sha_256": "",
        "cltv_expiry": 0,
        "flags": 0,
        "failure_source_index": failure.source_index,
        "height": failure.height,
    }


def route_view(network: Network, route: Route, payment_addr: bytes, total_msat: int) -> Json:
    """A route; its last hop carries the payment secret when there is one."""
    first = route.hops[0].amount_msat + route.hops[0].fee_msat
    record = {"payment_addr": b64(payment_addr), "total_amt_msat": str(total_msat)} if payment_addr else None
    last = len(route.hops) - 1
    return {
        "total_time_lock": route.time_lock,
        "total_fees": str(route.fee_msat // MSAT),
        "total_amt": str(first // MSAT),
        "hops": [_hop(network, hop, record if i == last else None) for i, hop in enumerate(route.hops)],
        "total_fees_msat": str(route.fee_msat),
        "total_amt_msat": str(first),
        "first_hop_amount_msat": str(first),
        "custom_channel_data": "",
    }


def _hop(network: Network, hop: Hop, mpp_record: Json | None) -> Json:
    return {
        "chan_id": str(hop.chan_id),
        "chan_capacity": str((hop.amount_msat + hop.fee_msat) // MSAT),
        "amt_to_forward": str(hop.amount_msat // MSAT),
        "fee": str(hop.fee_msat // MSAT),
        "expiry": hop.expiry_height,
        "amt_to_forward_msat": str(hop.amount_msat),
        "fee_msat": str(hop.fee_msat),
        "pub_key": network.node(hop.node).public_key.hex(),
        "tlv_payload": True,
        "mpp_record": mpp_record,
        "amp_record": None,
        "custom_records": {},
        "metadata": "",
        "blinding_point": "",
        "encrypted_data": "",
        "total_amt_msat": "0",
    }


def payment_request_view(request: PaymentRequest) -> Json:
    """A decoded payment request."""
    amount = request.amount_msat or 0
    return {
        "destination": request.payee.hex(),
        "payment_hash": request.payment_hash.hex(),
        "num_satoshis": str(amount // MSAT),
        "timestamp": str(request.timestamp),
        "expiry": str(request.expiry),
        "description": request.description or "",
        "description_hash": (request.description_hash or b"").hex(),
        "fallback_addr": "",
        "cltv_expiry": str(request.final_cltv_delta),
        "route_hints": [
            {
                "hop_hints": [
                    {
                        "node_id": hop.node_id.hex(),
                        "chan_id": str(hop.chan_id),
                        "fee_base_msat": hop.fee_base_msat,
                        "fee_proportional_millionths": hop.fee_ppm,
                        "cltv_expiry_delta": hop.cltv_delta,
                    }
                    for hop in hint
                ]
            }
            for hint in request.route_hints
        ],
        "payment_addr": b64(request.payment_addr),
        "num_msat": str(amount),
        "features": features_view(request.features),
        "blinded_paths": [],
    }


def channel_view(network: Network, alias: str, channel: Channel) -> Json:
    """A channel from one side."""
    peer = ledger.other_side(channel, alias)
    held_sat = sum(htlc.amount_msat // MSAT for htlc in channel.htlcs)
    age = str(max(1, network.clock.seconds() - channel.opened_at))
    reserve = str(ledger.reserve_sat(channel))
    return {
        "active": is_active(network.state, channel),
        "remote_pubkey": network.node(peer).public_key.hex(),
        "channel_point": f"{channel.funding_txid[::-1].hex()}:0",
        "chan_id": str(channel.chan_id),
        "capacity": str(channel.capacity_sat),
        "local_balance": str(ledger.shown_balance_msat(channel, alias) // MSAT),
        "remote_balance": str(ledger.shown_balance_msat(channel, peer) // MSAT),
        "commit_fee": str(ledger.shown_commitment_fee_sat(channel)),
        "commit_weight": str(ledger.commitment_weight(channel)),
        "fee_per_kw": str(ledger.FEE_PER_KW),
        "unsettled_balance": str(held_sat),
        "total_satoshis_sent": str(channel.sent[alias] // MSAT),
        "total_satoshis_received": str(channel.sent[peer] // MSAT),
        "num_updates": str(channel.updates),
        "pending_htlcs": [_pending_htlc(alias, htlc) for htlc in channel.htlcs],
        "csv_delay": _csv_delay(channel),
        "private": False,
        "initiator": alias == channel.opener,
        "chan_status_flags": "ChanStatusDefault",
        "local_chan_reserve_sat": reserve,
        "remote_chan_reserve_sat": reserve,
        "static_remote_key": False,
        "commitment_type": "ANCHORS",
        "lifetime": age,
        "uptime": age,
        "close_address": "",
        "push_amount_sat": str(channel.pushed_sat),
        "thaw_height": 0,
        "local_constraints": _constraints(channel),
        "remote_constraints": _constraints(channel),
        "alias_scids": [],
        "zero_conf": False,
        "zero_conf_confirmed_scid": "0",
        "peer_alias": "",
        "peer_scid_alias": "0",
        "memo": "",
        "custom_channel_data": "",
    }


def _csv_delay(channel: Channel) -> int:
    return max(_MIN_CSV_DELAY, min(_MAX_CSV_DELAY, _MAX_CSV_DELAY * channel.capacity_sat // _DELAY_SCALE_SAT))


def _constraints(channel: Channel) -> Json:
    return {
        "csv_delay": _csv_delay(channel),
        "chan_reserve_sat": str(ledger.reserve_sat(channel)),
        "dust_limit_sat": str(ledger.DUST_LIMIT_SAT),
        "max_pending_amt_msat": str((channel.capacity_sat - ledger.reserve_sat(channel)) * MSAT),
        "min_htlc_msat": "1",
        "max_accepted_htlcs": _MAX_HTLCS,
    }


def _pending_htlc(alias: str, htlc: ChannelHtlc) -> Json:
    return {
        "incoming": htlc.offered_by != alias,
        "amount": str(htlc.amount_msat // MSAT),
        "hash_lock": b64(htlc.payment_hash),
        "expiration_height": htlc.expiry_height,
        "htlc_index": str(htlc.index),
        "forwarding_channel": "0",
        "forwarding_htlc_index": "0",
        "locked_in": True,
    }


def channel_balance_view(network: Network, alias: str) -> Json:
    """Sums over a node's channels; what HTLCs hold is in neither side's balance."""
    channels = network.state.channels_of(alias)
    local = sum(ledger.shown_balance_msat(channel, alias) for channel in channels)
    remote = sum(ledger.shown_balance_msat(channel, ledger.other_side(channel, alias)) for channel in channels)
    incoming = sum(h.amount_msat for c in channels for h in c.htlcs if h.offered_by != alias)
    outgoing = sum(h.amount_msat for c in channels for h in c.htlcs if h.offered_by == alias)
    return {
        "balance": str(sum(ledger.shown_balance_msat(channel, alias) // MSAT for channel in channels)),
        "pending_open_balance": "0",
        "local_balance": _amount(local),
        "remote_balance": _amount(remote),
        "unsettled_local_balance": _amount(incoming),
        "unsettled_remote_balance": _amount(outgoing),
        "pending_open_local_balance": _amount(0),
        "pending_open_remote_balance": _amount(0),
        "custom_channel_data": _NODE_CHANNEL_DATA,
    }


def _amount(msat: int) -> Json:
    return {"sat": str(msat // MSAT), "msat": str(msat)}
