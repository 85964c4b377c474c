"""Addresses that a person types, read for one network only."""

from __future__ import annotations

from typing import Final

from embit.base import EmbitError
from embit.networks import NETWORKS
from embit.script import address_to_scriptpubkey

from coordinator_core.competition.terms import Network
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import lift_x

_EMBIT_NETWORKS: Final = {
    Network.MAINNET: "main",
    Network.TESTNET4: "test",
    Network.SIGNET: "signet",
    Network.REGTEST: "regtest",
}
_P2TR: Final = b"\x51\x20"


def script_pubkey(address: str, network: Network, field: str) -> bytes:
    """The output script of an address of this network. Raises InvalidInput."""
    text = address.lower() if address.isupper() else address
    script = _parsed(text, network)
    if script is None:
        raise InvalidInput(field, f"is no address of {network}", "copy it again from your wallet")
    if script.startswith(_P2TR):
        # An x without a point has a valid checksum and can never be spent.
        lift_x(script[2:], field=field)
    return script


def _parsed(text: str, network: Network) -> bytes | None:
    try:
        script = address_to_scriptpubkey(text)
        # The library reads addresses of every network; writing it again shows whether it is one of this.
        if script is None or script.address(NETWORKS[_EMBIT_NETWORKS[network]]) != text:
            return None
        return bytes(script.data)
    except (EmbitError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
