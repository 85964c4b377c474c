"""BOLT11 payment requests of the embedded network: written, signed and read here, with a codec of its own.

Fields come in LND's order (payment hash, description or its hash, final CLTV delta, expiry, payment secret,
features), so that the same data gives the same text. Amounts are millisatoshi.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from coordinator.embedded.lightning import bech32
from coordinator.embedded.lightning.bech32 import ALPHABET
from coordinator.embedded.lightning.errors import LndError
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey, ecdsa_recover, ecdsa_sign_recoverable, ecdsa_verify

FEATURES: Final = (8, 14, 17, 25)
"""Feature bits that LND 0.21 sets in an invoice: onion TLV and payment secret (required), MPP, route blinding."""
FEATURE_NAMES: Final = {
    8: "tlv-onion",
    14: "payment-addr",
    17: "multi-path-payments",
    25: "route-blinding",
}
DEFAULT_EXPIRY: Final = 3600
DEFAULT_FINAL_CLTV_DELTA: Final = 18
_MSAT_PER_BTC: Final = 100_000_000_000
_MULTIPLIERS: Final = {"m": 10**3, "u": 10**6, "n": 10**9, "p": 10**12}
_MOST_DIGITS: Final = 20
_SIGNATURE_WORDS: Final = 104
_TIMESTAMP_WORDS: Final = 7
_LONGEST_FIELD: Final = 1023


@dataclass(frozen=True)
class RouteHint:
    """One hop of a private route: key 33 bytes, short channel id, fees in msat and ppm, CLTV delta in blocks."""

    node_id: bytes
    chan_id: int
    fee_base_msat: int
    fee_ppm: int
    cltv_delta: int


@dataclass(frozen=True)
class PaymentRequest:
    """What an invoice says. `payee` is 33 bytes; exactly one of description and description_hash is set."""

    network: str
    amount_msat: int | None
    timestamp: int
    payment_hash: bytes
    payment_addr: bytes
    payee: bytes
    description: str | None = ""
    description_hash: bytes | None = None
    expiry: int = DEFAULT_EXPIRY
    final_cltv_delta: int = DEFAULT_FINAL_CLTV_DELTA
    features: tuple[int, ...] = FEATURES
    route_hints: tuple[tuple[RouteHint, ...], ...] = ()

    @property
    def expires_at(self) -> int:
        """Seconds since 1970."""
        return self.timestamp + self.expiry


def encode(request: PaymentRequest, key: SecretKey) -> str:
    """The signed text. Raises LndError for a description longer than a field holds."""
    prefix = f"ln{request.network}{_encode_amount(request.amount_msat)}"
    words = [request.timestamp >> shift & 31 for shift in range(30, -1, -5)]
    for letter, value in _fields(request):
        if len(value) > _LONGEST_FIELD:
            raise LndError(f"data length too big to fit within 10 bits: {len(value)}")
        words += [ALPHABET.index(letter), len(value) >> 5, len(value) & 31, *value]
    signature, recovery_id = ecdsa_sign_recoverable(_digest(prefix, words), key)
    return bech32.encode(prefix, [*words, *bech32.to_words(signature + bytes([recovery_id]))])


def _fields(request: PaymentRequest) -> Iterator[tuple[str, list[int]]]:
    yield "p", bech32.to_words(request.payment_hash)
    if request.description_hash is not None:
        yield "h", bech32.to_words(request.description_hash)
    else:
        yield "d", bech32.to_words((request.description or "").encode())
    yield "c", bech32.int_to_words(request.final_cltv_delta)
    yield "x", bech32.int_to_words(request.expiry)
    yield "s", bech32.to_words(request.payment_addr)
    yield "9", bech32.int_to_words(sum(1 << bit for bit in request.features))


def _encode_amount(amount_msat: int | None) -> str:
    if not amount_msat:
        return ""
    picobitcoin = amount_msat * 10
    for multiplier, per_unit in (("", 10**12), ("m", 10**9), ("u", 10**6), ("n", 10**3)):
        if picobitcoin % per_unit == 0:
            return f"{picobitcoin // per_unit}{multiplier}"
    return f"{picobitcoin}p"


def _digest(prefix: str, words: Sequence[int]) -> bytes:
    bits = len(words) * 5
    padding = -bits % 8
    data = (bech32.to_int(words) << padding).to_bytes((bits + padding) // 8)
    return hashlib.sha256(prefix.encode() + data).digest()


def decode(text: str, network: str = "bcrt") -> PaymentRequest:
    """Read and verify a payment request; a `lightning:` prefix is not stripped, as LND does not.

    Raises LndError for another network, a bad checksum, a bad signature, or missing fields.
    """
    prefix, words = bech32.decode(text)
    if len(words) < _TIMESTAMP_WORDS + _SIGNATURE_WORDS:
        raise LndError("invoice too short")
    amount_msat = _read_prefix(prefix, network)
    signed, signature = words[:-_SIGNATURE_WORDS], words[-_SIGNATURE_WORDS:]
    fields = _Fields()
    for letter, value in _split(signed[_TIMESTAMP_WORDS:]):
        reader = _READERS.get(letter)
        if reader is not None:
            reader(fields, value)
    if fields.payment_hash is None or (fields.description is None) == (fields.description_hash is None):
        raise LndError("neither payment hash nor exactly one description found")
    if fields.payment_addr is None:
        raise LndError("no payment address found")
    return PaymentRequest(
        network=network,
        amount_msat=amount_msat,
        timestamp=bech32.to_int(signed[:_TIMESTAMP_WORDS]),
        payment_hash=fields.payment_hash,
        payment_addr=fields.payment_addr,
        payee=_payee(_digest(prefix, signed), bech32.from_words(signature), fields.payee),
        description=fields.description,
        description_hash=fields.description_hash,
        expiry=fields.expiry,
        final_cltv_delta=fields.final_cltv_delta,
        features=fields.features,
        route_hints=tuple(fields.route_hints),
    )


@dataclass
class _Fields:
    payment_hash: bytes | None = None
    payment_addr: bytes | None = None
    description: str | None = None
    description_hash: bytes | None = None
    payee: bytes | None = None
    expiry: int = DEFAULT_EXPIRY
    final_cltv_delta: int = DEFAULT_FINAL_CLTV_DELTA
    features: tuple[int, ...] = ()
    route_hints: list[tuple[RouteHint, ...]] = field(default_factory=list[tuple[RouteHint, ...]])


def _split(words: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    position = 0
    while position < len(words):
        if position + 3 > len(words):
            raise LndError("field cut off")
        length = words[position + 1] << 5 | words[position + 2]
        value = words[position + 3 : position + 3 + length]
        if len(value) != length:
            raise LndError("invalid field length")
        yield ALPHABET[words[position]], value
        position += 3 + length


def _read_once(name: str, words_wanted: int) -> Callable[[_Fields, Sequence[int]], None]:
    """Fixed-length bytes; the first one counts and one of another length is skipped, as BOLT11 says."""

    def read(fields: _Fields, words: Sequence[int]) -> None:
        if len(words) == words_wanted and getattr(fields, name) is None:
            setattr(fields, name, bech32.from_words(words, strict=False))

    return read


def _read_description(fields: _Fields, words: Sequence[int]) -> None:
    if fields.description is None:
        try:
            fields.description = bech32.from_words(words, strict=False).decode()
        except UnicodeDecodeError as error:
            raise LndError("description is not valid UTF-8") from error


def _read_expiry(fields: _Fields, words: Sequence[int]) -> None:
    fields.expiry = bech32.to_int(words)


def _read_final_cltv_delta(fields: _Fields, words: Sequence[int]) -> None:
    fields.final_cltv_delta = bech32.to_int(words)


def _read_features(fields: _Fields, words: Sequence[int]) -> None:
    number = bech32.to_int(words)
    fields.features = tuple(bit for bit in range(number.bit_length()) if number >> bit & 1)
    unknown = [bit for bit in fields.features if bit % 2 == 0 and bit not in FEATURE_NAMES]
    if unknown:
        raise LndError(f"invoice requires unknown feature bits {unknown}")


def _read_route_hint(fields: _Fields, words: Sequence[int]) -> None:
    data = bech32.from_words(words, strict=False)
    if not data or len(data) % 51:
        raise LndError("expected a multiple of 51 bytes in a route hint")
    numbers = (data[start : start + 51] for start in range(0, len(data), 51))
    fields.route_hints.append(
        tuple(
            RouteHint(
                hop[:33],
                int.from_bytes(hop[33:41]),
                int.from_bytes(hop[41:45]),
                int.from_bytes(hop[45:49]),
                int.from_bytes(hop[49:51]),
            )
            for hop in numbers
        )
    )


_READERS: Final[dict[str, Callable[[_Fields, Sequence[int]], None]]] = {
    "p": _read_once("payment_hash", 52),
    "s": _read_once("payment_addr", 52),
    "h": _read_once("description_hash", 52),
    "n": _read_once("payee", 53),
    "d": _read_description,
    "x": _read_expiry,
    "c": _read_final_cltv_delta,
    "9": _read_features,
    "r": _read_route_hint,
}


def _read_prefix(prefix: str, network: str) -> int | None:
    if not prefix.startswith("ln"):
        raise LndError('prefix should be "ln"')
    hrp = prefix[2:]
    digits = hrp.removeprefix(network)
    if digits == hrp or (digits and not digits[0].isdigit()):
        raise LndError("invoice not for current active network 'regtest'")
    return _decode_amount(digits) if digits else None


def _decode_amount(text: str) -> int:
    digits, multiplier = (text[:-1], text[-1]) if text[-1] in _MULTIPLIERS else (text, "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise LndError("invalid amount")
    amount, remainder = divmod(int(digits) * _MSAT_PER_BTC, _MULTIPLIERS.get(multiplier, 1))
    if remainder:
        raise LndError("amount has a fraction of a millisatoshi")
    return amount


def _payee(digest: bytes, signature: bytes, named: bytes | None) -> bytes:
    compact, recovery_id = signature[:64], signature[64]
    if named is not None:
        if not ecdsa_verify(compact, digest, named):
            raise LndError("invalid invoice signature")
        return named
    try:
        return ecdsa_recover(digest, compact, recovery_id)
    except InvalidInput as error:
        raise LndError("invalid invoice signature") from error
