"""An encoder for the tests alone: fields as words, signed by a known key."""

from collections.abc import Callable, Iterable, Sequence

import pytest

from coordinator_core.secp256k1 import SecretKey, ecdsa_sign_recoverable, sha256

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
KEY = SecretKey.from_bytes(bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"))


def regroup(data: bytes) -> list[int]:
    value, padding = int.from_bytes(data, "big"), -len(data) * 8 % 5
    count = (len(data) * 8 + padding) // 5
    return [value << padding >> 5 * (count - 1 - i) & 31 for i in range(count)]


def covered(readable: str, words: Sequence[int]) -> bytes:
    bits = "".join(f"{word:05b}" for word in words)
    bits += "0" * (-len(bits) % 8)
    return sha256(readable.encode() + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))


def to_text(readable: str, words: Sequence[int]) -> str:
    state = 1
    codes = readable.encode()
    for value in (*(c >> 5 for c in codes), 0, *(c & 31 for c in codes), *words, 0, 0, 0, 0, 0, 0):
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    checksum = [(state ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{readable}1" + "".join(ALPHABET[word] for word in (*words, *checksum))


def field(kind: str, words: Sequence[int]) -> list[int]:
    return [ALPHABET.index(kind), len(words) >> 5, len(words) & 31, *words]


STANDARD = {
    "p": regroup(b"\x22" * 32),
    "s": regroup(b"\x33" * 32),
    "d": regroup(b"entry"),
    "9": [16, 8, 0],
    "c": [4, 16],
}


@pytest.fixture
def invoice() -> Callable[..., str]:
    """(readable="lnbcrt1m", change={...}, more=[...], timestamp=..., tamper=...) -> text of an invoice.

    `change` replaces standard fields (None drops one), `more` appends (kind, words), `tamper` changes the signature
    (65 bytes), and `cut` shortens the signed words.
    """

    def make(
        readable: str = "lnbcrt1m",
        change: dict[str, Sequence[int] | None] | None = None,
        more: Iterable[tuple[str, Sequence[int]]] = (),
        timestamp: int = 1_700_000_000,
        tamper: Callable[[bytes], bytes] = lambda signature: signature,
        cut: int = 0,
    ) -> str:
        words = [timestamp >> 5 * (6 - i) & 31 for i in range(7)]
        for kind, data in {**STANDARD, **(change or {})}.items():
            words += [] if data is None else field(kind, data)
        for kind, data in more:
            words += field(kind, data)
        words = words[: len(words) - cut]
        signature, recovery_id = ecdsa_sign_recoverable(covered(readable, words), KEY)
        return to_text(readable, [*words, *regroup(tamper(signature + bytes((recovery_id,))))])

    return make


@pytest.fixture
def words_of() -> Callable[[bytes], list[int]]:
    """Bytes as 5-bit words, padded with zero bits."""
    return regroup


@pytest.fixture
def payee() -> bytes:
    """The key that signs the invoices made here."""
    return KEY.public_key
