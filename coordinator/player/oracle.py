"""The oracle as the player reads it: event, entries, statement and attestation from the oracle itself."""

from __future__ import annotations

import msgspec

from coordinator.player.answers import received_from
from coordinator.player.http import Service
from coordinator.player.wire.oracle import OracleEvent, StatedEntry
from coordinator_core.competition.picks import Choice, Pick, sorted_picks
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.oracle.statement import SignedStatement, parse_statement


class OracleReader:
    """Reads one oracle."""

    def __init__(self, url: str) -> None:
        self._service = Service("oracle", url, fault=Fault.ORACLE)

    async def close(self) -> None:
        """Close all connections."""
        await self._service.close()

    async def statement(self, event_id: str) -> tuple[SignedStatement, dict[str, tuple[Pick, ...]]]:
        """The statement of an event, not verified yet, and the picks that the event holds for each entry.

        Raises WrongAnswer, InvalidInput or VerificationFailed, all at the oracle's fault.
        """
        event = await self._event(event_id)
        stated = event.statement
        if stated is None:
            raise VerificationFailed("oracle", "has no statement for the event", fault=Fault.ORACLE)
        text = stated.encode() if isinstance(stated, str) else msgspec.json.encode(stated)
        with received_from(Fault.ORACLE):
            return parse_statement(text), {entry.id: _picks(entry) for entry in event.entries}

    async def attestation(self, event_id: str) -> bytes | None:
        """The attested scalar, unverified; None before. Raises WrongAnswer."""
        value = (await self._event(event_id)).attestation
        return None if value is None else bytes.fromhex(value)

    async def _event(self, event_id: str) -> OracleEvent:
        return await self._service.read(f"/oracle/events/{event_id}", OracleEvent)


def _picks(entry: StatedEntry) -> tuple[Pick, ...]:
    return sorted_picks(
        [Pick(target=p.target, metric=p.metric, choice=Choice(p.prediction.lower())) for p in entry.picks or ()]
    )
