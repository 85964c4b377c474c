"""Methods that only this node has: time, fee settings, the faucet."""

from __future__ import annotations

from typing import Any

from coordinator.embedded.node.codec import TxOutput, display_hex
from coordinator.embedded.node.errors import ClockRefused, FundsMissing, TransactionRejected
from coordinator.embedded.node.node import MAX_BLOCKS_A_CALL
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, number, text
from coordinator.embedded.node.rpc.values import integer, script_of_address
from coordinator_core.errors import InvalidInput
from coordinator_core.units import MAX_MONEY

TABLE = MethodTable()
MAX_STEP_SECONDS = 365 * 24 * 3600


@TABLE.method(number("timestamp"))
def setmocktime(context: Context, timestamp: Any) -> None:
    """Lets node time stand still at an instant, or flow on with 0."""
    try:
        context.node.set_mock_time(integer(timestamp, 0))
    except ClockRefused as refusal:
        raise RpcError(Code.INVALID_PARAMETER, str(refusal)) from None


@TABLE.method()
def getnodetime(context: Context) -> dict[str, Any]:
    """Returns node time, and the latest time a block may have."""
    clock = context.node.clock
    return {"time": clock.now(), "frozen": clock.frozen_at is not None, "latest": clock.latest}


@TABLE.method(number("nblocks", 1), number("seconds_per_block", None))
def mine(context: Context, nblocks: Any, seconds_per_block: Any) -> list[str]:
    """Mines blocks to the faucet; node time moves on by the given seconds before each."""
    step = None if seconds_per_block is None else integer(seconds_per_block, 0, MAX_STEP_SECONDS)
    mined = context.node.mine(integer(nblocks, 0, MAX_BLOCKS_A_CALL), seconds_per_block=step)
    return [display_hex(block.hash) for block in mined]


@TABLE.method(number("sat_per_kvb"))
def setblockfloor(context: Context, sat_per_kvb: Any) -> None:
    """Sets the ancestor package fee rate below which nothing is mined."""
    _set_rate(context, "block_floor", sat_per_kvb)


@TABLE.method(number("sat_per_kvb"))
def setmempoolminimum(context: Context, sat_per_kvb: Any) -> None:
    """Sets the fee rate below which nothing enters the mempool, 0 for none."""
    _set_rate(context, "mempool_minimum", sat_per_kvb)


@TABLE.method(number("sat_per_kvb"))
def setminrelayfee(context: Context, sat_per_kvb: Any) -> None:
    """Sets the relay fee rate."""
    _set_rate(context, "min_relay", sat_per_kvb)


def _set_rate(context: Context, name: str, sat_per_kvb: Any) -> None:
    try:
        context.node.set_fees(**{name: integer(sat_per_kvb)})
    except InvalidInput as wrong:
        raise RpcError(Code.INVALID_PARAMETER, str(wrong)) from None


@TABLE.method(anything("estimates"))
def setfeeestimates(context: Context, estimates: Any) -> None:
    """Sets what estimatesmartfee answers: {"6": sat_per_kvb}, or {} for no data."""
    if not isinstance(estimates, dict) or not all(t.isascii() and t.isdigit() and len(t) < 5 for t in estimates):
        raise RpcError(Code.TYPE_ERROR, "estimates must be an object of sat/kvB by target in blocks")
    try:
        context.node.set_estimates({int(target): integer(rate) for target, rate in estimates.items()})
    except InvalidInput as wrong:
        raise RpcError(Code.INVALID_PARAMETER, str(wrong)) from None


@TABLE.method(text("address"), number("amount_sat"))
def faucet(context: Context, address: str, amount_sat: Any) -> str:
    """Pays from the faucet; the payment waits in the mempool."""
    output = TxOutput(integer(amount_sat, 1, int(MAX_MONEY)), script_of_address(address))
    try:
        return context.node.pay([output]).id
    except FundsMissing as refusal:
        raise RpcError(Code.INSUFFICIENT_FUNDS, str(refusal)) from None
    except TransactionRejected as refusal:
        raise RpcError(Code.TRANSACTION_REJECTED, str(refusal)) from None
