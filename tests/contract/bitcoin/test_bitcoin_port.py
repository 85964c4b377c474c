"""The rules of ports.bitcoin.Chain, through Core's RPC and through Esplora, on one node."""

from pathlib import Path
from typing import Any

import pytest
import stamina

from coordinator.adapters.bitcoin import CoreNode, OnchainWallet
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import BroadcastVerdict, Chain, Coin, Network, Outpoint, Output, Place
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator.views.address import taproot_address
from coordinator_core.secret import Secret
from coordinator_core.transaction import PAY_TO_ANCHOR, OutPoint, Transaction, TxOut, fee_for_weight
from coordinator_core.units import Confirmations, FeeRate, Height, Sats
from tests.contract.bitcoin.conftest import World

FEE = 1_000


def txid_of(transaction: Transaction) -> str:
    return transaction.txid[::-1].hex()


def coins_from(transaction: Transaction) -> list[tuple[OutPoint, TxOut]]:
    return [(transaction.outpoint(n), output) for n, output in enumerate(transaction.outputs)]


def named(outpoint: OutPoint) -> Outpoint:
    return Outpoint(outpoint.txid[::-1].hex(), outpoint.vout)


async def send(world: World, transaction: Transaction) -> BroadcastVerdict:
    return (await world.chain.broadcast(transaction.serialize())).verdict


async def test_network_and_tip(world: World) -> None:
    assert await world.chain.network() is Network.REGTEST
    (newest,) = await world.mine()
    header = await world.call("getblockheader", newest)
    tip = await world.chain.tip()
    assert (tip.height, tip.block_hash) == (header["height"], newest)
    assert (tip.time, tip.median_time_past) == (header["time"], header["mediantime"])


async def test_blocks(world: World) -> None:
    coin = await world.coin()
    spend = world.key.spend([coin], 50_000, 49_000)
    assert await send(world, spend) is BroadcastVerdict.ACCEPTED
    (newest,) = await world.mine()
    tip = await world.chain.tip()
    block = await world.chain.block_at(tip.height)
    assert block is not None
    assert (block.height, block.block_hash, block.time) == (tip.height, newest, tip.time)
    assert block.median_time_past == tip.median_time_past
    coinbase, found = block.transactions
    assert coinbase.spends == ()
    assert (found.txid, found.spends) == (txid_of(spend), (named(coin[0]),))
    before = await world.chain.block_at(Height(tip.height - 1))
    assert before is not None
    assert block.previous_hash == before.block_hash
    assert await world.chain.block_at(Height(tip.height + 1)) is None
    assert (await world.chain.hash_at(tip.height), await world.chain.hash_at(Height(tip.height + 1))) == (newest, None)
    assert tip.known == tip.height
    assert block.size == len(bytes.fromhex(await world.call("getblock", newest, 0)))
    genesis = await world.chain.block_at(Height(0))
    assert genesis is not None
    assert (genesis.previous_hash, len(genesis.transactions)) == ("", 1)


async def test_a_transaction_from_unknown_to_buried_and_back(world: World) -> None:
    spend = world.key.spend([await world.coin()], 99_000)
    txid = txid_of(spend)
    assert (await world.chain.transaction_status(txid)).place is Place.UNKNOWN
    assert await world.chain.raw_transaction(txid) is None
    assert await send(world, spend) is BroadcastVerdict.ACCEPTED
    assert (await world.chain.transaction_status(txid)).place is Place.MEMPOOL
    assert await world.chain.raw_transaction(txid) == spend.serialize()
    first, _ = await world.mine(2)
    tip = (await world.chain.tip()).height
    status = await world.chain.transaction_status(txid)
    assert (status.place, status.height, status.block_hash) == (Place.CHAIN, tip - 1, first)
    assert status.confirmations(tip) == 2
    await world.owner.invalidate(first)
    assert (await world.chain.transaction_status(txid)).place is Place.MEMPOOL
    await world.mine()


async def test_what_only_a_stale_block_holds_is_unknown(world: World) -> None:
    (newest,) = await world.mine()
    coinbase = (await world.call("getblock", newest, 1))["tx"][0]
    assert (await world.chain.transaction_status(coinbase)).place is Place.CHAIN
    await world.owner.invalidate(newest)
    assert (await world.chain.transaction_status(coinbase)).place is Place.UNKNOWN
    await world.mine()


async def test_who_spends_an_output(world: World) -> None:
    coin = await world.coin()
    spend = world.key.spend([coin], 50_000, 49_000)
    assert await world.chain.spend_of(named(coin[0])) is None
    await send(world, spend)
    seen = await world.chain.spend_of(named(coin[0]))
    assert seen is not None
    assert (seen.txid, seen.status.place) == (txid_of(spend), Place.MEMPOOL)
    assert await world.chain.spend_of(Outpoint(txid_of(spend), 0)) is None
    (block, *_) = await world.mine(3)
    seen = await world.chain.spend_of(named(coin[0]))
    assert seen is not None
    assert (seen.txid, seen.status.place, seen.status.block_hash) == (txid_of(spend), Place.CHAIN, block)
    assert await world.chain.spend_of(Outpoint(txid_of(spend), 1)) is None
    assert await world.chain.spend_of(Outpoint(txid_of(spend), 9)) is None
    assert await world.chain.spend_of(Outpoint("00" * 31 + "01", 0)) is None


async def test_coins(world: World) -> None:
    scripts = [world.key.script, b"\x51\x20" + b"\x99" * 32]
    assert await world.chain.coins_of(scripts) == ()
    assert await world.chain.coins_of([]) == ()
    kept, spent = await world.coin(70_000), await world.coin(60_000)
    await world.coin(50_000, confirmed=False)
    found = await world.chain.coins_of(scripts)
    assert {(c.outpoint, c.value, c.confirmations) for c in found} == {
        (named(kept[0]), 70_000, 2),
        (named(spent[0]), 60_000, 1),
    }
    assert {coin.script for coin in found} == {world.key.script}
    await send(world, world.key.spend([spent], 59_000))
    assert [c.outpoint for c in await world.chain.coins_of(scripts)] == [named(kept[0])]
    await world.mine()
    assert sorted(c.value for c in await world.chain.coins_of(scripts)) == [50_000, 59_000, 70_000]


async def test_a_coinbase_is_no_coin_before_it_is_mature(world: World) -> None:
    await world.call("generatetoaddress", 1, taproot_address(world.key.script, Network.REGTEST))
    await world.mine(98)
    assert await world.chain.coins_of([world.key.script]) == ()
    await world.mine()
    (coin,) = await world.chain.coins_of([world.key.script])
    assert coin.confirmations == 100


async def test_sending_again_is_known(world: World) -> None:
    first = world.key.spend([await world.coin()], 99_000)
    assert await send(world, first) is BroadcastVerdict.ACCEPTED
    assert (await world.chain.broadcast(first.serialize())).in_node
    await world.mine()
    assert await send(world, first) is BroadcastVerdict.ALREADY_KNOWN
    assert await send(world, world.key.spend(coins_from(first), 98_000)) is BroadcastVerdict.ACCEPTED
    await world.mine()
    # All outputs are spent now: the node answers as for missing inputs, and must not be believed.
    assert await send(world, first) is BroadcastVerdict.ALREADY_KNOWN


async def test_refusals(world: World) -> None:
    coin = await world.coin()
    tip = (await world.chain.tip()).height
    never = (OutPoint(b"\x01" * 32, 0), TxOut(Sats(100_000), world.key.script))
    cases = [
        (world.key.spend([coin], 100_000), BroadcastVerdict.FEE_TOO_LOW),
        (world.key.spend([coin], 99_000, lock_time=tip + 1), BroadcastVerdict.NOT_FINAL),
        (world.key.spend([coin], 99_000, sequence=50), BroadcastVerdict.NOT_FINAL),
        (world.key.spend([never], 99_000), BroadcastVerdict.MISSING_INPUTS),
        (world.key.spend([coin], 101_000), BroadcastVerdict.INVALID),
        (world.key.spend([coin], 99_000).with_witness(0, (bytes(64),)), BroadcastVerdict.INVALID),
        (world.key.spend([coin], 98_000, 329), BroadcastVerdict.INVALID),
    ]
    for transaction, verdict in cases:
        result = await world.chain.broadcast(transaction.serialize())
        assert result.verdict is verdict, result.reason
        assert not result.in_node
        assert result.reason
    assert (await world.chain.broadcast(b"\x02\x00")).verdict is BroadcastVerdict.INVALID


async def test_conflicts(world: World) -> None:
    coin = await world.coin()
    assert await send(world, world.key.spend([coin], 98_000)) is BroadcastVerdict.ACCEPTED
    assert await send(world, world.key.spend([coin], 97_999)) is BroadcastVerdict.CONFLICT
    assert await send(world, world.key.spend([coin], 90_000)) is BroadcastVerdict.ACCEPTED
    await world.mine()
    assert await send(world, world.key.spend([coin], 97_000)) is BroadcastVerdict.MISSING_INPUTS


async def test_a_package_lifts_a_parent_below_the_floor(world: World) -> None:
    parent = world.key.spend([await world.coin()], 100_000, version=3)
    assert await send(world, parent) is BroadcastVerdict.FEE_TOO_LOW
    poor, rich = (world.key.spend(coins_from(parent), value, version=3) for value in (99_999, 98_000))
    raws = [parent.serialize(), poor.serialize()]
    assert (await world.chain.broadcast_package(raws)).verdict is BroadcastVerdict.FEE_TOO_LOW
    assert (await world.chain.transaction_status(txid_of(parent))).place is Place.UNKNOWN
    raws = [parent.serialize(), rich.serialize()]
    assert (await world.chain.broadcast_package(raws)).verdict is BroadcastVerdict.ACCEPTED
    assert (await world.chain.broadcast_package(raws)).in_node
    assert (await world.chain.transaction_status(txid_of(parent))).place is Place.MEMPOOL
    await world.mine()
    assert (await world.chain.transaction_status(txid_of(rich))).place is Place.CHAIN


async def test_a_package_whose_parent_confirmed_meanwhile(world: World) -> None:
    parent = world.key.spend([await world.coin()], 99_000)
    await send(world, parent)
    await world.mine()
    child = world.key.spend(coins_from(parent), 98_000)
    raws = [parent.serialize(), child.serialize()]
    assert (await world.chain.broadcast_package(raws)).verdict is BroadcastVerdict.ACCEPTED
    await world.mine()
    assert (await world.chain.broadcast_package(raws)).verdict is BroadcastVerdict.ALREADY_KNOWN


async def test_fees(world: World) -> None:
    """Core's estimator keeps rates in buckets of a twentieth."""
    assert await world.chain.relay_floor() == 25
    await world.owner.estimate(8)
    for target in (2, 6):
        rate = await world.chain.fee_rate(target)
        assert rate is not None
        assert 1_900 <= rate <= 2_000


async def test_estimates_of_each_target(embedded: World) -> None:
    await embedded.setting("setfeeestimates", {"2": 4_001, "6": 2_000}, {"1": 2_000})
    assert await embedded.chain.fee_rate(6) == 500
    assert await embedded.chain.fee_rate(2) == 1_001
    await embedded.call("setfeeestimates", {})
    assert await embedded.chain.fee_rate(6) is None


async def test_a_full_mempool_raises_the_floor(world: World) -> None:
    coin = await world.coin()
    await world.owner.raise_floor(4)
    if isinstance(world.chain, CoreNode):  # Esplora tells no floor
        assert 1_000 <= await world.chain.relay_floor() <= 1_250
    cheap = world.key.spend([coin], 99_600)
    assert await send(world, cheap) is BroadcastVerdict.FEE_TOO_LOW
    assert await send(world, world.key.spend([coin], 99_000)) is BroadcastVerdict.ACCEPTED


async def test_the_wallet_funds_and_is_mined(world: World, tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "c.sqlite")
    wallet = OnchainWallet(store, world.chain, Secret.random(), Network.REGTEST)
    deposit = await wallet.script_for("operator", "deposit")
    funding = world.key.spend([await world.coin(900_000)], 500_000, 398_000, script=deposit)
    await send(world, funding)
    assert await wallet.total() == 0
    await world.mine()
    assert await wallet.balance() == await wallet.total() == 898_000
    output = Output(world.key.script, Sats(600_000))
    plan = await wallet.plan_funding("lane", "funding/1", output, FeeRate(500))
    assert (await wallet.balance(), await wallet.total()) == (0, 898_000)
    result = await world.chain.broadcast(await wallet.sign(plan))
    assert result.verdict is BroadcastVerdict.ACCEPTED, result.reason
    # Spent in the mempool is spent; the change counts once it is in a block.
    assert await wallet.total() == 0
    await world.mine()
    assert (await world.chain.transaction_status(plan.txid)).place is Place.CHAIN
    assert await wallet.total() == await wallet.balance() == plan.change_value == 298_000 - plan.fee
    await store.close()


async def test_replacements(world: World) -> None:
    """What a fee bump counts on: more in satoshi by the incremental relay fee, and more for each byte."""
    coin, other = await world.coin(), await world.coin(1_000)
    first = world.key.spend([coin], 99_000)
    assert await send(world, first) is BroadcastVerdict.ACCEPTED
    step = fee_for_weight(await world.chain.incremental_relay(), 4 * first.vsize)
    assert step > 0
    assert await send(world, world.key.spend([coin], 98_999)) is BroadcastVerdict.CONFLICT
    assert await send(world, world.key.spend([coin], 99_000 - step)) is BroadcastVerdict.ACCEPTED
    assert (await world.chain.transaction_status(txid_of(first))).place is Place.UNKNOWN
    # More in satoshi, but less for each byte: a second input makes it heavier.
    assert await send(world, world.key.spend([coin, other], 101_000 - 1_000 - 3 * step)) is BroadcastVerdict.CONFLICT
    assert await send(world, world.key.spend([coin, other], 101_000 - 2_000 - 3 * step)) is BroadcastVerdict.ACCEPTED
    await world.mine()


async def test_a_child_of_an_anchor_lifts_a_parent_below_the_floor(world: World, tmp_path: Path) -> None:
    """As a contract's outcome is bumped: a parent of version 2 that pays too little, and the wallet's child."""
    store = await SqliteStore.open(tmp_path / "c.sqlite")
    wallet = OnchainWallet(store, world.chain, Secret.random(), Network.REGTEST)
    deposit = await wallet.script_for("operator", "deposit")
    await send(world, world.key.spend([await world.coin(200_000)], 100_000, 98_000, script=deposit))
    parent = world.key.spend([await world.coin()], 99_460, TxOut(Sats(240), PAY_TO_ANCHOR))
    await world.mine()
    await world.owner.raise_floor(8)
    assert await send(world, parent) is BroadcastVerdict.FEE_TOO_LOW
    anchor = Coin(Outpoint(txid_of(parent), 1), Sats(240), PAY_TO_ANCHOR, Confirmations(0))
    coins = (anchor, *await wallet.fee_coins("lane", "bump/outcome/1", Sats(50_000)))
    poor, rich = [await wallet.spend_to_us("lane", "bump/outcome/1", coins, Sats(fee)) for fee in (1_200, 4_000)]
    raw = parent.serialize()
    assert (await world.chain.broadcast_package([raw, poor])).verdict is BroadcastVerdict.FEE_TOO_LOW
    assert (await world.chain.broadcast_package([raw, rich])).verdict is BroadcastVerdict.ACCEPTED
    assert (await world.chain.transaction_status(txid_of(parent))).place is Place.MEMPOOL
    # The coin is spent in the mempool, and known to be reserved all the same.
    assert await wallet.fee_coins("lane", "bump/outcome/1", Sats(0)) == coins[1:]
    dearer = await wallet.spend_to_us("lane", "bump/outcome/1", coins, Sats(6_000))
    assert (await world.chain.broadcast(dearer)).verdict is BroadcastVerdict.ACCEPTED
    await world.mine()
    assert (await world.chain.transaction_status(txid_of(Transaction.parse(dearer)))).place is Place.CHAIN
    assert await wallet.total() == 198_000 + 240 - 6_000
    await store.close()


async def test_wrong_credentials(wrong_credentials: CoreNode) -> None:
    with pytest.raises(Unsuitable):
        await wrong_credentials.tip()


async def test_a_node_that_is_away(nobody: list[Chain]) -> None:
    with stamina.set_testing(True, attempts=2):
        for chain in nobody:
            calls: list[Any] = [chain.tip(), chain.transaction_status("aa" * 32), chain.broadcast(b"\x00")]
            for call in calls:
                with pytest.raises(Unreachable):
                    await call
