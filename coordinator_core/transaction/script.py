"""The few script operations that contracts use, and the output scripts they pay to."""

from __future__ import annotations

from typing import Final

from coordinator_core.errors import InvalidInput

OP_0: Final = b"\x00"
OP_1NEGATE: Final = b"\x4f"
OP_DROP: Final = b"\x75"
OP_EQUALVERIFY: Final = b"\x88"
OP_SHA256: Final = b"\xa8"
OP_CHECKSIG: Final = b"\xac"
OP_CHECKSEQUENCEVERIFY: Final = b"\xb2"
PAY_TO_ANCHOR: Final = bytes.fromhex("51024e73")
"""Anyone may spend it with an empty witness (P2A, standard to spend since Bitcoin Core 28)."""
DUST_PAY_TO_ANCHOR: Final = 240


def push_int(value: int) -> bytes:
    """Push a script number in its minimal form: OP_0, OP_1NEGATE, OP_1 to OP_16, else 1 to 4 bytes of data.

    Raises InvalidInput beyond 4 bytes of magnitude 2^31-1, which no arithmetic opcode reads.
    """
    if -1 <= value <= 16:
        return OP_1NEGATE if value == -1 else OP_0 if value == 0 else bytes((0x50 + value,))
    magnitude = abs(value)
    if magnitude > 0x7FFFFFFF:
        raise InvalidInput("script number", f"{value} is out of range", "-2147483647 to 2147483647")
    encoded = bytearray(magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "little"))
    if encoded[-1] & 0x80:
        encoded.append(0)
    if value < 0:
        encoded[-1] |= 0x80
    return bytes((len(encoded),)) + bytes(encoded)


def push_32(data: bytes) -> bytes:
    """Push exactly 32 bytes: a hash or an x-only key. Raises InvalidInput for another length."""
    if len(data) != 32:
        raise InvalidInput("push", f"has {len(data)} bytes", "32 bytes")
    return b"\x20" + data


def pay_to_taproot(output_key: bytes) -> bytes:
    """The 34-byte output script of an x-only output key (BIP341), 32 bytes."""
    return b"\x51" + push_32(output_key)
