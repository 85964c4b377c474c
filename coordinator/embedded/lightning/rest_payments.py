"""Payment routes: send, track, list, decode, and routes made by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

from coordinator.embedded.lightning import bolt11, schemas
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.errors import Code, LndError
from coordinator.embedded.lightning.events import PaymentEvent, payment_topic
from coordinator.embedded.lightning.http import Call, Endpoint, Json
from coordinator.embedded.lightning.model import AttemptStatus, Hop, PaymentStatus
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.payments import DEFAULT_CLTV_LIMIT, PaymentOrder
from coordinator.embedded.lightning.protojson import Message
from coordinator.embedded.lightning.rest_invoices import check_hash_parameter, hash_parameter
from coordinator.embedded.lightning.routing import Route, RouteQuery
from coordinator.embedded.lightning.views import (
    attempt_view,
    payment_request_view,
    payment_view,
    route_view,
)

_NO_FEE_LIMIT: Final = 1 << 62
_MAX_LISTED: Final = 10_000


async def send_payment(call: Call) -> AsyncGenerator[Json]:
    """POST /v2/router/send: the payment's states; closing the request does not stop the payment."""
    order = _order(call.body)
    payment_hash = bolt11.decode(order.payment_request).payment_hash
    with call.network.bus.subscription(payment_topic(call.alias, payment_hash)) as queue:
        call.network.send(call.alias, order)
        while True:
            event = await queue.get()
            if not isinstance(event, PaymentEvent):
                continue
            ended = event.payment.status is not PaymentStatus.IN_FLIGHT
            if ended or not call.body.get("no_inflight_updates"):
                yield payment_view(call.network, event)
            if ended:
                return


def _order(body: Message) -> PaymentOrder:
    return PaymentOrder(
        payment_request=body.get("payment_request", ""),
        amount_msat=_exclusive(body, "amt", "amt_msat"),
        fee_limit_msat=_exclusive(body, "fee_limit_sat", "fee_limit_msat"),
        cltv_limit=_natural(body, "cltv_limit"),
        timeout_seconds=_natural(body, "timeout_seconds"),
        max_parts=body.get("max_parts", 0),
    )


def _exclusive(body: Message, sat: str, msat: str) -> int:
    if body.get(sat) and body.get(msat):
        raise LndError("sat and msat arguments are mutually exclusive")
    return _natural(body, msat) or _natural(body, sat) * MSAT


def _natural(body: Message, name: str) -> int:
    value: int = body.get(name, 0)
    if value < 0:
        raise LndError(f"{name} cannot be negative")
    return value


async def track_payment(call: Call) -> AsyncGenerator[Json]:
    """GET /v2/router/track/{payment_hash}: the present state, then each change until the end."""
    payment_hash = hash_parameter(call)
    quiet = call.query.get("no_inflight_updates") == "true"
    with call.network.bus.subscription(payment_topic(call.alias, payment_hash)) as queue:
        event: Any = call.network.find_payment(call.alias, payment_hash)
        while True:
            if isinstance(event, PaymentEvent):
                ended = event.payment.status is not PaymentStatus.IN_FLIGHT
                if ended or not quiet:
                    yield payment_view(call.network, event)
                if ended:
                    return
            event = await queue.get()


async def decode_payment_request(call: Call) -> Json:
    """GET /v1/payreq/{pay_req}."""
    return payment_request_view(bolt11.decode(call.parameters[0]))


async def list_payments(call: Call) -> Json:
    """GET /v1/payments: only successes unless `include_incomplete`; oldest first unless `reversed`."""
    offset, limit = _query_int(call, "index_offset"), _query_int(call, "max_payments") or _MAX_LISTED
    backwards = call.query.get("reversed") == "true"
    events = call.network.payments(call.alias)
    if call.query.get("include_incomplete") != "true":
        events = [event for event in events if event.payment.status is PaymentStatus.SUCCEEDED]
    if backwards:
        chosen = [event for event in events if not offset or event.payment.payment_index < offset][-limit:]
    else:
        chosen = [event for event in events if event.payment.payment_index > offset][:limit]
    return {
        "payments": [payment_view(call.network, event) for event in chosen],
        "first_index_offset": str(chosen[0].payment.payment_index if chosen else 0),
        "last_index_offset": str(chosen[-1].payment.payment_index if chosen else 0),
        "total_num_payments": str(len(events) if call.query.get("count_total_payments") == "true" else 0),
    }


def _query_int(call: Call, name: str) -> int:
    text = call.query.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise LndError(f'parsing field "{name}": invalid number', Code.INVALID_ARGUMENT)
    return int(text)


async def build_route(call: Call) -> Json:
    """POST /v2/router/route: a route through the given nodes."""
    amount = _natural(call.body, "amt_msat")
    path = tuple(alias_of(call.network, key.hex()) for key in call.body.get("hop_pubkeys", []))
    if not amount or not path:
        raise LndError("amt_msat and hop_pubkeys must be set")
    query = RouteQuery(
        payer=call.alias,
        payee=path[-1],
        amount_msat=amount,
        fee_limit_msat=_NO_FEE_LIMIT,
        final_delta=_natural(call.body, "final_cltv_delta"),
        cltv_limit=DEFAULT_CLTV_LIMIT,
        path=path,
    )
    route = call.network.build_route(query)
    return {"route": route_view(call.network, route, call.body.get("payment_addr", b""), 0)}


async def send_to_route(call: Call) -> Json:
    """POST /v2/router/route/send: one try; answers when it ended."""
    payment_hash: bytes = call.body.get("payment_hash", b"")
    if len(payment_hash) != 32:
        raise LndError(f"invalid hash length of {len(payment_hash)}, want 32")
    body: Message = call.body.get("route", {})
    route = _route(call.network, body)
    last: Message = body["hops"][-1].get("mpp_record") or {}
    total = last.get("total_amt_msat", 0) or route.hops[-1].amount_msat
    with call.network.bus.subscription(payment_topic(call.alias, payment_hash)) as queue:
        attempt = call.network.send_route(call.alias, payment_hash, route, last.get("payment_addr", b""), total)
        while attempt.status is AttemptStatus.IN_FLIGHT:
            event = await queue.get()
            if isinstance(event, PaymentEvent):
                attempt = next((item for item in event.attempts if item.key == attempt.key), attempt)
    return attempt_view(call.network, attempt)


def _route(network: Network, body: Message) -> Route:
    hops: list[Message] = body.get("hops") or []
    if not hops:
        raise LndError("route has no hops")
    return Route([_hop(network, hop) for hop in hops], body.get("total_time_lock", 0))


def _hop(network: Network, hop: Message) -> Hop:
    alias = alias_of(network, hop.get("pub_key", ""))
    channel = network.state.channels.peek(str(hop.get("chan_id", 0)))
    if channel is None or alias not in channel.balances:
        raise LndError("unknown channel in route")
    amount = hop.get("amt_to_forward_msat", 0) or hop.get("amt_to_forward", 0) * MSAT
    fee = hop.get("fee_msat", 0) or hop.get("fee", 0) * MSAT
    if amount <= 0 or fee < 0:
        raise LndError("route has an amount that cannot be sent")
    return Hop(channel.chan_id, alias, amount, fee, hop.get("expiry", 0))


def alias_of(network: Network, public_key: str) -> str:
    """The alias of a node by its key in hex. Raises LndError."""
    for node in network.state.nodes.values():
        if node.public_key.hex() == public_key:
            return node.alias
    raise LndError("unknown node in route")


_READ = ("offchain", "read")
_WRITE = ("offchain", "write")

ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v2/router/send",
        _WRITE,
        stream=send_payment,
        schema=schemas.SEND_PAYMENT,
        method_name="/routerrpc.Router/SendPaymentV2",
    ),
    Endpoint(
        "GET",
        "/v2/router/track/*",
        _READ,
        stream=track_payment,
        check=check_hash_parameter("payment_hash"),
        method_name="/routerrpc.Router/TrackPaymentV2",
    ),
    Endpoint("GET", "/v1/payreq/*", _READ, unary=decode_payment_request, method_name="/lnrpc.Lightning/DecodePayReq"),
    Endpoint("GET", "/v1/payments", _READ, unary=list_payments, method_name="/lnrpc.Lightning/ListPayments"),
    Endpoint(
        "POST",
        "/v2/router/route",
        _READ,
        unary=build_route,
        schema=schemas.BUILD_ROUTE,
        method_name="/routerrpc.Router/BuildRoute",
    ),
    Endpoint(
        "POST",
        "/v2/router/route/send",
        _WRITE,
        unary=send_to_route,
        schema=schemas.SEND_TO_ROUTE,
        method_name="/routerrpc.Router/SendToRouteV2",
    ),
)
