"""Loopback servers that speak the protocols of the outside services, for development, demo and tests only."""
