"""Rules that no recording shows: equality of invoices, contradictions, time, paging, hostile answers."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from coordinator.adapters.lightning import LndNode, lnd
from coordinator.adapters.lightning.versions import cancel_delta
from coordinator.ports.faults import PortError, Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import HoldInvoice, PaymentState
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds

Play = Callable[..., LndNode]
Hand = Callable[..., dict[str, Any]]
PREIMAGE = b"\x07" * 32
DIGEST = hashlib.sha256(PREIMAGE).digest()
HASH = DIGEST.hex()
DESCRIPTION = b"\x09" * 32
TRACK = f"/v2/router/track/{base64.urlsafe_b64encode(DIGEST).decode()}"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def invoice(**changes: Any) -> dict[str, Any]:
    return {
        "r_hash": b64(DIGEST),
        "description_hash": b64(DESCRIPTION),
        "value": "50000",
        "value_msat": "50000000",
        "state": "OPEN",
        "creation_date": "1795259666",
        "expiry": "600",
        "cltv_expiry": "144",
        "payment_request": "lnbcrt1",
        "htlcs": [],
        **changes,
    }


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "payment_hash": HASH,
        "status": "SUCCEEDED",
        "payment_preimage": PREIMAGE.hex(),
        "fee_msat": "1001",
        "failure_reason": "FAILURE_REASON_NONE",
        **changes,
    }


async def add(node: LndNode, *, value: int = 50_000, cltv_expiry: int = 144) -> HoldInvoice:
    return await node.add_hold_invoice(
        HASH, Sats(value), description_hash=DESCRIPTION, expiry=Seconds(600), cltv_expiry=Blocks(cltv_expiry)
    )


@pytest.mark.parametrize("status", [200, 500])
async def test_adding_twice_gives_the_same_invoice(play: Play, by_hand: Hand, status: int) -> None:
    answer: dict[str, Any] = {"code": 2, "message": "invoice with payment hash already exists", "details": []}
    node = play(
        by_hand("POST", "/v2/invoices/hodl", answer, status=status),
        by_hand("GET", "/v2/invoices/lookup", invoice(state="CANCELED")),
    )
    assert (await add(node)).state == "CANCELED"


@pytest.mark.parametrize(
    "changes",
    [{"value_msat": "50001000"}, {"value_msat": "50000001"}, {"description_hash": ""}, {"cltv_expiry": "143"}],
)
async def test_a_hash_is_never_used_for_something_else(play: Play, by_hand: Hand, changes: dict[str, Any]) -> None:
    node = play(
        by_hand("POST", "/v2/invoices/hodl", {"code": 2, "message": "exists", "details": []}, status=500),
        by_hand("GET", "/v2/invoices/lookup", invoice(**changes)),
    )
    with pytest.raises(Rejected, match="the hash has an invoice"):
        await add(node)


async def test_an_answer_about_another_invoice_is_none(play: Play, by_hand: Hand) -> None:
    node = play(by_hand("GET", "/v2/invoices/lookup", invoice(r_hash=b64(bytes(32)))))
    with pytest.raises(Unreachable, match="another invoice"):
        await node.invoice(HASH)


async def test_absent_members_are_the_zero_values(play: Play, by_hand: Hand) -> None:
    """proto3: an HTLC without a state is ACCEPTED, an invoice without one OPEN."""
    node = play(by_hand("GET", "/v2/invoices/lookup", {"r_hash": b64(DIGEST), "htlcs": [{"expiry_height": 200}]}))
    found = await node.invoice(HASH)
    assert found is not None
    assert (found.state, found.expiry_height, found.value) == ("OPEN", 200, 0)


async def test_the_least_expiry_over_accepted_htlcs_counts(play: Play, by_hand: Hand) -> None:
    htlcs = [
        {"state": "ACCEPTED", "expiry_height": 210},
        {"state": "ACCEPTED", "expiry_height": 205},
        {"state": "CANCELED", "expiry_height": 150},
        {"state": "SETTLED", "expiry_height": 160},
    ]
    found = await play(by_hand("GET", "/v2/invoices/lookup", invoice(state="ACCEPTED", htlcs=htlcs))).invoice(HASH)
    assert found is not None
    assert found.expiry_height == 205


async def test_an_accepted_call_without_effect_leaves_the_outcome_open(play: Play, by_hand: Hand) -> None:
    node = play(
        by_hand("POST", "/v2/invoices/settle", {}), by_hand("GET", "/v2/invoices/lookup", invoice(state="ACCEPTED"))
    )
    with pytest.raises(Unreachable, match="no effect"):
        await node.settle(Secret(PREIMAGE))


async def test_a_settle_that_the_macaroon_forbids_needs_the_operator(play: Play, by_hand: Hand) -> None:
    denied = {"code": 2, "message": "permission denied", "details": []}
    node = play(
        by_hand("POST", "/v2/invoices/settle", denied, status=500),
        by_hand("GET", "/v2/invoices/lookup", invoice(state="ACCEPTED")),
    )
    with pytest.raises(Unsuitable):
        await node.settle(Secret(PREIMAGE))


@pytest.mark.parametrize("preimage", ["00" * 32, "", "zz", "07" * 31])
async def test_a_success_needs_its_preimage(play: Play, by_hand: Hand, preimage: str) -> None:
    node = play(by_hand("GET", TRACK, [{"result": payment(payment_preimage=preimage)}]))
    with pytest.raises(Unreachable, match="preimage"):
        await node.payment(HASH)


async def test_an_answer_about_another_payment_is_none(play: Play, by_hand: Hand) -> None:
    node = play(by_hand("GET", TRACK, [{"result": payment(payment_hash="11" * 32, status="FAILED")}]))
    with pytest.raises(Unreachable, match="another payment"):
        await node.payment(HASH)


@pytest.mark.parametrize(
    ("status", "state"),
    [("INITIATED", PaymentState.IN_FLIGHT), ("UNKNOWN", PaymentState.UNKNOWN), ("NEW", PaymentState.UNKNOWN)],
)
async def test_states_that_are_no_end(play: Play, by_hand: Hand, status: str, state: PaymentState) -> None:
    assert (await play(by_hand("GET", TRACK, [{"result": payment(status=status)}])).payment(HASH)).state is state


async def test_a_fee_is_rounded_up_and_a_new_failure_is_not_final(play: Play, by_hand: Hand) -> None:
    assert (await play(by_hand("GET", TRACK, [{"result": payment()}])).payment(HASH)).fee == 2
    failed = payment(status="FAILED", failure_reason="FAILURE_REASON_NEW")
    assert (await play(by_hand("GET", TRACK, [{"result": failed}])).payment(HASH)).failure == "error"


async def test_the_payment_list_speaks_where_tracking_knows_nothing(play: Play, by_hand: Hand) -> None:
    unknown = {"error": {"code": 5, "message": "payment isn't initiated", "details": []}}
    listed = {"payments": [payment(status="FAILED"), payment(status="IN_FLIGHT")], "first_index_offset": "1"}
    node = play(by_hand("GET", TRACK, [unknown], status=404), by_hand("GET", "/v1/payments", listed))
    assert (await node.payment(HASH)).state is PaymentState.IN_FLIGHT


async def test_the_history_is_read_to_its_beginning(play: Play, by_hand: Hand) -> None:
    query = "include_incomplete=true&reversed=true&max_payments=250&index_offset="
    pages = [
        by_hand(
            "GET",
            "/v1/payments",
            {"payments": [payment(payment_hash=f"{n:064x}")], "first_index_offset": first},
            query=query + offset,
        )
        for n, offset, first in ((3, "0", "9"), (2, "9", "4"), (1, "4", "1"))
    ]
    node = play(*pages)
    assert await node.history_reaches(f"{1:064x}")
    assert not await node.history_reaches(f"{4:064x}")


async def test_a_silent_track_is_unknown(play: Play, by_hand: Hand) -> None:
    assert (await play(by_hand("GET", TRACK, [])).payment(HASH)).state is PaymentState.UNKNOWN


class Endless(httpx.AsyncByteStream):
    """Some lines, then silence until the client leaves, or a broken connection."""

    def __init__(self, *lines: bytes, breaks: bool = False) -> None:
        self._lines, self._breaks = lines, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line
        if self._breaks:
            raise httpx.RemoteProtocolError("cut")
        await asyncio.Event().wait()


async def sending(stream: httpx.AsyncByteStream, request: str) -> Any:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))
    node = LndNode("http://127.0.0.1:1", Secret(b"m"), transport=transport)
    try:
        return await node.pay(request, fee_limit=Sats(0), timeout=Seconds(1), cltv_limit=Blocks(100))
    finally:
        await node.close()


@pytest.fixture
def request_and_line(recorded: dict[str, Any]) -> tuple[str, bytes]:
    exchange = recorded["send_in_flight_then_succeeded"]
    return exchange["request"]["payment_request"], json.dumps(exchange["body"][0]).encode() + b"\n"


@pytest.mark.parametrize("breaks", [False, True])
async def test_what_is_held_or_cut_is_in_flight(
    request_and_line: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    monkeypatch.setattr(lnd, "PAYMENT_MARGIN_SECONDS", -0.9)
    request, line = request_and_line
    assert (await sending(Endless(line, breaks=breaks), request)).state is PaymentState.IN_FLIGHT


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_payment_without_a_word_is_not_known(
    request_and_line: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    monkeypatch.setattr(lnd, "PAYMENT_MARGIN_SECONDS", -0.9)
    with pytest.raises(Unreachable):
        await sending(Endless(breaks=breaks), request_and_line[0])


async def test_a_stream_of_updates_that_is_cut(play: Play, by_hand: Hand) -> None:
    line = json.dumps({"result": invoice()}).encode() + b"\n"
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless(line, breaks=True)))
    node = LndNode("http://127.0.0.1:1", Secret(b"m"), transport=transport)
    updates = node.invoice_updates(HASH)
    assert await anext(updates) == "OPEN"
    with pytest.raises(Unreachable):
        await anext(updates)
    await node.close()


async def test_open_streams_do_not_keep_a_lookup_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection for streams is taken, and a lookup still gets through."""
    monkeypatch.setattr(lnd, "MAX_CALLS", 1)
    monkeypatch.setattr(lnd, "MAX_STREAMS", 1)
    ended: list[asyncio.Task[Any] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(invoice()).encode()
        if b"/subscribe/" in head:
            line = b'{"result": %s}\n' % body
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + line)
            await reader.read()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        node = LndNode(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Secret(b"m"))
        updates = node.invoice_updates(HASH)
        async with asyncio.timeout(10):
            assert await anext(updates) == "OPEN"
            found = await node.invoice(HASH)
            assert found is not None
            await updates.aclose()
            await node.close()
            await asyncio.gather(*(task for task in ended if task is not None))
    assert len(ended) == 2


async def test_numbers_that_lnd_reads_as_no_limit_are_refused(play: Play) -> None:
    node = play()
    for numbers in ({"cltv_limit": 0}, {"timeout": 0}, {"fee_limit": -1}):
        limits: dict[str, Any] = {"fee_limit": 0, "timeout": 1, "cltv_limit": 1, **numbers}
        with pytest.raises(InvalidInput, match=next(iter(numbers))):
            await node.pay("lnbcrt1", **limits)
    with pytest.raises(InvalidInput, match="value"):
        await add(node, value=0)
    with pytest.raises(InvalidInput, match="cltv_expiry"):
        await add(node, cltv_expiry=0)


@pytest.mark.parametrize("payment_hash", ["", "00", "zz" * 32, "0" * 63, " " * 64, "00" * 33])
async def test_a_hash_is_32_bytes_of_hex(play: Play, payment_hash: str) -> None:
    node = play()
    for call in (node.invoice, node.cancel, node.payment, node.history_reaches):
        with pytest.raises(InvalidInput, match="payment_hash"):
            await call(payment_hash)


async def test_an_invoice_that_is_none_is_not_sent(play: Play) -> None:
    with pytest.raises(InvalidInput):
        await play().pay("lnbcrt1bogus", fee_limit=Sats(0), timeout=Seconds(1), cltv_limit=Blocks(1))


@pytest.mark.parametrize(
    ("version", "delta"),
    [("0.21.1-beta commit=", 18), ("0.20.9-beta", 12), ("0.18.5", 12), ("1.0.0", 18), ("", 18), ("next", 18)],
)
def test_cancel_delta_by_version(version: str, delta: int) -> None:
    assert cancel_delta(version) == delta


@pytest.mark.parametrize(("configured", "delta"), [(None, 18), (18, 18), (40, 40), (17, None)])
async def test_a_configured_delta_is_checked_against_the_version(configured: int | None, delta: int | None) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"version": "0.21.1-beta", "chains": [{"network": "regtest"}]})

    blocks = None if configured is None else Blocks(configured)
    transport = httpx.MockTransport(answer)
    node = LndNode("http://127.0.0.1:1", Secret(b"m"), hold_expiry_delta=blocks, transport=transport)
    if delta is None:
        with pytest.raises(Unsuitable, match="holdexpirydelta"):
            await node.info()
    else:
        assert (await node.info()).cancel_delta == delta
    await node.close()


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"r_hash": 5}',
    b'{"state": "MAYBE"}',
    b'{"value_msat": "1e9"}',
    b'{"value_msat": "-5"}',
    b'{"expiry": "99999999999999999999"}',
    b'{"htlcs": 3}',
    b'{"result": {"status": 7}}',
    b'{"result": null}',
    b'{"error": {"code": "x"}}',
    b'{"error": {"code": 2, "message": "boom"}}',
    b'{"payments": [{"payment_hash": 1}]}',
    b'{"channels": [{"active": true, "local_balance": 1.5}]}',
    b'{"channels": [{"pending_htlcs": [{"incoming": false, "amount": -5}]}]}',
    b'{"chains": "x"}',
    b'{"block_height": "x"}',
]


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("body", HOSTILE)
async def test_hostile_answers_get_typed_errors(recorded: dict[str, Any], body: bytes, status: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    node = LndNode("http://127.0.0.1:1", Secret(b"m"), transport=transport)
    request = recorded["send_direct"]["request"]["payment_request"]

    async def updates() -> None:
        async for _ in node.invoice_updates(HASH):
            pass

    calls: list[Any] = [
        node.info,
        node.liquidity,
        updates,
        lambda: node.invoice(HASH),
        lambda: add(node),
        lambda: node.settle(Secret(PREIMAGE)),
        lambda: node.cancel(HASH),
        lambda: node.payment(HASH),
        lambda: node.history_reaches(HASH),
        lambda: node.pay(request, fee_limit=Sats(0), timeout=Seconds(1), cltv_limit=Blocks(1)),
    ]
    told: list[str] = []
    for call in calls:
        try:
            result = await call()
        except PortError as error:
            told.append(str(error))
        else:
            # What may pass is an answer without members: zero values, or nothing known.
            assert status == 200
            assert getattr(result, "state", PaymentState.UNKNOWN) is PaymentState.UNKNOWN
    assert PREIMAGE.hex() not in "".join(told)
    assert b64(PREIMAGE) not in "".join(told)
    await node.close()
