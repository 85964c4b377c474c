"""What handlers work with: the engine, who we are, and the helpers every route needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request

from coordinator.api.admission import Admission, Limits
from coordinator.api.auth import ReplayMemory, player_of
from coordinator.api.door import Door
from coordinator.api.examinations import Examinations
from coordinator.engine.engine import Engine
from coordinator.engine.executors.contracts import fee_market
from coordinator.engine.new_money import NewMoney, bar_of
from coordinator.engine.submit import Decide
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
    owners: frozenset[bytes] = frozenset()
    """X-only keys that may act as operators, each under its own name."""
    replays: ReplayMemory = field(default_factory=ReplayMemory)
    admission: Admission = field(default_factory=lambda: Admission(Limits()))
    examinations: Examinations = field(default_factory=lambda: Examinations(()))
    door: Door = field(default_factory=Door)

    @property
    def receipt_key(self) -> SecretKey:
        """The key of terms.coordinator_key: signs receipts."""
        return self.engine.services.secrets.signing_key("nostr")

    async def signer(self, request: Request[Any, Any, Any]) -> bytes:
        """The key that signed this request, whoever's it is."""
        return await player_of(request, self.origin, self.replays, self.engine.clock.wall())

    async def player(self, request: Request[Any, Any, Any]) -> bytes:
        """The key that signed this request."""
        key = await self.signer(request)
        self.admission.player(key, request.route_handler.opt)
        return key

    async def market(self) -> FeeMarket:
        """Fees now."""
        return await fee_market(self.engine.services)

    async def new_money(self, player: bytes) -> NewMoney:
        """Whether this player may bring new money in now, with today's fees."""
        engine = self.engine
        away = engine.dependencies.away
        market = None if away else await self.market()
        bar = await bar_of(engine.store, player, engine.clock.wall())
        return replace(engine.new_money(), market=market, away=away, barred_until=bar)

    async def command(
        self,
        request: Request[Any, Any, Any],
        lane: str,
        kind: str,
        decide: Decide,
        who: bytes,
        *,
        secrets: Mapping[str, Secret] | None = None,
    ) -> Any:
        """Submit a command under the caller's idempotency key, or a fresh one.

        `secrets` are what its facts rely on, by name: written with them, or not at all. Raises what the engine's
        submit raises.
        """
        self.engine.health.require_driver()
        given = idempotency_key(request)
        dkey = f"{who.hex()}/{lane}/{kind}/{given}" if given else f"{kind}/{token_hex(16)}"
        seal = self.engine.services.secrets.seal
        sealed = {name: seal(lane, name, secret) for name, secret in (secrets or {}).items()}
        return msgspec.json.decode(await self.engine.command(lane, kind, dkey, decide, sealed))


def idempotency_key(request: Request[Any, Any, Any]) -> str:
    """The caller's idempotency key, or nothing. Raises InvalidInput."""
    given = request.headers.get("idempotency-key", "")
    if len(given) > IDEMPOTENCY_LENGTH:
        raise InvalidInput(
            "Idempotency-Key", "is too long", f"at most {IDEMPOTENCY_LENGTH} characters", fault=Fault.PLAYER
        )
    return given


def lane_id(value: UUID) -> str:
    """The competition's name in the store."""
    return str(value)
