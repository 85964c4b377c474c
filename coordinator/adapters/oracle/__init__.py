"""The oracle port over the HTTP API of noaa-oracle 2.x."""

from coordinator.adapters.oracle.noaa import NoaaOracle, NoaaSettings

__all__ = ["NoaaOracle", "NoaaSettings"]
