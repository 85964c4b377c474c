"""How a contract's signatures are spread over subsets, batches and signing sessions.

Sources: keymeld section 11 (subsets, at most 100 items a session) and the closing's quota in the money rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import comb, perm
from typing import Final
from uuid import uuid4

from msgspec import Struct

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.keymeld.batch import MAX_BATCH_ITEMS
from coordinator_core.keymeld.batch_item import Adaptor, PlainItem
from coordinator_core.keymeld.manifest import MAX_SUBSETS
from coordinator_core.keymeld.roster import VerifiedRoster
from coordinator_core.musig2 import KeySet, SigningItem
from coordinator_core.units import Seconds

MAX_QUOTA: Final = 100
KEYGEN_TIMEOUT: Final = Seconds(86_400)
SIGNING_TIMEOUT: Final = Seconds(7_200)


class SigningPlan(Struct, frozen=True):
    """Numbers of a competition with `players` and `places`: what the manifest grants and the player expects."""

    players: int
    places: int

    @classmethod
    def of(cls, players: int, places: int) -> SigningPlan:
        """Raises InvalidInput for impossible numbers, Refused when a limit of keymeld is exceeded."""
        if not 1 <= places < players:
            raise InvalidInput("places", f"{places} of {players} players", "at least 1, fewer than players")
        plan = cls(players, places)
        if plan.subsets > MAX_SUBSETS:
            raise Refused("places", f"need {plan.subsets} subsets", f"at most {MAX_SUBSETS}")
        if plan.max_signing_sessions > MAX_QUOTA:
            raise Refused("places", f"need {plan.max_signing_sessions} sessions", f"at most {MAX_QUOTA}")
        return plan

    @property
    def subsets(self) -> int:
        """One for each set of winners, and one for everyone."""
        return comb(self.players, self.places) + 1

    @property
    def items(self) -> int:
        """Signatures of a contract: rankings with their splits, refund-all and expiry with a split for each player."""
        return perm(self.players, self.places) * (self.places + 1) + 2 * self.players + 2

    @property
    def batches(self) -> int:
        """B: sessions that hold all items, at most 100 each."""
        return -(-self.items // MAX_BATCH_ITEMS)

    @property
    def spare_sessions(self) -> int:
        """How many sessions may replace one that hung."""
        return 2 + -(-self.batches // 4)

    @property
    def max_signing_sessions(self) -> int:
        """The manifest's quota."""
        return self.batches + self.spare_sessions

    def groups(self, coordinator: str, players: Sequence[str]) -> list[frozenset[str]]:
        """The groups that sign, as sets of user ids: the coordinator with each set of winners, then everyone.

        Raises InvalidInput when `players` are not this plan's number of distinct users.
        """
        if len({coordinator, *players}) != self.players + 1 or len(players) != self.players:
            raise InvalidInput("players", "are not the plan's number of distinct users")
        winners = [frozenset((coordinator, *chosen)) for chosen in combinations(players, self.places)]
        return [*winners, frozenset((coordinator, *players))]


def fresh_id() -> str:
    """A random UUID in its canonical form."""
    return str(uuid4())


def plan_batches(
    items: Iterable[SigningItem], roster: VerifiedRoster, *, new_id: Callable[[], str] = fresh_id
) -> list[tuple[PlainItem, ...]]:
    """Split a contract's items, in their order, into batches of at most 100, each item under its named subset.

    Raises InvalidInput when an item's key set is of no subset of the manifest.
    """
    subsets = roster.subset_ids()
    plain = [_plain(item, subsets, new_id) for item in items]
    return [tuple(plain[start : start + MAX_BATCH_ITEMS]) for start in range(0, len(plain), MAX_BATCH_ITEMS)]


def _plain(item: SigningItem, subsets: Mapping[KeySet, str | None], new_id: Callable[[], str]) -> PlainItem:
    if item.key_set not in subsets:
        raise InvalidInput("item.key_set", "is of no subset of the manifest")
    adaptor = None if item.adaptor_point is None else Adaptor(new_id(), item.adaptor_point)
    return PlainItem(new_id(), item.message, adaptor, subsets[item.key_set])
