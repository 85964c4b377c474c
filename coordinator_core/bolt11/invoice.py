"""A strict reader of BOLT11 invoices: nothing of an invoice is handed out before its signature is verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coordinator_core.bolt11.amount import parse_readable
from coordinator_core.bolt11.fields import Fields, RouteHop
from coordinator_core.bolt11.words import decode_words, words_to_bytes, words_to_int, words_to_padded_bytes
from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.secp256k1 import ecdsa_recover, ecdsa_verify, parse_point, sha256
from coordinator_core.units import Blocks, Millisats, Seconds, UnixTime

_TIMESTAMP_WORDS: Final = 7
_SIGNATURE_WORDS: Final = 104
_DEFAULT_EXPIRY: Final = 3600
_DEFAULT_MIN_FINAL_CLTV_EXPIRY: Final = 18
_PAYMENT_SECRET: Final = 14
_BASIC_MPP: Final = 16
_KNOWN_FEATURES: Final = frozenset({8, _PAYMENT_SECRET, _BASIC_MPP, 24, 36, 48})
"""Even bits of BOLT9 that may stand in an invoice: onion TLV, payment secret, MPP, blinding, attribution, metadata."""


@dataclass(frozen=True)
class Invoice:
    """A verified invoice. Exactly one of description and description_hash is set; `payee` is 33 bytes.

    `prefix` is the currency prefix of BIP173 (bc, tb, tbs, bcrt); `amount` None leaves the sum to the payer.
    """

    prefix: str
    amount: Millisats | None
    timestamp: UnixTime
    payment_hash: bytes
    payment_secret: bytes
    payee: bytes
    description: str | None
    description_hash: bytes | None
    expiry: Seconds
    min_final_cltv_expiry: Blocks
    route_hints: tuple[tuple[RouteHop, ...], ...]
    features: frozenset[int]
    metadata: bytes | None

    @property
    def expires_at(self) -> UnixTime:
        """The moment from which it must not be paid."""
        return UnixTime(self.timestamp + self.expiry)

    @property
    def allows_parts(self) -> bool:
        """True if it may be paid in several parts (basic_mpp)."""
        return not self.features.isdisjoint((_BASIC_MPP, _BASIC_MPP + 1))


def decode(text: str) -> Invoice:
    """Read an invoice of bitcoin, test networks included, in upper or lower case and without a URI scheme.

    Raises InvalidInput naming the field ("invoice.amount", ...), InvalidSignature if the signature is not the payee's.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput("invoice", f"is {type(text).__name__}", "give text")
    readable, words = decode_words(text, "invoice")
    prefix, amount = parse_readable(readable)
    if len(words) < _TIMESTAMP_WORDS + _SIGNATURE_WORDS:
        raise InvalidInput("invoice", "is too short for a timestamp and a signature", "copy the whole invoice")
    signed, signature = words[:-_SIGNATURE_WORDS], words_to_bytes(words[-_SIGNATURE_WORDS:], "invoice.signature")
    fields = Fields(signed[_TIMESTAMP_WORDS:])
    payee = _verify(readable.encode() + words_to_padded_bytes(signed), signature, fields.octets("payee"))
    fields.refuse_repeated()
    description, description_hash = _description(fields)
    return Invoice(
        prefix=prefix,
        amount=amount,
        timestamp=UnixTime(words_to_int(signed[:_TIMESTAMP_WORDS])),
        payment_hash=fields.required("payment hash"),
        payment_secret=fields.required("payment secret"),
        payee=payee,
        description=description,
        description_hash=description_hash,
        expiry=Seconds(fields.number("expiry", _DEFAULT_EXPIRY)),
        min_final_cltv_expiry=Blocks(fields.number("min final cltv expiry", _DEFAULT_MIN_FINAL_CLTV_EXPIRY)),
        route_hints=tuple(fields.routes),
        features=_features(fields),
        metadata=fields.octets("metadata"),
    )


def _verify(message: bytes, signature: bytes, stated: bytes | None) -> bytes:
    """The payee's key: the stated one if the signature is its, in low S, else the one recovered."""
    digest, compact, recovery_id = sha256(message), signature[:64], signature[64]
    if stated is not None:
        if not ecdsa_verify(compact, digest, parse_point(stated, "invoice.payee")):
            raise InvalidSignature("invoice", "the signature is not that of the stated payee")
        return stated
    try:
        return ecdsa_recover(digest, compact, recovery_id)
    except InvalidInput as error:
        raise InvalidSignature("invoice", f"no payee can be recovered: {error.reason}") from error


def _description(fields: Fields) -> tuple[str | None, bytes | None]:
    text, digest = fields.octets("description"), fields.octets("description hash")
    if (text is None) == (digest is None):
        stated = "is missing" if text is None else "is given as text and as a hash"
        raise InvalidInput("invoice.description", stated, "ask the payee for a well-formed invoice")
    if text is None:
        return None, digest
    try:
        return text.decode(), None
    except UnicodeDecodeError as error:
        raise InvalidInput("invoice.description", "is not UTF-8", "ask the payee for another invoice") from error


def _features(fields: Fields) -> frozenset[int]:
    features = fields.bits("features")
    unknown = sorted(bit for bit in features if bit % 2 == 0 and bit not in _KNOWN_FEATURES)
    if unknown:
        raise InvalidInput(
            "invoice.features", f"require feature {unknown[0]}, which is unknown here", "ask for a plain invoice"
        )
    if not features.isdisjoint((_BASIC_MPP, _BASIC_MPP + 1)) and features.isdisjoint(
        (_PAYMENT_SECRET, _PAYMENT_SECRET + 1)
    ):
        raise InvalidInput("invoice.features", "offer payment in parts without a payment secret", "ask for another")
    return features
