"""How far a claim is on chain, and the next transaction that may be broadcast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from coordinator.cli.esplora import Esplora
from coordinator_core.claim_kit import ClaimPlan, ClaimStep
from coordinator_core.units import Height


class State(StrEnum):
    """Where a step of a claim is."""

    CONFIRMED = "confirmed"
    IN_MEMPOOL = "in mempool"
    SENT = "sent"
    READY = "ready"
    WAITING = "waiting"
    TAKEN = "taken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Progress:
    """A step and its state.

    `height` is the block that holds it, or the first one that may, if that is known; `other` the txid
    (as text) of the transaction that took its output instead.
    """

    step: ClaimStep
    state: State
    height: Height | None = None
    other: str | None = None

    @property
    def txid(self) -> str:
        """The id of the step's transaction, as explorers print it."""
        return self.step.transaction.txid[::-1].hex()


def offline(plan: ClaimPlan) -> Iterator[Progress]:
    """The steps without any view of the chain."""
    for step in plan.steps:
        yield Progress(step, State.UNKNOWN)


def follow(plan: ClaimPlan, chain: Esplora, *, broadcast: bool) -> Iterator[Progress]:
    """Each step as the chain has it; with `broadcast` a step that may be mined next is handed to the node.

    Raises ServiceFailed or BroadcastRefused.
    """
    tip = chain.tip_height()
    funding = plan.steps[0].transaction.inputs[0].previous_output
    parent = chain.confirmation(funding.txid).height
    lost = False
    for step in plan.steps:
        progress = Progress(step, State.WAITING) if lost else _look(step, parent, tip, chain)
        if progress.state is State.READY and broadcast:
            chain.broadcast(step.transaction)
            progress = Progress(step, State.SENT)
        yield progress
        lost = lost or progress.state is State.TAKEN
        parent = progress.height if progress.state is State.CONFIRMED else None


def _look(step: ClaimStep, parent: Height | None, tip: Height, chain: Esplora) -> Progress:
    transaction = step.transaction
    found = chain.confirmation(transaction.txid).height
    if found is not None:
        return Progress(step, State.CONFIRMED, found)
    spender = chain.spender(transaction.inputs[0].previous_output)
    if spender == transaction.txid:
        return Progress(step, State.IN_MEMPOOL)
    if spender is not None:
        return Progress(step, State.TAKEN, other=spender[::-1].hex())
    if parent is None:
        return Progress(step, State.WAITING)
    earliest = step.earliest(parent)
    early = tip + 1 < earliest or (step.lock_time is not None and chain.median_time() <= step.lock_time)
    return Progress(step, State.WAITING if early else State.READY, earliest)
