"""Whether new money may come in now: reservations, and invoices for signed entries (money section 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import Struct

from coordinator.domain.competitions.attendance import barred_until
from coordinator.domain.facts import Attended, Missed
from coordinator.engine.dependencies import FAULTS, Away, Dependency
from coordinator.engine.submit import Conflict
from coordinator.ports.store import Store
from coordinator_core.competition.closing import BARRED_SECONDS
from coordinator_core.competition.fees import FeeMarket, NoFeeEstimate, PriceLines, offer
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault, Refused
from coordinator_core.units import UnixTime

RETRY_SECONDS = 5
OPERATOR = "operator"
"""Whose pause it is when no service is away."""
COORDINATOR = "coordinator"
"""The coordinator's own: it is not ready to take money."""


class NewMoneyPaused(Refused):
    """A service that every competition needs is away: no new ticket until it is back. What was paid stands."""

    code = "competition.paused"


class Barred(Conflict):
    """A player that sealed in no attempt of a closing gets no new ticket for a day."""

    code = "competition.barred"


class Pause(Struct, frozen=True):
    """Why no ticket is sold now. `since` is None for fees: they are what they are now."""

    dependency: str
    reason: str
    since: UnixTime | None


class Frozen(Struct, frozen=True):
    """No new money until it is let in again. Players read the reason; `since` is wall-clock time."""

    reason: str
    since: UnixTime
    by: str = OPERATOR
    """OPERATOR, or COORDINATOR for a rule of its own."""


def _everything(_: Terms) -> Sequence[Pause]:
    return ()


@dataclass(frozen=True, slots=True)
class NewMoney:
    """Fees, services and the operator's word as of now, and what is known of the player that asks. `market` None: the
    node did not say.
    """

    market: FeeMarket | None
    away: Sequence[Away] = ()
    frozen: Frozen | None = None
    """Set while an operator, or the books, let no new money in."""
    barred_until: UnixTime | None = None
    """Set for a player that is kept out of new reservations (wall clock)."""
    house: Sequence[Pause] = ()
    """What else keeps new money out of every competition: the whole house is not ready, or takes on nothing new."""
    able: Callable[[Terms], Sequence[Pause]] = _everything
    """What a service lacks for a competition of these terms."""

    def require_unbarred(self) -> None:
        """Raises Barred for a player that is kept out of new reservations."""
        if self.barred_until is not None:
            raise Barred(
                "player",
                "sealed no key in a closing that it had a seat in",
                f"new tickets again from {_date(self.barred_until)}, or once you seal in another closing",
                fault=Fault.PLAYER,
            )

    def price(self, terms: Terms) -> PriceLines:
        """The price of a ticket now. Raises NewMoneyPaused, or Refused as fees.offer does."""
        if stops := self._stops(terms):
            raise NewMoneyPaused(
                "competition",
                f"sells no ticket now: {', '.join(_sentence(stop) for stop in stops)}",
                "try again later; what is paid already is safe",
                fault=_fault(stops[0]),
            )
        if self.market is None:
            reason = "the node does not answer, so the network fee is not known"
            raise NoFeeEstimate("fee_market", reason, "wait for it", fault=Fault.NODE)
        return offer(terms, self.market)

    def pauses(self, terms: Terms) -> tuple[Pause, ...]:
        """Everything that speaks against a new ticket now."""
        if stops := self._stops(terms):
            return stops
        try:
            self.price(terms)
        except Refused as refusal:
            return (Pause(Dependency.CHAIN.value, refusal.reason, None),)
        return ()

    def _stops(self, terms: Terms) -> tuple[Pause, ...]:
        """What speaks against it whatever the fees are."""
        if self.frozen is not None:
            return (Pause(self.frozen.by, self.frozen.reason, self.frozen.since),)
        gone = (Pause(away.dependency.value, away.reason, away.since) for away in self.away)
        return (*gone, *self.house, *self.able(terms))


async def bar_of(store: Store, player: bytes, now: UnixTime) -> UnixTime | None:
    """When a player (x-only key) gets new tickets again, by what is known of it in all competitions; None: at once."""
    since = UnixTime(now - BARRED_SECONDS)
    missed = await store.facts_of(Missed, player.hex(), since)
    return barred_until(missed, await store.facts_of(Attended, player.hex(), since), now)


def _sentence(pause: Pause) -> str:
    since = "" if pause.since is None else f" since {_date(pause.since)}"
    return f"{pause.dependency} {pause.reason}{since}"


def _fault(pause: Pause) -> Fault:
    return FAULTS[Dependency(pause.dependency)] if pause.dependency in set(Dependency) else Fault.COORDINATOR


def _date(moment: UnixTime) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
