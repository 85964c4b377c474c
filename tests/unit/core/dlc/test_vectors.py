"""dlctix's contracts, byte for byte."""

import hashlib
from dataclasses import replace

from coordinator_core.dlc import (
    EXPIRY,
    SignedContract,
    WinCondition,
    label,
    parameters_from_value,
    parameters_to_json,
    prune,
    signatures_from_json,
    signatures_to_json,
    signatures_to_value,
    verify_for_player,
    verify_signatures,
)
from coordinator_core.dlc.cbor import parameters_to_cbor, signatures_to_cbor, signed_contract_to_cbor
from coordinator_core.dlc.claims import (
    funding_close,
    outcome_close,
    outcome_reclaim,
    sellback,
    sign_spends,
    split_close,
    split_reclaim,
    win,
)
from coordinator_core.musig2 import aggregate_nonces, aggregate_signatures, verify_partial
from coordinator_core.musig2.effective import effective_secret, keys_by_point
from coordinator_core.transaction import Transaction, taproot_sighash


def test_parameters_are_read_and_written_unchanged(vector):
    assert parameters_to_json(vector.parameters) == vector.data["params_json_string"]
    assert parameters_from_value(vector.data["params"]) == vector.parameters


def test_digest_covers_every_txid_and_sighash(vector):
    assert vector.contract.digest.hex() == vector.data["digest"]


def test_transactions_and_sighashes(signed_vector):
    contract, data = signed_vector.contract, signed_vector.data
    output = contract.funding_output
    assert {"script_pubkey": output.script_pubkey.hex(), "value": output.value} == data["funding_output"]
    for name, make in (("outcome_txs", contract.outcome_transaction), ("split_txs", contract.split_transaction)):
        ours = {label(o): make(o) for o in contract.outcomes}
        assert {o: {"tx": tx.serialize().hex(), "txid": tx.txid[::-1].hex()} for o, tx in ours.items()} == data[name]
    assert {label(o): contract.item(o).message.hex() for o in contract.outcomes} == data["outcome_sighashes"]
    wins = contract.parameters.win_conditions()
    assert {label(w): contract.item(w).message.hex() for w in wins} == data["split_sighashes"]


def test_records_equal_the_transactions_they_stand_for(vector):
    contract = vector.contract
    for outcome in contract.outcomes:
        record = contract.record(outcome)
        transaction, split = contract.outcome_transaction(outcome), contract.split_transaction(outcome)
        assert record.txid == transaction.txid == contract.outcome_txid(outcome)
        assert record.split_txid == split.txid == contract.split_txid(outcome)
        assert record.sighash == taproot_sighash(transaction, 0, [contract.funding_output])
        assert contract.outcome_output(outcome) == transaction.outputs[0]
        assert contract.outcome_output(outcome).script_pubkey == contract.outcome_taproot(outcome).script_pubkey
        for player in record.winners:
            condition = WinCondition(outcome, player)
            outpoint = contract.split_outpoint(condition)
            assert split.outputs[outpoint.vout] == contract.split_output(condition)


def test_nonces_and_partial_signatures_add_up_to_the_signatures(signed_vector):
    contract, data = signed_vector.contract, signed_vector.data
    slots = list(contract.slots())
    aggregated, partials = [], []
    for slot in slots:
        kind = "by_win_condition" if isinstance(slot, WinCondition) else "by_outcome"
        signers = [key.hex() for key in contract.item(slot).key_set.members]
        nonces = [bytes.fromhex(data["pubnonces"][key][kind][label(slot)]) for key in signers]
        shares = [bytes.fromhex(data["partial_sigs"][key][kind][label(slot)]) for key in signers]
        total = aggregate_nonces(nonces)
        assert total.hex() == data["aggnonces"][kind][label(slot)]
        for key, nonce, share in zip(signers, nonces, shares, strict=True):
            verify_partial(contract.item(slot), total, nonce, share, [bytes.fromhex(key)])
        aggregated.append(total)
        partials.append(shares)
    signatures = aggregate_signatures(contract.signing_items(), aggregated, partials)
    assert dict(zip(slots, signatures, strict=True)) == {
        **signed_vector.signatures.by_outcome,
        **signed_vector.signatures.by_win_condition,
    }


def test_signers_of_the_vectors_sign_exactly_the_slots_we_expect(signed_vector):
    contract, data = signed_vector.contract, signed_vector.data
    everyone = {
        signed_vector.parameters.market_maker: set(contract.slots()),
        **{p.public_key: set(contract.signer_slots(i)) for i, p in enumerate(signed_vector.parameters.players)},
    }
    theirs = {key: {*maps["by_outcome"], *maps["by_win_condition"]} for key, maps in data["partial_sigs"].items()}
    assert theirs == {key.hex(): {label(slot) for slot in slots} for key, slots in everyone.items()}


def test_signatures_verify_and_are_written_unchanged(signed_vector):
    signatures = signed_vector.signatures
    verify_signatures(signed_vector.contract, signatures)
    assert signatures_to_value(signatures) == signed_vector.data["signatures"]
    assert signatures_from_json(signatures_to_json(signatures)) == signatures


def test_signed_contract_json(signed_vector, helpers):
    contract = SignedContract(signed_vector.contract, signed_vector.signatures)
    document = contract.to_json()
    assert hashlib.sha256(document.encode()).hexdigest() == signed_vector.data["signed_contract_json_sha256"]
    read = SignedContract.from_json(document, foreign=signed_vector.name == "n3k2")
    assert read.signatures == contract.signatures
    assert read.contract.digest == contract.contract.digest


def test_cbor(signed_vector):
    parameters, signatures, data = signed_vector.parameters, signed_vector.signatures, signed_vector.data
    signed = signed_contract_to_cbor(parameters, signed_vector.contract.outpoint, signatures)
    assert parameters_to_cbor(parameters).hex() == data["params_cbor"]
    assert signatures_to_cbor(signatures).hex() == data["signatures_cbor"]
    assert signed.hex() == data["signed_contract_cbor"]


def test_pruned_signatures(signed_vector):
    for index, player in enumerate(signed_vector.parameters.players):
        pruned = prune(signed_vector.contract, signed_vector.signatures, index)
        assert signatures_to_value(pruned) == signed_vector.data["pruned_signatures"][player.public_key.hex()]
        verify_for_player(signed_vector.contract, pruned, index)


def test_presigned_transactions_are_completed(signed_vector):
    signed = SignedContract.verified(signed_vector.contract, signed_vector.signatures)
    expected = {name: spend["tx"] for name, spend in signed_vector.data["signed"].items()}
    for outcome in signed_vector.contract.outcomes:
        if outcome == EXPIRY:
            transaction = signed.expiry_transaction()
        else:
            transaction = signed.outcome_transaction(signed_vector.attestations[outcome])
        assert transaction.serialize().hex() == expected[f"outcome {label(outcome)}"]
    for condition in signed_vector.parameters.win_conditions():
        preimage = signed_vector.preimage("ticket", condition.player)
        transaction = signed.split_transaction(condition, preimage)
        assert transaction.serialize().hex() == expected[f"split {label(condition)}"]


def _spends(vector, helpers):
    """Every spend by a single party, by the name the vectors give it, with dlctix's deterministic signer."""
    contract, maker, players = vector.contract, vector.market_maker_key, vector.player_keys
    deterministic = helpers.deterministic_signer

    def joint(key_set, keys):
        secret = effective_secret(key_set, keys_by_point(keys), "keys").tweaked(key_set.tweak_term)
        # Ours is the secret of the even-y key; dlctix draws its nonce from that of the key with its parity.
        return deterministic(secret.negated() if key_set.public_key[0] == 3 else secret)

    yield (
        "funding-close",
        replace(funding_close(contract, maker, players), sign=joint(contract.funding_key_set, [maker, *players])),
    )
    for outcome in contract.outcomes:
        record = contract.record(outcome)
        winners = [players[w] for w in record.winners]
        key_set = record.key_set.with_taproot_tweak(contract.outcome_taproot(outcome).tree.hash)
        reclaim, close = outcome_reclaim(contract, outcome, maker), outcome_close(contract, outcome, maker, winners)
        yield f"outcome-reclaim {label(outcome)}", replace(reclaim, sign=deterministic(maker))
        yield f"outcome-close {label(outcome)}", replace(close, sign=joint(key_set, [maker, *winners]))
    for condition in contract.parameters.win_conditions():
        name, player = label(condition), players[condition.player]
        ticket, payout = (vector.preimage(kind, condition.player) for kind in ("ticket", "payout"))
        output = contract.winner_output(condition.player)
        key_set = output.key_set.with_taproot_tweak(output.taproot.tree.hash)
        spends = (
            (win(contract, condition, player, ticket), deterministic(player)),
            (sellback(contract, condition, maker, payout), deterministic(maker)),
            (split_reclaim(contract, condition, maker), deterministic(maker)),
            (split_close(contract, condition, maker, player), joint(key_set, [maker, player])),
        )
        for spend, sign in spends:
            yield f"{spend.path} {name}", replace(spend, sign=sign)


def test_every_spend_by_a_single_party(signed_vector, helpers):
    expected = {name: spend["tx"] for name, spend in signed_vector.data["signed"].items()}
    done = set()
    for name, spend in _spends(signed_vector, helpers):
        outputs = Transaction.from_hex(expected[name]).outputs
        assert sign_spends([spend], outputs).serialize().hex() == expected[name], name
        done.add(name)
    assert {
        name for name in expected if not name.startswith(("outcome att", "outcome exp", "split att", "split exp"))
    } == done
