"""Which coins a funding transaction spends, and what it looks like before it is signed (money section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordinator.ports.bitcoin import Coin, FundingPlan, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.transaction import (
    SEQUENCE_LOCK_TIME,
    SEQUENCE_REPLACEABLE,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    fee_for_weight,
    input_weight,
    predict_weight,
)
from coordinator_core.transaction.weight import KEY_PATH_WITNESS, P2TR_SCRIPT_BYTES
from coordinator_core.units import DUST_P2TR, FeeRate, Sats

MIN_CHANGE = Sats(20_000)
"""Kept by every funding for its own bump."""
MAX_FUNDING_FEE_SHARE = 10
"""A funding never pays more than a tenth of its output in fees."""

MAX_FEE_COINS = 8
"""A child that is heavier by many small coins spends them on its own weight."""

Groups = Sequence[Sequence[Outpoint]]


def plan_of(
    coins: Sequence[Coin], groups: Groups, output: Output, change_script: bytes, fee_rate: FeeRate
) -> FundingPlan:
    """A plan for one output and change. Raises Rejected when the coins do not suffice or the fee is too large."""
    chosen = _choose(coins, groups, output, fee_rate)
    fee = funding_fee(len(chosen), output, fee_rate)
    check_fee(fee, output.value)
    change = Sats(sum(coin.value for coin in chosen) - output.value - fee)
    transaction = Transaction(
        inputs=tuple(TxIn(OutPoint.parse(str(coin.outpoint)), SEQUENCE_LOCK_TIME) for coin in chosen),
        outputs=(TxOut(output.value, output.script), TxOut(change, change_script)),
    )
    return FundingPlan(
        unsigned=transaction.serialize(),
        txid=transaction.txid[::-1].hex(),
        coins=tuple(chosen),
        output_index=0,
        change_index=1,
        change_value=change,
        fee=fee,
    )


def funding_fee(inputs: int, output: Output, fee_rate: FeeRate) -> Sats:
    """Fee of a funding with this many taproot key spends, the output and a taproot change."""
    scripts = (len(output.script), P2TR_SCRIPT_BYTES)
    return fee_for_weight(fee_rate, predict_weight([input_weight(KEY_PATH_WITNESS)] * inputs, scripts))


def check_fee(fee: Sats, funded: Sats) -> None:
    """The cap of a funding's fee. Raises Rejected."""
    if fee * MAX_FUNDING_FEE_SHARE > funded:
        raise Rejected("wallet", f"a fee of {fee} sat is more than a tenth of the funding", fault=Fault.COORDINATOR)


def check_groups(spent: Sequence[Outpoint], groups: Groups) -> None:
    """At least one outpoint of every group is spent. Raises Rejected."""
    if not all(any(outpoint in spent for outpoint in group) for group in groups):
        raise Rejected("wallet", "the plan does not rule out an earlier funding", fault=Fault.COORDINATOR)


def read_plan(plan: FundingPlan) -> Transaction:
    """The unsigned transaction of a plan that is consistent in itself. Raises VerificationFailed."""
    try:
        transaction = Transaction.parse(plan.unsigned, "plan.unsigned")
        funded = transaction.outputs[plan.output_index].value
    except (InvalidInput, IndexError) as error:
        raise _inconsistent("does not hold a funding transaction") from error
    if transaction.txid[::-1].hex() != plan.txid:
        raise _inconsistent("has another txid than its transaction")
    if [str(spent.previous_output) for spent in transaction.inputs] != [str(coin.outpoint) for coin in plan.coins]:
        raise _inconsistent("spends other coins than it lists")
    fee = sum(coin.value for coin in plan.coins) - sum(output.value for output in transaction.outputs)
    if fee != plan.fee or fee < 0:
        raise _inconsistent("pays another fee than it says")
    check_fee(plan.fee, funded)
    return transaction


def to_us(coins: Sequence[Coin], script: bytes, fee: Sats) -> Transaction:
    """An unsigned transaction of these coins to one taproot script of ours. Raises Rejected when that would be dust."""
    value = Sats(sum(coin.value for coin in coins) - fee)
    if fee < 0 or value < DUST_P2TR:
        raise Rejected("wallet", f"a fee of {fee} sat would eat the coins", fault=Fault.COORDINATOR)
    inputs = tuple(TxIn(OutPoint.parse(str(coin.outpoint)), SEQUENCE_REPLACEABLE) for coin in coins)
    return Transaction(inputs, (TxOut(value, script),))


def back_to_us(coin: Coin, script: bytes, fee_rate: FeeRate) -> Transaction:
    """As `to_us`, of one coin and at a rate."""
    fee = fee_for_weight(fee_rate, predict_weight([input_weight(KEY_PATH_WITNESS)], [len(script)]))
    return to_us([coin], script, fee)


def choose_fee_coins(coins: Sequence[Coin], missing: Sats) -> list[Coin]:
    """The smallest coin that suffices alone, else the largest ones until they do, or as far as they reach."""
    chosen: list[Coin] = []
    rest = sorted(coins, key=lambda coin: (coin.value, coin.outpoint))
    while rest and len(chosen) < MAX_FEE_COINS and (short := missing - sum(coin.value for coin in chosen)) > 0:
        next_one = next((coin for coin in rest if coin.value >= short), rest[-1])
        rest.remove(next_one)
        chosen.append(next_one)
    return chosen


def _choose(coins: Sequence[Coin], groups: Groups, output: Output, fee_rate: FeeRate) -> list[Coin]:
    """One coin for every group first, then the largest ones until output, fee and the least change are covered.

    In the order of their outpoints: the plan does not tell which coin was wanted most.
    """
    available = {coin.outpoint: coin for coin in coins}
    chosen = _required(available, groups)
    rest = sorted((c for c in coins if c.outpoint not in chosen), key=lambda c: (-c.value, c.outpoint))
    while (missing := _short(list(chosen.values()), output, fee_rate)) > 0:
        if not rest:
            raise Rejected("wallet", f"{missing} sat are missing to fund the contract", fault=Fault.COORDINATOR)
        coin = rest.pop(0)
        chosen[coin.outpoint] = coin
    return sorted(chosen.values(), key=lambda coin: coin.outpoint)


def _required(available: Mapping[Outpoint, Coin], groups: Groups) -> dict[Outpoint, Coin]:
    chosen: dict[Outpoint, Coin] = {}
    for group in groups:
        if any(outpoint in chosen for outpoint in group):
            continue
        candidates = [available[outpoint] for outpoint in group if outpoint in available]
        if not candidates:
            reason = "every coin of an earlier funding is gone: that funding may be in the chain"
            raise Rejected("wallet", reason, fault=Fault.NODE)
        best = max(candidates, key=lambda coin: (sum(coin.outpoint in other for other in groups), coin.value))
        chosen[best.outpoint] = best
    return chosen


def _short(chosen: Sequence[Coin], output: Output, fee_rate: FeeRate) -> int:
    needed = output.value + funding_fee(max(1, len(chosen)), output, fee_rate) + MIN_CHANGE
    return needed - sum(coin.value for coin in chosen)


def _inconsistent(reason: str) -> VerificationFailed:
    return VerificationFailed("funding plan", reason, fault=Fault.COORDINATOR)
