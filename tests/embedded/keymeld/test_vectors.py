"""Section 15 of the keymeld specification, and the values of the earlier vectors that still hold."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.authorization.batch import AuthorizedItem, SigningAuthorization
from coordinator.embedded.keymeld.authorization.manifest import SessionManifest, SignedSessionManifest
from coordinator.embedded.keymeld.authorization.recipients import EnclaveRecipientAuthorization
from coordinator.embedded.keymeld.authorization.registration import (
    RegistrationAuthorization,
    RegistrationContext,
    possession_digest,
)
from coordinator.embedded.keymeld.authorization.tweak import decode_tweak
from coordinator.embedded.keymeld.crypto import derivations, ecies
from coordinator.embedded.keymeld.crypto.encrypted_data import SessionCipher
from coordinator.embedded.keymeld.enclave.session import apply_tweak
from coordinator.embedded.keymeld.gateway.authentication import (
    SESSION_DOMAIN,
    USER_DOMAIN,
    header_digest,
    parse_header,
    replay_key,
)
from coordinator_core.errors import InvalidInput
from coordinator_core.musig2 import KeySet
from coordinator_core.secp256k1 import SecretKey, ecdsa_sign, ecdsa_verify, sha256
from coordinator_core.secret import Secret

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "keymeld" / "vectors.json").read_text())
SECRET = bytes(range(1, 33))
PREFIX = "01890a5d-ac96-774b-bcce-b302099a80"
KEYGEN, SIGNING, U1, U2, ITEM = (PREFIX + end for end in ("57", "58", "01", "02", "aa"))
NONCE = bytes(range(16))


def key(byte: int) -> SecretKey:
    return SecretKey.from_bytes(bytes([byte]) * 32)


@pytest.fixture
def session_public_key() -> bytes:
    public_key = derivations.session_auth_key(SECRET).public_key
    assert public_key.hex() == "0266f7b5cf86b9c9970c48ac943fbcfea3175502df818bea5919eb683c728fe929"
    return public_key


@pytest.fixture
def signed_manifest(session_public_key: bytes) -> SignedSessionManifest:
    manifest = SessionManifest(
        keygen_session_id=KEYGEN,
        coordinator_user_id=U1,
        creator_pubkey=list(key(0x41).public_key),
        signing_pubkey=list(key(0x41).public_key),
        session_public_key=list(session_public_key),
        participant_verifiers={U2: list(key(0x43).public_key), U1: list(key(0x42).public_key)},
        timeout_secs=3600,
        max_signing_sessions=None,
        encrypted_taproot_tweak="00",
        subset_definitions=[],
    )
    encoded = msgspec.json.encode(manifest)
    assert len(encoded) == 982
    assert sha256(encoded).hex() == "4cf40404e91ba3a8b1d6a11e898a9d05011323d87eafc10e4c355af0734459ca"
    unsigned = SignedSessionManifest(manifest, [0] * 64)
    assert unsigned.digest().hex() == "a54fe1a86444a32e3b8fab1eec2315b9b12dfa4ec845d9d71dfcd65a7e110e40"
    signature = ecdsa_sign(unsigned.digest(), key(0x41))
    assert signature.hex() == (
        "dfb049dfb377e98aa6c63633b05e370eef07aa3c9adb735d835cce5ca52ebbc0"
        "387985588a13405412096bb30b3f298fa55db3079cfa936fda6a4a94c4a91f5a"
    )
    return SignedSessionManifest(manifest, list(signature))


def context(signed_manifest: SignedSessionManifest) -> RegistrationContext:
    auth_key = derivations.user_auth_key(bytes([0x11]) * 32, KEYGEN)
    assert auth_key.public_key.hex() == "024e3321866be4c326019b4ac0237981cb7b043f56617983242aa4935f2609018d"
    return RegistrationContext(
        keygen_session_id=KEYGEN,
        manifest_hash=list(signed_manifest.hash()),
        user_id=U1,
        enclave_id=1,
        enclave_key_epoch=1,
        public_key=list(key(0x11).public_key),
        auth_pubkey=list(auth_key.public_key),
        require_signing_approval=True,
    )


def test_manifest_hash_covers_the_signature(signed_manifest):
    signed_manifest.verify()
    assert signed_manifest.hash().hex() == "3304af7c96ab3237acb9673b6c3a1565f3fac60592d5e2d0f1a93a9c6c902796"


def test_recipients(signed_manifest):
    recipients = EnclaveRecipientAuthorization(
        keygen_session_id=KEYGEN,
        manifest_hash=list(signed_manifest.hash()),
        user_enclave_assignments={U2: 2, U1: 1},
        recipient_public_keys={2: list(key(0x23).public_key), 1: list(key(0x22).public_key)},
        signature=[0] * 64,
    )
    digest = recipients.digest()
    assert digest.hex() == "c457ba4385876165c3416de85dd3f60f118130a272f99a2708c0b584598ce080"
    signature = ecdsa_sign(digest, key(0x41))
    assert signature.hex() == (
        "aa6d47e9065080119c45cd2f3b35e255d984503a2d7cd42f0a1628cfe4526e94"
        "2ef961306146e3a6772dbf50df974d824d5c379a0ef340d20a49f2903a68866e"
    )
    msgspec.structs.force_setattr(recipients, "signature", list(signature))
    recipients.verify(signed_manifest)


def test_maps_by_enclave_id_are_in_numeric_order(signed_manifest):
    encoded = b'{"keygen_session_id":"%s","manifest_hash":%s,"user_enclave_assignments":{},' % (
        KEYGEN.encode(),
        msgspec.json.encode([0] * 32),
    )
    keys = b'"recipient_public_keys":{"10":%s,"9":%s},' % ((msgspec.json.encode([2] * 33),) * 2)
    whole = encoded + keys + b'"signature":%s}' % msgspec.json.encode([0] * 64)
    decoded = msgspec.json.decode(whole, type=EnclaveRecipientAuthorization)
    assert list(decoded.recipient_public_keys) == [9, 10]


def test_registration(signed_manifest):
    ctx = context(signed_manifest)
    digest = possession_digest(ctx)
    assert digest.hex() == "1b929978e9fbaffbd7c8b80aebae73b2fd90f82f4c0340b7a3a7f60e30958825"
    assert ecdsa_sign(digest, key(0x11)).hex() == (
        "fdaec0daf695cf4a721be48d89b4635c129fda26eb8a5c45ddca1c01b6a343b6"
        "6a055fbd22963371742b71a24cc9a1c12ea68c54cd4815d9a2f9e8977c45aeb1"
    )
    registration = RegistrationAuthorization(ctx, list(sha256(bytes(8))), [0] * 64)
    assert registration.digest().hex() == "63c1b7fb34b2f2552ee854d35af45ec14d35e5c007dc2f0ff2e4506f806dcec7"
    signature = ecdsa_sign(registration.digest(), key(0x42))
    assert signature.hex() == (
        "2fb92f9a115daa7291d4f804694fc3c6ee6acf9f513efac690c8f4f008e8e1cb"
        "5cc860cd592c7b0aac04e5418353d1921a8ccb8249e6d4456bebbbafd148958d"
    )
    RegistrationAuthorization(ctx, list(sha256(bytes(8))), list(signature)).verify(signed_manifest, bytes(8))


def test_batch_and_approval():
    batch = [AuthorizedItem(ITEM, "00", None, "01", None)]
    digest = SigningAuthorization(600, [0] * 64).digest(KEYGEN, SIGNING, batch)
    assert digest.hex() == "dd28b9ee201c38818bfcad8301b883e7e7c583cb47e548526bf1931a1023cec1"
    assert ecdsa_sign(digest, key(0x41)).hex() == (
        "d4ce2c34b0f3e170b0753bbaf065335cf472646aab0709c8597d9fcdc81610a9"
        "73d406df56eb0ce9d87207275929d9349f4b571f89d84ca22862423b643e7e99"
    )
    digest = ParticipantApproval(U1, 1700000000, [0] * 64).digest(KEYGEN, SIGNING, batch)
    assert digest.hex() == "7cc887e6cfedd7b719058cfc10c158ea626f13fc7a08c6b7f97ccb62366bac38"
    assert ecdsa_sign(digest, derivations.user_auth_key(bytes([0x11]) * 32, KEYGEN)).hex() == (
        "f0b78a53a8702079c763699272d92f51a89d6cf07bd3dee2c34c93975e420004"
        "4f9c6731b5e5a1c63aea5dc16e1f3d29b2b7080e4965596dfd90a86eae04ec19"
    )


def test_headers(session_public_key):
    shape = "v1:1700000000:" + NONCE.hex() + ":"
    header = parse_header("x", shape + "00" * 64)
    digest = header_digest(SESSION_DOMAIN, KEYGEN, "", header)
    assert digest.hex() == "68fb462ef3e86edd81e02a6579fcd9ebc0ab486a6bdca6a70da97cea00ed133e"
    signature = bytes.fromhex(
        "164beb2900062d451648ac9f804509be08e06590dae026a0e27226a0a00a8402"
        "6bb0b62d86c7e976a2da338984587a91fc56e48379e8c6fa99239a3291b5c748"
    )
    assert ecdsa_verify(signature, digest, session_public_key)
    expected = "05b9d462906f4368abfbcbd45ad7684369e7f8bedd1c8e17617cd1e7012cf25e"
    assert replay_key(session_public_key, digest) == expected

    digest = header_digest(USER_DOMAIN, SIGNING, U1, header)
    assert digest.hex() == "96bfd112194a3cf2e5aeb57ed2b6f52ee5c205d7cbfbd748243873e566b5ec25"
    signature = bytes.fromhex(
        "0e62ad11092ea9aa1811cad2e8c0fbb97123e3540e100f96ff4ac01fc79e6289"
        "3d2c39072ef82e16a8beab82ec1ee7a2defe37d4372efdcb262a3dceb509f336"
    )
    assert ecdsa_verify(signature, digest, derivations.user_auth_key(bytes([0x11]) * 32, KEYGEN).public_key)


def test_ecies_both_ways():
    plaintext = bytes.fromhex(VECTORS["user_priv"])
    enclave = SecretKey.from_bytes(bytes.fromhex(VECTORS["enclave_priv"]))
    blob = ecies.seal(plaintext, enclave.public_key, ephemeral=key(0x33), nonce=bytes(range(12)))
    assert blob.hex() == VECTORS["ecies(eph=33*32,nonce=000102..0b,pt=user_priv)"]
    assert ecies.decrypt(blob, enclave, "blob") == plaintext


@pytest.mark.parametrize("seed", range(16))
def test_ecies_with_both_parities_of_the_shared_point(seed):
    recipient = key(seed + 1)
    sealed = bytes.fromhex(ecies.encrypt(b"plain", recipient.public_key))
    assert ecies.decrypt(sealed, recipient, "blob") == b"plain"


@pytest.mark.parametrize("position", [1, 40, 50, -1])
def test_ecies_refuses_a_changed_byte(position):
    recipient = key(9)
    sealed = bytearray.fromhex(ecies.encrypt(b"plain", recipient.public_key))
    sealed[position] ^= 1
    with pytest.raises(InvalidInput, match="blob"):
        ecies.decrypt(bytes(sealed), recipient, "blob")


@pytest.mark.parametrize(
    ("name", "context_name", "plaintext"),
    [
        ("EncryptedData(ctx=taproot_tweak,nonce=000102..0b)", "taproot_tweak", b'{"type":"none"}'),
        ("EncryptedData(ctx=session_data,pt=hex(00*32))", "session_data", b"0" * 64),
    ],
)
def test_encrypted_data(name, context_name, plaintext):
    cipher = SessionCipher(Secret(SECRET))
    assert cipher.encrypt(plaintext, context_name, nonce=bytes(range(12))) == VECTORS[name]
    assert cipher.decrypt(VECTORS[name], context_name, "field") == plaintext
    with pytest.raises(InvalidInput, match="another context"):
        cipher.decrypt(VECTORS[name], "signature", "field")
    with pytest.raises(InvalidInput, match="does not decrypt"):
        SessionCipher(Secret(bytes(31) + b"\x01")).decrypt(VECTORS[name], context_name, "field")


@pytest.mark.parametrize(
    ("name", "tweak"),
    [
        ("aggregate_none", {"type": "none"}),
        ("aggregate_unspendable_taproot", {"type": "unspendable_taproot"}),
        (
            "aggregate_taproot_with_merkle_root(aa*32)",
            {"type": "taproot_with_merkle_root", "merkle_root": [0xAA] * 32},
        ),
        ("aggregate_plain_tweak(01*32)", {"type": "plain_tweak", "tweak": [1] * 32}),
        ("aggregate_x_only_tweak(01*32)", {"type": "x_only_tweak", "tweak": [1] * 32}),
    ],
)
def test_aggregates_under_every_tweak(name, tweak):
    members = [SecretKey.from_bytes(bytes.fromhex(secret)).public_key for secret in VECTORS["musig_sks"]]
    decoded = decode_tweak(json.dumps(tweak).encode(), "tweak")
    assert apply_tweak(KeySet.aggregate(members), decoded).public_key.hex() == VECTORS[name]


@pytest.mark.parametrize(
    "json_text", [b"", b"null", b'{"type":"some"}', b'{"type":"plain_tweak","tweak":[1]}', b"\xff"]
)
def test_an_unreadable_tweak_is_never_taken_for_none(json_text):
    with pytest.raises(InvalidInput, match="tweak"):
        decode_tweak(json_text, "tweak")
