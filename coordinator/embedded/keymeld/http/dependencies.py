"""What route handlers are given."""

from __future__ import annotations

from litestar.di import NamedDependency

from coordinator.embedded.keymeld.gateway.gateway import Gateway

GatewayService = NamedDependency[Gateway]
"""The gateway of the application, provided under the name `gateway`."""
