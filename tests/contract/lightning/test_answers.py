"""One story, asked of both networks in LND's REST itself: every answer looks as the recorded one.

What the client and the embedded servers were written from is so compared with the LND that is here.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.ports.lightning import InvoiceState
from tests.contract.lightning.conftest import Network
from tests.contract.lightning.doors import Answer, Door
from tests.support.shapes import differences, shape

RECORDED: dict[str, dict[str, Any]] = {
    exchange["name"]: exchange
    for exchange in map(
        json.loads, (Path(__file__).parents[2] / "vectors/lnd/exchanges.jsonl").read_text().splitlines()
    )
}
HODL, LOOKUP = "/v2/invoices/hodl", "/v2/invoices/lookup"
SETTLE, CANCEL = "/v2/invoices/settle", "/v2/invoices/cancel"
ZERO = base64.b64encode(bytes(32)).decode()


class Story:
    """Compares each answer with the recording of its name, and tells all differences at the end."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.told: list[str] = []

    async def get(self, name: str, path: str, **query: str) -> Answer:
        return self.compare(name, await self.door.ask("GET", path, query=query, lines=lines_of(name)))

    async def post(self, name: str, path: str, body: Any) -> Answer:
        return self.compare(name, await self.door.ask("POST", path, body=body, lines=lines_of(name)))

    def compare(self, name: str, answer: Answer) -> Answer:
        recorded = RECORDED[name]
        if answer.status != recorded["status"]:
            self.told.append(f"{name}: status {answer.status}, recorded {recorded['status']}: {answer.body}")
        self.told += [f"{name}{place}" for place in differences(shape(recorded["body"]), shape(answer.body))]
        codes = [code_of(body) for body in (recorded["body"], answer.body)]
        if codes[0] != codes[1]:
            self.told.append(f"{name}: code {codes[1]}, recorded {codes[0]}")
        return answer


def lines_of(name: str) -> int | None:
    """How many lines of a stream to wait for; None for a plain answer."""
    body = RECORDED[name]["body"]
    return len(body) if isinstance(body, list) else None


def code_of(body: Any) -> Any:
    return body.get("error", body).get("code") if isinstance(body, dict) else None


def b64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def u64(hexadecimal: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(hexadecimal)).decode()


@pytest.fixture
async def story(network: Network) -> Story:
    return Story(network.owner.door("coordinator"))


async def test_the_node_itself(network: Network, story: Story) -> None:
    await story.get("getinfo", "/v1/getinfo")
    await story.get("state", "/v1/state")
    await story.get("balance_channels_idle", "/v1/balance/channels")
    await story.get("balance_blockchain", "/v1/balance/blockchain")
    await story.get("channels_idle", "/v1/channels")
    await story.get("route_unknown", "/v2/nope")
    await story.get("route_wrong_method", HODL)
    for name, macaroon in (("macaroon_missing", None), ("macaroon_garbage", "00"), ("macaroon_not_hex", "xx")):
        story.compare(name, await network.owner.door("coordinator", macaroon).ask("GET", "/v1/getinfo"))
    assert story.told == []


async def test_making_invoices(network: Network, story: Story) -> None:
    own, other = b64(network.hash()), b64(network.hash(1))
    await story.post("hodl_create", HODL, {"hash": own, "value": "50000", "memo": "ticket", "expiry": "600"})
    await story.post("hodl_duplicate_hash", HODL, {"hash": own, "value": "50000"})
    await story.post("hodl_unknown_field", HODL, {"hash": other, "value": "1", "bogus": 1})
    await story.post("hodl_bad_json", HODL, "{nope")
    await story.post("hodl_memo_too_long", HODL, {"hash": other, "value": "1", "memo": "x" * 1025})
    await story.post("hodl_cltv_expiry_too_low", HODL, {"hash": other, "value": "1", "cltv_expiry": "17"})
    await story.post("hodl_expiry_too_long", HODL, {"hash": other, "value": "1", "expiry": "40000000"})
    await story.post("hodl_hash_in_hex", HODL, {"hash": network.hash(1), "value": "1"})
    await story.post("hodl_hash_short", HODL, {"hash": b64("00" * 31), "value": "1"})
    await story.post("hodl_value_and_value_msat", HODL, {"hash": other, "value": "1", "value_msat": "1000"})
    await story.post("hodl_value_negative", HODL, {"hash": other, "value": "-5"})
    await story.post("cancel_open", CANCEL, {"payment_hash": own})
    await story.post("cancel_twice", CANCEL, {"payment_hash": own})
    await story.post("settle_canceled", SETTLE, {"preimage": preimage(network)})
    await story.post("hodl_hash_of_canceled", HODL, {"hash": own, "value": "1"})
    await story.get("lookup_canceled_unpaid", LOOKUP, payment_hash=u64(network.hash()))
    assert story.told == []


async def test_looking_up(network: Network, story: Story) -> None:
    made = await network.hold()
    await story.get("lookup_open", LOOKUP, payment_hash=u64(network.hash()))
    await story.get("lookup_url_safe_unpadded", LOOKUP, payment_hash=u64(network.hash()).rstrip("="))
    await story.get("lookup_hex", LOOKUP, payment_hash=network.hash())
    await story.get("lookup_short", LOOKUP, payment_hash=u64("00" * 9))
    await story.get("lookup_without_hash", LOOKUP)
    await story.get("lookup_unknown", LOOKUP, payment_hash=u64("00" * 32))
    await story.get("track_unknown", f"/v2/router/track/{u64('00' * 32)}")
    await story.get("track_short", f"/v2/router/track/{u64('00' * 31)}")
    await story.get("payreq", f"/v1/payreq/{made.payment_request}")
    await story.get("payreq_garbage", "/v1/payreq/lnbcrt1bogus")
    await story.post("settle_open", SETTLE, {"preimage": preimage(network)})
    await story.post("settle_unknown", SETTLE, {"preimage": ZERO})
    await story.post("settle_short", SETTLE, {"preimage": b64("00" * 31)})
    await story.post("cancel_unknown", CANCEL, {"payment_hash": ZERO})
    assert story.told == []


async def test_held_and_settled(network: Network, story: Story) -> None:
    held, task = await network.held()
    await story.get("lookup_accepted", LOOKUP, payment_hash=u64(network.hash()))
    await story.get("channels_pending_htlc_payee", "/v1/channels")
    await story.get("balance_channels_pending_htlc_payee", "/v1/balance/channels")
    payer = Story(network.owner.door(network.alias))
    track = f"/v2/router/track/{u64(network.hash())}"
    await payer.get("track_in_flight", track)
    again = {"payment_request": held.payment_request, "fee_limit_sat": "100", "timeout_seconds": 30}
    await payer.post("send_again_in_flight", "/v2/router/send", again)
    await story.post("settle", SETTLE, {"preimage": preimage(network)})
    await task
    await story.get("lookup_settled", LOOKUP, payment_hash=u64(network.hash()))
    await story.post("settle_twice", SETTLE, {"preimage": preimage(network)})
    await story.post("cancel_settled", CANCEL, {"payment_hash": b64(network.hash())})
    await story.get("subscribe_settled", f"/v2/invoices/subscribe/{u64(network.hash())}")
    await payer.get("track_succeeded", track)
    await payer.post("send_already_paid", "/v2/router/send", again)
    assert story.told + payer.told == []


async def test_held_and_canceled(network: Network, story: Story) -> None:
    held, task = await network.held()
    await story.post("cancel_accepted", CANCEL, {"payment_hash": b64(network.hash())})
    await task
    assert (await network.reach(InvoiceState.CANCELED)).payment_hash == held.payment_hash
    await story.get("lookup_canceled_after_accepted", LOOKUP, payment_hash=u64(network.hash()))
    payer = Story(network.owner.door(network.alias))
    await payer.get("track_failed", f"/v2/router/track/{u64(network.hash())}")
    assert story.told + payer.told == []


def preimage(network: Network) -> str:
    return base64.b64encode(network.preimage().reveal()).decode()
