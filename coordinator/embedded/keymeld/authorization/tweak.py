"""Taproot tweaks on the wire (keymeld section 2.4 of the earlier protocol, unchanged): a tagged union."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import Octets32
from coordinator_core.errors import InvalidInput


class NoTweak(msgspec.Struct, frozen=True, tag="none"):
    """The aggregate key as it is."""


class UnspendableTaproot(msgspec.Struct, frozen=True, tag="unspendable_taproot"):
    """BIP341 with no script path."""


class TaprootWithMerkleRoot(msgspec.Struct, frozen=True, tag="taproot_with_merkle_root"):
    """BIP341 with a script tree."""

    merkle_root: Octets32


class PlainTweak(msgspec.Struct, frozen=True, tag="plain_tweak"):
    """BIP327 plain tweak."""

    tweak: Octets32


class XOnlyTweak(msgspec.Struct, frozen=True, tag="x_only_tweak"):
    """BIP327 x-only tweak."""

    tweak: Octets32


TaprootTweak = NoTweak | UnspendableTaproot | TaprootWithMerkleRoot | PlainTweak | XOnlyTweak


def decode_tweak(json: bytes, field: str) -> TaprootTweak:
    """A tweak from its decrypted JSON. Raises InvalidInput; an unreadable tweak is never taken for none."""
    try:
        return msgspec.json.decode(json, type=TaprootTweak)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(field, f"is not a tweak: {error}", "an object with a known type") from None
