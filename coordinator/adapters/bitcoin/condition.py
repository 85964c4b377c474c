"""Everything an operator may have set up wrongly between the coordinator and its view of the chain."""

from __future__ import annotations

from msgspec import Struct, field

from coordinator.adapters.bitcoin import wire
from coordinator.adapters.bitcoin.rpc import SERVICE, CoreRpc
from coordinator.ports.bitcoin import Chain, Network
from coordinator.ports.condition import Condition
from coordinator.ports.faults import PortError, Unsuitable

TESTED = "31.99"
LEAST = 28
"""From 28.0 on nodes relay a parent together with the child that pays for it: fee bumps count on that."""
_MAJOR = 10_000


class _NetworkInfo(Struct):
    version: int
    name: str = field(name="subversion", default="")


class _ChainInfo(Struct):
    chain: str
    blocks: int
    headers: int
    initialblockdownload: bool = False


class CoreExamination:
    """See ports.condition.Examined."""

    service = SERVICE

    def __init__(self, rpc: CoreRpc, network: Network) -> None:
        self._rpc = rpc
        self._network = network

    async def condition(self) -> Condition:
        """See ports.condition.Examined."""
        try:
            software = await self._rpc.call("getnetworkinfo", kind=_NetworkInfo)
            chain = await self._rpc.call("getblockchaininfo", kind=_ChainInfo)
            indexes = await self._rpc.call("getindexinfo", "txindex", kind=dict[str, wire.IndexState])
        except PortError as error:
            return Condition(SERVICE, problem=error.reason, answers=False, unsuitable=isinstance(error, Unsuitable))
        version = software.name.strip("/") or str(software.version)
        if reason := _unusable(software.version, chain.chain, self._network, indexes):
            return Condition(SERVICE, version, reason, answers=False, unsuitable=True)
        return Condition(SERVICE, version, _behind(chain, indexes), note=_note(software.version))


class EsploraExamination:
    """See ports.condition.Examined. Esplora names no version, and nothing tells whether it is behind."""

    service = SERVICE

    def __init__(self, chain: Chain, network: Network) -> None:
        self._chain = chain
        self._network = network

    async def condition(self) -> Condition:
        """See ports.condition.Examined."""
        try:
            found = await self._chain.network()
        except PortError as error:
            return Condition(SERVICE, problem=error.reason, answers=False, unsuitable=isinstance(error, Unsuitable))
        problem = _other_network(found.value, self._network)
        return Condition(SERVICE, problem=problem, answers=not problem, unsuitable=bool(problem))


def _unusable(version: int, chain: str, wanted: Network, indexes: dict[str, wire.IndexState]) -> str:
    if reason := _other_network(chain, wanted):
        return reason
    if version < LEAST * _MAJOR:
        return f"Bitcoin Core {version // _MAJOR} is too old: {LEAST} relays packages, take that or a later one"
    if "txindex" not in indexes:
        return "the node keeps no index of transactions: set txindex=1 and restart it"
    return ""


def _other_network(found: str, wanted: Network) -> str:
    if found == wanted.value:
        return ""
    return f"the node follows {found}, the settings say {wanted.value}: point both to one network"


def _behind(chain: _ChainInfo, indexes: dict[str, wire.IndexState]) -> str:
    # A regtest chain that nobody mined on for a day looks as if it were being downloaded.
    downloading = chain.initialblockdownload and chain.chain != Network.REGTEST.value
    if downloading or chain.blocks < chain.headers:
        return f"the node is catching up, it is at block {chain.blocks} of {chain.headers}: wait"
    if not indexes["txindex"].synced:
        return "the node is still building its index of transactions: wait"
    return ""


def _note(version: int) -> str:
    tested_major = int(TESTED.split(".", 1)[0])
    if version // _MAJOR == tested_major:
        return ""
    return f"Bitcoin Core {version // _MAJOR} was not tested, {TESTED} was"
