"""Every answer that a player reads, of the right form with anything changed in it: a typed error says who is at fault.

The answers are those of a real flow through proxies; each step of it is then lived through again, in this process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.player import play
from coordinator.player.play import Player
from coordinator.player.wallet import PaymentFailed
from coordinator_core import bolt11
from coordinator_core.errors import CoreError, Fault
from coordinator_core.units import Sats, Seconds
from tests.e2e.application import CLOSING
from tests.e2e.conftest import Rig
from tests.e2e.mock_oracle import Outcome
from tests.e2e.tampering_proxy import TamperingProxy
from tests.e2e.tampering_replay import Enough, Flow, Replay, Step, outcome
from tests.hostile_json import changed

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("tampering-answers")]

TICKET = ("terms_hash",)
HELD = ("terms", "terms_hash", "entry_id", "ticket_hash", "receipt")
SEALED = (*HELD, "sealing", "entries_seen")
COMPARED = (*SEALED, "contract")
Recorded = dict[str, tuple[Flow, Step]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorded]:
    """The steps of one player from its ticket to its prize."""
    rig = Rig(tmp_path_factory.mktemp("answers"))
    app = await rig.app()
    stack = app.services.stack
    async with (
        TamperingProxy(stack.url("coordinator")) as coordinator,
        TamperingProxy(stack.url("keymeld")) as gateway,
        TamperingProxy(app.oracle.url) as oracle,
    ):
        proxies = (coordinator, gateway, oracle)
        competition = await app.create_competition(
            entries=3, closing=CLOSING, oracle_url=oracle.url, keymeld_gateway=gateway.url
        )
        player = await app.new_player(competition, coordinator.url)
        coordinator.speak_for(player.keys.identity)
        flow = Flow(player.keys.seed.reveal(), competition.id)
        steps: dict[str, Step] = {}

        def told(*names: str) -> dict[str, Any]:
            found = {path: flow.answers[path] for path in flow.answers if any(path.endswith(name) for name in names)}
            assert len(found) >= len(names), (names, sorted(flow.answers))
            return found

        await player.join(app.picks(competition, 0))
        competition.players.append(player)
        flow.hear(*proxies)
        flow.remember(player)
        entry = flow.entry_id
        steps["ticket"] = Step(
            told("/terms", f"POST {flow.base}/entries", f"PUT {flow.own}", f"GET {flow.own}"), TICKET, _join
        )
        open_ticket = {**flow.answers[f"GET {flow.own}"], "ticket_state": "OPEN"}
        steps["open ticket"] = Step({**steps["ticket"].answers, f"GET {flow.own}": open_ticket}, TICKET, _join)
        for _ in range(2):
            await app.add_entry(competition)
        await app.close_entries(competition)
        await app.keep_appointments(competition)
        statuses = list(coordinator.answered)
        flow.hear(*proxies)
        flow.remember(player)
        by_phase = _phases(statuses)
        path = f"GET {flow.base}/keymeld/status"
        enclaves = told("/0/public-key", "/1/public-key")
        steps["sealing"] = Step(
            {path: by_phase["sealing"], **enclaves, **told(f"GET {flow.base}/entries", "/keymeld/join")}, HELD, _close
        )
        event = competition.terms.oracle.event_ids[1]
        compared = told(
            f"GET {flow.base}/entries", "/contract", f"/status/{entry}", f"/events/{event}", "/ready", "/approvals"
        )
        steps["signing"] = Step({path: by_phase["signing"], **enclaves, **compared}, SEALED, _close)
        steps["kit"] = Step({path: by_phase["done"], **told("/terms", "/kit")}, COMPARED, _appointment)

        await app.confirm_funding(competition)
        await player.proof_of_payment()
        await player.api.get_json(f"{player.own}/ticket", signed=True)
        await app.attest(competition, Outcome((competition.index_of(player),)))
        await player.result()
        flow.hear(*proxies)
        claimable = flow.answers[f"GET {flow.own}/payout"]
        assert claimable["state"] == "CLAIMABLE"
        await app.take_prizes(competition)
        flow.hear(*proxies)
        flow.remember(player)
        won = (*COMPARED, "kit", "payout_request")
        asked = told(f"POST {flow.own}/payout", "/api/v1/status", f"/events/{event}", f"POST {flow.own}/key")
        lnd = await _lightning(player)
        steps["payout"] = Step({f"GET {flow.own}/payout": claimable, **asked, **lnd}, won, _ask)
        steps["key"] = Step({**told(f"POST {flow.own}/key", f"GET {flow.own}/payout"), **lnd}, won, _paid)
        steps["result"] = Step(told(f"GET {flow.own}/payout", f"GET {flow.base}"), won, _result)
        steps["proof"] = Step({**told(f"GET {flow.own}/ticket", f"GET {flow.base}"), **lnd}, won, _proof)
        steps["wallet"] = Step(lnd, won, _wallet)
        steps["open ticket"].answers = {**steps["open ticket"].answers, **lnd}
        yield {name: (flow, step) for name, step in steps.items()}
    await app.close()
    await rig.spoil()


def _phases(statuses: list[tuple[str, bytes]]) -> dict[str, Any]:
    """The last status of each phase of the closing."""
    found: dict[str, Any] = {}
    for path, body in statuses:
        if path.endswith("/keymeld/status"):
            status = msgspec.json.decode(body)
            if status["keygen_status"] == "sealing" and status["in_attempt"]:
                found["sealing"] = status
            if status["approvals_wanted"] and not status["approved"]:
                found["signing"] = status
            if status["closing_done"]:
                found["done"] = status
    return found


async def _lightning(player: Player) -> dict[str, Any]:
    """What the player's own wallet answers after all that."""
    wallet: Any = player.wallet
    payment_hash = bolt11.decode(player.payout_request).payment_hash.hex()
    answers: dict[str, Any] = {}
    for path in ("/v1/balance/channels", "/v1/payments?include_incomplete=true", f"/v1/invoice/{payment_hash}"):
        raw = await wallet._service.get(path, headers=wallet._headers)
        answers[f"GET {path.partition('?')[0]}"] = msgspec.json.decode(raw)
    invoice = {"payment_request": player.payout_request, "r_hash": "", "add_index": "1"}
    return {**answers, "POST /v1/invoices": invoice, "POST /v2/router/send": {"result": {"status": "IN_FLIGHT"}}}


async def _join(replay: Replay) -> None:
    await replay.player.join(replay.flow.picks)


async def _close(replay: Replay) -> None:
    await replay.closing().step()


async def _appointment(replay: Replay) -> None:
    await replay.player.keep_appointment()


async def _ask(replay: Replay) -> None:
    replay.player.payout_request = ""
    await replay.player.take_prize(until=frozenset({"CLAIMABLE"}))
    await replay.player._ask(await replay.player._payout(), plain=False)


async def _paid(replay: Replay) -> None:
    assert await replay.player.take_prize() in play.FINAL


async def _result(replay: Replay) -> None:
    await replay.player.result()


async def _proof(replay: Replay) -> None:
    await replay.player._given_preimage()
    await replay.player.proof_of_payment()


async def _wallet(replay: Replay) -> None:
    await replay.wallet.balance()
    await replay.wallet.failure(replay.flow.ticket_hash)
    await replay.wallet.pending(replay.flow.ticket_hash)
    await replay.wallet.received(replay.flow.payout_request)
    await replay.wallet.pay_held(replay.flow.payout_request, Sats(1))
    await replay.wallet.make_invoice(Sats(1), Seconds(3_600))


STEPS = ["ticket", "open ticket", "sealing", "signing", "kit", "payout", "key", "result", "proof", "wallet"]
BLAMED = {Fault.COORDINATOR, Fault.SIGNER, Fault.ORACLE, Fault.LIGHTNING, Fault.NODE}


@pytest.mark.parametrize("name", STEPS)
def test_the_same_answers_lead_to_the_same_end(recorded: Recorded, name: str) -> None:
    flow, step = recorded[name]
    end = outcome(flow, step, {})
    assert isinstance(end, Enough if name == "open ticket" else Replay), end


@pytest.mark.parametrize("name", STEPS)
@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_changed_answer_is_a_typed_error_or_means_the_same(
    recorded: Recorded, name: str, data: st.DataObject
) -> None:
    flow, step = recorded[name]
    path = data.draw(st.sampled_from(sorted(step.answers)))
    end = outcome(flow, step, {path: data.draw(changed(step.answers[path]))})
    if isinstance(end, CoreError):
        assert str(end)
        assert end.fault in BLAMED or isinstance(end, PaymentFailed)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("value", [None, [], {}, "x", 7, [{}], [[]]], ids=str)
def test_an_answer_of_another_kind_is_a_typed_error_that_names_its_sender(
    recorded: Recorded, name: str, value: object
) -> None:
    flow, step = recorded[name]
    for path in step.answers:
        end = outcome(flow, step, {path: value})
        if isinstance(end, CoreError):
            assert end.fault in BLAMED, path
            assert str(end)
        elif isinstance(end, Replay) and path in end.asked:
            assert value in ({}, []) or path.startswith("POST"), (path, value)
