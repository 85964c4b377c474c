"""Bodies of signed requests. Unknown members are ignored, as upstream does; old and new names are read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from coordinator.embedded.oracle.errors import Rejected
from coordinator.embedded.oracle.records import ScoringRules
from coordinator.embedded.oracle.scoring import Pick, Prediction

Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
Date = Annotated[datetime, Meta(tz=True)]
T = TypeVar("T")


class CreateEvent(Struct, frozen=True):
    """POST /oracle/events. `targets` and `metrics` are other names of `locations` and `scoring_fields`."""

    id: UUID
    signing_date: Date
    start_observation_date: Date
    end_observation_date: Date
    number_of_values_per_entry: Count
    total_allowed_entries: Count
    number_of_places_win: Count
    locations: list[str] | None = None
    targets: list[str] | None = None
    scoring_fields: list[str] | None = None
    metrics: list[str] | None = None
    source: str | None = None
    unlisted: bool = False
    scoring_rules: ScoringRules | None = None
    lines_from_event: UUID | None = None

    @property
    def watched(self) -> list[str]:
        """The targets under whichever name they came. Raises Rejected when there is not exactly one."""
        if self.locations is not None and self.targets is not None:
            raise Rejected("invalid JSON body: duplicate field `locations`")
        found = self.locations if self.locations is not None else self.targets
        if found is None:
            raise Rejected("invalid JSON body: missing field `locations`")
        return found

    @property
    def scored(self) -> list[str] | None:
        """The metrics under whichever name they came, None for the source's defaults."""
        if self.scoring_fields is not None and self.metrics is not None:
            raise Rejected("invalid JSON body: duplicate field `scoring_fields`")
        return self.scoring_fields if self.scoring_fields is not None else self.metrics


class WeatherChoices(Struct, frozen=True):
    """The older form of picks: one station, a prediction for each metric."""

    stations: str
    temp_high: Prediction | None = None
    temp_low: Prediction | None = None
    wind_speed: Prediction | None = None
    wind_direction: Prediction | None = None
    rain_amt: Prediction | None = None
    snow_amt: Prediction | None = None
    humidity: Prediction | None = None

    @property
    def picks(self) -> list[Pick]:
        """The same as picks."""
        named: dict[str, Prediction | None] = {
            "temp_high": self.temp_high,
            "temp_low": self.temp_low,
            "wind_speed": self.wind_speed,
            "wind_direction": self.wind_direction,
            "rain_amt": self.rain_amt,
            "snow_amt": self.snow_amt,
            "humidity": self.humidity,
        }
        return [Pick(self.stations, metric, choice) for metric, choice in named.items() if choice is not None]


class AddEventEntry(Struct, frozen=True):
    """One entry of AddEventEntries."""

    id: UUID
    event_id: UUID
    picks: list[Pick] = []
    expected_observations: list[WeatherChoices] = []


class AddEventEntries(Struct, frozen=True):
    """POST /oracle/events/{id}/entries."""

    event_id: UUID
    entries: list[AddEventEntry]


def decode(body: bytes, kind: type[T]) -> T:
    """Read a body as JSON. Raises Rejected."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(f"invalid JSON body: {error}") from error
