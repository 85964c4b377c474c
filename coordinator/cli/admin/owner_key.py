"""An owner's own key for operator requests: each is signed anew (NIP-98), so the audit log says who it was."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from coordinator.cli import files
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.nip19 import parse_nsec
from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

FIELD: Final = "--owner-key-file"


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """Signs requests."""

    key: SecretKey

    @classmethod
    def read(cls, path: str) -> OwnerKey:
        """The key of a file, nsec or 64 hex digits. Raises InvalidInput, which never shows what is in the file."""
        text = files.read(path, FIELD).decode("ascii", "replace").strip()
        if text.startswith("nsec"):
            return cls(parse_nsec(text, FIELD))
        try:
            return cls(SecretKey.from_bytes(bytes.fromhex(text), FIELD))
        except ValueError:
            raise InvalidInput(FIELD, "holds no Nostr key", "an nsec, or 64 hex digits") from None

    def authorization(self, method: str, url: str, body: bytes | None) -> str:
        """The header of exactly this request."""
        return build_authorization(method, url, body, self.key, UnixTime(int(time.time())))
