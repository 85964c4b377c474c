"""What the client makes of a real LND's answers."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from coordinator.adapters.lightning import LndNode
from coordinator.ports.faults import Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import FailureKind, InvoiceState, PaymentState
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds

Play = Callable[..., LndNode]
Recorded = dict[str, dict[str, Any]]
NO_PAYMENTS = {"payments": [], "first_index_offset": "0", "last_index_offset": "0", "total_num_payments": "0"}


def hash_of(exchange: dict[str, Any]) -> str:
    """The payment hash a recorded request asked for, in hex."""
    text = parse_qs(exchange["query"])["payment_hash"][0] if exchange["query"] else exchange["path"].rsplit("/", 1)[1]
    return base64.urlsafe_b64decode(text).hex()


async def pay(node: LndNode, payment_request: str) -> Any:
    return await node.pay(payment_request, fee_limit=Sats(100), timeout=Seconds(30), cltv_limit=Blocks(500))


async def test_getinfo(play: Play, recorded: Recorded) -> None:
    info = await play("getinfo").info()
    body = recorded["getinfo"]["body"]
    assert (info.network, info.block_height, info.synced_to_chain) == ("regtest", 117, True)
    assert info.public_key == body["identity_pubkey"]
    assert info.version.startswith("0.21.1")
    assert info.cancel_delta == 18


@pytest.mark.parametrize(
    ("name", "outbound", "inbound"),
    [
        ("channels_idle", 2_496_530 - 50_000, 2_500_000 - 50_000),
        ("channels_none", 0, 0),
        ("channels_peer_offline", 0, 0),
    ],
)
async def test_liquidity_counts_active_channels_less_their_reserves(
    play: Play, name: str, outbound: int, inbound: int
) -> None:
    found = await play(name).liquidity()
    assert (found.outbound, found.inbound) == (outbound, inbound)


async def test_what_is_held_is_not_liquid(play: Play) -> None:
    assert (await play("channels_pending_htlc_payer").liquidity()).outbound == 2_446_098 - 50_000


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("channels_idle", 2_496_530),
        ("channels_none", 0),
        ("channels_pending_htlc_payer", 2_446_098 + 50_001),
        ("channels_pending_htlc_payee", 2_496_100),
    ],
)
async def test_what_an_outgoing_payment_holds_is_ours_until_it_is_settled(play: Play, name: str, local: int) -> None:
    assert (await play(name).liquidity()).local == local


@pytest.mark.parametrize(
    ("name", "state", "expiry_height"),
    [
        ("lookup_open", InvoiceState.OPEN, None),
        ("lookup_accepted", InvoiceState.ACCEPTED, 264),
        ("lookup_settled_at_once", InvoiceState.SETTLED, None),
        ("lookup_settled", InvoiceState.SETTLED, None),
        ("lookup_canceled_unpaid", InvoiceState.CANCELED, None),
        # amt_paid_sat still says 50,000: the state alone counts
        ("lookup_canceled_after_accepted", InvoiceState.CANCELED, None),
        ("lookup_expired_by_time", InvoiceState.CANCELED, None),
        ("lookup_before_auto_cancel", InvoiceState.ACCEPTED, 150),
        ("lookup_auto_canceled", InvoiceState.CANCELED, None),
    ],
)
async def test_lookup(
    play: Play, recorded: Recorded, name: str, state: InvoiceState, expiry_height: int | None
) -> None:
    body = recorded[name]["body"]
    found = await play(name).invoice(hash_of(recorded[name]))
    assert found is not None
    assert (found.state, found.expiry_height) == (state, expiry_height)
    assert found.payment_hash == base64.b64decode(body["r_hash"]).hex()
    assert found.value == int(body["value"])
    assert found.payment_request == body["payment_request"]
    assert found.expires_at == int(body["creation_date"]) + int(body["expiry"])


async def test_partly_paid_is_open(play: Play, recorded: Recorded) -> None:
    found = await play("lookup_partial").invoice(hash_of(recorded["lookup_partial"]))
    assert found is not None
    assert found.state is InvoiceState.OPEN


async def test_the_least_expiry_of_several_parts_counts(play: Play, recorded: Recorded) -> None:
    htlcs = recorded["lookup_accepted_two_parts"]["body"]["htlcs"]
    found = await play("lookup_accepted_two_parts").invoice(hash_of(recorded["lookup_accepted_two_parts"]))
    assert found is not None
    assert len(htlcs) == 2
    assert found.expiry_height == min(htlc["expiry_height"] for htlc in htlcs)


async def test_an_unknown_invoice_is_none(play: Play, recorded: Recorded) -> None:
    assert await play("lookup_unknown").invoice(hash_of(recorded["lookup_unknown"])) is None


async def test_every_invoice_is_unknown_before_the_first_one(
    play: Play, by_hand: Callable[..., dict[str, Any]]
) -> None:
    body = {"code": 2, "message": "there are no existing invoices", "details": []}
    assert await play(by_hand("GET", "/v2/invoices/lookup", body, status=500)).invoice("00" * 32) is None
    broken = {**body, "message": "there are no existing invoices: database not open"}
    with pytest.raises(Rejected):
        await play(by_hand("GET", "/v2/invoices/lookup", broken, status=500)).invoice("00" * 32)


async def test_a_node_without_the_call_does_not_say_that_an_invoice_is_unknown(
    play: Play, recorded: Recorded, by_hand: Callable[..., dict[str, Any]]
) -> None:
    missing = by_hand("GET", "/v2/invoices/lookup", recorded["route_unknown"]["body"], status=404)
    with pytest.raises(Unsuitable):
        await play(missing).invoice("00" * 32)


async def test_settle_and_what_it_says_after_cancel_or_cancel_after_settle(play: Play, recorded: Recorded) -> None:
    preimage = Secret(base64.b64decode(recorded["settle"]["request"]["preimage"]))
    settled = await play("settle", "lookup_settled_at_once").settle(preimage)
    assert settled.state is InvoiceState.SETTLED
    still = await play("cancel_settled", "lookup_settled").cancel(settled.payment_hash)
    assert still.state is InvoiceState.SETTLED
    again = await play("settle_twice", "lookup_settled").settle(preimage)
    assert again.state is InvoiceState.SETTLED
    late = Secret(base64.b64decode(recorded["settle_auto_canceled"]["request"]["preimage"]))
    assert (await play("settle_auto_canceled", "lookup_auto_canceled").settle(late)).state is InvoiceState.CANCELED


@pytest.mark.parametrize(("name", "lookup"), [("settle_open", "lookup_open"), ("settle_partial", "lookup_partial")])
async def test_settling_what_is_not_held_is_refused(play: Play, recorded: Recorded, name: str, lookup: str) -> None:
    preimage = Secret(base64.b64decode(recorded[name]["request"]["preimage"]))
    with pytest.raises(Rejected, match="still open"):
        await play(name, lookup).settle(preimage)


async def test_ending_an_unknown_invoice_is_refused(
    play: Play, recorded: Recorded, by_hand: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(Rejected):
        await play("cancel_unknown", "lookup_unknown").cancel("00" * 32)
    preimage = Secret(base64.b64decode(recorded["settle_unknown"]["request"]["preimage"]))
    nothing = by_hand("GET", "/v2/invoices/lookup", recorded["lookup_unknown"]["body"], status=404)
    with pytest.raises(Rejected):
        await play("settle_unknown", nothing).settle(preimage)


@pytest.mark.parametrize(
    ("name", "lookup"), [("cancel_accepted", "lookup_canceled_at_once"), ("cancel_twice", "lookup_canceled_unpaid")]
)
async def test_cancel(play: Play, recorded: Recorded, name: str, lookup: str) -> None:
    canceled = await play(name, lookup).cancel(hash_of(recorded[lookup]))
    assert canceled.state is InvoiceState.CANCELED


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("subscribe_open_accepted_settled", ["OPEN", "ACCEPTED", "SETTLED"]),
        ("subscribe_open_accepted_canceled", ["OPEN", "ACCEPTED", "CANCELED"]),
        ("subscribe_open_canceled", ["OPEN", "CANCELED"]),
        ("subscribe_settled", ["SETTLED"]),
    ],
)
async def test_updates(play: Play, recorded: Recorded, name: str, states: list[str]) -> None:
    node = play(name)
    assert [state.value async for state in node.invoice_updates(hash_of(recorded[name]))] == states


@pytest.mark.parametrize(
    ("name", "state", "failure"),
    [
        ("track_in_flight", PaymentState.IN_FLIGHT, None),
        ("track_succeeded", PaymentState.SUCCEEDED, None),
        ("track_failed", PaymentState.FAILED, FailureKind.PAYEE_REJECTS),
    ],
)
async def test_track(
    play: Play, recorded: Recorded, name: str, state: PaymentState, failure: FailureKind | None
) -> None:
    found = await play(name).payment(hash_of(recorded[name]))
    assert (found.state, found.failure) == (state, failure)
    assert (found.preimage is not None) == (state is PaymentState.SUCCEEDED)


async def test_never_sent_only_when_the_router_says_so_and_the_list_agrees(
    play: Play, recorded: Recorded, by_hand: Callable[..., dict[str, Any]]
) -> None:
    node = play("track_unknown", by_hand("GET", "/v1/payments", NO_PAYMENTS))
    assert (await node.payment("00" * 32)).state is PaymentState.NEVER_SENT


async def test_the_double_of_never_sent_is_an_error(
    play: Play, recorded: Recorded, by_hand: Callable[..., dict[str, Any]]
) -> None:
    """404 with code 5, but from a path that reached nobody: taking it for "never sent" would pay twice."""
    double = recorded["track_standard_percent_encoded"]
    path = f"/v2/router/track/{base64.urlsafe_b64encode(bytes(32)).decode()}"
    node = play(by_hand("GET", path, double["body"], status=double["status"]))
    with pytest.raises(Unsuitable):
        await node.payment("00" * 32)


@pytest.mark.parametrize(
    ("name", "fee"),
    [("send_two_hops", 2), ("send_without_timeout", 0), ("send_direct", 0), ("send_in_flight_then_succeeded", 2)],
)
async def test_payments_that_succeed(play: Play, recorded: Recorded, name: str, fee: int) -> None:
    line = recorded[name]["body"][-1]["result"]
    paid = await pay(play(name), recorded[name]["request"]["payment_request"])
    assert (paid.state, paid.preimage) == (PaymentState.SUCCEEDED, line["payment_preimage"])
    assert paid.payment_hash == line["payment_hash"]
    assert paid.fee == fee == -(-int(line["fee_msat"]) // 1000)


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("send_canceled_by_payee", FailureKind.PAYEE_REJECTS),
        ("send_auto_canceled", FailureKind.PAYEE_REJECTS),
        ("send_incorrect_details", FailureKind.PAYEE_REJECTS),
        ("send_by_second_payer", FailureKind.PAYEE_REJECTS),
        ("send_no_route", FailureKind.NO_ROUTE),
        ("send_second_hop_dry", FailureKind.NO_ROUTE),
        ("send_fee_limit_too_low", FailureKind.NO_ROUTE),
        ("send_cltv_limit_below_route", FailureKind.NO_ROUTE),
        ("send_insufficient_balance", FailureKind.INSUFFICIENT_BALANCE),
        ("send_peer_offline", FailureKind.INSUFFICIENT_BALANCE),
        ("send_again_after_failed", FailureKind.PAYEE_REJECTS),
    ],
)
async def test_payments_that_fail(play: Play, recorded: Recorded, name: str, failure: FailureKind) -> None:
    failed = await pay(play(name), recorded[name]["request"]["payment_request"])
    assert (failed.state, failed.failure, failed.preimage) == (PaymentState.FAILED, failure, None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("send_again_in_flight", "6"),
        ("send_already_paid", "6"),
        ("send_expired_invoice", "2"),
        ("send_to_self", "2"),
        ("send_cltv_limit_too_low", "2"),
    ],
)
async def test_payments_that_do_not_start(play: Play, recorded: Recorded, name: str, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        await pay(play(name), recorded[name]["request"]["payment_request"])
    assert caught.value.remote_code == code


@pytest.mark.parametrize("name", ["macaroon_missing", "macaroon_garbage", "macaroon_not_hex"])
async def test_a_macaroon_that_is_none(play: Play, name: str) -> None:
    with pytest.raises(Unsuitable, match="macaroon"):
        await play(name).info()


async def test_a_macaroon_that_may_only_read(play: Play, recorded: Recorded) -> None:
    digest = base64.b64decode(recorded["permission_missing"]["request"]["hash"]).hex()
    unknown = {**recorded["lookup_unknown"], "query": None}
    with pytest.raises(Unsuitable, match="macaroon"):
        await play("permission_missing", unknown).add_hold_invoice(
            digest, Sats(1), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(100)
        )


@pytest.mark.parametrize("name", [f"startup_getinfo_{n}" for n in (1, 2, 3, 4)])
async def test_a_node_that_starts_is_waited_for(play: Play, name: str) -> None:
    with pytest.raises(Unreachable):
        await play(name).info()


@pytest.mark.parametrize("name", [f"startup_lookup_{n}" for n in (1, 2, 3, 4)])
async def test_a_node_that_starts_does_not_say_that_an_invoice_is_unknown(
    play: Play, recorded: Recorded, name: str
) -> None:
    with pytest.raises(Unreachable):
        await play(name).invoice(hash_of(recorded[name]))


async def test_a_node_that_has_started(play: Play, recorded: Recorded) -> None:
    assert (await play("startup_getinfo_6").info()).synced_to_chain == recorded["startup_getinfo_6"]["body"][
        "synced_to_chain"
    ]
    found = await play("lookup_accepted_after_restart").invoice(hash_of(recorded["lookup_accepted_after_restart"]))
    assert found is not None
    assert found.state is InvoiceState.ACCEPTED
