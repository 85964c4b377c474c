"""The contract parameters that terms, roster and announcement lead to: both sides derive them and compare."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator_core.competition.amounts import funding_value
from coordinator_core.competition.entries import Entry
from coordinator_core.competition.payouts import attested_weights, equal_weights
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc import EXPIRY, ContractParameters, EventLockingConditions, Outcome, PayoutWeights, Player
from coordinator_core.errors import Fault, InvalidInput, Refused, VerificationFailed
from coordinator_core.units import FeeRate


def contract_parameters(
    terms: Terms,
    entries: Sequence[Entry],
    *,
    attempt: int,
    market_maker: bytes,
    locking_points: Sequence[bytes],
    fee_rate: FeeRate,
) -> ContractParameters:
    """The parameters of an attempt's contract; `entries` in any order, `market_maker` and points 33 bytes.

    Raises Refused for a number of entries or a fee rate that the terms forbid, InvalidInput for a
    wrong number of points.
    """
    return parameters_for_players(
        terms,
        [_player(entry, attempt) for entry in sorted(entries, key=lambda entry: entry.id)],
        market_maker=market_maker,
        locking_points=locking_points,
        fee_rate=fee_rate,
    )


def parameters_for_players(
    terms: Terms,
    players: Sequence[Player],
    *,
    market_maker: bytes,
    locking_points: Sequence[bytes],
    fee_rate: FeeRate,
) -> ContractParameters:
    """As contract_parameters, for players in the order of their entry ids."""
    count = len(players)
    if not terms.entries.minimum <= count <= terms.entries.maximum:
        raise Refused("entries", f"{count} entries", f"{terms.entries.minimum} to {terms.entries.maximum}")
    if not 0 < fee_rate <= terms.contract.fee_rate_ceiling:
        raise Refused("fee_rate", f"{fee_rate} sat/kWU", f"1 to {terms.contract.fee_rate_ceiling}")
    payouts: dict[Outcome, PayoutWeights] = {
        Outcome(index): weights for index, weights in enumerate(attested_weights(count, terms.money.weights))
    }
    if len(locking_points) != len(payouts):
        raise InvalidInput("locking_points", f"{len(locking_points)} points", f"{len(payouts)}")
    payouts[EXPIRY] = equal_weights(count)
    return ContractParameters(
        market_maker=market_maker,
        players=tuple(players),
        event=EventLockingConditions(tuple(locking_points), terms.contract.expiry),
        outcome_payouts=payouts,
        fee_rate=fee_rate,
        funding_value=funding_value(terms, count, fee_rate),
        relative_locktime_block_delta=terms.contract.delta,
        anchor=terms.contract.anchor,
        outcome_bound_splits=terms.contract.outcome_bound_splits,
    )


def verify_parameters(
    parameters: ContractParameters,
    terms: Terms,
    entries: Sequence[Entry],
    *,
    attempt: int,
    locking_points: Sequence[bytes],
) -> None:
    """Check parameters that the coordinator sent: all but its own key and the fee rate follow from
    what is known.

    Raises VerificationFailed naming the first member that differs, Refused for a fee rate above the ceiling.
    """
    wanted = contract_parameters(
        terms,
        entries,
        attempt=attempt,
        market_maker=parameters.market_maker,
        locking_points=locking_points,
        fee_rate=parameters.fee_rate,
    )
    compare_parameters(parameters, wanted)


def compare_parameters(parameters: ContractParameters, wanted: ContractParameters) -> None:
    """Raise VerificationFailed naming the first member in which received parameters differ from
    derived ones.
    """
    for name in ContractParameters.__dataclass_fields__:
        if getattr(parameters, name) != getattr(wanted, name):
            raise VerificationFailed(
                f"parameters.{name}", "do not follow from terms, roster and announcement", fault=Fault.COORDINATOR
            )


def _player(entry: Entry, attempt: int) -> Player:
    return Player(public_key=entry.key(attempt), ticket_hash=entry.ticket_hash, payout_hash=entry.payout_hash)
