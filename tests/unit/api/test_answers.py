"""Real answers of every route against the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from coordinator.api.routes import tickets
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    CollectingEntries,
    Created,
    OutcomeBroadcasted,
    Returning,
)
from coordinator.domain.facts import (
    Attested,
    Batch,
    BatchesOpen,
    BatchSigned,
    HoldState,
    Invoice,
    Keygen,
    OracleEvent,
    Pinned,
    PrizeState,
    Sent,
    SessionOpen,
)
from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.oracle.outcomes import ranking_index
from coordinator_core.secret import Secret
from coordinator_core.units import Sats, UnixTime
from tests.support.attempt import altered
from tests.support.openapi import DOCUMENT, Contract
from tests.support.signing_session import ONE, TWO, approvals, pin_batch, registration_of, user_of


@pytest.fixture
async def contract(edge: Any) -> Contract:
    return Contract((await edge.browser.get(DOCUMENT)).json())


async def test_public_answers_of_competitions_are_as_documented(edge: Any, contract: Contract) -> None:
    created = await edge.bare(Created())
    selling = await edge.competition(CollectingEntries(terms_hash="00"))
    ended = await edge.competition(Returning(reason="too few players", ends_in="cancelled"))
    base = "/api/v1/competitions/{competition}"
    contract.check("/api/v1/competitions", await edge.browser.get("/api/v1/competitions"))
    contract.check("/api/v1/status", await edge.browser.get("/api/v1/status"))
    for lane in (created, selling, ended):
        detail = contract.check(base, await edge.browser.get(f"/api/v1/competitions/{lane}"))
        assert detail["id"] == lane
        for part in ("terms", "entries", "contract"):
            contract.check(f"{base}/{part}", await edge.browser.get(f"/api/v1/competitions/{lane}/{part}"))
    assert ("get", f"{base}/terms", 404) in contract.seen
    assert ("get", f"{base}/terms", 200) in contract.seen


PICKS = tuple(
    Pick(target=target, metric=metric, choice=Choice.OVER)
    for target, metric in (("KORD", "temp_high"), ("KSAW", "temp_high"), ("KORD", "rain_amt"))
)
PLAYER = Secret(b"\x07" * 32)


async def test_a_ticket_from_reservation_to_preimage_is_as_documented(
    edge: Any, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "INVOICE_WAIT_SECONDS", 0.01)
    lane = await edge.competition(CollectingEntries(terms_hash=edge.terms.hash.hex()))
    entries, base = "/api/v1/competitions/{competition}/entries", f"/api/v1/competitions/{lane}/entries"
    own = f"{entries}/{{entry}}"
    reserved = contract.check(entries, await edge.signed("POST", base))
    entry_id = reserved["entry_id"]
    view = contract.check(own, await edge.signed("GET", f"{base}/{entry_id}"))
    assert view["ticket_state"] == "reserved"
    body = _signed_entry(edge, entry_id, view["ticket_hash"])
    taken = contract.check(own, await edge.signed("PUT", f"{base}/{entry_id}", body))
    assert taken["payment_hash"] == view["ticket_hash"]
    invoice = _invoice(entry_id, view["ticket_hash"], HoldState.OPEN)
    await edge.add_facts(lane, invoice)
    again = contract.check(own, await edge.signed("PUT", f"{base}/{entry_id}", body))
    assert again["payment_request"] == invoice.payment_request
    contract.check(f"{own}/renewal", await edge.signed("POST", f"{base}/{entry_id}/renewal"))
    contract.check(f"{own}/ticket", await edge.signed("GET", f"{base}/{entry_id}/ticket"))
    await edge.add_facts(lane, _invoice(entry_id, view["ticket_hash"], HoldState.CANCELED))
    contract.check(f"{own}/renewal", await edge.signed("POST", f"{base}/{entry_id}/renewal"))
    renewed = contract.check(own, await edge.signed("GET", f"{base}/{entry_id}"))
    assert renewed["ticket_hash"] != view["ticket_hash"]
    await edge.add_facts(lane, _invoice(entry_id, renewed["ticket_hash"], HoldState.SETTLED, generation=2))
    proof = contract.check(f"{own}/ticket", await edge.signed("GET", f"{base}/{entry_id}/ticket"))
    assert proof["payment_hash"] == renewed["ticket_hash"]
    contract.check(f"{own}/kit", await edge.signed("GET", f"{base}/{entry_id}/kit"))
    contract.check(f"{own}/payout", await edge.signed("GET", f"{base}/{entry_id}/payout"))
    listed = contract.check(entries, await edge.browser.get(base))
    assert listed[0]["entry_id"] == entry_id
    statuses = {(method, path.removeprefix(own), status) for method, path, status in contract.seen}
    expected = {("put", "", 202), ("put", "", 200), ("post", "/renewal", 409), ("post", "/renewal", 201)}
    assert expected | {("get", "/ticket", 409), ("get", "/ticket", 200), ("get", "/kit", 404)} <= statuses


def _signed_entry(edge: Any, entry_id: str, ticket_hash: str) -> bytes:
    entry = sign_entry(
        edge.keys[0],
        PLAYER,
        terms_hash=edge.terms.hash,
        entry_id=UUID(entry_id),
        ticket_hash=bytes.fromhex(ticket_hash),
        picks=PICKS,
        created_at=edge.now,
    )
    return b'{"event": %s}' % entry.event.to_json()


def _invoice(entry_id: str, ticket_hash: str, state: HoldState, generation: int = 1) -> Invoice:
    return Invoice(
        entry_id=entry_id,
        generation=generation,
        payment_hash=ticket_hash,
        payment_request="lnbcrt1",
        value=Sats(52_000),
        state=state,
        expires_at=UnixTime(1_790_000_600),
    )


KEYMELD = "/api/v1/competitions/{competition}/keymeld"
ATTEMPT: dict[str, Any] = {"attempt": 1, "event_id": "01926f3a-0000-7000-8000-000000000001"}


def _event() -> OracleEvent:
    return OracleEvent(**ATTEMPT, nonce_point="02" + "ee" * 32, entries=3)


def _session(edge: Any) -> SessionOpen:
    recipients = {"user_enclave_assignments": {entry_id: 1 for entry_id in edge.ids[:3]}}
    return SessionOpen(
        attempt=1,
        session_id="s",
        user_id="u",
        manifest="{}",
        recipients=json.dumps(recipients),
        epochs=((1, 7),),
        registration="{}",
        opened_at=edge.now,
        roster=edge.ids[:3],
    )


async def _pinned(edge: Any) -> Pinned:
    async with edge.store.write() as tx:
        parameters = await tx.put_blob(b'{"players": []}')
    return Pinned(
        attempt=1,
        parameters=parameters,
        plan=parameters,
        funding_txid=edge.funding,
        funding_vout=1,
        funding_value=Sats(151_234),
        fee_rate=1_000,
        inputs=(),
        at_height=100,
    )


async def test_the_status_of_the_closing_is_as_documented(edge: Any, contract: Contract) -> None:
    facts = [*edge.entries(3, HoldState.ACCEPTED), _event()]
    roster = edge.ids[:3]
    opening = await edge.competition(AwaitingKeygen(roster=roster, **ATTEMPT), facts)
    sealing = await edge.competition(AwaitingKeygen(roster=roster, **ATTEMPT), [*facts, _session(edge)])
    batches = BatchesOpen(attempt=1, batches=(Batch(ONE, 0, 1), Batch(TWO, 1, 1, ONE)), opened_at=edge.now)
    done = Keygen(attempt=1, roster="{}", encrypted_session_secrets=((roster[0], "sealed"),))
    mine, *others = edge.seals(3, 3)
    user = user_of(edge)
    registered = altered(mine, registration=registration_of(user, bytes.fromhex(mine.ciphertext)))
    sealed = [*facts, _session(edge), registered, *others, done, batches, await _pinned(edge)]
    state = AwaitingSigning(roster=roster, funding_txid=edge.funding, **ATTEMPT)
    signing = await edge.competition(state, sealed)
    batch = await pin_batch(edge, signing)
    seen = []
    for lane in (opening, sealing, signing):
        path = f"/api/v1/competitions/{lane}/keymeld/status?entry={roster[0]}"
        status = contract.check(f"{KEYMELD}/status", await edge.signed("GET", path))
        seen.append((status["keygen_status"], status["signing_status"], status["assigned_enclave"]))
    assert seen == [("none", "none", None), ("sealing", "none", 1), ("completed", "approving", 1)]
    ready = json.dumps({"entry_id": roster[0], "attempt": 1, "sessions": [ONE, TWO]}).encode()
    path = f"/api/v1/competitions/{signing}/keymeld/ready"
    contract.check(f"{KEYMELD}/ready", await edge.signed("POST", path, ready))
    path = f"/api/v1/competitions/{signing}/keymeld/approvals"
    taken = contract.check(f"{KEYMELD}/approvals", await edge.signed("POST", path, approvals(edge, user, batch, ONE)))
    assert taken == {"accepted": 1}
    contract.check(f"{KEYMELD}/approvals", await edge.signed("POST", path, approvals(edge, user, batch, "unknown")))
    other = contract.check(f"{KEYMELD}/approvals", await edge.signed("POST", path, approvals(edge, user, [], ONE)))
    assert (other["field"], other["fault"]) == ("approvals[0].approval.signature", "player")
    assert "sign it with the key of this attempt" in other["fix"]
    path = f"/api/v1/competitions/{sealing}/keymeld/join"
    contract.check(f"{KEYMELD}/join", await edge.signed("POST", path, b"{}"))
    detail = "/api/v1/competitions/{competition}"
    contract.check(f"{detail}/contract", await edge.browser.get(f"/api/v1/competitions/{signing}/contract"))
    contract.check(detail, await edge.browser.get(f"/api/v1/competitions/{signing}"))
    assert {
        ("post", f"{KEYMELD}/ready", 200),
        ("post", f"{KEYMELD}/approvals", 200),
        ("post", f"{KEYMELD}/approvals", 400),
        ("post", f"{KEYMELD}/approvals", 409),
        ("post", f"{KEYMELD}/join", 400),
        ("get", f"{detail}/contract", 200),
    } <= contract.seen


async def test_archived_sessions_are_as_documented(edge: Any, contract: Contract) -> None:
    async with edge.store.write() as tx:
        blob = await tx.put_blob(b'{"status": "completed"}')
    signed = BatchSigned(attempt=1, session_id="one", index=0, blob=blob, status=blob)
    lane = await edge.competition(CollectingEntries(terms_hash="00"), [*edge.entries(1, HoldState.ACCEPTED), signed])
    path = f"/api/v1/competitions/{lane}/keymeld/sessions"
    assert contract.check(f"{KEYMELD}/sessions", await edge.signed("GET", path))[0]["session"] == "one"
    contract.check(f"{KEYMELD}/sessions", await edge.signed("GET", path, player=3))
    assert ("get", f"{KEYMELD}/sessions", 400) in contract.seen


async def test_prizes_are_as_documented(edge: Any, contract: Contract) -> None:
    outcome = ranking_index((2, 0), 3)
    state = OutcomeBroadcasted(
        roster=edge.ids[:3], attempt=1, funding_txid=edge.funding, contract="c0" * 32, outcome=outcome
    )
    facts = [*edge.entries(3, HoldState.SETTLED), _session(edge), _event(), await _pinned(edge)]
    attested = Attested(outcome=outcome, attestation="00" * 32, txid=edge.outcome)
    paid = edge.payout(2, PrizeState.PAYING)
    lane = await edge.competition(state, [*facts, attested, paid, Sent(role="outcome", txid=edge.outcome)])
    own = "/api/v1/competitions/{competition}/entries/{entry}"
    seen = []
    for player in range(3):
        path = f"/api/v1/competitions/{lane}/entries/{edge.ids[player]}"
        seen.append(contract.check(f"{own}/payout", await edge.signed("GET", f"{path}/payout", player=player))["state"])
        contract.check(f"{own}/key", await edge.signed("POST", f"{path}/key", KEY, player=player))
        contract.check(f"{own}/payout", await edge.signed("POST", f"{path}/payout", INVOICE, player=player))
    assert seen == ["CLAIMABLE", "lost", "PAYING"]
    assert {("post", f"{own}/key", 409), ("post", f"{own}/payout", 400)} <= contract.seen
    contract.check("/api/v1/competitions/{competition}", await edge.browser.get(f"/api/v1/competitions/{lane}"))


KEY = json.dumps({"entry_key": "01" * 32}).encode()
INVOICE = b'{"payment_request": "lnbcrt1", "payout_preimage": null}'


async def test_answers_to_the_operator_are_as_documented(edge: Any, contract: Contract) -> None:
    operator = "/api/v1/operator"
    for name in ("identity", "wallet"):
        contract.check(f"{operator}/{name}", await edge.operated("GET", f"{operator}/{name}"))
    contract.check(f"{operator}/wallet/address", await edge.operated("POST", f"{operator}/wallet/address"))
    created = contract.check(f"{operator}/competitions", await edge.operated("POST", f"{operator}/competitions", DRAFT))
    for name in ("books", "log"):
        path = f"{operator}/competitions/{created['id']}/{name}"
        contract.check(f"{operator}/competitions/{{competition}}/{name}", await edge.operated("GET", path))
    path = f"{operator}/competitions/{created['id']}/cancel"
    for body in (b"{}", b'{"reason": "no weather"}', b'{"reason": "again"}'):
        contract.check(f"{operator}/competitions/{{competition}}/cancel", await edge.operated("POST", path, body))
    contract.check(f"{operator}/budget", await edge.operated("POST", f"{operator}/budget", DRAFT))
    contract.check(f"{operator}/wallet", await edge.browser.get(f"{operator}/wallet"))
    statuses = {status for _, path, status in contract.seen}
    assert {200, 201, 400, 401, 409, 503} <= statuses


DRAFT = json.dumps(
    {
        "draft": {
            "title": "Rain",
            "network": "regtest",
            "targets": ["KORD"],
            "metrics": ["temp_high"],
            "values_per_entry": 1,
            "entries_close": "2026-09-23T00:00:00Z",
            "observation_start": "2026-09-25T00:00:00Z",
            "observation_end": "2026-09-26T00:00:00Z",
            "signing_date": "2026-09-26T01:00:00Z",
            "entry_fee": 50_000,
            "minimum_entries": 3,
            "maximum_entries": 5,
            "oracle_url": "http://127.0.0.1:1",
            "keymeld_gateway": "http://127.0.0.1:2",
        }
    }
).encode()


async def test_the_budget_is_as_documented(edge: Any, contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    from coordinator.api.routes import operator
    from coordinator.engine.commands.preview import Preview
    from coordinator.ports.oracle import PlanFinding
    from coordinator_core.competition.budget import budget
    from coordinator_core.units import Blocks, Height

    async def preview(*_: object) -> Preview:
        tip = Height(900_000)
        table = budget(edge.terms, tip, edge.now, Blocks(18))
        return Preview(edge.terms, table, (PlanFinding("no_data", "KORD", "none"),), tip, edge.now)

    monkeypatch.setattr(operator, "preview", preview)
    shown = contract.check("/api/v1/operator/budget", await edge.operated("POST", "/api/v1/operator/budget", DRAFT))
    assert [row["entries"] for row in shown["rows"]] == [3, 4, 5]
