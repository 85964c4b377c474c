"""Outcomes of a ranking event and the messages that the oracle signs (oracle section 5.5).

Outcome i < P(n,k) is the i-th k-permutation of the players 0..n-1 in lexicographic order; the last outcome,
index P(n,k), is refund-all and names every player. A message is each index as eight bytes, big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import perm

from coordinator_core.errors import InvalidInput, Refused

MAX_ORACLE_OUTCOMES = 20_000
"""The oracle refuses events with more."""


def ranking_count(entries: int, places: int) -> int:
    """P(n,k): how many rankings there are, and the index of refund-all. Raises InvalidInput or Refused."""
    if not 0 < places < entries:
        # With k = n the refund-all message would equal the ranking 0..n-1.
        raise InvalidInput(
            "places", f"{places} places among {entries} entries", "fewer places than entries, at least 1"
        )
    count = perm(entries, places)
    if count + 1 > MAX_ORACLE_OUTCOMES:
        raise Refused("places", f"{count + 1} outcomes", f"at most {MAX_ORACLE_OUTCOMES}")
    return count


def outcome_count(entries: int, places: int) -> int:
    """Every outcome that can be attested: the rankings and refund-all."""
    return ranking_count(entries, places) + 1


def ranking_at(index: int, entries: int, places: int) -> tuple[int, ...] | None:
    """Player indexes by place of outcome `index`; None for refund-all. Raises InvalidInput."""
    count = ranking_count(entries, places)
    if not 0 <= index <= count:
        raise InvalidInput("outcome", f"{index} is no outcome", f"0 to {count}")
    if index == count:
        return None
    left = list(range(entries))
    ranking: list[int] = []
    for place in range(places):
        block = perm(entries - place - 1, places - place - 1)
        position, index = divmod(index, block)
        ranking.append(left.pop(position))
    return tuple(ranking)


def ranking_index(ranking: Sequence[int], entries: int) -> int:
    """The outcome index of a ranking of player indexes by place. Raises InvalidInput."""
    places = len(ranking)
    ranking_count(entries, places)
    left = list(range(entries))
    index = 0
    for place, player in enumerate(ranking):
        if player not in left:
            raise InvalidInput(f"ranking[{place}]", f"{player} is no player or is ranked twice", f"0 to {entries - 1}")
        position = left.index(player)
        index += position * perm(entries - place - 1, places - place - 1)
        left.pop(position)
    return index


def rankings(entries: int, places: int) -> Iterator[tuple[int, ...]]:
    """Every ranking in the order of the outcome index."""
    ranking_count(entries, places)
    return permutations(range(entries), places)


def message(players: Sequence[int]) -> bytes:
    """The message of an outcome: eight bytes big-endian for each player index in order of place."""
    return b"".join(player.to_bytes(8, "big") for player in players)


def messages(entries: int, places: int) -> Iterator[bytes]:
    """The message of every outcome in order, refund-all last."""
    for ranking in rankings(entries, places):
        yield message(ranking)
    yield message(range(entries))
