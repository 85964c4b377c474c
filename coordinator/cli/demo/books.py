"""The demo's books: every place where satoshi can be, read from node and Lightning ledger, not from the coordinator.

The change of all accounts over the competition has to be zero: what players and coordinator lost or won, plus what the
chain's miners and Lightning's router took.
"""

from __future__ import annotations

from coordinator.cli.demo.story import Story
from coordinator_core.transaction import PAY_TO_ANCHOR, Transaction

MSAT = 1_000


async def balance_rows(story: Story) -> dict[str, int]:
    """Balances by account, in millisatoshi."""
    ledger = await story.world.ledger()
    wallet = await story.world.operator("GET", "/wallet")
    rows = {"coordinator, on chain": wallet["onchain_total"] * MSAT}
    for alias, balance in ledger["nodes_msat"].items():
        rows[_account(alias)] = balance
    rows["held in Lightning"] = ledger["held_msat"]
    contracts, anchors = await unspent_value(story)
    rows["contracts"] = contracts * MSAT
    rows["anchors left on chain"] = anchors * MSAT
    rows["claimed by winners on chain"] = story.claimed_onchain * MSAT
    rows["chain fees"] = await chain_fees(story) * MSAT
    return rows


def _account(alias: str) -> str:
    names = {"coordinator": "coordinator, Lightning", "router": "router's fees"}
    return names.get(alias, alias.rsplit("-", 1)[0].replace("-", " "))


async def unspent_value(story: Story) -> tuple[int, int]:
    """What stands in outputs of the contract, and in its anchors, that nobody has spent yet."""
    if not story.competition:
        return 0, 0
    contracts = anchors = 0
    for item in (await story.world.competition(story.competition))["transactions"]:
        raw = Transaction.from_hex(await story.world.rpc("getrawtransaction", item["txid"], False))
        for vout, output in enumerate(raw.outputs):
            unspent = await story.world.rpc("gettxout", item["txid"], vout, True)
            if unspent is not None and output.script_pubkey == PAY_TO_ANCHOR:
                anchors += output.value
            elif unspent is not None and await story.is_contract_output(item["role"], vout):
                contracts += output.value
    return contracts, anchors


async def chain_fees(story: Story) -> int:
    """What the transactions of the competition paid to miners."""
    if not story.competition:
        return 0
    seen = await story.world.competition(story.competition)
    total = 0
    for item in seen["transactions"]:
        total += await _fee(story, str(item["txid"]))
    return total


async def _fee(story: Story, txid: str) -> int:
    raw = await story.world.rpc("getrawtransaction", txid, False)
    transaction = Transaction.from_hex(raw)
    spent = 0
    for one in transaction.inputs:
        parent = await story.world.rpc("getrawtransaction", one.previous_output.txid[::-1].hex(), False)
        spent += Transaction.from_hex(parent).outputs[one.previous_output.vout].value
    return spent - sum(output.value for output in transaction.outputs)
