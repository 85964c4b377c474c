"""The oracle as the player reads it: event, entries, statement and attestation from the oracle itself."""

from __future__ import annotations

from typing import Any

import msgspec

from coordinator.player.http import Service
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.oracle.statement import SignedStatement, parse_statement


class OracleReader:
    """Reads one oracle."""

    def __init__(self, url: str) -> None:
        self._service = Service("oracle", url)

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def statement(self, event_id: str) -> tuple[SignedStatement, dict[str, tuple[Pick, ...]]]:
        """The signed statement of an event and the picks it holds for each entry. Raises VerificationFailed."""
        event = await self._service.get_json(f"/oracle/events/{event_id}")
        raw = event.get("statement")
        if raw is None:
            raise VerificationFailed("oracle", "has no statement for the event", fault=Fault.ORACLE)
        text = raw.encode() if isinstance(raw, str) else msgspec.json.encode(raw)
        return parse_statement(text), {entry["id"]: _picks(entry) for entry in event.get("entries", [])}

    async def attestation(self, event_id: str) -> bytes | None:
        """The attested scalar, unverified; None before."""
        event = await self._service.get_json(f"/oracle/events/{event_id}")
        value = event.get("attestation")
        return bytes.fromhex(value) if isinstance(value, str) else None


def _picks(entry: dict[str, Any]) -> tuple[Pick, ...]:
    return tuple(
        sorted(
            (
                Pick(target=pick["target"], metric=pick["metric"], choice=Choice(str(pick["prediction"]).lower()))
                for pick in entry.get("picks") or ()
            ),
            key=lambda pick: (pick.target, pick.metric),
        )
    )
