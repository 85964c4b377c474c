"""What a cheating coordinator has in its hands: its own database and seed, with everything in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

PASSPHRASE = Secret(b"regtest only")


class CoordinatorSecrets:
    """Reads them beside the running coordinator. Use as an async context manager."""

    def __init__(self, directory: Path) -> None:
        self._engine = create_async_engine(f"sqlite+aiosqlite:///file:{directory / 'coordinator.db'}?mode=ro&uri=true")
        seed = load_or_create_seed(directory / "seed", PASSPHRASE)
        self._secrets = SealedSecrets(cast(Any, self), seed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """What the secret store reads through."""
        async with self._engine.connect() as connection:
            yield connection

    @property
    def nostr_key(self) -> SecretKey:
        """The key that signs receipts."""
        return self._secrets.signing_key("nostr")

    def market_maker_key(self, competition: str) -> SecretKey:
        """The coordinator's own key in a competition's contracts."""
        return self._secrets.market_maker_key(competition)

    async def session(self, competition: str, attempt: int) -> SessionCredentials:
        """Session secret, creator key and slot key of an attempt's keymeld session."""
        stored = await self._secrets.get(competition, f"keymeld/{attempt}")
        assert stored is not None
        return SessionCredentials.from_secret(stored)
