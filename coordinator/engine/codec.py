"""State rows and duty rows: JSON with a tag and a version; what is not known is refused, never guessed."""

from __future__ import annotations

import msgspec

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import AnyDuty, Duty
from coordinator.domain.facts import FactBook, Published
from coordinator.domain.lane import Lane, World
from coordinator.domain.typestate import State
from coordinator.domain.versions import DUTIES, UnreadableRow
from coordinator.ports.leasing import DutyRow
from coordinator.ports.store import LaneRecord
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.errors import CoreError

_STATE: msgspec.json.Decoder[Competition] = msgspec.json.Decoder(Competition)


def encode_state(state: State) -> bytes:
    """JSON of a state with its tag."""
    return msgspec.json.encode(state)


def decode_state(data: bytes) -> Competition:
    """A fresh, unconsumed state; the store hands out states at their present version. Raises UnreadableRow."""
    try:
        return _STATE.decode(data)
    except msgspec.MsgspecError as error:
        raise UnreadableRow("state", str(error)) from error


def tag(state: State) -> str:
    """The stored name of a state."""
    return str(state.__struct_config__.tag)


def encode_duty(duty: Duty) -> bytes:
    """JSON of a duty with its tag."""
    return msgspec.json.encode(duty)


def decode_duty(row: DutyRow) -> AnyDuty:
    """The duty as it was wanted. Raises UnreadableRow."""
    return DUTIES.decode(row.kind, row.v, row.args, row.id)


def terms_of(facts: FactBook) -> Terms | None:
    """The published terms, read from the bytes that were hashed. Raises UnreadableRow."""
    published = facts.get(Published)
    if published is None:
        return None
    try:
        return decode_terms(published.terms.encode())
    except CoreError as error:
        raise UnreadableRow(f"fact {published.kind()}", str(error)) from error


def lane_of(record: LaneRecord, world: World) -> Lane:
    """What the domain looks at. Raises UnreadableRow."""
    stopped = record.quarantined is not None
    return Lane(record.id, terms_of(record.facts), record.facts, world, stopped)
