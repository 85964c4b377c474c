"""Weather made from a seed: the same seed gives the same forecasts and observations for ever.

Values exist every three hours. A forecast is the value with an error that is drawn once a day, so that misses
lean one way for a whole window, as real ones do. This is not a model of the atmosphere: it only has to be
plausible, deterministic and different from place to place.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from coordinator.embedded.oracle.dates import DAY, HOUR
from coordinator.embedded.oracle.stations import STATIONS, Station

STEP_SECONDS = 3 * HOUR

_ERROR_SCALE = {
    "temp_high": 5.0,
    "temp_low": 5.0,
    "wind_speed": 5.0,
    "wind_direction": 45.0,
    "rain_amt": 0.1,
    "snow_amt": 0.4,
    "humidity": 16.0,
}
_LEAST = {"wind_speed": 0.0, "rain_amt": 0.0, "snow_amt": 0.0, "humidity": 5.0}


class Climate:
    """Deterministic weather of the known stations."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self.observed = lru_cache(maxsize=200_000)(self._observed)
        self.forecast = lru_cache(maxsize=200_000)(self._forecast)

    def _observed(self, station_id: str, metric: str, time: int) -> float:
        station = STATIONS[station_id]
        return _METRICS[metric](self, station, time)

    def _forecast(self, station_id: str, metric: str, time: int) -> float:
        value = self.observed(station_id, metric, time)
        day = time // DAY
        spread = sum(self._draw("error", station_id, metric, day, index) for index in range(3)) - 1.5
        value += spread * _ERROR_SCALE[metric]
        if metric == "wind_direction":
            return float(round(value) % 360)
        if metric in ("rain_amt", "snow_amt"):
            return max(0.0, round(value, 2)) if self.observed(station_id, metric, time) > 0 else 0.0
        return max(_LEAST.get(metric, -80.0), float(math.floor(value + 0.5)))

    def _draw(self, *key: object) -> float:
        data = self._seed + repr(key).encode()
        return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") / 2.0**64

    def _smooth(self, name: str, station: Station, time: int) -> float:
        # From -1 to 1, changing slowly from noon to noon, so that a front passes rather than jumps.
        day, rest = divmod(time, DAY)
        share = rest / DAY
        first, second = (self._draw(name, station.station_id, day + ahead) for ahead in (0, 1))
        return 2.0 * (first * (1.0 - share) + second * share) - 1.0

    def _temperature(self, station: Station, time: int) -> float:
        date = datetime.fromtimestamp(time, UTC)
        season = math.cos(2 * math.pi * (date.timetuple().tm_yday - 200) / 365)
        local_hour = date.hour + station.longitude / 15
        daily = math.cos(2 * math.pi * (local_hour - 15) / 24)
        mean = 86.0 - 0.9 * (station.latitude - 25.0) - 0.004 * station.elevation_m
        swing = 6.0 + 0.7 * (station.latitude - 25.0)
        noise = 7.0 * self._smooth("temperature", station, time)
        return round(mean - swing + swing * season + 9.0 * daily + noise, 1)

    def _wind(self, station: Station, time: int) -> float:
        gust = 4.0 * self._draw("gust", station.station_id, time)
        return float(round(9.0 + 6.0 * self._smooth("wind", station, time) + gust))

    def _direction(self, station: Station, time: int) -> float:
        return float(round(230.0 + 170.0 * self._smooth("direction", station, time)) % 360)

    def _rain(self, station: Station, time: int) -> float:
        wet = self._smooth("rain", station, time)
        return round(0.25 * wet, 2) if wet > 0.4 and self._temperature(station, time) > 34 else 0.0

    def _snow(self, station: Station, time: int) -> float:
        wet = self._smooth("rain", station, time)
        return round(1.8 * wet, 1) if wet > 0.4 and self._temperature(station, time) <= 34 else 0.0

    def _humidity(self, station: Station, time: int) -> float:
        damp = 62.0 + 28.0 * self._smooth("humidity", station, time)
        return float(round(min(100.0, max(12.0, damp + 6.0 * self._draw("damp", station.station_id, time)))))


_METRICS: dict[str, Callable[[Climate, Station, int], float]] = {
    "temp_high": Climate._temperature,
    "temp_low": Climate._temperature,
    "wind_speed": Climate._wind,
    "wind_direction": Climate._direction,
    "rain_amt": Climate._rain,
    "snow_amt": Climate._snow,
    "humidity": Climate._humidity,
}
