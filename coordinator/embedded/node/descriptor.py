"""Output descriptors as far as a node without a wallet needs them: addr(), raw(), rawtr() and pk() with checksum."""

from __future__ import annotations

from typing import Final

from coordinator.embedded.node.address import address_to_script, script_to_address
from coordinator.embedded.node.script import ScriptType, push, script_type
from coordinator_core.errors import InvalidInput

_INPUT: Final = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
_CHECKSUM: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)


def descriptor_of(script: bytes) -> str:
    """The descriptor Core infers for a locking script when it knows no keys."""
    kind = script_type(script)
    if kind is ScriptType.WITNESS_V1_TAPROOT:
        return with_checksum(f"rawtr({script[2:].hex()})")
    if kind is ScriptType.PUBKEY:
        return with_checksum(f"pk({script[1:-1].hex()})")
    address = script_to_address(script)
    return with_checksum(f"addr({address})" if address else f"raw({script.hex()})")


def descriptor_to_script(descriptor: object, field: str = "descriptor") -> bytes:
    """The one locking script of an addr(), raw() or rawtr() descriptor. Raises InvalidInput."""
    fix = "addr(ADDRESS), raw(HEX) or rawtr(XONLY), with or without checksum"
    if not isinstance(descriptor, str):
        raise InvalidInput(field, "is no descriptor", fix)
    body, _, checksum = descriptor.partition("#")
    if checksum and with_checksum(body, field) != descriptor:
        raise InvalidInput(field, f"Provided checksum '{checksum}' does not match", fix)
    name, _, rest = body.partition("(")
    if not rest.endswith(")"):
        raise InvalidInput(field, f"'{body}' is not a valid descriptor function", fix)
    argument = rest[:-1]
    if name == "addr":
        return address_to_script(argument, field)
    try:
        data = bytes.fromhex(argument)
    except ValueError:
        raise InvalidInput(field, "is not hex", fix) from None
    if name == "raw":
        return data
    if name == "rawtr" and len(data) == 32:
        return b"\x51" + push(data)
    raise InvalidInput(field, f"'{name}' is not a valid descriptor function", fix)


def with_checksum(body: str, field: str = "descriptor") -> str:
    """The descriptor with `#` and its eight characters (BIP380). Raises InvalidInput on a foreign character."""
    symbols: list[int] = []
    groups: list[int] = []
    for character in body:
        position = _INPUT.find(character)
        if position < 0:
            raise InvalidInput(field, f"character {character!r} is not allowed", "use plain ASCII")
        symbols.append(position & 31)
        groups.append(position >> 5)
        if len(groups) == 3:
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups = []
    if groups:
        symbols.append(groups[0] if len(groups) == 1 else groups[0] * 3 + groups[1])
    checksum = _polymod([*symbols, *([0] * 8)]) ^ 1
    return body + "#" + "".join(_CHECKSUM[checksum >> 5 * (7 - i) & 31] for i in range(8))


def _polymod(symbols: list[int]) -> int:
    checksum = 1
    for symbol in symbols:
        top = checksum >> 35
        checksum = (checksum & 0x7FFFFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum
