"""Fee rates in satoshi per 1,000 virtual bytes, as Core's options have them, and the limits a mempool is run with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordinator_core.units import MAX_MONEY

MAX_MONEY_SAT: Final = int(MAX_MONEY)
COIN: Final = 100_000_000
DEFAULT_MIN_RELAY_SAT_PER_KVB: Final = 100
INCREMENTAL_RELAY_SAT_PER_KVB: Final = 100
DUST_RELAY_SAT_PER_KVB: Final = 3_000
DEFAULT_BLOCK_FLOOR_SAT_PER_KVB: Final = 1
CLUSTER_COUNT_LIMIT: Final = 64
CLUSTER_SIZE_LIMIT_VB: Final = 101_000


@dataclass(slots=True)
class FeeSettings:
    """What a test or demo may turn while the node runs. All in sat/kvB."""

    min_relay: int = DEFAULT_MIN_RELAY_SAT_PER_KVB
    mempool_minimum: int = 0
    """Below this rate nothing enters the mempool, as if it were full; 0 for none."""
    block_floor: int = DEFAULT_BLOCK_FLOOR_SAT_PER_KVB
    """A transaction is mined only in a package of ancestors that pays at least this rate."""
    estimates: dict[int, int] | None = None
    """Rate by confirmation target in blocks; None: no data, as on a real regtest."""

    @property
    def entry_minimum(self) -> int:
        """The rate below which nothing enters."""
        return max(self.min_relay, self.mempool_minimum)

    def estimate(self, target: int) -> tuple[int, int] | None:
        """(rate, target answered for): the largest known target that is not above `target`, else the least."""
        if not self.estimates:
            return None
        reached = max((t for t in self.estimates if t <= target), default=min(self.estimates))
        return max(self.estimates[reached], self.entry_minimum), max(target, reached)


def fee_at(rate_sat_per_kvb: int, vsize: int) -> int:
    """Satoshi that `vsize` virtual bytes cost, rounded up."""
    return -(-rate_sat_per_kvb * vsize // 1000)


def rate_of(fee: int, vsize: int) -> int:
    """sat/kvB of a fee, rounded down as Core prints it."""
    return fee * 1000 // vsize


def money(sat: int) -> str:
    """Bitcoin as Core prints it inside of messages: at least two decimals."""
    whole, rest = divmod(abs(sat), COIN)
    decimals = f"{rest:08d}".rstrip("0").ljust(2, "0")
    return f"{'-' if sat < 0 else ''}{whole}.{decimals}"
