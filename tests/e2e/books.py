"""Books read from the chain and the Lightning ledger: nothing here is taken from the coordinator's own accounts.

The contract's outputs are followed from the funding on, through Esplora. What left Lightning or a wallet has to be
somewhere: with another node, in an output of a contract, in an anchor, with a claimant, or with miners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from coordinator_core.dlc import Contract
from coordinator_core.transaction import PAY_TO_ANCHOR, OutPoint
from tests.e2e.chain import ChainControl, with_inputs

MSAT = 1_000


@dataclass(slots=True)
class ContractMoney:
    """Where the satoshi of a contract are."""

    unspent: int = 0
    anchors: int = 0
    claimed: int = 0
    fees: int = 0
    seen: list[str] = field(default_factory=list[str])
    """Transactions from the funding on, in the order in which they were met."""


async def follow_contract(
    chain: ChainControl, contract: Contract, claimants: frozenset[bytes], bumps: frozenset[str] = frozenset()
) -> ContractMoney:
    """Follow every output of a contract; `claimants` are the scripts of players who took prizes on chain, `bumps` the
    children that paid for the funding. Who spends an anchor paid for the transaction that it belongs to.
    """
    money = ContractMoney()
    money.fees = sum([await _fee(chain, txid) for txid in bumps])
    presigned = {contract.outcome_txid(outcome)[::-1].hex() for outcome in contract.outcomes}
    presigned |= {contract.split_txid(outcome)[::-1].hex() for outcome in contract.outcomes}
    funding = contract.outpoint.txid[::-1].hex()
    to_visit = [(funding, [contract.outpoint.vout])]
    while to_visit:
        txid, held = to_visit.pop(0)
        if txid in money.seen:
            continue
        money.seen.append(txid)
        spent = await with_inputs(chain, txid)
        money.fees += spent.fee
        for vout, output in enumerate(spent.transaction.outputs):
            if output.script_pubkey in claimants:
                money.claimed += output.value
            spender = await chain.spender(OutPoint(spent.transaction.txid, vout))
            if output.script_pubkey == PAY_TO_ANCHOR:
                await _follow_anchor(chain, money, output.value, spender)
            elif vout in held and spender is None:
                money.unspent += output.value
            elif vout in held and spender is not None:
                count = len((await chain.transaction(spender)).outputs)
                to_visit.append((spender, list(range(count)) if spender in presigned else []))
    return money


async def _follow_anchor(chain: ChainControl, money: ContractMoney, value: int, spender: str | None) -> None:
    if spender is None:
        money.anchors += value
    else:
        money.fees += await _fee(chain, spender)


async def _fee(chain: ChainControl, txid: str) -> int:
    return (await with_inputs(chain, txid)).fee


@dataclass(frozen=True, slots=True)
class Sheet:
    """Balances by account in millisatoshi."""

    accounts: dict[str, int]

    def with_change(self, change: Mapping[str, int]) -> Sheet:
        """The same with something added to some accounts."""
        return Sheet({**self.accounts, **{name: self.accounts.get(name, 0) + more for name, more in change.items()}})

    def less(self, before: Sheet) -> dict[str, int]:
        """What changed since `before`, accounts that did not change left out."""
        names = self.accounts.keys() | before.accounts.keys()
        changes = {name: self.accounts.get(name, 0) - before.accounts.get(name, 0) for name in names}
        return {name: change for name, change in changes.items() if change}


def lightning_account(alias: str) -> str:
    """The account of a Lightning node."""
    return f"Lightning, {alias}"


def sheet(wallet: int, ledger: dict[str, int], held: int, contracts: Iterable[ContractMoney]) -> Sheet:
    """One sheet. `wallet` in satoshi, Lightning in millisatoshi."""
    listed = list(contracts)
    on_chain = {
        "coordinator, on chain": wallet,
        "contracts": sum(one.unspent for one in listed),
        "anchors": sum(one.anchors for one in listed),
        "claimed": sum(one.claimed for one in listed),
        "miners": sum(one.fees for one in listed),
    }
    lightning = {lightning_account(alias): balance for alias, balance in ledger.items()}
    accounts = {name: value * MSAT for name, value in on_chain.items()}
    return Sheet({**accounts, **lightning, "held in Lightning": held})
