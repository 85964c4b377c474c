"""Nostr events, written and signed by hand from NIP-01."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from coordinator_core.secp256k1 import SecretKey, schnorr_sign

NOW = 1_800_000_000.0
KEYS = [SecretKey.from_bytes(bytes([number]) * 32) for number in (1, 2)]
Json = dict[str, Any]


def sign(key: int = 0, *, kind: int = 1, content: str = "", tags: Any = (), created_at: int = int(NOW)) -> Json:
    """An event, written and signed by hand from NIP-01."""
    pubkey = KEYS[key].x_only.hex()
    body = [0, pubkey, created_at, kind, [list(tag) for tag in tags], content]
    digest = hashlib.sha256(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()).digest()
    return {
        "id": digest.hex(),
        "pubkey": pubkey,
        "created_at": created_at,
        "kind": kind,
        "tags": body[4],
        "content": content,
        "sig": schnorr_sign(digest, KEYS[key]).hex(),
    }
