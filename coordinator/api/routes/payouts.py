"""Payouts: status, request, entry key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from coordinator.api.admission import MONEY
from coordinator.api.bodies import read_body
from coordinator.api.context import Api, lane_id
from coordinator.api.documents.payouts import KeyAccepted, KeyBody, PayoutAsked, PayoutBody, PayoutStatus
from coordinator.api.operation import Who, described
from coordinator.domain.competitions import settling
from coordinator.domain.competitions.paid_out import settled_state
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Entry
from coordinator.domain.lane import Lane
from coordinator.engine.commands import payouts
from coordinator.engine.commands.tickets import ticket_of
from coordinator.engine.executors.contracts import signed_contract
from coordinator.engine.executors.secret_names import entry_key_secret, payout_secret
from coordinator_core import bolt11
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, WinCondition
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint

BASE = "/competitions/{competition:uuid}/entries/{entry:uuid}"
NOTHING = OutPoint(bytes(32), 0)


@get(f"{BASE}/payout", operation_class=described({200: PayoutStatus}, who=Who.OWNER))
async def show_payout(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """What became of an entry's prize."""
    player = await api.player(request)
    state, lane = await api.engine.view(lane_id(competition))
    ticket_of(lane, str(entry), player.hex())
    return _status(state, lane, str(entry))


def _status(state: Competition, lane: Lane, entry_id: str) -> dict[str, Any]:
    paying = settled_state(state, lane)
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


@post(
    f"{BASE}/payout",
    status_code=200,
    opt=MONEY,
    operation_class=described({200: PayoutAsked}, who=Who.OWNER, takes=PayoutBody, command=True),
)
async def ask_payout(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """Ask to be paid over Lightning."""
    player = await api.player(request)
    body = await read_body(request, PayoutBody)
    lane = lane_id(competition)
    preimage = None if body.payout_preimage is None else Secret(bytes.fromhex(body.payout_preimage))
    state, view = await api.engine.view(lane)
    ticket_of(view, str(entry), player.hex())
    output = await _output(api, state, view, str(entry)) if preimage is not None else NOTHING
    decide = payouts.ask(
        player.hex(),
        str(entry),
        bolt11.decode(body.payment_request),
        body.payment_request,
        preimage,
        api.receipt_key,
        output,
    )
    secrets = {} if preimage is None else {payout_secret(str(entry)): preimage}
    return await api.command(request, lane, f"payout/{entry}", decide, player, secrets=secrets)


async def _output(api: Api, state: Competition, lane: Lane, entry_id: str) -> OutPoint:
    """The output of the split that secures a prize; NOTHING without a prize, which the command refuses, unless it was
    answered before.
    """
    if not isinstance(state, settling.Settled) or payouts.prize_of(state, lane, entry_id) is None:
        return NOTHING
    signed = await signed_contract(api.engine.services, state.contract)
    outcome = settling.outcome_of(state)
    condition = WinCondition(EXPIRY if outcome is None else Outcome(outcome), state.roster.index(entry_id))
    return signed.contract.split_outpoint(condition)


@post(
    f"{BASE}/key",
    status_code=200,
    opt=MONEY,
    operation_class=described({200: KeyAccepted}, who=Who.OWNER, takes=KeyBody, command=True),
)
async def give_key(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """Give the entry key of the contract's attempt after the payment: saves fees, closes the output."""
    player = await api.player(request)
    body = await read_body(request, KeyBody)
    lane = lane_id(competition)
    key = SecretKey.from_bytes(bytes.fromhex(body.entry_key), "entry_key")
    decide = payouts.give_entry_key(player.hex(), str(entry), key)
    secrets = {entry_key_secret(str(entry)): Secret(key.reveal())}
    return await api.command(request, lane, f"key/{entry}", decide, player, secrets=secrets)


handlers = [show_payout, ask_payout, give_key]
