"""Bitcoin nodes behind ports.bitcoin.Chain, and the coordinator's own wallet."""

from coordinator.adapters.bitcoin.core_rpc import CoreNode
from coordinator.adapters.bitcoin.esplora import EsploraNode
from coordinator.adapters.bitcoin.wallet import OnchainWallet

__all__ = ["CoreNode", "EsploraNode", "OnchainWallet"]
