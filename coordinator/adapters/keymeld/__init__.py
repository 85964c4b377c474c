"""Client of a keymeld gateway, protocol generation A. `KeymeldGateway` implements the port."""

from coordinator.adapters.keymeld.gateway import KeymeldGateway

__all__ = ["KeymeldGateway"]
