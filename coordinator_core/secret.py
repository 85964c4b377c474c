"""A value that must not be shown: prints `***`, refuses copies and serialization, can be wiped.

Python cannot promise that no copy of bytes stays in memory; key material that signs lives in native memory
(`secp256k1.SecretKey`). This type keeps seeds, preimages and credentials out of logs, errors and encoders.
"""

from __future__ import annotations

import hmac
import secrets
from typing import NoReturn

from coordinator_core.errors import InvalidInput, Misuse


class Secret:
    """Holds bytes that only `reveal()` hands out.

    >>> Secret(b"12345678")
    ***
    """

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | bytearray) -> None:
        if not value:
            raise InvalidInput("secret", "is empty", "give at least one byte")
        self._bytes: bytearray | None = bytearray(value)

    @classmethod
    def random(cls, length: int = 32) -> Secret:
        """A fresh secret of `length` bytes from the system's generator."""
        return cls(secrets.token_bytes(length))

    def reveal(self) -> bytes:
        """The bytes themselves, for the one call that needs them. Raises Misuse after wipe()."""
        if self._bytes is None:
            raise Misuse("a wiped secret was read")
        return bytes(self._bytes)

    def wipe(self) -> None:
        """Overwrite the bytes; every later reveal() raises Misuse."""
        if self._bytes is not None:
            self._bytes[:] = bytes(len(self._bytes))
            self._bytes = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal(), other.reveal())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise Misuse("a secret cannot be copied or pickled")

    def __copy__(self) -> NoReturn:
        raise Misuse("a secret cannot be copied or pickled")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise Misuse("a secret cannot be copied or pickled")
