"""What handlers work with: the engine, who we are, and the helpers every route needs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request

from coordinator.api.auth import ReplayMemory, player_of
from coordinator.engine.engine import Engine
from coordinator.engine.executors.contracts import fee_market
from coordinator.ports.bitcoin import Network
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

IDEMPOTENCY_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Api:
    """State of the web application."""

    engine: Engine
    origin: str
    """Scheme, host and port under which the world sees us: what NIP-98 proofs are signed for."""
    operator_token: Secret
    network: Network
    esplora_url: str = ""
    replays: ReplayMemory = field(default_factory=ReplayMemory)

    @property
    def receipt_key(self) -> SecretKey:
        """The key of terms.coordinator_key: signs receipts."""
        return self.engine.services.secrets.signing_key("nostr")

    async def player(self, request: Request[Any, Any, Any]) -> bytes:
        """The key that signed this request."""
        return await player_of(request, self.origin, self.replays, self.engine.clock.wall())

    async def market(self) -> FeeMarket:
        """Fees now."""
        return await fee_market(self.engine.services)

    async def command(self, request: Request[Any, Any, Any], lane: str, kind: str, decide: Any, who: bytes) -> Any:
        """Submit a command under the caller's idempotency key, or a fresh one."""
        given = request.headers.get("idempotency-key", "")
        if len(given) > IDEMPOTENCY_LENGTH:
            raise InvalidInput("Idempotency-Key", "is too long", f"at most {IDEMPOTENCY_LENGTH} characters")
        dkey = f"{who.hex()}/{lane}/{kind}/{given}" if given else f"{kind}/{secrets.token_hex(16)}"
        return msgspec.json.decode(await self.engine.command(lane, kind, dkey, decide))


def lane_id(value: UUID) -> str:
    """The competition's name in the store."""
    return str(value)


def hex_bytes(body: Mapping[str, Any], name: str, length: int) -> bytes:
    """A member of a body that is hex of a fixed length. Raises InvalidInput."""
    text = body.get(name)
    try:
        value = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        value = b""
    if len(value) != length:
        raise InvalidInput(
            name, "is missing or not hex of the right length", f"{2 * length} hex digits", fault=Fault.PLAYER
        )
    return value
