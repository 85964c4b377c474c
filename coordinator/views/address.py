"""Addresses as people copy them (BIP173, BIP350)."""

from __future__ import annotations

from embit.script import Script

from coordinator.ports.bitcoin import Network
from coordinator_core.errors import InvalidInput

_PREFIXES = {Network.MAINNET: "bc", Network.TESTNET4: "tb", Network.SIGNET: "tb", Network.REGTEST: "bcrt"}


def taproot_address(script: bytes, network: Network) -> str:
    """The bech32m address of a P2TR script. Raises InvalidInput for any other script."""
    if len(script) != 34 or not script.startswith(b"\x51\x20"):
        raise InvalidInput("script", "is not pay-to-taproot", "34 bytes: 5120 and a key")
    address = Script(script).address(network={"bech32": _PREFIXES[network]})
    if address is None:
        raise InvalidInput("script", "has no address", "34 bytes: 5120 and a key")
    return address
