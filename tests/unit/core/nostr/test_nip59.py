import msgspec
import pytest

from coordinator_core.errors import CoreError, InvalidInput, VerificationFailed
from coordinator_core.nostr.event import Event, event_body, sign_event
from coordinator_core.nostr.nip44 import conversation_key, encrypt
from coordinator_core.nostr.nip59 import chat_message, unwrap, wrap
from coordinator_core.secp256k1 import SecretKey

ALICE, BOB, EVE = (SecretKey.from_bytes(bytes([n]) * 32) for n in (1, 2, 3))
NOW = 1_790_000_000


def message(text="come back by noon"):
    return chat_message(ALICE.x_only, BOB.x_only, text, created_at=NOW)


def test_a_message_reaches_its_recipient_and_nobody_else():
    gift = wrap(message(), ALICE, BOB.x_only, now=NOW)
    assert gift.author not in (ALICE.x_only, BOB.x_only)
    assert gift.tag("p") == BOB.x_only.hex()
    assert NOW - 2 * 86_400 < gift.created_at <= NOW
    rumor = unwrap(gift, BOB, [ALICE.x_only])
    assert (rumor.content, rumor.kind, rumor.pubkey) == ("come back by noon", 14, ALICE.x_only.hex())
    with pytest.raises(VerificationFailed):
        unwrap(gift, EVE)
    with pytest.raises(VerificationFailed, match="unexpected sender"):
        unwrap(gift, BOB, [EVE.x_only])


def test_a_wrap_is_for_what_the_sender_wrote():
    with pytest.raises(InvalidInput):
        wrap(message(), EVE, BOB.x_only, now=NOW)


def seal_and_wrap(rumor, sealer=ALICE, seal_kind=13, seal_tags=(), wrap_kind=1_059):
    sealed = encrypt(msgspec.json.encode(rumor).decode(), conversation_key(sealer, BOB.x_only))
    seal = sign_event(sealer, seal_kind, sealed, seal_tags, created_at=NOW)
    return gift_of(seal.to_json().decode(), wrap_kind)


def gift_of(text, kind=1_059):
    return sign_event(EVE, kind, encrypt(text, conversation_key(EVE, BOB.x_only)), created_at=NOW)


def rumor_of(body):
    return msgspec.to_builtins(body) | {"id": body.compute_id().hex()}


def test_every_layer_is_checked():
    rumor = rumor_of(message())
    assert unwrap(seal_and_wrap(rumor), BOB).content == "come back by noon"
    forged = [
        seal_and_wrap(rumor, sealer=EVE),
        seal_and_wrap(rumor, seal_kind=14),
        seal_and_wrap(rumor, seal_tags=[["p", "x"]]),
        seal_and_wrap(rumor, wrap_kind=1_060),
        seal_and_wrap(rumor | {"content": "other"}),
        seal_and_wrap(rumor | {"sig": "00" * 64}),
        gift_of("not json"),
    ]
    for gift in forged:
        with pytest.raises(CoreError):
            unwrap(gift, BOB)
    gift = msgspec.to_builtins(seal_and_wrap(rumor)) | {"sig": "00" * 64}
    with pytest.raises(VerificationFailed):
        unwrap(msgspec.convert(gift, Event), BOB)


def test_a_body_has_a_kind_and_a_date():
    with pytest.raises(InvalidInput):
        event_body(ALICE.x_only, 70_000, "", created_at=NOW)
