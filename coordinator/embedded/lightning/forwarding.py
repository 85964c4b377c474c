"""How a try travels: HTLC by HTLC to the payee, and its result back to the payer.

A node that is told to hold keeps both. What cannot wait does not: a preimage is claimed on chain
`CLAIM_DELTA` blocks before its HTLC expires, and an HTLC that expired fails back.
"""

from __future__ import annotations

from typing import Final

from coordinator.embedded.lightning import channel as ledger
from coordinator.embedded.lightning.channel import ChannelShort
from coordinator.embedded.lightning.clock import Clock
from coordinator.embedded.lightning.model import Attempt, AttemptStatus, Channel, Failure, Hop, Mode
from coordinator.embedded.lightning.state import State, pair_key
from coordinator_core.errors import Misuse

BASE_FEE_MSAT: Final = 1000
FEE_PPM: Final = 1
TIME_LOCK_DELTA: Final = 80
CLAIM_DELTA: Final = 10
"""Blocks before an incoming HTLC's expiry at which a node that knows the preimage goes on chain."""

_HOLDING: Final = (Mode.HOLD, Mode.OFFLINE)


def forwarding_fee_msat(amount_msat: int) -> int:
    """What a node takes for passing on an amount."""
    return BASE_FEE_MSAT + amount_msat * FEE_PPM // 1_000_000


class Forwarder:
    """Moves attempts through the channels."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def advance(self, attempt: Attempt) -> bool:
        """Carry an attempt on as far as it gets; True when it has just reached its payee."""
        if attempt.status is not AttemptStatus.IN_FLIGHT:
            return False
        while not attempt.resolved and not attempt.delivered:
            offered = len(attempt.htlc_indexes)
            if offered and self._mode(attempt.hops[offered - 1].node) in _HOLDING:
                return False
            if offered == len(attempt.hops):
                attempt.delivered = True
                return True
            self._forward(attempt, offered)
        if attempt.resolved:
            self._pass_back(attempt)
        return False

    def resolve(self, attempt: Attempt, preimage: bytes = b"", failure: Failure | None = None) -> None:
        """The node that has the attempt settles or fails it; the result starts on its way back.

        Raises Misuse for an attempt that has a result: a preimage and a failure must never meet.
        """
        if attempt.resolved:
            raise Misuse(f"attempt {attempt.key} was resolved twice")
        attempt.resolved = True
        attempt.preimage = preimage
        attempt.failure = failure
        self._pass_back(attempt)

    def expire(self, attempt: Attempt) -> None:
        """Fail back an attempt whose farthest HTLC has expired, or push on a result that cannot wait."""
        if not attempt.resolved and attempt.held:
            farthest = attempt.held - 1
            if self._state.tip.height >= self._expiry(attempt, farthest):
                self.resolve(attempt, failure=Failure("PERMANENT_CHANNEL_FAILURE", farthest))
        elif attempt.resolved:
            self._pass_back(attempt)

    def _forward(self, attempt: Attempt, position: int) -> None:
        """Offer the HTLC number `position`, or fail back."""
        hop = attempt.hops[position]
        sender = self.sender(attempt, position)
        channel = self._state.channels.take(str(hop.chan_id))
        refusal = self._refusal(attempt, position, channel)
        if refusal is None:
            try:
                index = ledger.offer(
                    channel,
                    sender,
                    hop.amount_msat + hop.fee_msat,
                    attempt.payment_hash,
                    self._expiry(attempt, position),
                )
            except ChannelShort:
                refusal = "TEMPORARY_CHANNEL_FAILURE"
            else:
                attempt.htlc_indexes.append(index)
                attempt.held += 1
                return
        self.resolve(attempt, failure=Failure(refusal, position, chan_id=hop.chan_id))

    def _refusal(self, attempt: Attempt, position: int, channel: Channel) -> str | None:
        """Why the node at `position` does not forward, as the code of its failure message."""
        hop = attempt.hops[position]
        if self._mode(hop.node) is Mode.OFFLINE:
            return "TEMPORARY_CHANNEL_FAILURE"
        if position == 0:
            return None
        incoming, outgoing = self._expiry(attempt, position - 1), self._expiry(attempt, position)
        amount = hop.amount_msat + hop.fee_msat
        fee = first_hop_amount_msat(attempt.hops[position - 1 :]) - amount
        rules = (
            (self._mode(attempt.hops[position - 1].node) is Mode.FAIL, "TEMPORARY_CHANNEL_FAILURE"),
            (fee < forwarding_fee_msat(amount), "FEE_INSUFFICIENT"),
            (incoming - outgoing < TIME_LOCK_DELTA, "INCORRECT_CLTV_EXPIRY"),
            (outgoing <= self._state.tip.height, "EXPIRY_TOO_SOON"),
        )
        return next((code for broken, code in rules if broken), None)

    def _pass_back(self, attempt: Attempt) -> None:
        while attempt.held:
            position = attempt.held - 1
            if self._blocked(attempt, position) and not self._cannot_wait(attempt, position):
                return
            channel = self._state.channels.take(str(attempt.hops[position].chan_id))
            end = ledger.settle if attempt.preimage else ledger.fail
            end(channel, self.sender(attempt, position), attempt.htlc_indexes[position])
            attempt.held = position
        if attempt.status is AttemptStatus.IN_FLIGHT:
            attempt.status = AttemptStatus.SUCCEEDED if attempt.preimage else AttemptStatus.FAILED
            attempt.resolved_ns = self._clock.nanoseconds()
            self._state.agenda.append(pair_key(attempt.payer, attempt.payment_hash))

    def _blocked(self, attempt: Attempt, position: int) -> bool:
        """The receiver of this HTLC keeps the result, or its offerer is not there to hear it."""
        receiver, sender = attempt.hops[position].node, self.sender(attempt, position)
        return self._mode(receiver) in _HOLDING or self._mode(sender) is Mode.OFFLINE

    def _cannot_wait(self, attempt: Attempt, position: int) -> bool:
        delta = CLAIM_DELTA if attempt.preimage else 0
        return self._state.tip.height >= self._expiry(attempt, position) - delta

    def sender(self, attempt: Attempt, position: int) -> str:
        """Who offers the HTLC number `position`."""
        return attempt.hops[position - 1].node if position else attempt.payer

    def _expiry(self, attempt: Attempt, position: int) -> int:
        return attempt.hops[position - 1].expiry_height if position else attempt.time_lock

    def _mode(self, alias: str) -> Mode:
        node = self._state.nodes.peek(alias)
        return node.mode if node is not None else Mode.OFFLINE


def first_hop_amount_msat(hops: list[Hop]) -> int:
    """What leaves the payer, fees included."""
    return hops[0].amount_msat + hops[0].fee_msat
