"""Keys and preimages at rest behind ports.secrets."""

from coordinator.adapters.secrets.sealed import SealedSecrets, unopened
from coordinator.adapters.secrets.seed import load_or_create_seed, open_seed

__all__ = ["SealedSecrets", "load_or_create_seed", "open_seed", "unopened"]
