"""`--fee-utxo`: a coin of the player's pays for the next step of a claim."""

from __future__ import annotations

from dataclasses import dataclass, field

from coordinator.cli.esplora import Esplora
from coordinator_core.claim_kit import (
    ClaimDestination,
    ClaimKit,
    ClaimPlan,
    ClaimStep,
    FeeCoin,
    Step,
    child_of,
    win_with_coin,
)
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.transaction import OutPoint, Transaction

FIELD = "--fee-utxo"


@dataclass(frozen=True, slots=True)
class Bump:
    """Outcome, expiry and split get a child on their anchor; the last transaction gets the coin as an input."""

    kit: ClaimKit
    plan: ClaimPlan
    outpoint: OutPoint
    key: SecretKey = field(repr=False, compare=False)
    destination: ClaimDestination

    def transaction(self, step: ClaimStep, chain: Esplora) -> Transaction:
        """The signed transaction that lifts `step` to the fee rate.

        Raises InvalidInput for a coin that cannot be used, Refused for a key that does not spend it, BumpUnaffordable,
        MissingAnchor, DustSweep, ServiceFailed.
        """
        coin = self._coin(step, chain)
        if step.step is Step.WIN:
            return win_with_coin(self.plan, coin, self.destination)
        return child_of(self.kit, step.transaction, coin, self.destination)

    def _coin(self, step: ClaimStep, chain: Esplora) -> FeeCoin:
        output = chain.output(self.outpoint)
        if output is None or chain.confirmation(self.outpoint.txid).height is None:
            # A package with an unconfirmed coin would need that coin's own parents in it as well.
            raise InvalidInput(FIELD, "is not a confirmed coin", "a coin that is mined and known to the server")
        spender = chain.spender(self.outpoint)
        if spender is not None and not self._is_earlier_bump(step, spender, chain):
            raise InvalidInput(FIELD, f"is spent by {spender[::-1].hex()}", "another coin")
        return FeeCoin.of(self.outpoint, output, self.key)

    def _is_earlier_bump(self, step: ClaimStep, spender: bytes, chain: Esplora) -> bool:
        """True for a transaction that this one replaces: it spends the coin and the same output of the claim."""
        parent = step.transaction
        anchor = parent.outpoint(len(parent.outputs) - 1)
        target = parent.inputs[0].previous_output if step.step is Step.WIN else anchor
        found = chain.transaction(spender)
        if found is None or chain.confirmation(spender).height is not None:
            return False
        return target in [one.previous_output for one in found.inputs]
