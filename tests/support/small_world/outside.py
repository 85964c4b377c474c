"""Everything outside of the coordinator: what exists, what answers, and the time. It never does the impossible."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tests.support import lanes as b
from tests.support.small_world.chain import Chain, Tx, View
from tests.support.small_world.lightning import Lightning

START = 1_790_000_000
WALL_AHEAD = 1_000
"""The wall clock and the domain clock are two."""


class Service(StrEnum):
    ORACLE = "oracle"
    KEYMELD = "keymeld"
    LIGHTNING = "lightning"
    CHAIN = "chain"


class Keymeld(StrEnum):
    """How the enclaves behave while the gateway answers."""

    GOOD = "good"
    HUNG = "hung"
    WRONG = "wrong"
    LOST = "lost"


class Away(Exception):
    """A service does not answer."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.value)
        self.service = service


@dataclass
class World:
    """The honest world. `deep` is set by a reorg of at least `required` blocks: then a confirmed promise was broken."""

    required: int
    chain: Chain = field(default_factory=lambda: Chain(b.TIP, START))
    lightning: Lightning = field(default_factory=Lightning)
    away: set[Service] = field(default_factory=set[Service])
    keymeld: Keymeld = Keymeld.GOOD
    outcome: int | None = None
    """What the oracle will attest; None: it never does."""
    plans: bool = True
    """The oracle can assess the competition, and the kick-off check finds fees and coins in order."""
    bad_keys: set[str] = field(default_factory=set[str])
    """Players whose sealed key keymeld refuses."""
    raw: dict[str, Tx] = field(default_factory=dict[str, Tx])
    """Pinned transactions by key of their duty: signed, sent or not."""
    replaced: dict[str, list[Tx]] = field(default_factory=dict[str, list[Tx]])
    """Bumps by signing again, by key of their duty."""
    reserved: set[int] = field(default_factory=set[int])
    """Attempts whose coins the wallet has reserved."""
    released: set[int] = field(default_factory=set[int])
    """Attempts whose coins were given back: it reserves none for them any more."""
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    deep: bool = False
    greedy: set[str] = field(default_factory=set[str])
    """Paid winners whose output could be claimed because we slept for a whole delta."""
    seen: View = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self.chain.view()

    @property
    def now(self) -> int:
        return self.chain.now

    @property
    def wall(self) -> int:
        return self.now + WALL_AHEAD

    @property
    def attested(self) -> int | None:
        """Public once the signing date is there."""
        return self.outcome if self.now >= b.DOCUMENT["observation"]["signing_date"] else None

    def need(self, *services: Service) -> None:
        """Raises Away for the first that does not answer."""
        for service in services:
            if service in self.away:
                raise Away(service)

    def look(self) -> None:
        """What our node shows; while it is away we know no more than before."""
        if Service.CHAIN not in self.away:
            self.seen = self.chain.view()

    def pass_time(self, seconds: int) -> None:
        self.chain.now += seconds
        self.lightning.look(self.wall, self.chain.tip)

    def mine(self, leave: tuple[str, ...] = ()) -> None:
        self.chain.mine(leave)
        self.lightning.look(self.wall, self.chain.tip)

    def known_transactions(self) -> list[Tx]:
        """Everything that was ever signed and may have left: anybody may have kept it."""
        return [*self.raw.values(), *(tx for made in self.replaced.values() for tx in made)]
