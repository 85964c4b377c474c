"""The whole protocol over HTTP: coordinator and three players, two enclaves."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import pytest

from coordinator_core import musig2
from coordinator_core.musig2 import KeySet, SigningItem
from coordinator_core.secp256k1 import SecretKey, ecdsa_verify, schnorr_verify

ROOT = b"\x55" * 32


def digest(domain: str, payload: Any) -> bytes:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    prefix = [len(part).to_bytes(8, "big") + part for part in (domain.encode(), text)]
    return hashlib.sha256(b"keymeld-authorization-v1" + b"".join(prefix)).digest()


def adaptor(point: bytes) -> dict[str, Any]:
    return {
        "adaptor_id": str(uuid.uuid4()),
        "adaptor_type": "Single",
        "adaptor_points": [point.hex()],
        "hints": None,
    }


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda count: f"{count} enclaves")
def gateway(request, open_gateway, tmp_path_factory):
    return open_gateway(tmp_path_factory.mktemp("keymeld"), request.param)


async def test_everyone_registers_and_the_roster_is_what_was_registered(make_party):
    party = make_party()
    reserved = await party.reserve()
    assert set(reserved["user_enclave_assignments"]) == set(party.users)
    assert reserved["expected_participants"] == 4
    initialized = await party.initialize()
    assert initialized["status"] == "collecting_participants"
    for count, user in enumerate(party.users, start=1):
        answer = (await party.register(user)).json()
        assert answer["participants_registered"] == count
        assert answer["signer_index"] == sorted(party.users, reverse=True).index(user)
        assert answer["assigned_enclave_id"] == reserved["user_enclave_assignments"][user]
    status = await party.wait_for_keygen()

    signed = json.loads(party.decrypt(status["encrypted_roster"], "authorized_participant_roster_v1"))
    roster = signed["roster"]
    home = party.enclaves[reserved["coordinator_enclave_id"]]["public_key"]
    assert bytes(signed["enclave_public_key"]).hex() == home
    roster_digest = digest("participant-roster", roster)
    assert ecdsa_verify(bytes(signed["signature"]), roster_digest, bytes.fromhex(home))
    assert list(roster) == [
        "keygen_session_id",
        "manifest_hash",
        "participants",
        "registrations",
        "aggregate_public_key",
        "subset_aggregate_keys",
        "subset_definitions",
        "taproot_tweak",
    ]
    assert roster["manifest_hash"] == party.manifest_hash()
    assert roster["participants"] == {user: list(party.keys[user].public_key) for user in sorted(party.users)}
    assert roster["registrations"].keys() == set(party.users)
    assert roster["subset_definitions"] == party.manifest["subset_definitions"]

    aggregate = KeySet.aggregate(party.public_keys(party.users)).public_key
    assert bytes(roster["aggregate_public_key"]) == aggregate
    assert party.decrypt(status["aggregate_public_key"], "aggregate_public_key") == aggregate
    for subset, members in party.pairs.items():
        expected = KeySet.aggregate(party.public_keys(members)).public_key
        encrypted = status["encrypted_subset_aggregates"][subset]
        assert party.decrypt(encrypted, "subset_aggregate_public_key") == expected
        assert bytes(roster["subset_aggregate_keys"][subset]) == expected
    assert status["authorization_manifest"] == party.signed_manifest()
    assert status["recipient_authorization"]["manifest_hash"] == party.manifest_hash()
    assert status["expires_at"] == 0


async def test_batch_of_plain_and_adaptor_items_verifies(make_party):
    party = await make_party().completed()
    secret = SecretKey.generate()
    everyone = KeySet.aggregate(party.public_keys(party.users))
    messages = [hashlib.sha256(bytes([i])).digest() for i in range(10)]
    configs = [adaptor(secret.public_key), adaptor(SecretKey.generate().public_key)]
    items = [
        party.item(messages[0], adaptors=configs),
        party.item(messages[1]),
        *[party.item(messages[2], subset=subset) for subset in party.pairs],
        *[party.item(messages[3], subset=subset, adaptors=[adaptor(secret.public_key)]) for subset in party.pairs],
    ]
    status = await party.sign(items)
    assert status["status"] == "completed"
    results = {result["batch_item_id"]: result for result in status["batch_results"]}
    assert results.keys() == {item["batch_item_id"] for item in items}
    assert status["batch_items"] == items

    for item in items:
        members = party.pairs.get(item["subset_id"], party.users)
        key_set = KeySet.aggregate(party.public_keys(members))
        message = bytes(item["message_hash"])
        result = results[item["batch_item_id"]]
        assert result["error"] is None
        if item["signing_mode"]["type"] == "regular":
            assert result["adaptor_signatures"] is None
            plain = party.decrypt(result["signature"], "signature")
            assert schnorr_verify(plain, message, key_set.x_only)
            continue
        assert result["signature"] is None
        by_id = json.loads(party.decrypt(result["adaptor_signatures"], "adaptor_signatures"))
        for adaptor_id, found in by_id.items():
            point = bytes(found["aggregate_adaptor_point"])
            assert found["adaptor_id"] == adaptor_id
            assert found["adaptor_points"] == [list(point)]
            assert len(found["nonce_point"]) == 66
            musig2.verify(SigningItem(key_set, message, point), bytes(found["signature_scalar"]))

    found = json.loads(party.decrypt(results[items[0]["batch_item_id"]]["adaptor_signatures"], "adaptor_signatures"))
    assert found.keys() == {config["adaptor_id"] for config in configs}
    completed = musig2.adapt(bytes(found[configs[0]["adaptor_id"]]["signature_scalar"]), secret.reveal())
    assert schnorr_verify(completed, messages[0], everyone.x_only)


async def test_results_come_regular_first_each_by_ascending_id(make_party):
    party = await make_party(approvals=False).completed()
    point = SecretKey.generate().public_key
    items = [party.item(bytes(31) + bytes([i]), adaptors=[adaptor(point)] if i % 2 else None) for i in range(8)]
    status = await party.sign(items)
    regular = sorted(item["batch_item_id"] for item in items if item["signing_mode"]["type"] == "regular")
    others = sorted(item["batch_item_id"] for item in items if item["signing_mode"]["type"] == "adaptor")
    assert [result["batch_item_id"] for result in status["batch_results"]] == regular + others


@pytest.mark.parametrize(
    ("tweak", "tweaked"),
    [
        ({"type": "unspendable_taproot"}, lambda keys: keys.with_taproot_tweak()),
        (
            {"type": "taproot_with_merkle_root", "merkle_root": list(ROOT)},
            lambda keys: keys.with_taproot_tweak(ROOT),
        ),
        ({"type": "plain_tweak", "tweak": list(ROOT)}, lambda keys: keys.with_tweak(ROOT, x_only=False)),
        ({"type": "x_only_tweak", "tweak": list(ROOT)}, lambda keys: keys.with_tweak(ROOT, x_only=True)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
async def test_group_item_takes_the_item_tweak_and_subset_item_the_session_tweak(make_party, tweak, tweaked):
    party = await make_party(session_tweak=tweak, approvals=False).completed()
    subset, members = next(iter(party.pairs.items()))
    message = b"\x07" * 32
    items = [
        party.item(message),
        party.item(message, tweak=tweak),
        party.item(message, subset=subset),
        party.item(message, subset=subset, tweak={"type": "plain_tweak", "tweak": [1] * 32}),
    ]
    status = await party.sign(items)
    signatures = {r["batch_item_id"]: party.decrypt(r["signature"], "signature") for r in status["batch_results"]}
    group = KeySet.aggregate(party.public_keys(party.users))
    pair = tweaked(KeySet.aggregate(party.public_keys(members)))
    expected = [group, tweaked(group), pair, pair]
    for item, key_set in zip(items, expected, strict=True):
        assert schnorr_verify(signatures[item["batch_item_id"]], message, key_set.x_only)
    aggregate = (await party.wait_for_keygen())["aggregate_public_key"]
    assert party.decrypt(aggregate, "aggregate_public_key") == tweaked(group).public_key


async def test_slots_list_everyone_with_a_true_claimed_flag(make_party):
    party = await make_party().collecting()
    await party.register(party.players[0])
    answer = (await party.get(f"/keygen/{party.keygen_id}/slots", party.session_header())).json()
    assert answer["total_slots"] == 4
    assert answer["claimed_slots"] == 1
    assert [slot["user_id"] for slot in answer["available_slots"]] == sorted(party.users, reverse=True)
    assert [slot["user_id"] for slot in answer["available_slots"] if slot["claimed"]] == [party.players[0]]


async def test_a_full_batch_and_several_sessions_at_once(make_party):
    party = await make_party(approvals=False).completed()
    point = SecretKey.generate().public_key
    bodies = [
        party.signing_body([party.item(bytes(30) + bytes([b, i]), adaptors=[adaptor(point)]) for i in range(100)])
        for b in range(3)
    ]
    for body in bodies:
        assert (await party.start_signing(body)).status_code == 200
    key_set = KeySet.aggregate(party.public_keys(party.users))
    for body in bodies:
        status = await party.wait_for_signing(body["signing_session_id"])
        assert status["status"] == "completed"
        found = {
            r["batch_item_id"]: next(
                iter(json.loads(party.decrypt(r["adaptor_signatures"], "adaptor_signatures")).values())
            )
            for r in status["batch_results"]
        }
        musig2.verify_batch(
            [SigningItem(key_set, bytes(item["message_hash"]), point) for item in body["batch_items"]],
            [bytes(found[item["batch_item_id"]]["signature_scalar"]) for item in body["batch_items"]],
        )
