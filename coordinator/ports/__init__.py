"""Protocols of the outside world, one file each, and the typed values they exchange."""
