"""Keys and preimages at rest behind ports.secrets."""

from coordinator.adapters.secrets.sealed import SealedSecrets
from coordinator.adapters.secrets.seed import load_or_create_seed

__all__ = ["SealedSecrets", "load_or_create_seed"]
