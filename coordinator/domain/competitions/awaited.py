"""What can be awaited, from whom, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from coordinator.domain.lane import World
from coordinator_core.units import UnixTime


class Party(StrEnum):
    """Who can let a competition wait."""

    PLAYER = "player"
    ORACLE = "oracle"
    KEYMELD = "keymeld"
    LIGHTNING = "lightning"
    CHAIN = "chain"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"
    """We ourselves: a duty of ours is under way."""


class Clock(StrEnum):
    """What a deadline is counted by."""

    WALL = "wall"
    DOMAIN = "domain"
    MEDIAN = "median"
    """Median time past: what absolute time locks follow."""
    HEIGHT = "height"


class Phase(StrEnum):
    """Steps that are awaited; a later one of a competition only once the earlier ones are complete."""

    LOOK = "look"
    FIX_TERMS = "fix_terms"
    TAKE_SEATS = "take_seats"
    COME_BACK = "come_back"
    READ_HOLDS = "read_holds"
    CHECK_PLANNING = "check_planning"
    CREATE_EVENT = "create_event"
    TAKE_TURN = "take_turn"
    OPEN_SESSION = "open_session"
    SEAL = "seal"
    FINISH_KEYGEN = "finish_keygen"
    SUBMIT_ENTRIES = "submit_entries"
    PIN_CONTRACT = "pin_contract"
    OPEN_BATCHES = "open_batches"
    OPEN_SPARE = "open_spare"
    COMPARE = "compare"
    APPROVE = "approve"
    NEXT_ATTEMPT = "next_attempt"
    SIGN = "sign"
    ASSEMBLE = "assemble"
    SEND_FUNDING = "send_funding"
    CONFIRM_FUNDING = "confirm_funding"
    CONFIRM_RETURN = "confirm_return"
    SETTLE_TICKETS = "settle_tickets"
    ATTEST = "attest"
    CONFIRM_OUTCOME = "confirm_outcome"
    ASK_PRIZE = "ask_prize"
    PAY_PRIZE = "pay_prize"
    REACH_SPLIT = "reach_split"
    CONFIRM_CLOSE = "confirm_close"
    CONFIRM_SPLIT = "confirm_split"
    CLAIM_PRIZE = "claim_prize"
    CONFIRM_SWEEPS = "confirm_sweeps"
    GIVE_BACK = "give_back"
    RECORD_DEBTS = "record_debts"
    RELEASE_COINS = "release_coins"


WORDS: Final[Mapping[Phase, str]] = {
    Phase.LOOK: "look at what needs a person",
    Phase.FIX_TERMS: "complete the terms",
    Phase.TAKE_SEATS: "buy a ticket before entries close",
    Phase.COME_BACK: "come back when entries close",
    Phase.READ_HOLDS: "say how every held ticket stands",
    Phase.CHECK_PLANNING: "say whether every pick can be assessed",
    Phase.CREATE_EVENT: "announce the event",
    Phase.TAKE_TURN: "have time for this closing: others are before it",
    Phase.OPEN_SESSION: "open a session for the keys",
    Phase.SEAL: "seal the key",
    Phase.FINISH_KEYGEN: "finish the keys",
    Phase.SUBMIT_ENTRIES: "take the entries",
    Phase.PIN_CONTRACT: "fix contract and coins",
    Phase.OPEN_BATCHES: "open the signing sessions",
    Phase.OPEN_SPARE: "open a spare signing session",
    Phase.COMPARE: "compare the contract",
    Phase.APPROVE: "approve the contract",
    Phase.NEXT_ATTEMPT: "start the next attempt",
    Phase.SIGN: "sign the contract",
    Phase.ASSEMBLE: "verify the whole contract",
    Phase.SEND_FUNDING: "send the funding",
    Phase.CONFIRM_FUNDING: "confirm the funding",
    Phase.CONFIRM_RETURN: "confirm that the funding's coins came back",
    Phase.SETTLE_TICKETS: "settle the held tickets",
    Phase.ATTEST: "attest the result",
    Phase.CONFIRM_OUTCOME: "confirm the outcome",
    Phase.ASK_PRIZE: "ask for the prize",
    Phase.PAY_PRIZE: "deliver the prize",
    Phase.REACH_SPLIT: "reach the block from which the outcome can be spent",
    Phase.CONFIRM_CLOSE: "confirm the close",
    Phase.CONFIRM_SPLIT: "confirm the split into prizes",
    Phase.CLAIM_PRIZE: "claim the prize on chain",
    Phase.CONFIRM_SWEEPS: "confirm what spends the prizes' outputs",
    Phase.GIVE_BACK: "give the held tickets back",
    Phase.RECORD_DEBTS: "write down what is owed",
    Phase.RELEASE_COINS: "release reserved coins",
}


@dataclass(frozen=True, slots=True)
class Until:
    """A deadline: seconds since 1970 of one of the clocks, or a height."""

    clock: Clock
    at: int

    def is_ahead(self, world: World) -> bool:
        """True while it has not come."""
        now: Mapping[Clock, int] = {
            Clock.WALL: world.wall,
            Clock.DOMAIN: world.now,
            Clock.MEDIAN: world.median_time_past,
            Clock.HEIGHT: world.tip,
        }
        return now[self.clock] < self.at


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that has to happen before a competition goes on."""

    phase: Phase
    party: Party
    until: Until | None
    """When it goes on without it; None for what is simply done as soon as it can be."""
    entry_id: str | None = None
    """Which player; None of a player: whoever wants to."""
    since: UnixTime | None = None
    """From when on a player could do it (wall clock)."""

    @property
    def what(self) -> str:
        """In words that follow "waits for ... to"."""
        return WORDS[self.phase]
