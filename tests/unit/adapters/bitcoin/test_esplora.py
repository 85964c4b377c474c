"""Rules of the Esplora client that need answers by hand: traps of its REST, checks, verdicts."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coordinator.adapters.bitcoin import EsploraNode
from coordinator.ports.bitcoin import BroadcastVerdict, Network, Outpoint, Place
from coordinator.ports.faults import Garbled, PortError, Rejected, Unreachable, Unsuitable
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import sha256
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import FeeRate, Height, Sats
from tests.support.blocks import coinbase, mined

Explore = Callable[[dict[str, tuple[int, Any]]], EsploraNode]
MISSING = (404, "Transaction not found")
SCRIPT = b"\x51\x20" + b"\x02" * 32
UTXO = f"/scripthash/{sha256(SCRIPT).hex()}/utxo"
HASH = "bb" * 32
COINBASE = Transaction(
    (TxIn(OutPoint(bytes(32), 0xFFFFFFFF), 0xFFFFFFFF, (), b"\x01\x83"),), (TxOut(Sats(50), SCRIPT),)
)
SPEND = Transaction((TxIn(OutPoint(b"\x07" * 32, 3), 0xFFFFFFFD, (b"\x01" * 64,)),), (TxOut(Sats(9), SCRIPT),) * 2)
OTHER = Transaction((TxIn(OutPoint(b"\x07" * 32, 4), 0xFFFFFFFD),), (TxOut(Sats(9), SCRIPT),))


def sealed(*others: Transaction) -> tuple[str, bytes]:
    """Hash and bytes of a block of regtest."""
    return mined((coinbase(131, *others), *others), time=1_795_000_000, previous="05" * 32)


def block_answers(block_hash: str, raw: bytes) -> dict[str, tuple[int, Any]]:
    head = {"id": block_hash, "height": 131, "timestamp": 1_795_000_000, "mediantime": 1_794_000_000}
    return {
        "/block-height/131": (200, block_hash),
        f"/block/{block_hash}": (200, head),
        f"/block/{block_hash}/raw": (200, raw),
        "/blocks/tip/hash": (200, block_hash),
    }


@pytest.mark.parametrize(
    ("genesis", "network"),
    [
        ("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", Network.MAINNET),
        ("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6", Network.SIGNET),
        ("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043", Network.TESTNET4),
        ("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206", Network.REGTEST),
    ],
)
async def test_network_by_genesis(explore: Explore, genesis: str, network: Network) -> None:
    assert await explore({"/block-height/0": (200, genesis)}).network() is network


async def test_an_unknown_network(explore: Explore) -> None:
    with pytest.raises(Unsuitable):
        await explore({"/block-height/0": (200, HASH)}).network()


async def test_block(explore: Explore) -> None:
    block_hash, raw = sealed(SPEND, OTHER)
    node = explore(block_answers(block_hash, raw))
    block = await node.block_at(Height(131))
    assert block is not None
    assert (block.block_hash, block.previous_hash) == (block_hash, "05" * 32)
    assert (block.time, block.median_time_past) == (1_795_000_000, 1_794_000_000)
    assert [t.txid for t in block.transactions] == [
        t.txid[::-1].hex() for t in (coinbase(131, SPEND, OTHER), SPEND, OTHER)
    ]
    assert [t.spends for t in block.transactions][:2] == [(), (Outpoint("07" * 32, 3),)]
    assert (await node.tip()).height == 131


async def test_a_block_is_not_taken_on_the_servers_word(explore: Explore) -> None:
    block_hash, raw = sealed(SPEND)
    _, other = sealed()
    for served in (other, raw[:-1], raw + b"\x00", raw[:100], b"", raw[:100] + b"\xee" + raw[101:]):
        with pytest.raises(Garbled):
            await explore(block_answers(block_hash, served)).block_at(Height(131))


async def test_above_the_tip_there_is_no_block(explore: Explore) -> None:
    assert await explore({"/block-height/999": (404, "Block not found")}).block_at(Height(999)) is None


async def test_unknown_unconfirmed_and_confirmed_are_told_apart(explore: Explore) -> None:
    def seen(status: dict[str, Any]) -> dict[str, tuple[int, Any]]:
        return {f"/tx/{HASH}": (200, {"txid": HASH, "status": status, "vin": []})}

    assert (await explore({f"/tx/{HASH}": MISSING}).transaction_status(HASH)).place is Place.UNKNOWN
    assert (await explore(seen({"confirmed": False})).transaction_status(HASH)).place is Place.MEMPOOL
    chain = {"confirmed": True, "block_height": 7, "block_hash": "cc" * 32}
    status = await explore(seen(chain)).transaction_status(HASH)
    assert (status.place, status.height, status.block_hash) == (Place.CHAIN, 7, "cc" * 32)
    with pytest.raises(Unreachable):
        await explore(seen({"confirmed": True})).transaction_status(HASH)


@pytest.mark.parametrize("words", ["<html>404 Not Found</html>", "", "not found", '{"error": "no route"}'])
async def test_a_404_of_somebody_else_does_not_say_unknown(explore: Explore, words: str) -> None:
    """A wrong base address must not make every transaction look as if it had never been sent."""
    with pytest.raises(Unreachable):
        await explore({f"/tx/{HASH}": (404, words)}).transaction_status(HASH)


async def test_a_raw_transaction_is_the_one_asked_for(explore: Explore) -> None:
    txid = SPEND.txid[::-1].hex()
    node = explore(
        {f"/tx/{txid}/raw": (200, SPEND.serialize()), f"/tx/{HASH}/raw": (200, SPEND.serialize()), "/tx/x/raw": MISSING}
    )
    assert await node.raw_transaction(txid) == SPEND.serialize()
    assert await node.raw_transaction("x") is None
    with pytest.raises(Unreachable, match="another transaction"):
        await node.raw_transaction(HASH)


async def test_spends(explore: Explore) -> None:
    path = f"/tx/{HASH}/outspend/1"
    assert await explore({path: (200, {"spent": False})}).spend_of(Outpoint(HASH, 1)) is None
    spent = {"spent": True, "txid": "cc" * 32, "vin": 0, "status": {"confirmed": False}}
    spend = await explore({path: (200, spent)}).spend_of(Outpoint(HASH, 1))
    assert spend is not None
    assert (spend.txid, spend.status.place) == ("cc" * 32, Place.MEMPOOL)
    with pytest.raises(Unreachable):
        await explore({path: (200, {"spent": True})}).spend_of(Outpoint(HASH, 1))


async def test_coins_are_confirmed_and_no_young_coinbase(explore: Explore) -> None:
    block_hash, raw = sealed()

    def coin(txid: str, height: int | None) -> dict[str, Any]:
        status = {"confirmed": height is not None, "block_height": height, "block_hash": HASH if height else None}
        return {"txid": txid, "vout": 0, "value": 1_000, "status": status}

    def parent(txid: str, coinbase: bool) -> tuple[int, Any]:
        return 200, {"txid": txid, "status": {"confirmed": True}, "vin": [{"is_coinbase": coinbase}]}

    old, young, plain, waiting = ("11" * 32, "22" * 32, "33" * 32, "44" * 32)
    answers = {
        **block_answers(block_hash, raw),
        UTXO: (200, [coin(old, 32), coin(young, 33), coin(plain, 131), coin(waiting, None)]),
        f"/tx/{young}": parent(young, True),
        f"/tx/{plain}": parent(plain, False),
    }
    found = await explore(answers).coins_of([SCRIPT, SCRIPT])
    assert [(c.outpoint.txid, c.confirmations, c.value) for c in found] == [(old, 100, 1_000), (plain, 1, 1_000)]
    assert all(c.script == SCRIPT for c in found)


REFUSAL = 'sendrawtransaction RPC error: {"code":%d,"message":"%s"}'


@pytest.mark.parametrize(
    ("status", "words", "verdict"),
    [
        (200, HASH, BroadcastVerdict.ACCEPTED),
        (400, REFUSAL % (-27, "Transaction outputs already in utxo set"), BroadcastVerdict.ALREADY_KNOWN),
        (400, REFUSAL % (-26, "min relay fee not met, 5 < 12"), BroadcastVerdict.FEE_TOO_LOW),
        (400, REFUSAL % (-26, "non-final"), BroadcastVerdict.NOT_FINAL),
        (400, REFUSAL % (-25, "bad-txns-inputs-missingorspent"), BroadcastVerdict.MISSING_INPUTS),
        (400, REFUSAL % (-22, "TX decode failed"), BroadcastVerdict.INVALID),
        (400, "sendrawtransaction RPC error -26: txn-mempool-conflict", BroadcastVerdict.CONFLICT),
        (400, 'sendrawtransaction RPC error: {"code":-26,"message":', BroadcastVerdict.INVALID),
    ],
)
async def test_verdicts(explore: Explore, status: int, words: str, verdict: BroadcastVerdict) -> None:
    node = explore({"/tx": (status, words), f"/tx/{SPEND.txid[::-1].hex()}": MISSING})
    assert (await node.broadcast(SPEND.serialize())).verdict is verdict


async def test_confirmed_with_all_outputs_spent_is_known(explore: Explore) -> None:
    txid = SPEND.txid[::-1].hex()
    status = {"confirmed": True, "block_height": 7, "block_hash": HASH}
    answers = {
        "/tx": (400, REFUSAL % (-25, "bad-txns-inputs-missingorspent")),
        f"/tx/{txid}": (200, {"txid": txid, "status": status, "vin": []}),
    }
    assert (await explore(answers).broadcast(SPEND.serialize())).verdict is BroadcastVerdict.ALREADY_KNOWN


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (400, REFUSAL % (-1, "help"), Rejected),
        (400, "Invalid hex", Unreachable),
        (500, "boom", Unreachable),
        (503, "", Unreachable),
        (404, "endpoint does not exist", Unreachable),
    ],
)
async def test_what_is_no_verdict(explore: Explore, status: int, words: str, error: type[PortError]) -> None:
    with pytest.raises(error):
        await explore({"/tx": (status, words)}).broadcast(SPEND.serialize())


@pytest.mark.parametrize(
    ("estimates", "target", "rate"),
    [
        ({"1": 4.0, "6": 2.0, "144": 1.0}, 6, 500),
        ({"1": 4.0, "6": 2.0, "144": 1.0}, 7, 500),
        ({"1": 4.0, "6": 2.0, "144": 1.0}, 5, 1_000),
        ({"2": 1.001}, 1, 251),
        ({}, 6, None),
        ({"6": 0, "x": 3.0, "9" * 5_000: 1.0}, 6, None),
    ],
)
async def test_fee_rates(explore: Explore, estimates: dict[str, float], target: int, rate: int | None) -> None:
    assert await explore({"/fee-estimates": (200, estimates)}).fee_rate(target) == rate


async def test_the_relay_floor_is_a_setting() -> None:
    for floor in (FeeRate(250), FeeRate(25)):
        node = EsploraNode("http://127.0.0.1:1", network=Network.REGTEST, relay_floor=floor)
        assert await node.relay_floor() == floor
        await node.close()


HOSTILE = [b"", b"{", b"null", b"[]", b"5", b"\xff", b'{"spent": 1}', b'[{"txid": "x"}]', b'{"6": 1e999999}', b"a" * 64]


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("body", HOSTILE)
async def test_hostile_answers_get_typed_errors(body: bytes, status: int) -> None:
    node = EsploraNode(
        "http://h",
        network=Network.REGTEST,
        transport=httpx.MockTransport(lambda _: httpx.Response(status, content=body)),
    )
    calls: list[Any] = [
        node.network,
        node.tip,
        lambda: node.block_at(Height(1)),
        lambda: node.transaction_status(HASH),
        lambda: node.raw_transaction(HASH),
        lambda: node.spend_of(Outpoint(HASH, 0)),
        lambda: node.coins_of([SCRIPT]),
        lambda: node.fee_rate(6),
        lambda: node.broadcast_package([SPEND.serialize(), COINBASE.serialize()]),
    ]
    for call in calls:
        try:
            assert await call() is None
        except PortError:
            continue
    await node.close()


@pytest.mark.parametrize("raws", [[], [b""], [b"\x00" * 10]])
async def test_a_package_is_read_before_it_is_sent(explore: Explore, raws: list[bytes]) -> None:
    with pytest.raises(InvalidInput, match="package"):
        await explore({}).broadcast_package(raws)
