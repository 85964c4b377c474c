"""keymeld section 15, and what still holds of the earlier protocol's vectors."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.approval import APPROVAL_DOMAIN, ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem, batch_payload
from coordinator_core.keymeld.canonical import authorization_digest, canonical_json, sign_authorization
from coordinator_core.keymeld.derivation import session_auth_key, user_auth_key
from coordinator_core.keymeld.ecies import decrypt, encrypt
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field, encrypt_field
from coordinator_core.keymeld.envelope import POSSESSION_DOMAIN
from coordinator_core.keymeld.manifest import MANIFEST_DOMAIN, SignedManifest
from coordinator_core.keymeld.recipients import RECIPIENTS_DOMAIN, EnclaveRecipients
from coordinator_core.keymeld.registration import RegistrationAuthorization, RegistrationContext
from coordinator_core.keymeld.request_auth import session_scope, user_scope
from coordinator_core.musig2 import KeySet, SigningItem, adapt, extract, verify
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds, UnixTime

KEYGEN = "01890a5d-ac96-774b-bcce-b302099a8057"
SIGNING = "01890a5d-ac96-774b-bcce-b302099a8058"
U1 = "01890a5d-ac96-774b-bcce-b302099a8001"
AT = UnixTime(1_700_000_000)
NONCE = bytes(range(16))


def key(byte: int) -> SecretKey:
    return SecretKey.from_bytes(bytes([byte]) * 32)


@pytest.fixture
def context(vector_manifest: SignedManifest) -> RegistrationContext:
    return RegistrationContext(
        keygen_session_id=KEYGEN,
        manifest_hash=vector_manifest.hash,
        user_id=U1,
        enclave_id=1,
        enclave_key_epoch=1,
        public_key=key(0x11).public_key,
        auth_pubkey=user_auth_key(key(0x11), KEYGEN).public_key,
        require_signing_approval=True,
    )


ITEM = EncryptedItem("01890a5d-ac96-774b-bcce-b302099a80aa", "00", None, "01", None)


def test_manifest(vector_manifest: SignedManifest, generation_a: dict[str, Any]) -> None:
    body = canonical_json(vector_manifest.manifest.payload())
    assert len(body) == generation_a["manifest_json_length"]
    assert sha256(body).hex() == generation_a["manifest_json_sha256"]
    digest = authorization_digest(MANIFEST_DOMAIN, vector_manifest.manifest.payload())
    assert digest.hex() == generation_a["manifest_digest"]
    assert vector_manifest.signature.hex() == generation_a["manifest_signature"]
    assert vector_manifest.hash.hex() == generation_a["manifest_hash"]


def test_recipients(vector_recipients: EnclaveRecipients, generation_a: dict[str, Any]) -> None:
    digest = authorization_digest(RECIPIENTS_DOMAIN, vector_recipients.signed_payload())
    assert digest.hex() == generation_a["recipients_digest"]
    assert vector_recipients.signature.hex() == generation_a["recipients_signature"]


def test_registration(context: RegistrationContext, generation_a: dict[str, Any]) -> None:
    possession = authorization_digest(POSSESSION_DOMAIN, context.payload())
    assert possession.hex() == generation_a["possession_digest"]
    proof = sign_authorization(POSSESSION_DOMAIN, context.payload(), key(0x11))
    assert proof.hex() == generation_a["possession_proof"]
    registration = RegistrationAuthorization.sign(context, bytes(8), key(0x42))
    assert registration.digest.hex() == generation_a["registration_digest"]
    assert registration.signature.hex() == generation_a["registration_signature"]


def test_batch(generation_a: dict[str, Any]) -> None:
    batch = SignedBatch.sign(KEYGEN, SIGNING, Seconds(600), [ITEM], key(0x41))
    assert batch.digest.hex() == generation_a["batch_digest"]
    assert batch.signature.hex() == generation_a["batch_signature"]


def test_approval(secret: Secret, generation_a: dict[str, Any]) -> None:
    user = UserAccess(SessionAccess(KEYGEN, secret), U1, key(0x11))
    approval = ParticipantApproval.sign(user, SIGNING, [ITEM], AT)
    digest = authorization_digest(APPROVAL_DOMAIN, [U1, KEYGEN, SIGNING, AT, batch_payload([ITEM])])
    assert digest.hex() == generation_a["approval_digest"]
    assert approval.signature.hex() == generation_a["approval_signature"]


def test_session_header(secret: Secret, generation_a: dict[str, Any]) -> None:
    scope = session_scope(KEYGEN)
    header = scope.header(session_auth_key(secret), AT, nonce=NONCE)
    assert scope.digest(AT, NONCE).hex() == generation_a["session_header_digest"]
    assert header == generation_a["session_header"]
    proof = scope.verify(header, session_auth_key(secret).public_key)
    assert proof.replay_key == generation_a["replay_key"]
    assert proof.timestamp == AT


def test_user_header(generation_a: dict[str, Any]) -> None:
    scope = user_scope(SIGNING, U1)
    assert scope.digest(AT, NONCE).hex() == generation_a["user_header_digest"]
    assert scope.header(user_auth_key(key(0x11), KEYGEN), AT, nonce=NONCE) == generation_a["user_header"]


def test_derivations(secret: Secret, earlier: dict[str, Any]) -> None:
    session = session_auth_key(secret)
    assert session.reveal().hex() == earlier["session_auth_priv"]
    assert session.public_key.hex() == earlier["session_public_key"]
    user = user_auth_key(key(0x11), KEYGEN)
    assert user.reveal().hex() == earlier["user_auth_priv"]
    assert user.public_key.hex() == earlier["user_auth_pubkey"]


def test_ecies(earlier: dict[str, Any]) -> None:
    expected = earlier["ecies(eph=33*32,nonce=000102..0b,pt=user_priv)"]
    recipient = bytes.fromhex(earlier["enclave_pub"])
    blob = encrypt(bytes([0x11]) * 32, recipient, ephemeral=key(0x33), nonce=bytes(range(12)))
    assert blob.hex() == expected
    assert decrypt(bytes.fromhex(expected), key(0x22)) == bytes([0x11]) * 32


@pytest.mark.parametrize(
    ("name", "context", "plaintext"),
    [
        ("EncryptedData(ctx=taproot_tweak,nonce=000102..0b)", Context.TAPROOT_TWEAK, b'{"type":"none"}'),
        ("EncryptedData(ctx=session_data,pt=hex(00*32))", Context.SESSION_DATA, b"00" * 32),
    ],
)
def test_encrypted_data(name: str, context: Context, plaintext: bytes, secret: Secret, earlier: dict[str, Any]) -> None:
    assert encrypt_field(secret, context, plaintext, nonce=bytes(range(12))) == earlier[name]
    assert decrypt_field(secret, context, earlier[name], "field") == plaintext


def test_aggregates(earlier: dict[str, Any]) -> None:
    keys = KeySet.aggregate([bytes.fromhex(point) for point in reversed(earlier["musig_sorted_pks"])])
    assert [member.hex() for member in keys.members] == earlier["musig_sorted_pks"]
    assert keys.public_key.hex() == earlier["aggregate_none"]
    assert keys.with_taproot_tweak(b"").public_key.hex() == earlier["aggregate_unspendable_taproot"]
    rooted = keys.with_taproot_tweak(b"\xaa" * 32).public_key.hex()
    assert rooted == earlier["aggregate_taproot_with_merkle_root(aa*32)"]
    one = b"\x01" * 32
    assert keys.with_tweak(one, x_only=False).public_key.hex() == earlier["aggregate_plain_tweak(01*32)"]
    assert keys.with_tweak(one, x_only=True).public_key.hex() == earlier["aggregate_x_only_tweak(01*32)"]


def test_signatures(earlier: dict[str, Any]) -> None:
    keys = KeySet.aggregate([bytes.fromhex(point) for point in earlier["musig_sorted_pks"]])
    message = b"\xcc" * 32
    verify(SigningItem(keys, message), bytes.fromhex(earlier["regular_sig(k1=01*32,k2=02*32,msg=cc*32)"]))
    point = bytes.fromhex(earlier["adaptor_point"])
    held = bytes.fromhex(earlier["adaptor_sig(k1=01*32,k2=02*32,msg=cc*32,t=77*32)"])
    verify(SigningItem(keys, message, point), held)
    adapted = adapt(held, b"\x77" * 32)
    assert adapted.hex() == earlier["adapted_sig"]
    verify(SigningItem(keys, message), adapted)
    assert extract(held, adapted, point) == b"\x77" * 32


@pytest.mark.parametrize("name", ["X-Session-Signature(nonce=000102..0f)", "X-User-Signature(nonce=000102..0f)"])
def test_the_earlier_headers_are_refused(name: str, earlier: dict[str, Any], secret: Secret) -> None:
    from coordinator_core.errors import InvalidInput

    with pytest.raises(InvalidInput, match="another shape"):
        session_scope(KEYGEN).verify(earlier[name], session_auth_key(secret).public_key)
