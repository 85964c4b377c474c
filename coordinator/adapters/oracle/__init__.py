"""The oracle port over the HTTP API of noaa-oracle 2.x."""

from coordinator.adapters.oracle.noaa import Authorize, NoaaOracle, NoaaSettings

__all__ = ["Authorize", "NoaaOracle", "NoaaSettings"]
