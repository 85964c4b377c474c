import json

import pytest

from coordinator_core.claim_kit import ClaimDestination, ClaimKit, NoPrize, Step, plan_claim
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.dlc import EXPIRY
from coordinator_core.errors import CoreError, InvalidInput, InvalidSignature, Refused, VerificationFailed
from coordinator_core.oracle.attestation import UnknownAttestation
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import pay_to_taproot

TO = pay_to_taproot(SecretKey.from_bytes(bytes([8]) * 32).x_only)


def test_round_trip(scene):
    for player in range(3):
        kit = scene.kit(player)
        again = ClaimKit.from_json(kit.to_json())
        assert again.to_json() == kit.to_json()
        assert (again.player, again.terms, again.statement) == (player, scene.terms, scene.statement)


def test_a_kit_holds_no_secret_and_only_its_own_signatures(scene):
    kit = scene.kit(1)
    text = kit.to_json()
    for secret in (*scene.roots, *scene.tickets):
        assert secret.reveal().hex() not in text
    assert {w.player for w in kit.signed.signatures.by_win_condition} == {1}
    assert len(kit.signed.signatures.by_outcome) == 4 + 2  # rankings with player 1, refund-all, expiry


def changed(scene, path, value):
    document = json.loads(scene.kit(0).to_json())
    *parents, name = path
    target = document
    for parent in parents:
        target = target[parent]
    assert target[name] != value
    target[name] = value
    return json.dumps(document)


PARAMS = ("contract", "dlc", "params")


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (("version",), 2, InvalidInput),
        (("attempt",), 9, InvalidInput),
        (("attempt",), 1, VerificationFailed),
        (("entry_id",), "01926f3a-0000-7000-8000-000000000002", VerificationFailed),
        (("entry_id",), "01926f3a-0000-7000-8000-000000000009", Refused),
        (("ticket_preimage",), 1, InvalidInput),
        (("terms", "money", "weights"), [50, 50], VerificationFailed),
        (("terms", "contract", "delta"), 288, VerificationFailed),
        (("terms", "money", "entry_fee"), 49_999, VerificationFailed),
        (("terms", "mode"), "escrow", Refused),
        (("statement", "signature"), "00" * 64, InvalidSignature),
        (("statement", "statement", "signing_date"), 1, InvalidSignature),
        ((*PARAMS, "funding_value"), 160_000, VerificationFailed),
        ((*PARAMS, "fee_rate"), 1_002, VerificationFailed),
        ((*PARAMS, "fee_rate"), 12_501, Refused),
        ((*PARAMS, "relative_locktime_block_delta"), 145, VerificationFailed),
        ((*PARAMS, "event", "expiry"), 1_790_000_001, VerificationFailed),
        ((*PARAMS, "outcome_payouts", "att0", "0"), 61, VerificationFailed),
        (("contract", "dlc", "funding_outpoint"), f"{'00' * 32}:0", InvalidSignature),
        (("contract", "signatures", "outcome_tx_signatures"), {}, VerificationFailed),
        (("contract", "signatures", "expiry_tx_signature"), None, VerificationFailed),
        (("contract", "signatures", "expiry_tx_signature"), "00" * 64, InvalidSignature),
    ],
)
def test_a_changed_kit_is_refused(scene, path, value, error):
    with pytest.raises(error):
        ClaimKit.from_json(changed(scene, path, value))


@pytest.mark.parametrize("raw", ["", "null", "[]", "{}", '{"version":1}', "[" * 50_000])
def test_hostile_documents(raw):
    with pytest.raises(InvalidInput):
        ClaimKit.from_json(raw)


def test_a_statement_of_another_oracle_is_refused(scene, sign_statement_with):
    text = changed(
        scene,
        ("statement", "signature"),
        sign_statement_with(scene.statement.statement, SecretKey.from_bytes(bytes([9]) * 32)),
    )
    with pytest.raises(InvalidSignature):
        ClaimKit.from_json(text)


def test_the_entry_key_comes_from_the_player_secret_or_is_given_itself(scene):
    kit = scene.kit(2)
    derived = entry_key(scene.roots[2], scene.ids[2], 2)
    assert kit.entry_key(scene.roots[2]).public_key == kit.own.public_key
    assert kit.entry_key(Secret(derived.reveal())).public_key == kit.own.public_key
    for other in (scene.roots[1], Secret(entry_key(scene.roots[2], scene.ids[2], 1).reveal())):
        with pytest.raises(InvalidInput):
            kit.entry_key(other)


def test_a_plan_goes_as_far_as_the_secrets(scene):
    kit, attestation = scene.kit(0), scene.attestation(0)
    key, place = kit.entry_key(scene.roots[0]), ClaimDestination(TO, 1_001)
    bare = plan_claim(kit, attestation)
    assert [step.step for step in bare.steps] == [Step.OUTCOME]
    assert bare.missing == ("ticket preimage", "entry key", "destination")
    some = plan_claim(kit, attestation, ticket_preimage=scene.tickets[0], entry_key=key)
    assert [step.step for step in some.steps] == [Step.OUTCOME, Step.SPLIT]
    assert some.missing == ("destination",)
    full = plan_claim(kit, attestation, ticket_preimage=scene.tickets[0], entry_key=key, destination=place)
    assert [(step.step, step.after, step.blocks, step.lock_time) for step in full.steps] == [
        (Step.OUTCOME, None, 0, None),
        (Step.SPLIT, Step.OUTCOME, 144, None),
        (Step.WIN, Step.SPLIT, 144, None),
    ]
    assert (full.label, full.missing) == ("att0", ())
    assert full.steps[1].earliest(900_100) == 900_244
    outcome, split, win = (step.transaction for step in full.steps)
    assert split.inputs[0].previous_output.txid == outcome.txid
    assert win.inputs[0].previous_output.txid == split.txid
    assert split.outputs[win.inputs[0].previous_output.vout].value == full.value


def test_the_expiry_waits_for_its_date(scene):
    plan = plan_claim(scene.kit(1), None, ticket_preimage=scene.tickets[1])
    assert plan.outcome == EXPIRY
    assert (plan.steps[0].step, plan.steps[0].lock_time) == (Step.EXPIRY, scene.terms.contract.expiry)
    assert plan.steps[0].transaction.lock_time == scene.terms.contract.expiry


def test_what_cannot_be_claimed(scene):
    with pytest.raises(NoPrize):
        plan_claim(scene.kit(2), scene.attestation(0))  # players 0 and 1 win
    with pytest.raises(UnknownAttestation):
        plan_claim(scene.kit(0), bytes(31) + b"\x01")
    with pytest.raises(InvalidInput):
        plan_claim(scene.kit(0), scene.attestation(0), ticket_preimage=scene.tickets[1])
    with pytest.raises(InvalidInput):
        plan_claim(
            scene.kit(0),
            scene.attestation(0),
            ticket_preimage=scene.tickets[0],
            entry_key=SecretKey.from_bytes(bytes([1]) * 32),
            destination=ClaimDestination(TO, 1_001),
        )
    with pytest.raises(CoreError, match="after the fee"):
        plan_claim(
            scene.kit(0),
            scene.attestation(0),
            ticket_preimage=scene.tickets[0],
            entry_key=scene.kit(0).entry_key(scene.roots[0]),
            destination=ClaimDestination(TO, 10**7),
        )
