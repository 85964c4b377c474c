"""Whether parameters make a contract: every rule of dlctix 0.2 section 4, in its order, and our own on top.

A refusal names the field. Rules that dlctix applies also to stored contracts hold for every contract; the others
(`foreign=False`) for contracts made here:

* no two attestations of unbound splits share their winners, unless they pay them alike: else either split could
  spend the outcome (dlctix section 10.1);
* locking points are distinct, every attestation is paid, an expiry is paid;
* the anchor is at most 1,000 sat.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coordinator_core.dlc.outcomes import EXPIRY, label
from coordinator_core.dlc.parameters import MAX_OUTCOMES, MAX_PLAYERS, ContractParameters
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.musig2 import is_adaptor_point
from coordinator_core.secp256k1 import is_point
from coordinator_core.transaction import DUST_PAY_TO_ANCHOR
from coordinator_core.units import MAX_MONEY

MAX_DELTA: Final = 0x7FFF
"""Beyond it the reclaim delay 2 * delta does not fit the 16 bits of a relative lock: it would shrink below delta."""
MAX_ANCHOR_VALUE: Final = 1_000
INFINITY: Final = bytes(33)
_U32_MAX: Final = 0xFFFFFFFF
_U64_MAX: Final = 0xFFFFFFFFFFFFFFFF


class UnboundSharedWinners(Refused):
    """Two attestations pay the same players differently through splits that do not commit to the outcome."""

    code = "dlc.unbound_shared_winners"


def validate(parameters: ContractParameters, *, foreign: bool = False) -> None:
    """Check every rule; `foreign` leaves out those that dlctix does not apply to stored contracts.

    Raises InvalidInput, or Refused for what is well formed and forbidden.
    """
    _check_sizes(parameters)
    _check_hashes(parameters)
    _check_keys(parameters)
    _check_points(parameters)
    _check_payouts(parameters)
    _check_numbers(parameters)
    if not foreign:
        _check_bindings(parameters)
        _check_completeness(parameters)


def _check_sizes(parameters: ContractParameters) -> None:
    if not parameters.outcome_payouts:
        raise InvalidInput("outcome_payouts", "is empty", "pay at least one outcome")
    if not 1 <= len(parameters.players) <= MAX_PLAYERS:
        raise InvalidInput("players", f"has {len(parameters.players)} entries", f"1 to {MAX_PLAYERS}")
    if len(parameters.event.locking_points) > MAX_OUTCOMES:
        reason = f"has {len(parameters.event.locking_points)} entries"
        raise InvalidInput("event.locking_points", reason, f"at most {MAX_OUTCOMES}")


def _check_hashes(parameters: ContractParameters) -> None:
    tickets: set[bytes] = set()
    payouts: set[bytes] = set()
    for i, player in enumerate(parameters.players):
        _require_new_hash(f"players[{i}].ticket_hash", player.ticket_hash, tickets)
        _require_new_hash(f"players[{i}].payout_hash", player.payout_hash, payouts)
    for i, player in enumerate(parameters.players):
        if player.payout_hash in tickets:
            raise InvalidInput(f"players[{i}].payout_hash", "is also a ticket hash", "give a hash of its own")


def _require_new_hash(field: str, value: bytes, seen: set[bytes]) -> None:
    if len(value) != 32:
        raise InvalidInput(field, f"has {len(value)} bytes", "a SHA256 hash, 32 bytes")
    if value in seen:
        raise InvalidInput(field, "is used by two players", "give each player a hash of its own")
    seen.add(value)


def _check_keys(parameters: ContractParameters) -> None:
    named = [("market_maker.pubkey", parameters.market_maker)]
    named += [(f"players[{i}].pubkey", player.public_key) for i, player in enumerate(parameters.players)]
    seen: set[bytes] = set()
    for field, key in named:
        if not is_point(key):
            raise InvalidInput(field, "is not a point of the curve", "give a compressed public key, 33 bytes")
        if key in seen:
            # MuSig2 counts a repeated key twice while nonces are kept by key, so signing could never finish.
            raise InvalidInput(field, "is used twice", "give the market maker and each player a key of its own")
        seen.add(key)


def _check_points(parameters: ContractParameters) -> None:
    for i, point in enumerate(parameters.event.locking_points):
        if not is_adaptor_point(point):
            what = "is the point at infinity" if point == INFINITY else "is not a point of the curve"
            fix = "give the point that the oracle's announcement implies, 33 bytes"
            raise InvalidInput(f"event.locking_points[{i}]", what, fix)


def _check_payouts(parameters: ContractParameters) -> None:
    event, players = parameters.event, len(parameters.players)
    for outcome, weights in parameters.outcome_payouts.items():
        field = f"outcome_payouts.{label(outcome)}"
        known = event.expiry is not None if outcome == EXPIRY else 0 <= outcome < len(event.locking_points)
        if not known:
            raise InvalidInput(field, "is not an outcome of the event", "pay only outcomes that the event has")
        if not weights:
            raise InvalidInput(field, "pays nobody", "give at least one player a weight")
        for player, weight in weights.items():
            if weight <= 0:
                raise InvalidInput(f"{field}.{player}", "has no weight", "a weight above 0, or leave it out")
            if not 0 <= player < players:
                raise InvalidInput(f"{field}.{player}", "is not a player", f"an index from 0 to {players - 1}")
        if sum(weights.values()) * max(parameters.funding_value, 1) > _U64_MAX:
            raise InvalidInput(field, "has weights that overflow 64 bits", "give smaller weights")


def _check_numbers(parameters: ContractParameters) -> None:
    event = parameters.event
    _require_range("fee_rate", parameters.fee_rate, 1, _U64_MAX)
    _require_range("relative_locktime_block_delta", parameters.relative_locktime_block_delta, 1, MAX_DELTA)
    if event.expiry is not None:
        _require_range("event.expiry", event.expiry, 1, _U32_MAX)
    _require_range("funding_value", parameters.funding_value, 1, MAX_MONEY)
    if parameters.anchor is not None:
        _require_range("anchor.value", parameters.anchor, DUST_PAY_TO_ANCHOR, MAX_MONEY)


def _require_range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInput(field, f"{value} is out of range", f"{least} to {most}")


def _check_bindings(parameters: ContractParameters) -> None:
    if parameters.outcome_bound_splits:
        return
    weights_of: dict[tuple[int, ...], tuple[int, ...]] = {}
    for outcome, weights in parameters.outcome_payouts.items():
        if outcome == EXPIRY:
            continue
        winners, shares = tuple(weights), tuple(weights.values())
        if weights_of.setdefault(winners, shares) != shares:
            raise UnboundSharedWinners(
                f"outcome_payouts.{label(outcome)}",
                "pays the same players as another outcome but with other weights, and splits are not bound",
                "set outcome_bound_splits",
            )


def _check_completeness(parameters: ContractParameters) -> None:
    event, payouts = parameters.event, parameters.outcome_payouts
    repeated = _first_repeated(event.locking_points)
    if repeated is not None:
        field = f"event.locking_points[{repeated}]"
        raise Refused(field, "repeats another locking point", "give each outcome a point of its own")
    paid = len(payouts) - (EXPIRY in payouts)
    if paid != len(event.locking_points):
        missing = next(i for i in range(len(event.locking_points)) if i not in payouts)
        raise Refused(f"outcome_payouts.att{missing}", "is missing", "pay every outcome that the event has")
    if event.expiry is not None and EXPIRY not in payouts:
        raise Refused("outcome_payouts.exp", "is missing", "say who is paid at the expiry")
    if parameters.anchor is not None and parameters.anchor > MAX_ANCHOR_VALUE:
        fix = f"{DUST_PAY_TO_ANCHOR} to {MAX_ANCHOR_VALUE} sat"
        raise Refused("anchor.value", f"{parameters.anchor} sat are too much for an anchor", fix)


def _first_repeated(values: Iterable[bytes]) -> int | None:
    seen: set[bytes] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None
