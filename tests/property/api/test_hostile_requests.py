"""Whatever is sent: no defect, always a problem that says what to change, nothing half done in the database."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from coordinator.api.documents.common import Problem
from coordinator.api.routes import payouts, tickets
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    Cancelled,
    CollectingEntries,
    Created,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import Batch, BatchesOpen, HoldState, OracleEvent
from coordinator_core.competition.picks import Choice, Pick, commit
from coordinator_core.nostr.event import sign_event
from coordinator_core.nostr.nip98 import HTTP_AUTH_KIND, build_authorization
from coordinator_core.oracle.outcomes import ranking_index
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.transaction import OutPoint
from coordinator_core.units import UnixTime
from tests.support.asgi import Answer, ask
from tests.support.attempt import altered
from tests.support.examples import sweep
from tests.support.openapi import DOCUMENT, Contract
from tests.support.signing_session import ONE, pin_batch, registration_of, user_of

ORIGIN = "http://test"
UNKNOWN = "01926f3a-0000-7000-8000-0000000000ff"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
MANY = settings(max_examples=sweep(150), deadline=None, suppress_health_check=QUIET)
FEW = settings(MANY, max_examples=20)
ATTEMPT: dict[str, Any] = {"attempt": 1, "event_id": "01926f3a-0000-7000-8000-000000000001"}

SALT = bytes(32)
PICKS = tuple(
    Pick(target=target, metric=metric, choice=Choice.OVER)
    for target, metric in (("KORD", "temp_high"), ("KSAW", "temp_high"), ("KORD", "rain_amt"))
)
Body = dict[str, Any]


@dataclass
class World:
    """One competition in each of some states, with tickets of the first players."""

    edge: Any
    contract: Contract
    lanes: Mapping[str, str]

    async def send(self, method: str, target: str, headers: Mapping[str, bytes], body: bytes) -> Answer:
        """One request with all that must hold of every answer."""
        before = await self.edge.rows()
        given = [(name.encode(), value) for name, value in headers.items()]
        answer = await ask(self.edge.application, method, target, given, (body,))
        assert answer.status != 500, answer.body
        assert b"Traceback" not in answer.body
        if answer.status >= 400:
            assert await self.edge.rows() == before, f"{method} {target} was refused and left something behind"
            # A report of what does not move is the whole answer of /healthz, with its status.
            if method != "HEAD" and not target.startswith("/healthz"):
                self._problem(answer)
        self._documented(method, target, answer)
        return answer

    def _problem(self, answer: Answer) -> None:
        assert answer.headers["content-type"] == "application/problem+json", answer
        problem = msgspec.json.decode(answer.body, type=Problem)
        assert problem.status == answer.status
        assert problem.detail
        if answer.status not in (429, 503):
            assert isinstance(problem.field, str), answer.body
            assert problem.field, answer.body
            assert isinstance(problem.fix, str), answer.body
            assert problem.fix, answer.body
        else:
            assert int(answer.headers["retry-after"]) > 0

    def _documented(self, method: str, target: str, answer: Answer) -> None:
        path = self.contract.path_of(target.partition("?")[0])
        if path is not None and method.lower() in self.contract.document["paths"][path]:
            promised = self.contract.document["paths"][path][method.lower()]["responses"]
            assert str(answer.status) in promised, f"{method} {path}: {answer.status} {answer.body!r}"

    def own(self, state: str, part: str = "") -> str:
        """The first player's entry in a competition of this state."""
        return f"/api/v1/competitions/{self.lanes[state]}/entries/{self.edge.ids[0]}{part}"

    def signed(self, method: str, target: str, body: bytes, at: int = 0) -> Mapping[str, bytes]:
        now = UnixTime(self.edge.now + at)
        return {"authorization": build_authorization(method, ORIGIN + target, body, self.edge.keys[0], now).encode()}


@pytest.fixture
async def world(edge: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    async def contract(*_: object) -> object:
        return SimpleNamespace(contract=SimpleNamespace(split_outpoint=lambda _: OutPoint(bytes(32), 1)))

    # A signed contract takes long to build; which output a debt receipt names is another test's matter.
    monkeypatch.setattr(payouts, "signed_contract", contract)
    monkeypatch.setattr(tickets, "INVOICE_WAIT_SECONDS", 0.001)
    roster = edge.ids[:3]
    event = OracleEvent(**ATTEMPT, nonce_point="02" + "ee" * 32, entries=3)
    held = [*edge.entries(3, HoldState.ACCEPTED), event]
    batches = BatchesOpen(attempt=1, batches=(Batch(ONE, 0, 1),), opened_at=edge.now)
    mine, *others = edge.seals(3, 3)
    sealed = [altered(mine, registration=registration_of(user_of(edge), bytes.fromhex(mine.ciphertext))), *others]
    paying = OutcomeBroadcasted(
        roster=roster, attempt=1, funding_txid=edge.funding, contract="c0" * 32, outcome=ranking_index((0, 1), 3)
    )
    session = _session(edge)
    signing = AwaitingSigning(roster=roster, funding_txid=edge.funding, **ATTEMPT)
    states: dict[str, tuple[Any, list[Any]]] = {
        "open": (CollectingEntries(terms_hash="00"), edge.unpaid(0, HoldState.CANCELED)),
        "full": (CollectingEntries(terms_hash="00"), edge.entries(3, HoldState.ACCEPTED)),
        "sealing": (AwaitingKeygen(roster=roster, **ATTEMPT), [*held, session, _committed(held[1])]),
        "signing": (signing, [*held, session, *sealed, batches]),
        "paying": (paying, [*edge.entries(3, HoldState.SETTLED), session, event]),
        "ended": (Cancelled(reason="too few"), edge.entries(1, HoldState.CANCELED)),
    }
    lanes = {name: await edge.competition(state, facts) for name, (state, facts) in states.items()}
    await pin_batch(edge, lanes["signing"])
    lanes["created"] = await edge.bare(Created())
    document = (await edge.browser.get(DOCUMENT)).json()
    return World(edge, Contract(document), lanes)


def _committed(entry: Any) -> Any:
    """An entry that the picks of these tests open."""
    commitment = commit(UUID(entry.entry_id), SALT, PICKS).hex()
    return type(entry)(**{**msgspec.structs.asdict(entry), "commitment": commitment})


def _session(edge: Any) -> Any:
    session = edge.session(3)
    recipients = json.dumps({"user_enclave_assignments": {}})
    return type(session)(**{**msgspec.structs.asdict(session), "recipients": recipients})


INTEGERS = st.integers() | st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400])
NUMBERS = INTEGERS | st.floats()
WORDS = st.text(max_size=40) | st.sampled_from(["", "\x00", "\u202e", "a" * 70_000, "0" * 64, UNKNOWN, "ff" * 33])
UNWRITABLE = {
    "nested": b"[" * 50_000 + b"]" * 50_000,
    "invalid UTF-8": b'"\xff"',
    "long number": b"9" * 5_000,
    "lone surrogate": b'"\\ud800"',
    "large exponent": b"1e999",
}
"""What json.dumps does not write, by the text that stands for it until it has."""
ODD = st.sampled_from(sorted(UNWRITABLE))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
"""JSON values, and some that only look like it."""


def hex_of(octet: str, length: int) -> str:
    return octet * length


def bodies_of(world: World) -> dict[str, tuple[str, str, Body]]:
    """Method, address and a body of the right shape for each route that takes one."""
    edge, entry = world.edge, {"entry_id": world.edge.ids[0], "attempt": 1}
    event = sign_event(edge.keys[0], 9_850, "{}", created_at=edge.now)
    closing = {name: f"/api/v1/competitions/{world.lanes[name]}/keymeld" for name in ("sealing", "signing")}
    registration = {"context": {"user_id": edge.ids[0], "public_key": [2] * 33}, "signature": [0] * 64}
    approval = {"user_id": edge.ids[0], "timestamp": edge.now, "signature": [1] * 64}
    header = f"v1:{edge.now}:{hex_of('ab', 16)}:{hex_of('cd', 64)}"
    draft = {"title": "t", "network": "regtest", "targets": ["KORD"], "metrics": ["temp_high"], "values_per_entry": 1}
    dates = {name: "2026-10-01T00:00:00Z" for name in ("entries_close", "observation_start", "observation_end")}
    money = {"entry_fee": 5_000, "minimum_entries": 3, "maximum_entries": 5, "signing_date": "2026-10-03T01:00:00Z"}
    urls = {"oracle_url": "http://127.0.0.1:1", "keymeld_gateway": "http://127.0.0.1:2"}
    opened = {"registration": registration, "ciphertext": "00", "salt": SALT.hex(), "picks": msgspec.to_builtins(PICKS)}
    approved = {"signing_session_id": ONE, "approval": approval, "x_user_signature": header}
    cancel = f"/api/v1/operator/competitions/{world.lanes['ended']}/cancel"
    return {
        "hand in": ("PUT", world.own("open"), {"event": json.loads(event.to_json())}),
        "join": ("POST", f"{closing['sealing']}/join", {**entry, **opened}),
        "ready": ("POST", f"{closing['signing']}/ready", {**entry, "sessions": [ONE]}),
        "approvals": ("POST", f"{closing['signing']}/approvals", {**entry, "approvals": [approved]}),
        "payout": ("POST", world.own("paying", "/payout"), {"payment_request": "ln1", "payout_preimage": "00" * 32}),
        "key": ("POST", world.own("paying", "/key"), {"entry_key": hex_of("01", 32)}),
        "budget": ("POST", "/api/v1/operator/budget", {"draft": {**draft, **dates, **money, **urls}}),
        "create": ("POST", "/api/v1/operator/competitions", {"draft": {**draft, **dates, **money, **urls}}),
        "cancel": ("POST", cancel, {"reason": "no weather"}),
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        inner = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [path, *(place for name, item in inner for place in places(item, (*path, name)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(copied[path[0]], path[1:], new)
    return copied


def as_bytes(draw: DataObject, value: Any) -> bytes:
    """A document on the wire, whole or damaged."""
    text = json.dumps(value, ensure_ascii=draw.draw(st.booleans())).encode(errors="surrogatepass")
    for mark, raw in UNWRITABLE.items():
        text = text.replace(json.dumps(mark).encode(), raw)
    damage: Mapping[str, Callable[[], bytes]] = {
        "none": lambda: text,
        "truncated": lambda: text[: draw.draw(st.integers(0, len(text)))],
        "invalid UTF-8": lambda: text.replace(b'"', b'"\xff', draw.draw(st.integers(1, 9))),
        "duplicate members": lambda: b'{"entry_id":1,"entry_id":2,' + text[1:],
        "something after it": lambda: text + draw.draw(st.binary(max_size=9)),
        "not JSON": lambda: draw.draw(st.binary(max_size=60)),
        "too long": lambda: text + b" " * 1_000_001,
    }
    return damage[draw.draw(st.just("none") | st.sampled_from(sorted(damage)))]()


@MANY
@given(draw=st.data())
async def test_any_body_is_taken_whole_or_refused_by_field(world: World, draw: DataObject) -> None:
    method, target, body = bodies_of(world)[draw.draw(st.sampled_from(sorted(bodies_of(world))))]
    value: Any = body
    for _ in range(draw.draw(st.integers(0, 2))):
        value = put(value, draw.draw(st.sampled_from(places(value))), draw.draw(ODD | VALUES))
    raw = as_bytes(draw, value)
    headers: Mapping[str, bytes] = {"authorization": b"Bearer operator"}
    if "/operator/" not in target:
        headers = world.signed(method, target, raw)
    kind = draw.draw(st.sampled_from([b"application/json", b"text/plain", b"application/msgpack", b"\xff", b""]))
    answer = await world.send(method, target, {**headers, "content-type": kind}, raw)
    assert 200 <= answer.status < 600


SEGMENTS = st.text(min_size=1, max_size=20).map(lambda text: quote(text, safe="")) | st.sampled_from(
    ["%ff", "%00", "..", "%2e%2e", "%2F", UNKNOWN.upper(), UNKNOWN[:-1], "0", "x" * 5_000]
)
HEADER = st.binary(max_size=60) | st.sampled_from([b"", b"[::1", b"*/*;q=x", b",;=,", b"text/html;q=1;q=", b"\xff\xfe"])
HEADERS = ("accept", "content-type", "host", "idempotency-key", "x-forwarded-for", "if-none-match", "cookie", "origin")


@MANY
@given(draw=st.data())
async def test_any_request_line_and_headers_get_an_answer(world: World, draw: DataObject) -> None:
    routes = sorted({route.path for route in world.edge.application.routes})
    route = draw.draw(st.sampled_from(routes))
    known = st.sampled_from([*world.lanes.values(), *world.edge.ids, UNKNOWN])
    path = re.sub(r"\{[^}]*\}", lambda _: draw.draw(known | SEGMENTS), route)
    query = draw.draw(st.sampled_from(["", f"?entry={world.edge.ids[0]}", "?entry=", "?page=1e9", "?%ff=%00&entry=1"]))
    method, target = draw.draw(st.sampled_from(METHODS)), path + query
    names = draw.draw(st.lists(st.sampled_from(HEADERS), max_size=3, unique=True))
    headers = {name: draw.draw(HEADER) for name in names}
    proof = draw.draw(st.sampled_from(["none", "player", "operator"]))
    if proof == "player" and target.isascii():
        headers |= world.signed(method, target, b"")
    elif proof == "operator":
        headers["authorization"] = b"Bearer operator"
    if headers.get("accept") is not None and not path.startswith("/api/"):
        headers["accept"] = b"application/json"
    assert 200 <= (await world.send(method, target, headers, b"")).status < 600


def proofs(world: World, method: str, target: str, body: bytes) -> dict[str, bytes]:
    """Authorizations that are good for something else than this request, by what is wrong with them."""
    now, key, url = world.edge.now, world.edge.keys[0], ORIGIN + target

    def made(tags: list[list[str]], *, kind: int = HTTP_AUTH_KIND, content: str = "", at: int = 0) -> bytes:
        event = sign_event(key, kind, content, tags, created_at=UnixTime(now + at))
        return b"Nostr " + base64.b64encode(event.to_json())

    u, m, p = ["u", url], ["method", method], ["payload", sha256(body).hex()]
    good = made([u, m, p])
    event = json.loads(base64.b64decode(good[6:]))
    stolen = {**event, "pubkey": SecretKey.from_bytes(b"\x09" * 32).x_only.hex()}
    return {
        "missing": b"",
        "expired": made([u, m, p], at=-61),
        "future": made([u, m, p], at=61),
        "far future": made([u, m, p], at=2**40),
        "another address": made([["u", url + "/x"], m, p]),
        "another host": made([["u", url.replace("test", "elsewhere")], m, p]),
        "another query": made([["u", url + "?a=1"], m, p]),
        "no address": made([["u", "http://[::1"], m, p]),
        "another method": made([u, ["method", "DELETE"], p]),
        "another body": made([u, m, ["payload", sha256(b"another").hex()]]),
        "no hash of the body": made([u, m]),
        "another kind": made([u, m, p], kind=1),
        "with content": made([u, m, p], content="x"),
        "another author": b"Nostr " + base64.b64encode(json.dumps(stolen).encode()),
        "broken signature": b"Nostr " + base64.b64encode(json.dumps({**event, "sig": "00" * 64}).encode()),
        "not base64": good[:-3] + b"***",
        "not an event": b"Nostr " + base64.b64encode(b"[" * 5_000),
        "truncated": good[: len(good) // 2],
        "another scheme": b"Bearer " + good[6:],
        "too long": b"Nostr " + b"A" * 9_000,
        "not ASCII": b"Nostr \xff\xfe",
    }


@pytest.mark.parametrize("part", ["", "/renewal"])
async def test_a_proof_of_something_else_does_nothing(world: World, part: str) -> None:
    method, body = ("PUT", b'{"event": {}}') if not part else ("POST", b"{}")
    target = world.own("open", part)
    for wrong, header in proofs(world, method, target, body).items():
        answer = await world.send(method, target, {"authorization": header}, body)
        assert answer.status == 401, wrong
        assert answer.json()["code"] == "nostr.not_authorized"
    answer = await world.send(method, target, world.signed(method, target, body), body)
    assert answer.status in ((201,) if part else (400,))


async def test_a_proof_is_taken_once_even_where_the_request_was_refused(world: World) -> None:
    for target, first in ((world.own("open", "/renewal"), 201), (world.own("full", "/renewal"), 409)):
        headers = world.signed("POST", target, b"{}")
        assert (await world.send("POST", target, headers, b"{}")).status == first
        again = await world.send("POST", target, headers, b"{}")
        assert (again.status, again.json()["field"]) == (400, "authorization")


@FEW
@given(noise=st.binary(max_size=200))
async def test_any_authorization_is_refused_as_unauthorized(world: World, noise: bytes) -> None:
    target = f"/api/v1/competitions/{world.lanes['open']}/entries"
    for header in (noise, b"Nostr " + noise, b"Nostr " + base64.b64encode(noise), b"Bearer " + noise):
        assert (await world.send("POST", target, {"authorization": header}, b"")).status == 401
        operator = await world.send("POST", "/api/v1/operator/wallet/address", {"authorization": header}, b"")
        assert operator.status == 401
