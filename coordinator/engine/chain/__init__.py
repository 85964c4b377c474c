"""The chain: followed block by block, looked out for, and judged (engine section 3.3)."""

from coordinator.engine.chain.following import ChainLoop

__all__ = ["ChainLoop"]
