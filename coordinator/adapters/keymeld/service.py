"""What a gateway says of itself (keymeld sections 2.3 and 10).

Its version is the name of a build and follows no order, and it does not tell its limits: what it speaks shows in the
routes that it has.
"""

from __future__ import annotations

from typing import Final

from coordinator.adapters.keymeld.answers import from_gateway
from coordinator.adapters.keymeld.connection import Connection, Refusal
from coordinator.ports.keymeld import Capabilities, SessionLimits
from coordinator_core.errors import InvalidInput
from coordinator_core.keymeld.members import Members, as_object
from coordinator_core.units import Seconds

GENERATION_A: Final = SessionLimits(subsets=200, signing_sessions=100, batch_items=100, seconds=Seconds(86_400))
_LONGEST: Final = 64
_MOST: Final = 64


class ServiceCalls:
    """What the port asks about the gateway itself."""

    _connection: Connection

    async def capabilities(self) -> Capabilities:
        """See ports.keymeld.Keymeld."""
        version = await self._connection.get("/version")
        if not version.ok:
            raise Refusal.of(version).rejected()
        # A gateway without this route is older than the protocol with signed manifests and batches.
        newer = await self._connection.get("/escrow/capabilities")
        if not newer.ok and newer.status != 404:
            raise Refusal.of(newer).rejected()
        with from_gateway("version"):
            answer = Members(version.json(), "version", ("version", "features"), only=False)
            name = answer.raw("version")
            features = as_object(answer.raw("features"), "version.features")
            if not isinstance(name, str) or len(name) > _LONGEST or len(features) > _MOST:
                raise InvalidInput("version", "is no description of a gateway")
        return Capabilities(
            version=name,
            lacks=tuple(sorted(feature for feature, has in features.items() if has is False)),
            limits=GENERATION_A if newer.ok else None,
        )
