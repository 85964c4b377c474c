"""Payouts: status, request, entry key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from coordinator.api.context import Api, hex_bytes, lane_id
from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Entry
from coordinator.domain.lane import Lane
from coordinator.engine.commands import payouts
from coordinator.engine.commands.tickets import ticket_of
from coordinator.engine.executors.contracts import signed_contract
from coordinator.engine.executors.lightning import entry_key_secret, payout_secret
from coordinator.views.results import paying_out
from coordinator_core import bolt11
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, WinCondition
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint

BASE = "/competitions/{competition:uuid}/entries/{entry:uuid}"


class PayoutBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST payout. `payout_preimage` is None for an invoice on the entry's own payout hash."""

    payment_request: str
    payout_preimage: str | None = None


class KeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST key."""

    entry_key: str


async def _decode(request: Request[Any, Any, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError:
        # The text of the error could repeat a secret of the body.
        raise InvalidInput(
            "body", "does not have the shape of this call", "see the API's schema", fault=Fault.PLAYER
        ) from None


@get(f"{BASE}/payout")
async def show_payout(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """What became of an entry's prize."""
    player = await api.player(request)
    state, lane = await api.engine.view(lane_id(competition))
    ticket_of(lane, str(entry), player.hex())
    return _status(state, lane, str(entry))


def _status(state: Competition, lane: Lane, entry_id: str) -> dict[str, Any]:
    paying = paying_out(state, lane)
    if paying is None:
        return {"state": "none"}
    prize = payouts.prize_of(paying, lane, entry_id)
    if prize is None:
        return {"state": "lost"}
    entry = lane.facts.get(Entry, entry_id)
    window = settling.lightning_window(lane, paying) if isinstance(state, settling.Settled) else 0
    return {
        "state": prize.state.value,
        "place": prize.share.place,
        "gross": prize.share.gross,
        "net": prize.share.net,
        "payout_hash": entry.payout_hash if entry is not None else None,
        "window_blocks": window,
        "invoice_must_last_until": payouts.window_end(state, lane),
        "routing_fee": prize.payout.routing_fee if prize.payout is not None else None,
        "failure": prize.payout.failure if prize.payout is not None else None,
    }


@post(f"{BASE}/payout", status_code=200)
async def ask_payout(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """Ask to be paid over Lightning."""
    player = await api.player(request)
    body: PayoutBody = await _decode(request, PayoutBody)
    lane = lane_id(competition)
    preimage: Secret | None = None
    if body.payout_preimage is not None:
        preimage = Secret(hex_bytes({"payout_preimage": body.payout_preimage}, "payout_preimage", 32))
    state, view = await api.engine.view(lane)
    output = await _output(api, state, view, str(entry)) if preimage is not None else OutPoint(bytes(32), 0)
    decide = payouts.ask(
        player.hex(),
        str(entry),
        bolt11.decode(body.payment_request),
        body.payment_request,
        preimage,
        api.receipt_key,
        output,
    )
    if preimage is not None:
        # On disk before the fact that says we hold it; refused input leaves an unused secret, nothing else.
        decide(state, view)
        await api.engine.services.secrets.put(lane, payout_secret(str(entry)), preimage)
    return await api.command(request, lane, f"payout/{entry}", decide, player)


async def _output(api: Api, state: Competition, lane: Lane, entry_id: str) -> OutPoint:
    """The output of the split that secures a prize."""
    if not isinstance(state, settling.Settled):
        raise InvalidInput("entry", "has no prize to be paid now", "read the payout status", fault=Fault.PLAYER)
    signed = await signed_contract(api.engine.services, state.contract)
    outcome = settling.outcome_of(state)
    condition = WinCondition(EXPIRY if outcome is None else Outcome(outcome), state.roster.index(entry_id))
    return signed.contract.split_outpoint(condition)


@post(f"{BASE}/key", status_code=200)
async def give_key(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """Give the entry key of the contract's attempt after the payment: saves fees, closes the output."""
    player = await api.player(request)
    body: KeyBody = await _decode(request, KeyBody)
    lane = lane_id(competition)
    key = SecretKey.from_bytes(hex_bytes({"entry_key": body.entry_key}, "entry_key", 32), "entry_key")
    decide = payouts.give_entry_key(player.hex(), str(entry), key)
    decide(*await api.engine.view(lane))
    await api.engine.services.secrets.put(lane, entry_key_secret(str(entry)), Secret(key.reveal()))
    return await api.command(request, lane, f"key/{entry}", decide, player)


handlers = [show_payout, ask_payout, give_key]
