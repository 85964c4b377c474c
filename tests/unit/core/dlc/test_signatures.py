from dataclasses import replace

import pytest

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractSignatures,
    MissingSignature,
    Outcome,
    SignedContract,
    UnexpectedSignature,
    WinCondition,
    assemble,
    prune,
    verify_for_player,
    verify_signatures,
)
from coordinator_core.errors import InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.secp256k1 import schnorr_verify
from coordinator_core.secret import Secret


def flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes((signature[-1] ^ 1,))


def changed(signatures: ContractSignatures, slot, signature: bytes | None) -> ContractSignatures:
    maps = {"by_outcome": dict(signatures.by_outcome), "by_win_condition": dict(signatures.by_win_condition)}
    place = maps["by_win_condition" if isinstance(slot, WinCondition) else "by_outcome"]
    place.pop(slot, None)
    if signature is not None:
        place[slot] = signature
    return ContractSignatures(**maps)


@pytest.fixture(scope="module")
def contract(helpers):
    return Contract.build(helpers.make_parameters(4, 2), helpers.outpoint)


@pytest.fixture(scope="module")
def signatures(contract, helpers):
    return helpers.sign(contract)


def test_own_contract_signs_and_verifies(contract, signatures):
    verify_signatures(contract, signatures)
    verify_signatures(contract, signatures, threads=2)
    for player in range(4):
        verify_for_player(contract, prune(contract, signatures, player), player)


def test_attestations_are_adaptor_signed_and_the_rest_plainly(contract):
    for slot in contract.slots():
        item = contract.item(slot)
        attested = not isinstance(slot, WinCondition) and slot != EXPIRY
        assert (item.adaptor_point is not None) == attested
        if isinstance(slot, WinCondition):
            assert item.key_set == contract.record(slot.outcome).key_set
        else:
            assert item.key_set == contract.funding_key_set


def test_every_slot_is_looked_at(contract, signatures):
    for index, slot in enumerate(contract.slots()):
        with pytest.raises(InvalidSignature) as caught:
            verify_signatures(contract, changed(signatures, slot, flipped(signatures.get(slot))))
        assert caught.value.index == index
        with pytest.raises(MissingSignature):
            verify_signatures(contract, changed(signatures, slot, None))


def test_the_first_bad_signature_is_named(contract, signatures):
    bad = signatures
    for slot in (WinCondition(Outcome(3), 1), WinCondition(EXPIRY, 0), WinCondition(Outcome(7), 1)):
        bad = changed(bad, slot, flipped(bad.get(slot)))
    with pytest.raises(InvalidSignature, match="split signature att3:p1"):
        verify_signatures(contract, bad)


@pytest.mark.parametrize("slot", [Outcome(99), WinCondition(Outcome(0), 3), WinCondition(Outcome(99), 0)])
def test_superfluous_signatures(contract, signatures, slot):
    with pytest.raises(UnexpectedSignature):
        verify_signatures(contract, changed(signatures, slot, bytes(64)))


def test_an_attestation_must_not_be_signed_plainly(contract, signatures):
    with pytest.raises(InvalidSignature, match="outcome signature att0"):
        verify_signatures(contract, changed(signatures, Outcome(0), signatures.by_outcome[EXPIRY]))


def test_a_signature_of_another_outcome_does_not_pass(contract, signatures):
    with pytest.raises(InvalidSignature, match="outcome signature att0"):
        verify_signatures(contract, changed(signatures, Outcome(0), signatures.by_outcome[Outcome(1)]))


def test_signatures_of_another_outpoint_do_not_pass(contract, signatures, helpers):
    other = Contract.build(contract.parameters, replace(helpers.outpoint, vout=2))
    with pytest.raises(InvalidSignature, match="att0"):
        verify_signatures(other, signatures)


def test_a_player_checks_exactly_what_it_claims_with(contract, signatures):
    claimable = set(contract.claimable_slots(1))
    assert {s for s in claimable if isinstance(s, WinCondition)} == {
        w for w in contract.parameters.win_conditions() if w.player == 1
    }
    for slot in contract.slots():
        bad = changed(signatures, slot, flipped(signatures.get(slot)))
        if slot in claimable:
            with pytest.raises(InvalidSignature):
                verify_for_player(contract, bad, 1)
            with pytest.raises(MissingSignature):
                verify_for_player(contract, changed(signatures, slot, None), 1)
        else:
            verify_for_player(contract, bad, 1)


def test_unknown_players(contract, signatures):
    for player in (-1, 4):
        with pytest.raises(InvalidInput, match="player"):
            verify_for_player(contract, signatures, player)
        with pytest.raises(InvalidInput, match="player"):
            prune(contract, signatures, player)


def test_assembling_needs_one_signature_a_slot(contract):
    with pytest.raises(InvalidInput, match="signatures"):
        assemble(contract, [bytes(64)])


def test_an_attestation_of_another_event(bound_anchor, helpers):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    with pytest.raises(VerificationFailed, match="opens no outcome"):
        signed.outcome_transaction(helpers.preimage("another event"))
    for malformed in (b"", bytes(32), b"\xff" * 32):
        with pytest.raises(InvalidInput):
            signed.outcome_transaction(malformed)


def test_a_bad_signature_is_never_put_into_a_transaction(bound_anchor):
    signatures, win = bound_anchor.signatures, WinCondition(Outcome(0), 0)
    for slot in (Outcome(0), EXPIRY, win):
        signatures = changed(signatures, slot, flipped(signatures.get(slot)))
    signed = SignedContract(bound_anchor.contract, signatures)
    with pytest.raises(InvalidSignature):
        signed.outcome_transaction(bound_anchor.attestations[0])
    with pytest.raises(InvalidSignature):
        signed.expiry_transaction()
    with pytest.raises(InvalidSignature):
        signed.split_transaction(win, bound_anchor.preimage("ticket", 0))


def test_pruned_contracts_complete_only_what_their_player_wins(bound_anchor):
    full = SignedContract.verified(bound_anchor.contract, bound_anchor.signatures)
    mine = SignedContract.verified(full.contract, full.pruned(0).signatures, player=0)
    won = next(o for o in full.contract.outcomes if 0 in full.contract.record(o).winners)
    lost = next(o for o in full.contract.outcomes if 0 not in full.contract.record(o).winners)
    attestations = bound_anchor.attestations
    assert mine.outcome_transaction(attestations[won]) == full.outcome_transaction(attestations[won])
    assert mine.expiry_transaction() == full.expiry_transaction()
    with pytest.raises(InvalidInput, match="no signature"):
        mine.outcome_transaction(attestations[lost])
    with pytest.raises(InvalidInput, match="no signature"):
        mine.split_transaction(WinCondition(won, 1), bound_anchor.preimage("ticket", 1))


def test_tickets_open_their_own_leaf_only(bound_anchor):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    win, ticket = WinCondition(Outcome(0), 0), bound_anchor.preimage("ticket", 0)
    assert signed.split_transaction(win, Secret(ticket)) == signed.split_transaction(win, ticket)
    for wrong in (bound_anchor.preimage("ticket", 1), bound_anchor.preimage("payout", 0), ticket[:-1], ticket + b"\0"):
        with pytest.raises(InvalidInput, match="ticket preimage") as caught:
            signed.split_transaction(win, wrong)
        assert wrong.hex() not in str(caught.value)
    with pytest.raises(InvalidInput, match="player"):
        signed.split_transaction(WinCondition(Outcome(0), 2), ticket)


def test_rankings_of_the_same_winners_are_apart_when_bound(bound_anchor):
    contract = bound_anchor.contract
    assert contract.record(Outcome(0)).winners == contract.record(Outcome(2)).winners
    assert contract.outcome_txid(Outcome(0)) != contract.outcome_txid(Outcome(2))
    assert contract.record(Outcome(0)).key_set is contract.record(Outcome(2)).key_set
    unbound = Contract.build(
        replace(bound_anchor.parameters, outcome_bound_splits=False), contract.outpoint, foreign=True
    )
    assert unbound.outcome_txid(Outcome(0)) == unbound.outcome_txid(Outcome(2))


def test_completed_outcome_signatures_are_bip340(bound_anchor):
    signed = SignedContract(bound_anchor.contract, bound_anchor.signatures)
    transaction = signed.outcome_transaction(bound_anchor.attestations[1])
    (signature,) = transaction.inputs[0].witness
    record = bound_anchor.contract.record(Outcome(1))
    assert schnorr_verify(signature, record.sighash, bound_anchor.contract.funding_key_set.x_only)
