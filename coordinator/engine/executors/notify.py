"""Messages to players: the appointment, what is waited for, the kit, the prize."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from coordinator.domain.competitions.missing import missing
from coordinator.domain.duties import NotifyPlayer
from coordinator.domain.facts import EntriesPosted, Notified, Ticket
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.contracts import signed_contract
from coordinator.engine.executors.services import Services
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.errors import Misuse
from coordinator_core.oracle.statement import parse_statement

TRIES = 3
RETRY_SECONDS = 20.0
LARGEST_MESSAGE = 40_000
"""Bytes: NIP-44 pads to the next power of two, relays commonly take 64 KiB."""
_COME = "Open the page or run `coordinator player watch`"


class NotifyPlayerExecutor:
    """Send once; after a few tries without a relay the topic is dropped and recorded as not delivered."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[NotifyPlayer]) -> Outcome:
        """See duty.Executor."""
        duty, lane = task.duty, task.lane
        ticket = lane.facts.get(Ticket, duty.entry_id)
        if ticket is None:
            raise Misuse(f"entry {duty.entry_id} has no ticket")
        subject, text = await self._words(task)
        told = self._told(task)
        # A reminder is a message of its own; a repeat after a crash is the same one, which a client shows once.
        name = duty.key if told.number == 1 else f"{duty.key}/{told.number}"
        try:
            await self._s.notifier.send(lane.id, Notice(ticket.player, name, subject, text))
        except Unreachable as error:
            if task.attempts < TRIES:
                return Again(RETRY_SECONDS, reason=str(error))
            told = msgspec.structs.replace(told, delivered=False)  # noqa: TID251  (a fact, no typestate)
        return Done([told])

    def _told(self, task: Task[NotifyPlayer]) -> Notified:
        """What is known once this message is delivered. Counted anew from the opening of the window it is about."""
        duty, lane, now = task.duty, task.lane, self._s.clock.wall()
        fresh = Notified(entry_id=duty.entry_id, topic=duty.topic, delivered=True, at=now)
        if (known := lane.facts.get(Notified, duty.key)) is None:
            return fresh
        since = next((one.since for one in missing(task.state, lane) if one.entry_id == duty.entry_id), None)
        times = 1 if since is not None and known.at < since else known.times + 1
        return msgspec.structs.replace(fresh, number=known.number + 1, times=times)  # noqa: TID251  (as above)

    async def _words(self, task: Task[NotifyPlayer]) -> tuple[str, str]:
        lane, title = task.lane, task.lane.terms.title
        match task.duty.topic.partition("/")[0]:
            case "appointment":
                when = _date(lane.terms.schedule.entries_close)
                return (
                    f"{title}: your seat is taken",
                    f"Come back at {when}: keys are sealed and the contract is approved then.",
                )
            case "seal":
                return (
                    f"{title}: seal your key now",
                    f"{_COME} within {_window(lane)}.",
                )
            case "compare" | "approve":
                return f"{title}: the contract is being signed", f"{_COME} and stay until it says done."
            case "kit":
                return f"{title}: your claim kit", await self._kit(task)
            case _:
                return f"{title}: you have a prize", "Ask for it on the page, or with `coordinator player watch`."

    async def _kit(self, task: Task[NotifyPlayer]) -> str:
        lane, state = task.lane, task.state
        contract, attempt = getattr(state, "contract", None), getattr(state, "attempt", 0)
        posted = lane.facts.get(EntriesPosted, attempt)
        if contract is None or posted is None:
            return "The contract is signed; fetch your claim kit from the page."
        kit = ClaimKit.build(
            lane.terms,
            UUID(task.duty.entry_id),
            attempt,
            await signed_contract(self._s, contract),
            parse_statement(posted.statement.encode()),
        ).to_json()
        return (
            kit
            if len(kit) <= LARGEST_MESSAGE
            else "The contract is signed; your claim kit is on the page, it is too large for a message."
        )


def _date(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _window(lane: Lane) -> str:
    seconds = lane.terms.schedule.closing.sealing
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
