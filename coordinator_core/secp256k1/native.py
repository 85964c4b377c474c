"""The one door to libsecp256k1: the wheel's own cffi module, one randomized context, failures that raise.

Everything else in this library reaches the native code through the names below. The context is randomized at
import and after a fork, and reports a violated precondition as a value instead of aborting the process. An
internal error of the library keeps its aborting default: after one, nothing it returns can be trusted.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final, NoReturn, TypeGuard, cast

import _btclib_secp256k1  # pyright: ignore[reportMissingImports]

from coordinator_core.errors import InvalidInput, Misuse

_extension = cast(Any, _btclib_secp256k1)
ffi: Any = _extension.ffi
lib: Any = _extension.lib
NULL: Any = ffi.NULL

_REQUIRED: Final = ("secp256k1_musig_nonce_gen", "secp256k1_musig_nonce_process", "secp256k1_ecdsa_recover")

N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group."""

COMPRESSED: Final = 258
"""SECP256K1_EC_COMPRESSED."""


class _Reported(threading.local):
    """What the library last complained about on this thread: a callback runs on the thread of its call."""

    message: str | None = None


_reported = _Reported()


def _record(message: Any, _data: Any) -> None:
    _reported.message = ffi.string(message).decode("ascii", "replace")


_illegal_callback: Any = ffi.callback("void(*)(const char *, void *)", _record)


def _new_context() -> Any:
    missing = [name for name in _REQUIRED if not hasattr(lib, name)]
    if missing:
        raise ImportError(f"libsecp256k1 was built without {', '.join(missing)}")
    # A static self-test that aborts on a miscompiled library, before any context is trusted.
    lib.secp256k1_selftest()
    context = lib.secp256k1_context_create(1)
    lib.secp256k1_context_set_illegal_callback(context, _illegal_callback, NULL)
    return context


ctx: Any = _new_context()


def _randomize() -> None:
    """Blind the context. Only while no other thread signs: at import, or in a forked child's one thread."""
    if not lib.secp256k1_context_randomize(ctx, os.urandom(32)):
        raise Misuse("libsecp256k1 refused to randomize its context")


_randomize()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_randomize)


def fail(what: str) -> NoReturn:
    """Raise Misuse for a native call that returned 0, with the precondition it named if it named one."""
    reason, _reported.message = _reported.message, None
    raise Misuse(f"{what} ({reason})" if reason else what)


def require(returned: int, what: str) -> None:
    """Raise Misuse unless a native call returned 1. For calls that cannot fail on checked input."""
    if not returned:
        fail(what)


def is_bytes(value: object, length: int | None = None) -> TypeGuard[bytes]:
    """True for bytes, of this length if one is given."""
    return isinstance(value, bytes) and length in (None, len(value))


def exact_bytes(value: object, length: int, field: str) -> bytes:
    """`value` if it is `length` bytes. Raises InvalidInput; the value itself never appears in the error."""
    if not isinstance(value, bytes):
        raise InvalidInput(field, f"is {type(value).__name__}, not bytes", f"give {length} bytes")
    if len(value) != length:
        raise InvalidInput(field, f"has {len(value)} bytes", f"give {length} bytes")
    return value


def fill_random(pointer: Any, size: int) -> None:
    """Fill native memory from the system's generator, through one copy that is wiped."""
    copy = bytearray(os.urandom(size))
    ffi.memmove(pointer, copy, size)
    copy[:] = bytes(size)


class SecretMemory:
    """Native memory that is wiped on wipe() and when it is collected; never copied, never printed.

    `declaration` is a C pointer or array type, e.g. "unsigned char[32]" or "secp256k1_keypair *".
    """

    __slots__ = ("_pointer", "_size")

    # Held by the class: module globals may be gone when the last secrets are collected at exit.
    _overwrite = staticmethod(ffi.memmove)

    def __init__(self, declaration: str, count: int | None = None) -> None:
        self._pointer: Any = ffi.new(declaration) if count is None else ffi.new(declaration, count)
        self._size: int = len(ffi.buffer(self._pointer))

    @property
    def pointer(self) -> Any:
        """The memory, for a native call made while this object is alive. Raises Misuse after wipe()."""
        if self._pointer is None:
            raise Misuse("a wiped secret was used")
        return self._pointer

    def wipe(self) -> None:
        """Overwrite the memory; every later use raises Misuse."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._overwrite(pointer, bytes(self._size), self._size)

    def __enter__(self) -> Any:
        return self.pointer

    def __exit__(self, *_exc: object) -> None:
        self.wipe()

    def __del__(self) -> None:
        # The attribute is missing when the allocation itself failed.
        if getattr(self, "_pointer", None) is not None:
            self.wipe()

    def __repr__(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise Misuse("a secret cannot be copied or pickled")
