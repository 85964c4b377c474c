"""How far a claim is on chain, and the next transaction that may be broadcast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from coordinator.cli.claim_bump import Bump
from coordinator.cli.esplora import Esplora
from coordinator_core.claim_kit import ClaimPlan, ClaimStep, Step
from coordinator_core.transaction import Transaction
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


_NEXT = frozenset({State.READY, State.IN_MEMPOOL})


@dataclass(frozen=True, slots=True)
class Progress:
    """A step and its state.

    `height` is the block that holds it, or the first one that may, if that is known; `other` the txid
    (as text) of the transaction that is there instead: somebody else's if the state is TAKEN, otherwise one
    of ours with another fee. `bump` is what a coin of the player's adds to it.
    """

    step: ClaimStep
    state: State
    height: Height | None = None
    other: str | None = None
    bump: Transaction | None = None

    @property
    def txid(self) -> str:
        """The id of the step's transaction, as explorers print it."""
        return self.step.transaction.txid[::-1].hex()


def offline(plan: ClaimPlan) -> Iterator[Progress]:
    """The steps without any view of the chain."""
    for step in plan.steps:
        yield Progress(step, State.UNKNOWN)


def follow(plan: ClaimPlan, chain: Esplora, *, broadcast: bool, bump: Bump | None = None) -> Iterator[Progress]:
    """Each step as the chain has it; with `broadcast` a step that may be mined next is handed to the node.

    With `bump` the step that is to be mined next is paid for by its coin, whether it was sent before or not.
    Raises ServiceFailed, BroadcastRefused, and what Bump raises.
    """
    tip = chain.tip_height()
    funding = plan.steps[0].transaction.inputs[0].previous_output
    parent = chain.confirmation(funding.txid).height
    lost = False
    for step in plan.steps:
        progress = Progress(step, State.WAITING) if lost else _look(step, parent, tip, chain)
        if bump is not None and progress.state in _NEXT:
            progress = _bumped(progress, bump, chain, broadcast=broadcast)
        elif progress.state is State.READY and broadcast:
            chain.broadcast(step.transaction)
            progress = replace(progress, state=State.SENT)
        yield progress
        lost = lost or progress.state is State.TAKEN
        parent = progress.height if progress.state is State.CONFIRMED else None


def _bumped(progress: Progress, bump: Bump, chain: Esplora, *, broadcast: bool) -> Progress:
    transaction = bump.transaction(progress.step, chain)
    if not broadcast or chain.spender(transaction.inputs[0].previous_output) == transaction.txid:
        return replace(progress, bump=transaction)
    if progress.step.step is Step.WIN or progress.state is State.IN_MEMPOOL:
        chain.broadcast(transaction)
    else:
        # Below the node's floor the parent enters only together with its child.
        chain.broadcast_package([progress.step.transaction, transaction])
    return replace(progress, state=State.SENT, bump=transaction)


def _look(step: ClaimStep, parent: Height | None, tip: Height, chain: Esplora) -> Progress:
    transaction = step.transaction
    found = chain.confirmation(transaction.txid).height
    if found is not None:
        return Progress(step, State.CONFIRMED, found)
    spender = chain.spender(transaction.inputs[0].previous_output)
    if spender == transaction.txid:
        return Progress(step, State.IN_MEMPOOL)
    if spender is not None:
        return _spent(step, spender, chain)
    if parent is None:
        return Progress(step, State.WAITING)
    earliest = step.earliest(parent)
    early = tip + 1 < earliest or (step.lock_time is not None and chain.median_time() <= step.lock_time)
    return Progress(step, State.WAITING if early else State.READY, earliest)


def _spent(step: ClaimStep, spender: bytes, chain: Esplora) -> Progress:
    """The step's output is spent by another transaction; nobody but us pays it to our own script."""
    other, found = spender[::-1].hex(), chain.transaction(spender)
    wanted = step.transaction.outputs[0].script_pubkey
    if step.step is not Step.WIN or found is None or found.outputs[0].script_pubkey != wanted:
        return Progress(step, State.TAKEN, other=other)
    height = chain.confirmation(spender).height
    return Progress(step, State.IN_MEMPOOL if height is None else State.CONFIRMED, height, other=other)
