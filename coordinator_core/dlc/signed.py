"""A contract with its signatures: completes the three kinds of pre-signed transactions (dlctix section 6, paths 1-3).

Holds the full set, or what was pruned for one player.
"""

from __future__ import annotations

from dataclasses import dataclass

from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, WinCondition, label
from coordinator_core.dlc.preimage import require_preimage
from coordinator_core.dlc.serialization import signed_contract_parts, signed_contract_to_json
from coordinator_core.dlc.signatures import ContractSignatures
from coordinator_core.dlc.verification import prune, verify_for_player, verify_signatures
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.musig2 import adapt
from coordinator_core.secp256k1 import generator_mul, schnorr_verify
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction, leaf_hash


@dataclass(frozen=True, slots=True)
class SignedContract:
    """Not verified by being made: use `verified`, or verify what others sent before relying on it.

    Every transaction it completes is checked all the same.
    """

    contract: Contract
    signatures: ContractSignatures

    @classmethod
    def verified(
        cls, contract: Contract, signatures: ContractSignatures, *, player: int | None = None
    ) -> SignedContract:
        """Check the complete set, or for a player what it can claim with; errors as in `verification`."""
        if player is None:
            verify_signatures(contract, signatures)
        else:
            verify_for_player(contract, signatures, player)
        return cls(contract, signatures)

    @classmethod
    def from_json(cls, document: str | bytes, *, foreign: bool = False) -> SignedContract:
        """Read dlctix's SignedContract and rebuild its transactions; the signatures are not verified.

        `foreign` as in `Contract.build`. Raises InvalidInput or Refused naming the field.
        """
        parameters, outpoint, signatures = signed_contract_parts(document)
        return cls(Contract.build(parameters, outpoint, foreign=foreign), signatures)

    def to_json(self) -> str:
        """dlctix's SignedContract."""
        return signed_contract_to_json(self.contract.parameters, self.contract.outpoint, self.signatures)

    def pruned(self, player: int) -> SignedContract:
        """With the signatures that one player needs. Raises InvalidInput or MissingSignature."""
        return SignedContract(self.contract, prune(self.contract, self.signatures, player))

    def attested_outcome(self, attestation: bytes) -> Outcome:
        """The outcome whose locking point a 32-byte attestation opens. Raises VerificationFailed if none does."""
        point = generator_mul(attestation)
        for outcome in self.contract.outcomes:
            if outcome != EXPIRY and self.contract.parameters.event.locking_points[outcome] == point:
                return outcome
        raise VerificationFailed("attestation", "opens no outcome of this contract", fault=Fault.ORACLE)

    def outcome_transaction(self, attestation: bytes) -> Transaction:
        """The signed outcome transaction that a 32-byte attestation opens; anyone may broadcast it at once.

        Raises VerificationFailed for an attestation of another event, InvalidInput if the signature is not held.
        """
        outcome = self.attested_outcome(attestation)
        return self._signed(outcome, adapt(self._outcome_signature(outcome), attestation))

    def expiry_transaction(self) -> Transaction:
        """The signed expiry transaction, valid once its lock time has passed. Raises InvalidInput if not held."""
        return self._signed(EXPIRY, self._outcome_signature(EXPIRY))

    def _outcome_signature(self, outcome: Outcome) -> bytes:
        signature = self.signatures.by_outcome.get(outcome)
        if signature is None:
            raise InvalidInput("outcome", f"no signature of {label(outcome)} is held", "one of the outcomes held")
        return signature

    def _signed(self, outcome: Outcome, signature: bytes) -> Transaction:
        message, key = self.contract.record(outcome).sighash, self.contract.funding_key_set.x_only
        if not schnorr_verify(signature, message, key):
            raise InvalidSignature(f"outcome signature {label(outcome)}", fault=Fault.SIGNER)
        return self.contract.outcome_transaction(outcome).with_witness(0, (signature,))

    def split_transaction(self, win: WinCondition, ticket_preimage: bytes | Secret) -> Transaction:
        """The signed split of an outcome through one winner's leaf, valid delta blocks after the outcome.

        Raises InvalidInput for a preimage that does not match or a signature that is not held.
        """
        contract = self.contract
        script = contract.split_script(win)
        player = contract.parameters.players[win.player]
        preimage = require_preimage(ticket_preimage, player.ticket_hash, "ticket preimage")
        signature = self.signatures.by_win_condition.get(win)
        if signature is None:
            raise InvalidInput("win condition", f"no signature of {label(win)} is held", "one that is held")
        item = contract.item(win)
        if not schnorr_verify(signature, item.message, item.key_set.x_only):
            raise InvalidSignature(f"split signature {label(win)}", fault=Fault.SIGNER)
        control_block = contract.outcome_taproot(win.outcome).control_block(leaf_hash(script))
        witness = (signature, preimage, script, control_block)
        return contract.split_transaction(win.outcome).with_witness(0, witness)
