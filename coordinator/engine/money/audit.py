"""The audit of the books: every competition's, and whether the house can pay what it owes (money section 8).

A competition is read again when it changed; those that are over are read once. What a service did not say stays
unknown, with the age of what it said last; nothing is judged on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from coordinator.domain.competitions.states import FundingBroadcasted
from coordinator.domain.facts import Bumped, Pinned
from coordinator.domain.lane import Lane
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import TERMINAL, world_of
from coordinator.engine.executors.services import Services
from coordinator.engine.money.books import LaneBooks, books_of, gap
from coordinator.engine.money.buckets import Bucket
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.bitcoin import FundingPlan
from coordinator.ports.faults import PortError
from coordinator_core.units import Sats, UnixTime

EVERY_SECONDS: Final = 60
REREAD_SECONDS: Final = 3_600
"""Every open competition is read again so often, changed or not."""
WALLET_SECONDS: Final = 900
"""A look at the wallet's coins may cost the node a scan of every output there is."""
GAP_SECONDS: Final = 600
"""A gap between what we owe and what we have stands so long before it counts: coins move from one place to another."""
YIELD_EVERY: Final = 50
SHOWN: Final = 3

log = structlog.get_logger()


class Known(Struct, frozen=True):
    """An amount, and when it was said (wall clock)."""

    sats: int
    at: UnixTime


class Imbalance(Struct, frozen=True):
    """What does not add up, and in which competition; None: in the house."""

    lane: str | None
    what: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A competition as it was read."""

    books: LaneBooks
    over: bool
    in_transit: int
    """Coins of ours that a funding spends which is not confirmed: the wallet does not count them."""
    uncertain: bool
    """A fee bump of ours is under way: where its coins are is not known."""


def _nobody_listens() -> None:
    """Where nobody watches over the audit."""


class Audit:
    """The books of the house as of the last audit."""

    def __init__(
        self, services: Services, wakeups: Wakeups, freezer: Freezer, beat: Callable[[], None] = _nobody_listens
    ) -> None:
        """`beat`: a sign of life; many competitions take a while."""
        self._s = services
        self._beat = beat
        self._freezer = freezer
        self._read: dict[str, _Read] = {}
        self._dirty: set[str] = set()
        self._read_all_at: UnixTime | None = None
        self._gap_since: UnixTime | None = None
        self._gap_fault: tuple[Imbalance, ...] = ()
        """As last judged: while it cannot be judged it stays."""
        self.channels: Known | None = None
        """Our side of all channels; None until Lightning has said it."""
        self.buckets: dict[Bucket, Known] = {}
        """Every bucket that is known."""
        self.gap: int | None = None
        """Satoshi by which what we owe exceeds what we have, as of the last look at the wallet; None while a service
        does not say what we have.
        """
        self.faults: tuple[Imbalance, ...] = ()
        """What does not add up."""
        self.faulty_since: UnixTime | None = None
        """Wall clock; None while everything adds up."""
        wakeups.listen(self._dirty.add)

    async def look(self) -> None:
        """One audit. What does not add up freezes new money; an operator lets it in again."""
        now = self._s.clock.wall()
        await self._read_changed(now)
        self._count(now)
        await self._ask(now)
        self._judge(now)
        self.faulty_since = (self.faulty_since or now) if self.faults else None
        if self.faults:
            log.error("the books do not add up", faults=msgspec.to_builtins(self.faults[:SHOWN]), of=len(self.faults))
            await self._freezer.alarm("the books do not add up")

    async def _read_changed(self, now: UnixTime) -> None:
        if self._read_all_at is None or now - self._read_all_at >= REREAD_SECONDS:
            self._dirty |= {lane for lane in await self._s.store.lanes() if not self._is_over(lane)}
            self._read_all_at = now
        wanted = sorted(self._dirty)
        self._dirty.clear()
        for number, lane in enumerate(wanted):
            await self._read_one(lane)
            if number % YIELD_EVERY == 0:
                self._beat()

    def _is_over(self, lane: str) -> bool:
        known = self._read.get(lane)
        return known is not None and known.over

    async def _read_one(self, lane: str) -> None:
        try:
            record = await self._s.store.lane(lane)
            if record is None:
                return
            view = codec.lane_of(record, await world_of(record, self._s.clock))
            state = codec.decode_state(record.state)
            books = books_of(state, view)
            transit = await self._in_transit(state.attempt, view) if isinstance(state, FundingBroadcasted) else 0
        except UnreadableRow:
            # It is stopped, and what is known of its books stays.
            return
        except Exception:
            log.exception("books cannot be read", lane=lane)
            return
        over = codec.tag(state) in TERMINAL
        self._read[lane] = _Read(books, over, transit, _is_bumping(view))

    async def _in_transit(self, attempt: int, lane: Lane) -> int:
        pin = lane.facts.get(Pinned, attempt)
        if pin is None or lane.world.confirmations(pin.funding_txid) > 0:
            return 0
        plan = msgspec.json.decode(await self._s.blob(pin.plan), type=FundingPlan)
        return pin.funding_value + plan.change_value

    def _count(self, now: UnixTime) -> None:
        books = [read.books for read in self._read.values()]
        sums: Mapping[Bucket, int] = {
            Bucket.HELD: sum(one.held for one in books),
            Bucket.ESCROWED: 0,
            Bucket.IN_CONTRACT: sum(one.in_contract for one in books),
            Bucket.OWED: sum(one.owed for one in books),
            Bucket.PAID: sum(one.paid for one in books),
            Bucket.SWEPT: sum(one.swept for one in books),
            Bucket.LEFT: sum(one.left for one in books),
        }
        self.buckets.update({bucket: Known(amount, now) for bucket, amount in sums.items()})

    async def _ask(self, now: UnixTime) -> None:
        """What the services hold. One that does not answer leaves what it said before, with its age."""
        try:
            if (last := self.buckets.get(Bucket.WALLET)) is None or now - last.at >= WALLET_SECONDS:
                found = await self._s.wallet.holdings()
                self.buckets[Bucket.WALLET] = Known(found.total, now)
                self.buckets[Bucket.RESERVED] = Known(found.reserved, now)
        except PortError as error:
            log.debug("wallet unknown", error=str(error))
        try:
            local = (await self._s.lightning.liquidity()).local
            self.channels = self.channels if local is None else Known(local, now)
        except PortError as error:
            log.debug("channels unknown", error=str(error))

    def _judge(self, now: UnixTime) -> None:
        faults = [Imbalance(lane, fault) for lane, read in sorted(self._read.items()) for fault in read.books.faults]
        wallet = self.buckets.get(Bucket.WALLET)
        # What was judged last stands until it is the wallet's turn again.
        if wallet is None or wallet.at == now or now - wallet.at >= WALLET_SECONDS:
            self._judge_gap(now)
        self.faults = (*faults, *self._gap_fault)

    def _judge_gap(self, now: UnixTime) -> None:
        self.gap = self._gap(now)
        if self.gap is not None:
            self._gap_since = None if self.gap <= 0 else self._gap_since or now
            stands = self._gap_since is not None and now - self._gap_since >= GAP_SECONDS
            self._gap_fault = (Imbalance(None, f"we owe {self.gap} sat more than we have"),) if stands else ()

    def _gap(self, now: UnixTime) -> int | None:
        wallet, channels = self.buckets.get(Bucket.WALLET), self.channels
        fresh = wallet is not None and channels is not None and wallet.at == channels.at == now
        if wallet is None or channels is None or not fresh or any(read.uncertain for read in self._read.values()):
            return None
        return gap(
            (read.books for read in self._read.values()),
            wallet=Sats(wallet.sats),
            channels=Sats(channels.sats),
            in_transit=sum(read.in_transit for read in self._read.values()),
        )


def _is_bumping(lane: Lane) -> bool:
    return any(bump.coins and bump.spends not in lane.world.spent for bump in lane.facts.all(Bumped))
