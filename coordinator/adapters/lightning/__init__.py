"""Lightning nodes behind ports.lightning."""

from coordinator.adapters.lightning.lnd import LndNode

__all__ = ["LndNode"]
