import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.bech32 import bech32_encode
from coordinator_core.nostr.nip19 import note, npub, nsec, parse_note, parse_npub, parse_nsec

# The examples of NIP-19.
NPUB = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"
NPUB_HEX = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d"
NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
NSEC_HEX = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa"


def test_examples_of_the_nip():
    assert npub(bytes.fromhex(NPUB_HEX)) == NPUB
    assert parse_npub(NPUB).hex() == parse_npub(NPUB.upper()).hex() == NPUB_HEX
    secret = parse_nsec(NSEC)
    assert secret.reveal().hex() == NSEC_HEX
    assert nsec(secret) == NSEC
    assert parse_note(note(bytes(32))) == bytes(32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "npub1",
        NPUB[:-1],
        NPUB[:-1] + "q",
        NPUB[:10] + "Q" + NPUB[11:],
        NPUB.replace("npub", "note"),
        NPUB + " ",
        NPUB[:-1] + "b",
        "npub1" + "é" * 60,
        "npub1" + "q" * 6_000,
        NSEC,
        bech32_encode("npub", bytes.fromhex(NPUB_HEX)[:31]),
        bech32_encode("npub", bytes(32)),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_npub(text)


def test_errors_never_show_a_secret():
    with pytest.raises(InvalidInput) as caught:
        parse_nsec(NSEC[:-1] + "q")
    assert NSEC[5:20] not in str(caught.value)
