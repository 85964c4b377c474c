"""The recorded session with a real LND, played again: same order, same requests, same answers.

Everything is compared, values included, but for what a run draws or reads off a clock; of that the kind of value.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors" / "lnd" / "exchanges.jsonl"
ROWS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in map(json.loads, VECTORS.read_text(encoding="utf-8").splitlines())
}

DRAWN = {
    "payment_request", "payment_addr", "identity_pubkey", "remote_pubkey", "pub_key", "destination", "channel_point",
    "block_hash", "signature",
}  # fmt: skip
"""Keys, secrets and signatures of a run."""
TIMED = {
    "creation_date", "creation_time_ns", "attempt_time_ns", "resolve_time_ns", "accept_time", "resolve_time",
    "settle_date", "timestamp", "lifetime", "uptime", "best_header_timestamp",
}  # fmt: skip
"""Clocks of a run; zero stays zero."""
FREE = {
    "invoice_create": {"r_hash"},
    "lookup_v1_hex": {"r_hash", "r_preimage"},
    "startup_getinfo_6": {"num_peers"},
    "send_second_hop_dry": {"channel_flags"},
    "balance_blockchain": {"total_balance", "confirmed_balance", "reserved_balance_anchor_chan"},
}
"""Fields drawn by a node, coins on chain, which embedded nodes do not have, and a peer that is connected
while its channel is not yet active, which here are one. A channel's direction follows from drawn keys."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def u64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def secret(number: int) -> tuple[bytes, bytes]:
    """The preimages of the recording: hashes have both + and / in standard base64."""
    preimage = hashlib.sha256(b"recorded %d" % number).digest()
    while not {"+", "/"} <= set(b64(hashlib.sha256(preimage).digest())):
        preimage = hashlib.sha256(preimage).digest()
    return preimage, hashlib.sha256(preimage).digest()


class Replay:
    """Plays rows against a rig and keeps what came back."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.answers: dict[str, tuple[int, str | None, Any]] = {}
        self.translation: dict[str, str] = {}
        self.secrets = 0

    def next_secret(self) -> tuple[bytes, bytes]:
        self.secrets += 1
        return secret(self.secrets)

    def translated(self, value: Any) -> Any:
        """A recorded request in terms of this run: its invoices are signed by other keys."""
        text = json.dumps(value, ensure_ascii=False)
        for recorded, ours in self.translation.items():
            text = text.replace(recorded, ours).replace(recorded.upper(), ours.upper())
        return json.loads(text)

    def target(self, row: dict[str, Any]) -> str:
        path = row["path"] + (f"?{row['query']}" if row["query"] else "")
        return str(self.translated(path))

    async def ask(self, name: str, macaroon: str | None = None) -> Any:
        row = ROWS[name]
        client = await self.rig.client(row["node"])
        request, body = self.translated(row["request"]), {}
        if isinstance(request, str):
            body = {"content": request}
        elif request is not None:
            body = {"json": request}
        message = client.build_request(row["method"], self.target(row), **body)
        if macaroon is not None:
            del message.headers["Grpc-Metadata-macaroon"]
            message.headers.update({"Grpc-Metadata-macaroon": macaroon} if macaroon else {})
        answer = await client.send(message)
        self.answers[name] = (answer.status_code, answer.headers.get("content-type"), answer.json())
        self.learn(row["body"], answer.json())
        return answer.json()

    def learn(self, recorded: Any, ours: Any) -> None:
        for key in ("payment_request", "payment_addr"):
            if isinstance(recorded, dict) and isinstance(ours, dict) and key in recorded and ours.get(key):
                self.translation[recorded[key]] = ours[key]

    async def begin(self, name: str) -> Any:
        row = ROWS[name]
        return await self.rig.stream(row["node"], row["method"], self.target(row), self.translated(row["request"]))

    def keep(self, name: str, stream: Any) -> None:
        response = stream.response
        self.answers[name] = (response.status_code, response.headers.get("content-type"), list(stream.lines))

    async def read(self, name: str, stream: Any = None) -> None:
        stream = stream or await self.begin(name)
        await stream.end()
        self.keep(name, stream)

    async def hold(self, digest: bytes, name: str = "", **fields: Any) -> str:
        """An invoice whose making was not recorded; `name` is a row whose request pays it."""
        invoice = await self.rig.hold(digest, **fields)
        if name:
            self.translation[ROWS[name]["request"]["payment_request"]] = invoice
        return str(invoice)

    async def invoice(self, name: str, node: str, sats: int) -> None:
        made = await self.rig.call(node, "POST", "/v1/invoices", {"value": str(sats)})
        self.translation[ROWS[name]["request"]["payment_request"]] = made["payment_request"]


async def node_state(r: Replay) -> None:
    await r.ask("getinfo")
    await r.ask("state", macaroon="")
    for name in ("balance_channels_idle", "balance_blockchain", "channels_idle", "channels_none"):
        await r.ask(name)


async def creations(r: Replay) -> None:
    for name in ROWS:
        if name.startswith(("hodl_", "invoice_create")) and name != "hodl_hash_of_canceled":
            await r.ask(name)
    r.secrets = 18
    await r.ask("lookup_plain_open")
    made = r.answers["invoice_create"][2]
    old, new = (base64.b64decode(b["r_hash"]).hex() for b in (ROWS["invoice_create"]["body"], made))
    r.translation[old] = new
    await r.ask("lookup_v1_hex")


async def lookups(r: Replay) -> None:
    digest = base64.b64decode(ROWS["cancel_open"]["request"]["payment_hash"])
    await r.hold(digest)
    for name in ROWS:
        if name in ("lookup_open", "lookup_hex", "lookup_short", "lookup_without_hash", "lookup_unknown") or re.match(
            "lookup_(standard|url)", name
        ):
            await r.ask(name)
    for name in (
        "settle_open", "settle_unknown", "settle_short", "cancel_unknown", "cancel_open", "cancel_twice",
        "lookup_canceled_unpaid", "settle_canceled", "hodl_hash_of_canceled",
    ):  # fmt: skip
        await r.ask(name)


async def settle(r: Replay) -> None:
    name = "send_in_flight_then_succeeded"
    digest = hashlib.sha256(base64.b64decode(ROWS["settle"]["request"]["preimage"])).digest()
    await r.hold(digest, name, memo="entry", expiry="3600", cltv_expiry="144")
    subscription = await r.begin("subscribe_open_accepted_settled")
    await subscription.at_least(1)
    payment = await r.begin(name)
    await r.rig.until_state(digest, "ACCEPTED")
    await r.ask("lookup_accepted")
    tracking = await r.begin("track_in_flight")
    await tracking.at_least(1)
    r.keep("track_in_flight", tracking)
    for row in ("channels_pending_htlc_payee", "channels_pending_htlc_payer"):
        await r.ask(row)
    for row in ("balance_channels_pending_htlc_payee", "balance_channels_pending_htlc_payer"):
        await r.ask(row)
    await r.read("send_again_in_flight")
    await r.read("send_by_second_payer")
    for row in ("lookup_accepted_after_second_payer", "settle_wrong_preimage", "settle", "lookup_settled_at_once"):
        await r.ask(row)
    await r.read(name, payment)
    await r.read("track_in_flight_then_succeeded", tracking)
    await r.read("subscribe_open_accepted_settled", subscription)
    for row in ("lookup_settled", "settle_twice", "cancel_settled"):
        await r.ask(row)
    for row in ("subscribe_settled", "track_succeeded", "send_already_paid"):
        await r.read(row)


async def cancel(r: Replay) -> None:
    digest = base64.b64decode(ROWS["cancel_accepted"]["request"]["payment_hash"])
    await r.hold(digest, "send_canceled_by_payee")
    subscription = await r.begin("subscribe_open_accepted_canceled")
    await subscription.at_least(1)
    payment = await r.begin("send_canceled_by_payee")
    await r.rig.until_state(digest, "ACCEPTED")
    await subscription.at_least(2)
    await r.ask("cancel_accepted")
    await r.ask("lookup_canceled_at_once")
    await r.read("send_canceled_by_payee", payment)
    await r.ask("lookup_canceled_after_accepted")
    await r.read("subscribe_open_accepted_canceled", subscription)
    await r.read("track_failed")
    await r.read("send_again_after_failed")
    digest = base64.b64decode(ROWS["subscribe_open_canceled"]["body"][0]["result"]["r_hash"])
    await r.hold(digest)
    subscription = await r.begin("subscribe_open_canceled")
    await subscription.at_least(1)
    await r.rig.call("coordinator", "POST", "/v2/invoices/cancel", {"payment_hash": b64(digest)})
    await r.read("subscribe_open_canceled", subscription)


async def unknown_hashes(r: Replay) -> None:
    digest = base64.b64decode(ROWS["subscribe_before_create"]["body"][0]["result"]["r_hash"])
    early = await r.begin("subscribe_unknown")
    await r.ask("state", macaroon="")
    assert early.response is None
    await r.hold(digest)
    await early.at_least(1)
    r.keep("subscribe_before_create", early)
    await r.rig.call("coordinator", "POST", "/v2/invoices/cancel", {"payment_hash": b64(digest)})
    await early.end()
    for name in (
        "subscribe_malformed", "subscribe_url_safe_unpadded", "track_unknown", "track_standard_percent_encoded",
        "track_standard_raw", "track_short", "track_hex",
    ):  # fmt: skip
        await r.read(name)


async def partial_payment(r: Replay) -> None:
    preimage = base64.b64decode(ROWS["settle_partial"]["request"]["preimage"])
    digest = hashlib.sha256(preimage).digest()
    invoice = await r.hold(digest)
    address = (await r.rig.call("alice", "GET", f"/v1/payreq/{invoice}"))["payment_addr"]
    keys = [b64(r.rig.network.node(alias).public_key) for alias in ("router", "coordinator")]

    async def shard(sats: int) -> Any:
        order = {"amt_msat": str(sats * 1000), "final_cltv_delta": 90, "payment_addr": address, "hop_pubkeys": keys}
        route = (await r.rig.call("alice", "POST", "/v2/router/route", order))["route"]
        route["hops"][-1]["mpp_record"]["total_amt_msat"] = "50000000"
        body = {"payment_hash": b64(digest), "route": route}
        return await r.rig.stream("alice", "POST", "/v2/router/route/send", body)

    first = await shard(20_000)
    await r.rig.until_payment("alice", digest)
    await r.ask("lookup_partial")
    await r.ask("settle_partial")
    second = await shard(30_000)
    await r.rig.until_state(digest, "ACCEPTED")
    await r.ask("lookup_accepted_two_parts")
    await r.rig.call("coordinator", "POST", "/v2/invoices/settle", {"preimage": b64(preimage)})
    for part in (first, second):
        assert (await part.end())[0]["status"] == "SUCCEEDED"


async def expiries(r: Replay) -> None:
    digest = base64.b64decode(ROWS["lookup_expired_by_time"]["body"]["r_hash"])
    await r.hold(digest, "send_expired_invoice", expiry="1")
    await r.rig.control.post("/control/clock", json={"advance_seconds": 2})
    await r.ask("lookup_expired_by_time")
    await r.read("send_expired_invoice")
    digest = base64.b64decode(ROWS["lookup_accepted_past_expiry"]["body"]["r_hash"])
    invoice = await r.hold(digest, expiry="2")
    payment = await r.rig.pay("alice", invoice)
    await r.rig.until_state(digest, "ACCEPTED")
    await r.rig.control.post("/control/clock", json={"advance_seconds": 4})
    await r.ask("lookup_accepted_past_expiry")
    await settle_by_hash(r, digest)
    await payment.end()

    digest = base64.b64decode(ROWS["lookup_before_auto_cancel"]["body"]["r_hash"])
    await r.hold(digest, "send_auto_canceled", cltv_expiry="30")
    payment = await r.begin("send_auto_canceled")
    await r.rig.until_state(digest, "ACCEPTED")
    await r.rig.control.post("/control/height", json={"height": 131})
    await r.ask("lookup_before_auto_cancel")
    await r.rig.control.post("/control/height", json={"height": 132})
    await r.ask("lookup_auto_canceled")
    await r.read("send_auto_canceled", payment)
    await r.ask("settle_auto_canceled")


async def settle_by_hash(r: Replay, digest: bytes) -> None:
    preimage = next(p for n in range(1, 60) for p, found in [secret(n)] if found == digest)
    await r.rig.call("coordinator", "POST", "/v2/invoices/settle", {"preimage": b64(preimage)})


async def sends(r: Replay) -> None:
    async def send(name: str, payee: str, sats: int) -> None:
        await r.invoice(name, payee, sats)
        await r.read(name)

    await send("send_direct", "coordinator", 1000)
    await send("send_two_hops", "coordinator", 100_000)
    await send("send_two_hops_without_fee_limit", "coordinator", 1000)
    await send("send_without_timeout", "router", 1000)
    await send("send_no_route", "loner", 1000)
    await send("send_insufficient_balance", "coordinator", 4_000_000)
    await send("send_from_node_without_channels", "coordinator", 1000)
    made = await r.rig.call("coordinator", "POST", "/v1/invoices", {"value": "1000000"})
    await (await r.rig.pay("router", made["payment_request"])).end()
    await send("send_second_hop_dry", "coordinator", 2_000_000)
    await send("send_fee_limit_too_low", "coordinator", 100_000)
    digest = bytes.fromhex(ROWS["send_incorrect_details"]["body"][0]["result"]["payment_hash"])
    await r.hold(digest, "send_incorrect_details")
    await r.rig.call("coordinator", "POST", "/v2/invoices/cancel", {"payment_hash": b64(digest)})
    await r.read("send_incorrect_details")
    await send("send_to_self", "coordinator", 1000)
    await send("send_amt_on_fixed_amount", "coordinator", 1000)
    await r.invoice("send_amt_missing", "coordinator", 0)
    await r.read("send_amt_missing")
    await r.read("send_amt_given")
    await send("send_cltv_limit_too_low", "coordinator", 1000)
    await send("send_cltv_limit_below_route", "coordinator", 1000)
    await r.read("send_garbage")
    await r.read("send_other_network")


async def payment_requests(r: Replay) -> None:
    digest = bytes.fromhex(ROWS["payreq"]["body"]["payment_hash"])
    invoice = await r.hold(digest, memo="entry ü", cltv_expiry="144", expiry="600")
    recorded = ROWS["payreq"]["path"].rpartition("/")[2]
    r.translation[recorded] = invoice
    bad = ROWS["payreq_bad_checksum"]["path"].rpartition("/")[2]
    r.translation[bad] = invoice[:-1] + ("q" if invoice[-1] != "q" else "p")
    for name in ROWS:
        if name.startswith("payreq"):
            await r.ask(name)


async def permissions(r: Replay) -> None:
    wanted = [{"entity": "info", "action": "read"}, {"entity": "invoices", "action": "read"}]
    weak = (await r.rig.call("coordinator", "POST", "/v1/macaroon", {"permissions": wanted}))["macaroon"]
    await r.ask("macaroon_missing", macaroon="")
    await r.ask("macaroon_garbage", macaroon="00")
    await r.ask("macaroon_not_hex", macaroon="xyz")
    await r.ask("permission_missing", macaroon=weak)
    await r.ask("permission_given", macaroon=weak)
    await r.ask("route_unknown")
    await r.ask("route_wrong_method")


async def start_up(r: Replay) -> None:
    """The states of a start, one by one; real time plays no part."""
    states = {2: "WAITING_TO_START", 3: "LOCKED", 4: "UNLOCKED", 5: "RPC_ACTIVE", 6: None}
    digest = base64.b64decode(ROWS["lookup_accepted_after_restart"]["body"]["r_hash"])
    payment = await r.rig.pay("alice", await r.hold(digest), no_inflight_updates=True)
    await r.rig.until_state(digest, "ACCEPTED")
    await r.rig.control.post("/control/faults", json={"node": "router", "mode": "offline"})
    for number, state in states.items():
        await r.rig.control.post("/control/state", json={"node": "coordinator", "state": state})
        for call in ("state", "getinfo", "lookup"):
            if f"startup_{call}_{number}" in ROWS:
                await r.ask(f"startup_{call}_{number}")
    await r.ask("lookup_accepted_after_restart")
    await r.ask("settle_after_restart")
    await r.rig.control.post("/control/faults", json={"node": "router", "mode": "ok"})
    assert (await payment.end())[-1]["result"]["status"] == "SUCCEEDED"
    await r.invoice("send_peer_offline", "coordinator", 1000)
    await r.rig.control.post("/control/faults", json={"node": "router", "mode": "offline"})
    await r.read("send_peer_offline")
    await r.ask("channels_peer_offline")


SCENARIOS: tuple[Callable[[Replay], Any], ...] = (
    node_state, creations, lookups, settle, cancel, unknown_hashes, partial_payment, expiries, sends,
    payment_requests, permissions, start_up,
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest) -> dict[str, tuple[int, str | None, Any]]:
    """What our node says to every recorded request, in one run."""
    import importlib.util

    path = Path(__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("lightning_rig", path)
    assert spec is not None
    assert spec.loader is not None
    rig_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rig_module)

    async def play() -> dict[str, tuple[int, str | None, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            async with rig_module.served(Path(folder)) as rig:
                replay = Replay(rig)
                for scenario in SCENARIOS:
                    await scenario(replay)
                return replay.answers

    return asyncio.run(play())


UNANSWERED = {name for name, row in ROWS.items() if row["status"] is None}
"""Notes about answers that did not come."""


@pytest.mark.parametrize("name", sorted(ROWS.keys() - UNANSWERED))
def test_same_answer(name: str, answers: dict[str, tuple[int, str | None, Any]]) -> None:
    status, content_type, body = answers[name]
    row = ROWS[name]
    assert (status, content_type) == (row["status"], row["content_type"]), body
    assert list(differences(row["body"], body, name, FREE.get(name, set()))) == []


def differences(recorded: Any, ours: Any, where: str, free: set[str], key: str = "") -> Iterator[str]:
    if type(recorded) is not type(ours):
        yield f"{where}: {recorded!r} is not {ours!r}"
    elif isinstance(recorded, dict):
        yield from different_fields(recorded, ours, where, free)
    elif isinstance(recorded, list):
        if len(recorded) != len(ours):
            yield f"{where}: {len(recorded)} items, not {len(ours)}"
        for place, pair in enumerate(zip(recorded, ours, strict=False)):
            yield from differences(*pair, f"{where}[{place}]", free, key)
    elif not same(recorded, ours, where, key, free):
        yield f"{where}: {recorded!r} is not {ours!r}"


def different_fields(recorded: dict[str, Any], ours: dict[str, Any], where: str, free: set[str]) -> Iterator[str]:
    if recorded.keys() != ours.keys():
        yield f"{where}: fields {sorted(recorded.keys() ^ ours.keys())}"
    for name in recorded.keys() & ours.keys():
        yield from differences(recorded[name], ours[name], f"{where}.{name}", free, name)


def same(recorded: Any, ours: Any, where: str, key: str, free: set[str]) -> bool:
    if key in TIMED:
        return bool(int(recorded)) == bool(int(ours))
    if key in DRAWN | free:
        return bool(recorded) == bool(ours) or key in free
    if key == "message":
        return normalized(recorded) == normalized(ours)
    if key in ("payment_hash", "payment_preimage", "preimage") and drawn_preimage(where):
        return is_blank(recorded) == is_blank(ours)
    return recorded == ours


def drawn_preimage(where: str) -> bool:
    """Payments of plain invoices that the recording made without a preimage of its own."""
    name = where.partition(".")[0].partition("[")[0]
    return name.startswith("send_") and ROWS[name]["node"] is not None and name not in HELD


HELD = {
    "send_in_flight_then_succeeded", "send_again_in_flight", "send_by_second_payer", "send_canceled_by_payee",
    "send_again_after_failed", "send_auto_canceled", "send_incorrect_details",
}  # fmt: skip
"""Payments of hold invoices, whose hashes are those of the recording."""


def is_blank(text: str) -> bool:
    return not text.strip("0")


def normalized(text: str) -> str:
    """Error texts without what varies: build-dependent blanks, dates, letters of a checksum."""
    text = text.replace("\u00a0", " ")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    return re.sub(r"Expected \w{6}, got \w{6}", "Expected, got", text)
