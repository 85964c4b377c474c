"""The stations this oracle knows: twenty large airports of the United States."""

from __future__ import annotations

from msgspec import Struct


class Station(Struct, frozen=True):
    """One row of GET /stations. Degrees north and east, metres."""

    station_id: str
    station_name: str
    state: str
    iata_id: str
    elevation_m: float
    latitude: float
    longitude: float


STATIONS = {
    station.station_id: station
    for station in (
        Station("KATL", "Atlanta", "GA", "ATL", 313.0, 33.64, -84.43),
        Station("KBNA", "Nashville", "TN", "BNA", 182.0, 36.12, -86.69),
        Station("KBOS", "Boston", "MA", "BOS", 6.0, 42.36, -71.01),
        Station("KCLT", "Charlotte", "NC", "CLT", 228.0, 35.21, -80.94),
        Station("KDEN", "Denver", "CO", "DEN", 1656.0, 39.85, -104.66),
        Station("KDFW", "Dallas-Fort Worth", "TX", "DFW", 182.0, 32.90, -97.02),
        Station("KDTW", "Detroit", "MI", "DTW", 202.0, 42.23, -83.33),
        Station("KIAH", "Houston", "TX", "IAH", 29.0, 29.98, -95.36),
        Station("KJFK", "New York", "NY", "JFK", 4.0, 40.64, -73.76),
        Station("KLAS", "Las Vegas", "NV", "LAS", 664.0, 36.07, -115.16),
        Station("KLAX", "Los Angeles", "CA", "LAX", 38.0, 33.94, -118.39),
        Station("KMIA", "Miami", "FL", "MIA", 3.0, 25.79, -80.32),
        Station("KMSP", "Minneapolis", "MN", "MSP", 255.0, 44.88, -93.23),
        Station("KORD", "Chicago", "IL", "ORD", 201.0, 41.96, -87.93),
        Station("KPHL", "Philadelphia", "PA", "PHL", 3.0, 39.87, -75.23),
        Station("KPHX", "Phoenix", "AZ", "PHX", 337.0, 33.43, -112.00),
        Station("KSAW", "Marquette", "MI", "MQT", 368.0, 46.35, -87.40),
        Station("KSEA", "Seattle", "WA", "SEA", 112.0, 47.44, -122.31),
        Station("KSFO", "San Francisco", "CA", "SFO", 3.0, 37.62, -122.37),
        Station("KSLC", "Salt Lake City", "UT", "SLC", 1288.0, 40.77, -111.97),
    )
}
