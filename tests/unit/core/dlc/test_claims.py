import hashlib
from dataclasses import replace

import pytest

from coordinator_core.dlc import EXPIRY, Contract, Outcome, WinCondition
from coordinator_core.dlc.claims import (
    DustSweep,
    Spend,
    funding_close,
    outcome_close,
    outcome_reclaim,
    sellback,
    sign_spends,
    split_close,
    split_reclaim,
    sweep,
    win,
)
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey, schnorr_verify
from coordinator_core.secret import Secret
from coordinator_core.transaction import fee_for_weight, pay_to_taproot, taproot_sighash
from coordinator_core.units import FeeRate, Sats

WIN = WinCondition(Outcome(0), 0)
DESTINATION = pay_to_taproot(bytes(range(32)))


def spends(vector) -> dict[str, Spend]:
    contract, maker, players = vector.contract, vector.market_maker_key, vector.player_keys
    return {
        "win": win(contract, WIN, players[0], vector.preimage("ticket", 0)),
        "sellback": sellback(contract, WIN, maker, vector.preimage("payout", 0)),
        "split_reclaim": split_reclaim(contract, WIN, maker),
        "outcome_reclaim": outcome_reclaim(contract, Outcome(0), maker),
        "split_close": split_close(contract, WIN, maker, players[0]),
        "outcome_close": outcome_close(contract, EXPIRY, maker, players),
        "funding_close": funding_close(contract, maker, players),
    }


def test_sweeps_pay_exactly_the_rate(plain):
    rate = FeeRate(5_000)
    weights = {}
    for name, spend in spends(plain).items():
        transaction = sweep([spend], DESTINATION, rate)
        weights[name] = transaction.weight
        assert spend.output.value - transaction.outputs[0].value == fee_for_weight(rate, transaction.weight)
    assert weights == {
        "win": 649,
        "sellback": 613,
        "split_reclaim": 581,
        "outcome_reclaim": 549,
        "split_close": 444,
        "outcome_close": 444,
        "funding_close": 444,
    }


def test_fresh_signatures_are_valid(plain):
    for spend in spends(plain).values():
        transaction = sweep([spend], DESTINATION, FeeRate(5_000))
        message = taproot_sighash(transaction, 0, [spend.output], spend.leaf_hash)
        script_key = spend.leaf[0][-33:-1] if spend.leaf else spend.output.script_pubkey[2:]
        assert schnorr_verify(transaction.inputs[0].witness[0], message, script_key)


def test_several_outputs_in_one_sweep(plain):
    together = [v for k, v in spends(plain).items() if k in ("sellback", "outcome_close", "funding_close")]
    transaction = sweep(together, DESTINATION, FeeRate(5_000))
    previous = [spend.output for spend in together]
    for index, spend in enumerate(together):
        message = taproot_sighash(transaction, index, previous, spend.leaf_hash)
        script_key = spend.leaf[0][-33:-1] if spend.leaf else spend.output.script_pubkey[2:]
        assert schnorr_verify(transaction.inputs[index].witness[0], message, script_key)
    paid = sum(o.value for o in previous) - transaction.outputs[0].value
    assert paid == fee_for_weight(FeeRate(5_000), transaction.weight)


def test_sequences(plain):
    sequences = {name: spend.sequence for name, spend in spends(plain).items()}
    assert sequences == {
        "win": 25,
        "sellback": 0,
        "split_reclaim": 50,
        "outcome_reclaim": 50,
        "split_close": 0,
        "outcome_close": 0,
        "funding_close": 0xFFFFFFFF,
    }


def test_wrong_keys(plain):
    contract, maker, players = plain.contract, plain.market_maker_key, plain.player_keys
    stranger = SecretKey.generate()
    ticket, payout = plain.preimage("ticket", 0), plain.preimage("payout", 0)
    attempts = [
        lambda: win(contract, WIN, players[1], ticket),
        lambda: win(contract, WIN, maker, ticket),
        lambda: sellback(contract, WIN, players[0], payout),
        lambda: split_reclaim(contract, WIN, players[0]),
        lambda: outcome_reclaim(contract, Outcome(0), stranger),
        lambda: split_close(contract, WIN, maker, players[1]),
        lambda: split_close(contract, WIN, players[0], players[0]),
        lambda: outcome_close(contract, EXPIRY, maker, players[:2]),
        lambda: outcome_close(contract, Outcome(0), maker, players),
        lambda: funding_close(contract, maker, [*players[:2], stranger]),
        lambda: funding_close(contract, maker, [*players, players[0]]),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidInput, match="key"):
            attempt()


def test_wrong_preimages(plain):
    contract, maker, players = plain.contract, plain.market_maker_key, plain.player_keys
    with pytest.raises(InvalidInput, match="ticket preimage"):
        win(contract, WIN, players[0], plain.preimage("payout", 0))
    with pytest.raises(InvalidInput, match="payout preimage"):
        sellback(contract, WIN, maker, plain.preimage("ticket", 0))
    with pytest.raises(InvalidInput, match="payout preimage"):
        sellback(contract, WIN, maker, Secret(bytes(31)))


def test_preimages_of_another_length_are_refused_even_if_they_match(helpers):
    # The script would take them; a node would not relay them beyond 80 bytes, and none comes from a payment.
    for length in (31, 33, 81):
        preimage = bytes(length)
        parameters = helpers.make_parameters(1, 1)
        player = replace(parameters.players[0], ticket_hash=hashlib.sha256(preimage).digest())
        contract = Contract.build(replace(parameters, players=(player,)), helpers.outpoint)
        with pytest.raises(InvalidInput, match="32 bytes"):
            win(contract, WIN, helpers.keys(1)[1], preimage)


def test_losers_have_no_output(plain):
    contract, maker, players = plain.contract, plain.market_maker_key, plain.player_keys
    lost = WinCondition(Outcome(0), 1)
    attempts = [
        lambda: win(contract, lost, players[1], plain.preimage("ticket", 1)),
        lambda: sellback(contract, lost, maker, plain.preimage("payout", 1)),
        lambda: split_reclaim(contract, lost, maker),
        lambda: split_close(contract, lost, maker, players[1]),
        lambda: split_reclaim(contract, WinCondition(Outcome(0), 9), maker),
        lambda: outcome_reclaim(contract, Outcome(77), maker),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidInput, match=r"player|outcome"):
            attempt()


def test_dust_is_not_swept(plain):
    spend = spends(plain)["win"]
    limit = FeeRate((spend.output.value - 330) * 1000 // 649)
    assert sweep([spend], DESTINATION, limit).outputs[0].value >= 330
    with pytest.raises(DustSweep, match="fee_rate"):
        sweep([spend], DESTINATION, FeeRate(limit + 2))


def test_nothing_to_sweep():
    with pytest.raises(InvalidInput, match="spends"):
        sign_spends([], [])


def test_preimages_and_signers_are_not_printed(plain):
    text = repr(spends(plain)["win"])
    assert plain.preimage("ticket", 0).hex() not in text
    assert repr(plain.preimage("ticket", 0)) not in text


def test_values_never_exceed_the_output(plain):
    for spend in spends(plain).values():
        assert 0 < sweep([spend], DESTINATION, FeeRate(250)).outputs[0].value < Sats(spend.output.value)
