"""Commands: repeated ones get the stored answer, refused ones leave nothing, secrets included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain.competitions.states import AwaitingKeygen, Cancelled, CollectingEntries, OutcomeBroadcasted
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.engine import codec
from coordinator_core.oracle.outcomes import ranking_index
from coordinator_core.secp256k1 import SecretKey

INVOICES = Path(__file__).parents[2] / "vectors" / "bolt11.json"


async def test_a_repeated_reservation_gets_the_first_ticket_and_keeps_no_second_preimage(edge: Any) -> None:
    lane = await edge.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    first = await edge.signed("POST", path, b"1", idempotency_key="one")
    rows = await edge.rows()
    again = await edge.signed("POST", path, b"2", idempotency_key="one")
    assert again.json() == first.json()
    assert await edge.rows() == rows
    assert rows["secret"] == 1
    other = await edge.signed("POST", path, b"3", idempotency_key="two")
    assert other.json()["entry_id"] != first.json()["entry_id"]
    stranger = await edge.signed("POST", path, b"4", player=1, idempotency_key="one")
    assert stranger.json()["entry_id"] != first.json()["entry_id"]


async def test_the_stored_answer_outlives_what_would_refuse_the_command_now(edge: Any) -> None:
    lane = await edge.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    first = await edge.signed("POST", path, b"1", idempotency_key="one")
    async with edge.store.write() as tx:
        record = await tx.load(lane)
        ended = codec.encode_state(Cancelled(reason="no weather"))
        await tx.save_state(record, [("collecting_entries", "cancelled", "test")], ended, edge.now, terminal=True)
    refused = await edge.signed("POST", path, b"3", idempotency_key="two")
    assert refused.status_code == 409
    again = await edge.signed("POST", path, b"2", idempotency_key="one")
    assert again.json() == first.json()


@pytest.mark.parametrize("state", ["sealing", "ended"])
async def test_a_refused_reservation_leaves_no_preimage(edge: Any, state: str) -> None:
    states = {
        "sealing": AwaitingKeygen(roster=edge.ids[:3], attempt=1, event_id=edge.ids[0]),
        "ended": Cancelled(reason="too few"),
    }
    lane = await edge.competition(states[state], edge.unpaid(0, HoldState.CANCELED))
    rows = await edge.rows()
    for part in ("", f"/{edge.ids[0]}/renewal"):
        answer = await edge.signed("POST", f"/api/v1/competitions/{lane}/entries{part}")
        assert answer.status_code == 409
    assert await edge.rows() == rows


async def test_a_key_is_not_kept_before_its_command_could_be_taken(edge: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = OutcomeBroadcasted(
        roster=edge.ids[:3], attempt=1, funding_txid=edge.funding, contract="c0" * 32, outcome=outcome
    )
    facts = [*edge.entries(3, HoldState.SETTLED), edge.payout(2, PrizeState.PAID)]
    lane = await edge.competition(state, facts)
    rows = await edge.rows()
    key = SecretKey.from_bytes(b"\x05" * 32)
    body = json.dumps({"entry_key": key.reveal().hex()}).encode()
    answers = []
    for player in (0, 1, 3):
        path = f"/api/v1/competitions/{lane}/entries/{edge.ids[player]}/key"
        answers.append((await edge.signed("POST", path, body, player=player)).status_code)
    assert answers == [409, 409, 400]
    assert await edge.rows() == rows


async def test_long_idempotency_keys_are_refused(edge: Any) -> None:
    lane = await edge.competition(CollectingEntries(terms_hash="00"))
    rows = await edge.rows()
    path = f"/api/v1/competitions/{lane}/entries"
    answer = await edge.signed("POST", path, idempotency_key="k" * 129)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
    assert await edge.rows() == rows


async def test_who_was_left_out_of_the_contract_is_refused_like_who_lost(edge: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = OutcomeBroadcasted(
        roster=edge.ids[:3], attempt=1, funding_txid=edge.funding, contract="c0" * 32, outcome=outcome
    )
    lane = await edge.competition(state, edge.entries(4, HoldState.SETTLED))
    invoice = json.loads(INVOICES.read_text())["valid"][0]["invoice"]
    body = json.dumps({"payment_request": invoice, "payout_preimage": "07" * 32}).encode()
    rows = await edge.rows()
    for player in (1, 3):
        path = f"/api/v1/competitions/{lane}/entries/{edge.ids[player]}/payout"
        answer = await edge.signed("POST", path, body, player=player)
        assert (answer.status_code, answer.json()["field"]) == (409, "entry")
    assert await edge.rows() == rows
