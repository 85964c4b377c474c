"""Regtest addresses: bech32 and bech32m (BIP173, BIP350) and base58check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from coordinator.embedded.node.codec import hash256
from coordinator.embedded.node.script import OP_RESERVED, ScriptType, push, script_type, witness_program
from coordinator_core.errors import InvalidInput

HUMAN_READABLE_PART: Final = "bcrt"
P2PKH_PREFIX: Final = 0x6F
P2SH_PREFIX: Final = 0xC4
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32_CONSTANT: Final = 1
_BECH32M_CONSTANT: Final = 0x2BC830A3
_FIX: Final = "give a regtest address (bcrt1..., m..., n... or 2...)"


def address_to_script(address: object, field: str = "address") -> bytes:
    """The locking script of a regtest address. Raises InvalidInput for anything else."""
    if not isinstance(address, str) or not address.isascii() or len(address) > 90:
        raise InvalidInput(field, "is no address", _FIX)
    if address.lower().startswith(HUMAN_READABLE_PART + "1"):
        return _from_segwit(address, field)
    return _from_base58(address, field)


def script_to_address(script: bytes) -> str | None:
    """The regtest address of a locking script, None for a script without one."""
    program = witness_program(script)
    if program is not None:
        return _to_segwit(program.version, program.program)
    match script_type(script):
        case ScriptType.PUBKEYHASH:
            return _to_base58(bytes([P2PKH_PREFIX]) + script[3:23])
        case ScriptType.SCRIPTHASH:
            return _to_base58(bytes([P2SH_PREFIX]) + script[2:22])
        case _:
            return None


def _polymod(values: Iterable[int]) -> int:
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(generators):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def _expanded_prefix() -> list[int]:
    return [ord(c) >> 5 for c in HUMAN_READABLE_PART] + [0] + [ord(c) & 31 for c in HUMAN_READABLE_PART]


def _regroup(values: Sequence[int], width: int, target: int, *, pad: bool) -> list[int] | None:
    """Bits of `values` in groups of `target`; None when the padding is not zero."""
    pending = bits = 0
    grouped: list[int] = []
    for value in values:
        pending = pending << width | value
        bits += width
        while bits >= target:
            bits -= target
            grouped.append(pending >> bits & (1 << target) - 1)
        pending &= (1 << bits) - 1
    if pad:
        return [*grouped, pending << target - bits] if bits else grouped
    return grouped if bits < width and pending == 0 else None


def _to_segwit(version: int, program: bytes) -> str:
    data = [version, *(_regroup(program, 8, 5, pad=True) or [])]
    constant = _BECH32_CONSTANT if version == 0 else _BECH32M_CONSTANT
    checksum = _polymod([*_expanded_prefix(), *data, *([0] * 6)]) ^ constant
    data += [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return HUMAN_READABLE_PART + "1" + "".join(_BECH32[value] for value in data)


def _from_segwit(address: str, field: str) -> bytes:
    body = address[len(HUMAN_READABLE_PART) + 1 :].lower()
    if address not in (address.lower(), address.upper()) or len(body) < 7 or any(c not in _BECH32 for c in body):
        raise InvalidInput(field, "is no bech32 address", _FIX)
    values = [_BECH32.index(c) for c in body]
    constant = _BECH32_CONSTANT if values[0] == 0 else _BECH32M_CONSTANT
    if _polymod([*_expanded_prefix(), *values]) != constant:
        raise InvalidInput(field, "has a wrong checksum", "check the address for typing errors")
    program = _regroup(values[1:-6], 5, 8, pad=False)
    if program is None or values[0] > 16 or not _is_program_size(values[0], len(program)):
        raise InvalidInput(field, "is no witness program", _FIX)
    return bytes([values[0] + OP_RESERVED if values[0] else 0]) + push(bytes(program))


def _is_program_size(version: int, size: int) -> bool:
    return size in (20, 32) if version == 0 else 2 <= size <= 40


def _to_base58(payload: bytes) -> str:
    data = payload + hash256(payload)[:4]
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def _from_base58(address: str, field: str) -> bytes:
    number = 0
    for character in address:
        if character not in _BASE58:
            raise InvalidInput(field, "is no address", _FIX)
        number = number * 58 + _BASE58.index(character)
    if number >> 200:
        raise InvalidInput(field, "is no address", _FIX)
    data = number.to_bytes(25, "big")
    if hash256(data[:21])[:4] != data[21:]:
        raise InvalidInput(field, "has a wrong checksum", _FIX)
    if data[0] == P2PKH_PREFIX:
        return b"\x76\xa9" + push(data[1:21]) + b"\x88\xac"
    if data[0] == P2SH_PREFIX:
        return b"\xa9" + push(data[1:21]) + b"\x87"
    raise InvalidInput(field, "is an address of another network", _FIX)
