"""Scripts: pushes, standard templates (Core's Solver), witness programs, and the two ways to print them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from coordinator_core.errors import InvalidInput

OP_PUSHDATA1: Final = 0x4C
OP_1NEGATE: Final = 0x4F
OP_RESERVED: Final = 0x50
OP_1: Final = 0x51
OP_16: Final = 0x60
OP_RETURN: Final = 0x6A
OP_CHECKSIG: Final = 0xAC
OP_CHECKMULTISIG: Final = 0xAE
PAY_TO_ANCHOR: Final = bytes.fromhex("51024e73")
MAX_SCRIPT_SIZE: Final = 10_000


class ScriptType(StrEnum):
    """Output templates under the names Core's RPC uses."""

    NONSTANDARD = "nonstandard"
    PUBKEY = "pubkey"
    PUBKEYHASH = "pubkeyhash"
    SCRIPTHASH = "scripthash"
    MULTISIG = "multisig"
    NULLDATA = "nulldata"
    ANCHOR = "anchor"
    WITNESS_V0_KEYHASH = "witness_v0_keyhash"
    WITNESS_V0_SCRIPTHASH = "witness_v0_scripthash"
    WITNESS_V1_TAPROOT = "witness_v1_taproot"
    WITNESS_UNKNOWN = "witness_unknown"


class Operation(NamedTuple):
    """An opcode and, for a push, its data."""

    opcode: int
    data: bytes | None


class WitnessProgram(NamedTuple):
    """Version 0 to 16 and 2 to 40 bytes (BIP141)."""

    version: int
    program: bytes


def operations(script: bytes) -> Iterator[Operation]:
    """Opcodes in order. Raises InvalidInput when a push reaches past the end."""
    position = 0
    while position < len(script):
        opcode = script[position]
        position += 1
        if opcode > 0x4E:
            yield Operation(opcode, None)
            continue
        length = opcode
        if opcode >= OP_PUSHDATA1:
            width = 1 << (opcode - OP_PUSHDATA1)
            length = int.from_bytes(script[position : position + width], "little")
            position += width
        if position + length > len(script):
            raise InvalidInput("script", "a push reaches past the end", "give the whole script")
        yield Operation(opcode, script[position : position + length])
        position += length


def is_push_only(script: bytes) -> bool:
    """True when the script only pushes data and decodes."""
    try:
        return all(op.opcode <= OP_16 for op in operations(script))
    except InvalidInput:
        return False


def push(data: bytes) -> bytes:
    """A direct push of at most 75 bytes. Raises InvalidInput for more."""
    if len(data) >= OP_PUSHDATA1:
        raise InvalidInput("data", "is too long for a direct push", "at most 75 bytes")
    return bytes([len(data)]) + data


def push_number(number: int) -> bytes:
    """A minimal push of a script number that is not negative."""
    if number == 0:
        return b"\x00"
    if number <= 16:
        return bytes([OP_RESERVED + number])
    # One bit more than the value needs: the top bit of the last byte is the sign.
    return push(number.to_bytes(number.bit_length() // 8 + 1, "little"))


def witness_program(script: bytes) -> WitnessProgram | None:
    """The witness program of a locking script, None for any other script."""
    if not 4 <= len(script) <= 42 or script[1] + 2 != len(script):
        return None
    if script[0] == 0:
        return WitnessProgram(0, script[2:])
    if OP_1 <= script[0] <= OP_16:
        return WitnessProgram(script[0] - OP_RESERVED, script[2:])
    return None


def script_type(script: bytes) -> ScriptType:
    """The template a locking script follows."""
    if len(script) == 23 and script[:2] == b"\xa9\x14" and script[22] == 0x87:
        return ScriptType.SCRIPTHASH
    program = witness_program(script)
    if program is not None:
        return _witness_type(script, program)
    if script[:1] == bytes([OP_RETURN]) and is_push_only(script[1:]):
        return ScriptType.NULLDATA
    if _is_pubkey(script):
        return ScriptType.PUBKEY
    if len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return ScriptType.PUBKEYHASH
    return ScriptType.MULTISIG if multisig_keys(script) is not None else ScriptType.NONSTANDARD


def _witness_type(script: bytes, program: WitnessProgram) -> ScriptType:
    if program.version == 0:
        sizes = {20: ScriptType.WITNESS_V0_KEYHASH, 32: ScriptType.WITNESS_V0_SCRIPTHASH}
        return sizes.get(len(program.program), ScriptType.NONSTANDARD)
    if program.version == 1 and len(program.program) == 32:
        return ScriptType.WITNESS_V1_TAPROOT
    return ScriptType.ANCHOR if script == PAY_TO_ANCHOR else ScriptType.WITNESS_UNKNOWN


def _is_pubkey(script: bytes) -> bool:
    if len(script) not in (35, 67) or script[0] != len(script) - 2 or script[-1] != OP_CHECKSIG:
        return False
    return script[1] in ((2, 3) if len(script) == 35 else (4, 6, 7))


def multisig_keys(script: bytes) -> int | None:
    """How many keys a bare multisig holds, None when the script is none."""
    try:
        found = list(operations(script))
    except InvalidInput:
        return None
    if len(found) < 4 or found[-1].opcode != OP_CHECKMULTISIG:
        return None
    needed, keys, count = found[0].opcode - OP_RESERVED, found[1:-2], found[-2].opcode - OP_RESERVED
    if not 1 <= needed <= count <= 16 or count != len(keys):
        return None
    return count if all(_is_key_push(op.data) for op in keys) else None


def _is_key_push(data: bytes | None) -> bool:
    return bool(data) and len(data) == {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}.get(data[0])


_NAMES: Final = {
    0x4F: "-1", 0x50: "OP_RESERVED", 0x61: "OP_NOP", 0x63: "OP_IF", 0x64: "OP_NOTIF", 0x67: "OP_ELSE", 0x68: "OP_ENDIF",
    0x69: "OP_VERIFY", 0x6A: "OP_RETURN", 0x75: "OP_DROP", 0x76: "OP_DUP", 0x7C: "OP_SWAP", 0x82: "OP_SIZE",
    0x87: "OP_EQUAL", 0x88: "OP_EQUALVERIFY", 0xA6: "OP_RIPEMD160", 0xA7: "OP_SHA1", 0xA8: "OP_SHA256",
    0xA9: "OP_HASH160", 0xAA: "OP_HASH256", 0xAC: "OP_CHECKSIG", 0xAD: "OP_CHECKSIGVERIFY", 0xAE: "OP_CHECKMULTISIG",
    0xAF: "OP_CHECKMULTISIGVERIFY", 0xB1: "OP_CHECKLOCKTIMEVERIFY", 0xB2: "OP_CHECKSEQUENCEVERIFY",
    0xBA: "OP_CHECKSIGADD",
}  # fmt: skip


def core_asm(script: bytes) -> str:
    """The script as Core prints it: small numbers in decimal, other pushes in hex, `[error]` where it breaks."""
    words: list[str] = []
    try:
        words.extend(_core_word(op) for op in operations(script))
    except InvalidInput:
        words.append("[error]")
    return " ".join(words)


def _core_word(op: Operation) -> str:
    if op.data is not None:
        return str(_script_number(op.data)) if len(op.data) <= 4 else op.data.hex()
    if OP_1 <= op.opcode <= OP_16:
        return str(op.opcode - OP_RESERVED)
    return _NAMES.get(op.opcode, "OP_UNKNOWN")


def _script_number(data: bytes) -> int:
    if not data:
        return 0
    magnitude = int.from_bytes(data[:-1] + bytes([data[-1] & 0x7F]), "little")
    return -magnitude if data[-1] & 0x80 else magnitude


def esplora_asm(script: bytes) -> str:
    """The script as Esplora prints it: every opcode by name, pushes with their length."""
    words: list[str] = []
    try:
        words.extend(_esplora_word(op) for op in operations(script))
    except InvalidInput:
        words.append("<unexpected end>")
    return " ".join(words)


def _esplora_word(op: Operation) -> str:
    if op.data is None:
        if OP_1 <= op.opcode <= OP_16:
            return f"OP_PUSHNUM_{op.opcode - OP_RESERVED}"
        return {OP_1NEGATE: "OP_PUSHNUM_NEG1", 0xB1: "OP_CLTV", 0xB2: "OP_CSV"}.get(op.opcode) or _NAMES.get(
            op.opcode, f"OP_RETURN_{op.opcode}"
        )
    if not op.data:
        return "OP_0"
    kind = (
        f"OP_PUSHBYTES_{len(op.data)}" if op.opcode < OP_PUSHDATA1 else f"OP_PUSHDATA{1 << (op.opcode - OP_PUSHDATA1)}"
    )
    return f"{kind} {op.data.hex()}"
