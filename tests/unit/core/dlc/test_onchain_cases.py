"""Contracts executed on Bitcoin Core's consensus code: the same verdict here, and the same contracts rebuilt.

Scripts run on the consensus engine itself; relative and absolute locks follow the plain rules of BIP68 and BIP113.
"""

import json
from pathlib import Path

import pytest

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    Outcome,
    SignedContract,
    WinCondition,
    parameters_from_json,
    signatures_from_value,
    verify_for_player,
    verify_signatures,
)
from coordinator_core.dlc.timelocks import lock_time_passed
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import OutPoint, Transaction

DATA = json.loads((Path(__file__).parents[3] / "vectors" / "onchain" / "cases.json").read_text())
CASES, CONTRACTS = DATA["cases"], DATA["contracts"]
BUILDABLE = [name for name, c in CONTRACTS.items() if c["params"]["relative_locktime_block_delta"] <= 32767]
TOO_LONG = [name for name in CONTRACTS if name not in BUILDABLE]
SEQUENCE_DISABLED, SEQUENCE_TIME, SEQUENCE_MASK = 1 << 31, 1 << 22, 0xFFFF


def load(name: str) -> tuple[Contract, dict]:
    data = CONTRACTS[name]
    outpoint = OutPoint.parse(data["funding_outpoint"])
    return Contract.build(parameters_from_json(data["params_json_string"]), outpoint, foreign=True), data


def scripts_pass(case: dict) -> bool:
    pbk = pytest.importorskip("pbk", reason="libbitcoinkernel has no wheel for this Python", exc_type=ImportError)
    from pbk.script import PrecomputedTransactionData

    transaction = pbk.Transaction(bytes.fromhex(case["tx"]))
    outputs = [
        pbk.TransactionOutput(pbk.ScriptPubkey(bytes.fromhex(i["script_pubkey"])), i["value"]) for i in case["inputs"]
    ]
    precomputed = PrecomputedTransactionData(transaction, outputs)
    return all(
        output.script_pubkey.verify(
            case["inputs"][index]["value"], transaction, precomputed, index, pbk.ScriptVerificationFlags.ALL
        )
        for index, output in enumerate(outputs)
    )


def relative_locks_pass(case: dict) -> bool:
    transaction = Transaction.from_hex(case["tx"])
    if transaction.version < 2:
        return True
    for parsed, spent in zip(transaction.inputs, case["inputs"], strict=True):
        # The one lock in units of time had elapsed when it was tried; the cases record no block times.
        if parsed.sequence & (SEQUENCE_DISABLED | SEQUENCE_TIME):
            continue
        confirmed = case["height"] if spent["confirmed_at"] is None else spent["confirmed_at"]
        if case["height"] - confirmed < parsed.sequence & SEQUENCE_MASK:
            return False
    return True


def absolute_lock_passes(case: dict) -> bool:
    transaction = Transaction.from_hex(case["tx"])
    final = all(parsed.sequence == 0xFFFFFFFF for parsed in transaction.inputs)
    if transaction.lock_time == 0 or final:
        return True
    block = case["absolute"]
    return lock_time_passed(transaction.lock_time, block["height"], block["mtp_of_previous_block"])


def verdict(case: dict) -> str | None:
    """What rejects the transaction, None if nothing does. In the order of Bitcoin Core."""
    if not absolute_lock_passes(case):
        return "locktime"
    if any(spent["state"] in ("spent", "absent") for spent in case["inputs"]):
        return "inputs"
    if not relative_locks_pass(case):
        return "bip68"
    return None if scripts_pass(case) else "script"


@pytest.mark.parametrize("path", sorted({case["path"] for case in CASES}))
def test_every_case_gets_its_verdict(path):
    cases = [case for case in CASES if case["path"] == path]
    ours = {case["id"]: verdict(case) for case in cases}
    assert ours == {case["id"]: case["layer"] for case in cases}
    assert {i for i, layer in ours.items() if layer is None} == {c["id"] for c in cases if c["verdict"] == "accept"}


def test_scripts_alone_get_their_verdict():
    known = [case for case in CASES if case["script"] != "unknown"]
    assert {c["id"]: scripts_pass(c) for c in known} == {c["id"]: c["script"] == "ok" for c in known}


@pytest.mark.parametrize("name", BUILDABLE)
def test_contracts_are_rebuilt_and_their_signatures_verify(name):
    contract, data = load(name)
    assert contract.digest.hex() == data["digest"]
    funding = Transaction.from_hex(data["funding_tx"])
    assert funding.txid == contract.outpoint.txid
    assert funding.outputs[contract.outpoint.vout] == contract.funding_output
    signatures = signatures_from_value(data["signatures"])
    verify_signatures(contract, signatures)
    for player in range(len(contract.parameters.players)):
        verify_for_player(contract, signatures, player)


@pytest.mark.parametrize("name", TOO_LONG)
def test_delays_that_consensus_would_cut_short_are_refused(name):
    with pytest.raises(InvalidInput) as caught:
        load(name)
    assert caught.value.field == "relative_locktime_block_delta"


def presigned(name: str) -> dict[bytes, Transaction]:
    """Every transaction that the signatures of a contract complete, by wtxid."""
    contract, data = load(name)
    signed = SignedContract(contract, signatures_from_value(data["signatures"]))
    transactions = []
    for outcome in contract.outcomes:
        if outcome == EXPIRY:
            transactions.append(signed.expiry_transaction())
        else:
            transactions.append(signed.outcome_transaction(bytes.fromhex(data["attestation_secrets"][outcome])))
    for win in contract.parameters.win_conditions():
        ticket = bytes.fromhex(data["ticket_preimages"][win.player])
        transactions.append(signed.split_transaction(win, ticket))
    return {transaction.wtxid: transaction for transaction in transactions}


@pytest.mark.parametrize("name", BUILDABLE)
def test_accepted_outcomes_expiries_and_splits_are_the_ones_we_complete(name):
    accepted = [
        Transaction.from_hex(case["tx"])
        for case in CASES
        if case["contract"] == name and case["verdict"] == "accept" and case["path"] in ("outcome", "expiry", "split")
    ]
    ours = presigned(name)
    assert [t.txid for t in accepted if t.wtxid not in ours] == []


@pytest.mark.parametrize("name", ["n3k1/attested", "n3k2-bound/attested"])
def test_a_loser_cannot_open_an_outcome(name):
    contract, data = load(name)
    signed = SignedContract(contract, signatures_from_value(data["signatures"]))
    loser = next(p for p in range(3) if p not in contract.record(Outcome(0)).winners)
    with pytest.raises(InvalidInput, match="player"):
        signed.split_transaction(WinCondition(Outcome(0), loser), bytes.fromhex(data["ticket_preimages"][loser]))
