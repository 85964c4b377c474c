"""Who gets what in each outcome: weights for the contract, amounts for Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coordinator_core.competition.amounts import prizes, refunds
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import InvalidInput
from coordinator_core.oracle.outcomes import ranking_at, rankings
from coordinator_core.units import Sats


@dataclass(frozen=True, slots=True)
class Payout:
    """What one player gets over Lightning. `place` counts from 1; None is a refund. gross - net is for
    routing.
    """

    player: int
    place: int | None
    gross: Sats
    net: Sats


def ranked_weights(ranking: Sequence[int], weights: Sequence[int]) -> dict[int, int]:
    """The contract's payout map of a ranking: player index to weight, by ascending player."""
    if len(ranking) != len(weights):
        raise InvalidInput("ranking", f"{len(ranking)} places for {len(weights)} weights", "one place for each weight")
    return dict(sorted(zip(ranking, weights, strict=True)))


def equal_weights(entries: int) -> dict[int, int]:
    """The payout map of refund-all and of the expiry: every player with weight 1."""
    return dict.fromkeys(range(entries), 1)


def attested_weights(entries: int, weights: Sequence[int]) -> Iterator[dict[int, int]]:
    """The payout map of every outcome that can be attested, by outcome index, refund-all last."""
    for ranking in rankings(entries, len(weights)):
        yield ranked_weights(ranking, weights)
    yield equal_weights(entries)


def payouts_at(terms: Terms, entries: int, outcome: int | None) -> tuple[Payout, ...]:
    """Lightning payouts of an attested outcome index, or of the expiry (None), by place or player. Raises
    InvalidInput.
    """
    ranking = None if outcome is None else ranking_at(outcome, entries, terms.places)
    if ranking is None:
        return tuple(
            Payout(player=player, place=None, gross=amount, net=amount)
            for player, amount in enumerate(refunds(terms, entries))
        )
    return tuple(
        Payout(player=player, place=place, gross=prize.gross, net=prize.net)
        for place, (player, prize) in enumerate(zip(ranking, prizes(terms, entries), strict=True), start=1)
    )
