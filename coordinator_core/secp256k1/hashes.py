"""SHA256 and the tagged hashes of BIP340."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash  # pyright: ignore[reportPrivateUsage]


def sha256(data: bytes) -> bytes:
    """SHA256, 32 bytes."""
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=256)
def _midstate(tag: str) -> _Hash:
    digest = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(digest + digest)


def tagged_hash(tag: str, data: bytes) -> bytes:
    """SHA256(SHA256(tag) || SHA256(tag) || data) as in BIP340, 32 bytes."""
    state = _midstate(tag).copy()
    state.update(data)
    return state.digest()


def tagged_state(tag: str) -> _Hash:
    """A SHA256 object that has absorbed the tag's prefix; for hashing many messages, copy() it."""
    return _midstate(tag).copy()
