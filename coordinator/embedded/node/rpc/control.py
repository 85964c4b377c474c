"""Methods about the server itself, and those Core answers although it has no wallet."""

from __future__ import annotations

from typing import Any

from coordinator.embedded.node.address import address_to_script
from coordinator.embedded.node.fees import INCREMENTAL_RELAY_SAT_PER_KVB
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, text
from coordinator.embedded.node.rpc.render import btc
from coordinator.embedded.node.script import ScriptType, script_type, witness_program
from coordinator_core.errors import InvalidInput

TABLE = MethodTable()

ENGINE_VERSION = 319_900
"""Of the validation engine inside of py-bitcoinkernel 0.1.0a5."""
NO_WALLET = (
    "No wallet is loaded. Load a wallet using loadwallet or create a new one with createwallet. "
    "(Note: A default wallet is no longer automatically created)"
)


@TABLE.method()
def getnetworkinfo(context: Context) -> dict[str, Any]:
    """Returns facts about the peer-to-peer network, which this node has none of."""
    return {
        "version": ENGINE_VERSION,
        "subversion": "/coordinator-embedded:31.99.0/",
        "protocolversion": 70016,
        "localservices": "0000000000000000",
        "localservicesnames": [],
        "localrelay": False,
        "timeoffset": 0,
        "networkactive": False,
        "connections": 0,
        "connections_in": 0,
        "connections_out": 0,
        "networks": [],
        "relayfee": btc(context.node.settings.min_relay),
        "incrementalfee": btc(INCREMENTAL_RELAY_SAT_PER_KVB),
        "localaddresses": [],
        "warnings": [],
    }


@TABLE.method()
def uptime(context: Context) -> int:
    """Returns the seconds since the server started."""
    return context.uptime_seconds()


@TABLE.method(anything("wait", None))
def stop(context: Context, wait: Any) -> str:
    """Stops the server."""
    context.stop()
    return "Bitcoin Core stopping"


@TABLE.method(text("address"))
def validateaddress(context: Context, address: str) -> dict[str, Any]:
    """Says whether an address is one of regtest."""
    try:
        script = address_to_script(address)
    except InvalidInput as wrong:
        return {"isvalid": False, "error_locations": [], "error": f"Invalid address: {wrong.reason}"}
    view: dict[str, Any] = {
        "isvalid": True,
        "address": address,
        "scriptPubKey": script.hex(),
        "isscript": script_type(script) in (ScriptType.SCRIPTHASH, ScriptType.WITNESS_V0_SCRIPTHASH),
    }
    program = witness_program(script)
    view["iswitness"] = program is not None
    if program is not None:
        view["witness_version"], view["witness_program"] = program.version, program.program.hex()
    return view


@TABLE.method(anything("dummy", None), anything("minconf", None))
def getbalance(context: Context, dummy: Any, minconf: Any) -> None:
    """There is no wallet here."""
    raise RpcError(Code.WALLET_NOT_FOUND, NO_WALLET)
