"""A contract: all transactions that are signed in advance, as compact records (dlctix sections 2 to 5).

Key sets are aggregated once a winner set, split outputs built once a player; nothing is quadratic in the number
of outcomes. Transactions, scripts and trees are rebuilt from the records when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coordinator_core.dlc.funding import funding_key_set
from coordinator_core.dlc.outcome import OUTCOME_VOUT, OutcomeTransactions
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, SigningSlot, WinCondition
from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.dlc.split import SplitTransactions, WinnerOutput
from coordinator_core.dlc.validation import validate
from coordinator_core.errors import InvalidInput
from coordinator_core.musig2 import KeySet, SigningItem, confirm_forms
from coordinator_core.secp256k1 import sha256
from coordinator_core.transaction import (
    OutPoint,
    TaprootOutput,
    Transaction,
    TxOut,
    leaf_hash,
    pay_to_taproot,
    tweak_public_key,
)
from coordinator_core.transaction.presigned import key_spend_sighash, leaf_spend_sighash
from coordinator_core.units import Sats


@dataclass(frozen=True, slots=True)
class PresignedOutcome:
    """The record of one outcome. Ids are in internal byte order."""

    outcome: Outcome
    winners: tuple[int, ...]
    """Ascending player indexes."""
    key_set: KeySet
    """Market maker and winners, untweaked: signs the split, and is the internal key of the outcome output."""
    output_key: bytes
    """Of the outcome output, x-only."""
    txid: bytes
    sighash: bytes
    split_txid: bytes
    split_sighashes: tuple[bytes, ...]
    """One a winner, in the order of `winners`."""


class Contract:
    """A ticketed contract on a known funding outpoint; made by `build`."""

    __slots__ = ("_items", "_outcomes", "_records", "_splits", "funding_key_set", "outpoint", "parameters")

    def __init__(self, parameters: ContractParameters, outpoint: OutPoint) -> None:
        self.parameters = parameters
        self.outpoint = outpoint
        self.funding_key_set = funding_key_set(parameters)
        """Market maker and all players, untweaked: signs outcome and expiry transactions."""
        self._outcomes = OutcomeTransactions(parameters)
        self._splits = SplitTransactions(parameters, self._outcomes.value)
        self._items: tuple[SigningItem, ...] | None = None
        self._records = {record.outcome: record for record in self._build_records()}

    @classmethod
    def build(cls, parameters: ContractParameters, outpoint: OutPoint, *, foreign: bool = False) -> Contract:
        """Validate parameters and build every transaction.

        `foreign` is for inspecting contracts that others made: it accepts what dlctix accepts when it loads a
        stored contract, unbound rankings among it. Raises InvalidInput, Refused or InsufficientFunds.
        """
        validate(parameters, foreign=foreign)
        return cls(parameters, outpoint)

    def _build_records(self) -> Iterator[PresignedOutcome]:
        key_sets: dict[tuple[int, ...], KeySet] = {tuple(range(len(self.parameters.players))): self.funding_key_set}
        for outcome, weights in self.parameters.outcome_payouts.items():
            winners = tuple(weights)
            key_set = key_sets.get(winners)
            if key_set is None:
                key_set = key_sets[winners] = self._winners_key_set(winners)
            yield self._build_record(outcome, winners, key_set)
        # Here, where keys are aggregated, so that no verification has to do it; one that could not, does.
        confirm_forms(key_sets.values())

    def _winners_key_set(self, winners: tuple[int, ...]) -> KeySet:
        players = self.parameters.players
        return KeySet.aggregate([self.parameters.market_maker, *(players[w].public_key for w in winners)])

    def _build_record(self, outcome: Outcome, winners: tuple[int, ...], key_set: KeySet) -> PresignedOutcome:
        scripts = self._split_scripts(outcome, winners, key_set)
        leaves = tuple(map(leaf_hash, scripts))
        tree = self._outcomes.tree(leaves)
        output_key = tweak_public_key(key_set.public_key, tree.hash)[1:]

        form, outputs = self._outcomes.form(outcome), self._outcomes.outputs(output_key)
        encoded = b"".join(output.serialize() for output in outputs)
        spent = self.outpoint.serialize()
        txid = form.txid(spent, encoded, len(outputs))
        message = form.message(spent, self.funding_key_set.x_only, encoded)

        split_outputs = self._splits.outputs(self.parameters.outcome_payouts[outcome], len(scripts[0]))
        split_encoded = b"".join(output.serialize() for output in split_outputs)
        split_spent = OutPoint(txid, OUTCOME_VOUT).serialize()
        split_message = self._splits.form.message(split_spent, output_key, split_encoded)
        return PresignedOutcome(
            outcome=outcome,
            winners=winners,
            key_set=key_set,
            output_key=output_key,
            txid=txid,
            sighash=key_spend_sighash(message),
            split_txid=self._splits.form.txid(split_spent, split_encoded, len(split_outputs)),
            split_sighashes=tuple(leaf_spend_sighash(split_message, leaf) for leaf in leaves),
        )

    def _split_scripts(self, outcome: Outcome, winners: tuple[int, ...], key_set: KeySet) -> tuple[bytes, ...]:
        return tuple(self._outcomes.split_script(outcome, w, key_set.x_only) for w in winners)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every outcome that pays, in order."""
        return self.parameters.outcomes

    @property
    def funding_output(self) -> TxOut:
        """The output that the funding outpoint must hold."""
        return TxOut(self.parameters.funding_value, pay_to_taproot(self.funding_key_set.x_only))

    def record(self, outcome: Outcome) -> PresignedOutcome:
        """The record of an outcome. Raises InvalidInput for an outcome that is not paid."""
        record = self._records.get(outcome)
        if record is None:
            raise InvalidInput("outcome", f"{outcome} is not paid by this contract", "give one of its outcomes")
        return record

    def outcome_txid(self, outcome: Outcome) -> bytes:
        """Id of an outcome or expiry transaction."""
        return self.record(outcome).txid

    def split_txid(self, outcome: Outcome) -> bytes:
        """Id of the split of an outcome."""
        return self.record(outcome).split_txid

    def outcome_transaction(self, outcome: Outcome) -> Transaction:
        """The unsigned outcome or expiry transaction."""
        outputs = self._outcomes.outputs(self.record(outcome).output_key)
        return self._outcomes.form(outcome).transaction(self.outpoint, outputs)

    def split_transaction(self, outcome: Outcome) -> Transaction:
        """The unsigned split of an outcome."""
        return self._splits.form.transaction(self.outcome_outpoint(outcome), self._split_outputs(outcome))

    def _split_outputs(self, outcome: Outcome) -> tuple[TxOut, ...]:
        record = self.record(outcome)
        script = self.split_script(WinCondition(outcome, record.winners[0]))
        return self._splits.outputs(self.parameters.outcome_payouts[outcome], len(script))

    def outcome_outpoint(self, outcome: Outcome) -> OutPoint:
        """Outpoint that the split of an outcome spends."""
        return OutPoint(self.record(outcome).txid, OUTCOME_VOUT)

    def outcome_output(self, outcome: Outcome) -> TxOut:
        """Output that the split of an outcome spends."""
        return TxOut(self._outcomes.value, pay_to_taproot(self.record(outcome).output_key))

    def split_outpoint(self, win: WinCondition) -> OutPoint:
        """Outpoint of a winner's output of the split."""
        return OutPoint(self.record(win.outcome).split_txid, self._winner_position(win))

    def split_output(self, win: WinCondition) -> TxOut:
        """A winner's output of the split."""
        return self._split_outputs(win.outcome)[self._winner_position(win)]

    def _winner_position(self, win: WinCondition) -> int:
        try:
            return self.record(win.outcome).winners.index(win.player)
        except ValueError:
            reason = f"{win.player} is not paid by this outcome"
            raise InvalidInput("player", reason, "give one of the outcome's winners") from None

    def split_script(self, win: WinCondition) -> bytes:
        """Leaf of the outcome output that this winner's ticket preimage opens."""
        self._winner_position(win)
        key_set = self.record(win.outcome).key_set
        return self._outcomes.split_script(win.outcome, win.player, key_set.x_only)

    def outcome_taproot(self, outcome: Outcome) -> TaprootOutput:
        """Key and script tree of an outcome output."""
        record = self.record(outcome)
        scripts = self._split_scripts(outcome, record.winners, record.key_set)
        return TaprootOutput.build(record.key_set.public_key, self._outcomes.tree(tuple(map(leaf_hash, scripts))))

    def winner_output(self, player: int) -> WinnerOutput:
        """Keys, scripts and tree of a player's output. Raises InvalidInput for an unknown player."""
        if not 0 <= player < len(self.parameters.players):
            fix = f"an index from 0 to {len(self.parameters.players) - 1}"
            raise InvalidInput("player", f"{player} is not a player", fix)
        return self._splits.winner_output(player)

    def split_fee(self, outcome: Outcome) -> Sats:
        """What the split of an outcome really pays to miners."""
        paid = sum(output.value for output in self._split_outputs(outcome))
        return Sats(self._outcomes.value - paid)

    def slots(self) -> Iterator[SigningSlot]:
        """Every signature of the contract: outcomes in order, then win conditions in order."""
        yield from self.outcomes
        yield from self.parameters.win_conditions()

    def claimable_slots(self, player: int) -> Iterator[SigningSlot]:
        """Signatures that a player needs to be paid: of outcomes it wins, and of its own split leaves."""
        won = [o for o, weights in self.parameters.outcome_payouts.items() if player in weights]
        yield from won
        for outcome in won:
            yield WinCondition(outcome, player)

    def signer_slots(self, player: int) -> Iterator[SigningSlot]:
        """Signatures that a player takes part in: of all outcomes, and of every leaf of splits it wins."""
        yield from self.outcomes
        for outcome, weights in self.parameters.outcome_payouts.items():
            if player in weights:
                yield from (WinCondition(outcome, winner) for winner in weights)

    def item(self, slot: SigningSlot) -> SigningItem:
        """What is signed in a slot. Raises InvalidInput for a slot that the contract does not have.

        Attestations are signed under the adaptor point that the oracle will open; expiry and splits plainly.
        """
        if isinstance(slot, WinCondition):
            record = self.record(slot.outcome)
            return SigningItem(record.key_set, record.split_sighashes[self._winner_position(slot)])
        point = None if slot == EXPIRY else self.parameters.event.locking_points[slot]
        return SigningItem(self.funding_key_set, self.record(slot).sighash, point)

    def signing_items(self) -> tuple[SigningItem, ...]:
        """Items of all `slots()`, in the same order; made once, so that adaptor points are parsed once."""
        if self._items is None:
            splits = [SigningItem(r.key_set, sighash) for r in self._records.values() for sighash in r.split_sighashes]
            self._items = (*map(self.item, self.outcomes), *splits)
        return self._items

    @property
    def digest(self) -> bytes:
        """SHA256 over outcome txids, split txids, outcome sighashes and split sighashes, in order."""
        records = list(self._records.values())
        parts = [r.txid for r in records] + [r.split_txid for r in records] + [r.sighash for r in records]
        return sha256(b"".join(parts) + b"".join(b"".join(r.split_sighashes) for r in records))
