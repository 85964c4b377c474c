"""From a kit and an attestation (or the expiry) to signed transactions, each with the earliest block
that takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.dlc import EXPIRY, Outcome, WinCondition, label
from coordinator_core.dlc.claims import Spend, sweep, win
from coordinator_core.errors import Fault, Refused
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction
from coordinator_core.units import Blocks, FeeRate, Height, Sats, UnixTime

_AT_ONCE: Final = Blocks(0)


class NoPrize(Refused):
    """The outcome pays this entry nothing."""

    code = "claim_kit.no_prize"


class Step(StrEnum):
    """The transactions of a claim, in their order."""

    OUTCOME = "outcome"
    EXPIRY = "expiry"
    SPLIT = "split"
    WIN = "win"


@dataclass(frozen=True, slots=True)
class ClaimStep:
    """A signed transaction. It may be mined `blocks` after `after` was, once median time passed
    `lock_time`.
    """

    step: Step
    transaction: Transaction
    after: Step | None
    """None: the funding transaction, which only has to be confirmed or in the mempool."""
    blocks: Blocks
    lock_time: UnixTime | None

    def earliest(self, parent_height: Height) -> Height:
        """The first block that may hold it if its parent was mined at `parent_height`."""
        return Height(parent_height + self.blocks)


@dataclass(frozen=True, slots=True)
class ClaimDestination:
    """Where a prize goes: an output script, and the fee rate of the last transaction in sat/kWU."""

    script_pubkey: bytes
    fee_rate: FeeRate


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What to broadcast, in order. It ends where a secret is missing: `missing` says which."""

    outcome: Outcome
    value: Sats
    """The prize's output on chain, before the fee of the last transaction."""
    steps: tuple[ClaimStep, ...]
    missing: tuple[str, ...]
    win: Spend | None = field(default=None, repr=False)
    """The prize's output as the last transaction spends it, if the plan reaches it."""

    @property
    def label(self) -> str:
        """The name of the outcome: att3, exp."""
        return label(self.outcome)


def plan_claim(
    kit: ClaimKit,
    attestation: bytes | None,
    *,
    ticket_preimage: Secret | None = None,
    entry_key: SecretKey | None = None,
    destination: ClaimDestination | None = None,
) -> ClaimPlan:
    """The claim of the attested outcome, or with None of the expiry.

    Without ticket preimage it ends before the split, without key or destination before the win: anybody may
    broadcast what comes earlier. Raises UnknownAttestation, NoPrize, InvalidInput for a preimage or
    key that is not of this kit, DustSweep.
    """
    parameters = kit.signed.contract.parameters
    outcome = EXPIRY
    if attestation is not None:
        outcome = Outcome(attested_outcome(attestation, parameters.event.locking_points))
    if kit.player not in parameters.payouts(outcome):
        raise NoPrize("attestation", f"{label(outcome)} pays nothing to this entry", "", fault=Fault.PLAYER)
    condition = WinCondition(outcome, kit.player)
    missing = [
        name
        for name, value in (
            ("ticket preimage", ticket_preimage),
            ("entry key", entry_key),
            ("destination", destination),
        )
        if value is None
    ]
    prize: Spend | None = None
    if ticket_preimage is not None and entry_key is not None:
        prize = win(kit.signed.contract, condition, entry_key, ticket_preimage)
    return ClaimPlan(
        outcome=outcome,
        value=kit.signed.contract.split_output(condition).value,
        steps=tuple(_steps(kit, condition, attestation, ticket_preimage, prize, destination)),
        missing=tuple(missing),
        win=prize,
    )


def _steps(
    kit: ClaimKit,
    condition: WinCondition,
    attestation: bytes | None,
    ticket_preimage: Secret | None,
    prize: Spend | None,
    destination: ClaimDestination | None,
) -> Iterator[ClaimStep]:
    signed, delta = kit.signed, kit.terms.contract.delta
    if attestation is None:
        first = Step.EXPIRY
        yield ClaimStep(first, signed.expiry_transaction(), None, _AT_ONCE, kit.terms.contract.expiry)
    else:
        first = Step.OUTCOME
        yield ClaimStep(first, signed.outcome_transaction(attestation), None, _AT_ONCE, None)
    if ticket_preimage is None:
        return
    yield ClaimStep(Step.SPLIT, signed.split_transaction(condition, ticket_preimage), first, delta, None)
    if prize is None or destination is None:
        return
    final = sweep([prize], destination.script_pubkey, destination.fee_rate)
    yield ClaimStep(Step.WIN, final, Step.SPLIT, delta, None)
