"""What the client makes of a real bitcoind's answers."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from coordinator.adapters.bitcoin import CoreNode
from coordinator.adapters.bitcoin.rpc import CoreRpc, RpcError
from coordinator.ports.bitcoin import BroadcastVerdict, Network, Outpoint, Place
from coordinator.ports.faults import Garbled, PortError, Unreachable, Unsuitable
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction
from coordinator_core.units import Height

Play = Callable[..., CoreNode]
Recorded = dict[str, dict[str, Any]]
Hand = Callable[..., dict[str, Any]]
SYNCED = {"txindex": {"synced": True, "best_block_height": 130}}


def first_param(exchange: dict[str, Any]) -> Any:
    return exchange["request"]["params"][0]


async def test_chain_and_tip(play: Play, recorded: Recorded) -> None:
    node = play("getblockchaininfo")
    assert await node.network() is Network.REGTEST
    tip = await node.tip()
    body = recorded["getblockchaininfo"]["body"]["result"]
    assert (tip.height, tip.block_hash) == (130, body["bestblockhash"])
    assert (tip.time, tip.median_time_past) == (body["time"], body["mediantime"])


async def test_a_chain_that_we_do_not_know(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    info = {**recorded["getblockchaininfo"]["body"]["result"], "chain": "testnet3"}
    with pytest.raises(Unsuitable, match="testnet3"):
        await play(by_hand("getblockchaininfo", info)).network()


def header_of(recorded: Recorded, by_hand: Hand, confirmations: int = 2, **more: Any) -> dict[str, Any]:
    """The header of the recorded block."""
    body = recorded["getblock_2"]["body"]["result"]
    return by_hand(
        "getblockheader",
        {key: body[key] for key in ("height", "mediantime")} | {"confirmations": confirmations},
        **more,
    )


async def test_block(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    body = recorded["getblock_2"]["body"]["result"]
    node = play(by_hand("getblockhash", body["hash"]), header_of(recorded, by_hand), "getblock_0")
    assert await node.hash_at(Height(131)) == body["hash"]
    block = await node.block_at(Height(131))
    assert block is not None
    assert (block.height, block.block_hash, block.previous_hash) == (131, body["hash"], body["previousblockhash"])
    assert (block.time, block.median_time_past, block.size) == (body["time"], body["mediantime"], body["size"])
    assert [t.txid for t in block.transactions] == [t["txid"] for t in body["tx"]]
    coinbase, spend = block.transactions
    assert coinbase.spends == ()
    assert spend.spends == (Outpoint(body["tx"][1]["vin"][0]["txid"], 0),)


@pytest.mark.parametrize("served", ["", "zz", "00", lambda raw: raw[:-2], lambda raw: raw[:400] + "ee" + raw[402:]])
async def test_a_block_that_is_not_the_one_of_its_hash_is_refused(
    play: Play, recorded: Recorded, by_hand: Hand, served: Any
) -> None:
    raw = recorded["getblock_0"]["body"]["result"]
    wrong = by_hand("getblock", served if isinstance(served, str) else served(raw))
    node = play(
        by_hand("getblockhash", "4e056a944d7ecbb36e1d9301f0b07cb7152516b849d6f781e91a152fba318ab1"),
        header_of(recorded, by_hand),
        wrong,
    )
    with pytest.raises(Garbled):
        await node.block_at(Height(131))


async def test_a_median_time_that_cannot_be_is_refused(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    body = recorded["getblock_2"]["body"]["result"]
    late = by_hand("getblockheader", {"height": 131, "mediantime": body["time"] + 1, "confirmations": 1})
    with pytest.raises(Garbled, match="median time"):
        await play(by_hand("getblockhash", body["hash"]), late, "getblock_0").block_at(Height(131))


async def test_a_block_of_another_network_shows_too_little_work(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    body = recorded["getblock_2"]["body"]["result"]
    exchanges = (by_hand("getblockhash", body["hash"]), header_of(recorded, by_hand), "getblock_0")
    with pytest.raises(Garbled, match="too little work"):
        await play(*exchanges, network=Network.SIGNET).block_at(Height(131))


@pytest.mark.parametrize("name", ["getblockhash_out_of_range", "getblockhash_out_of_range_v1"])
async def test_above_the_tip_there_is_no_block(play: Play, name: str) -> None:
    assert await play(name).block_at(Height(100_000)) is None


async def test_a_block_that_left_the_chain_between_two_calls_is_asked_for_again(
    play: Play, recorded: Recorded, by_hand: Hand
) -> None:
    found = recorded["getblock_2"]["body"]["result"]
    node = play(
        by_hand("getblockhash", "aa" * 32),
        by_hand("getblockhash", found["hash"]),
        header_of(recorded, by_hand, -1, first="aa" * 32),
        header_of(recorded, by_hand, first=found["hash"]),
        by_hand("getblock", "00", first="aa" * 32),
        "getblock_0",
    )
    block = await node.block_at(Height(131))
    assert block is not None
    assert block.block_hash == found["hash"]


async def test_a_transaction_of_the_mempool(play: Play, recorded: Recorded) -> None:
    name = "getrawtransaction_mempool_verbose"
    node = play(name)
    txid = first_param(recorded[name])
    status = await node.transaction_status(txid)
    assert (status.place, status.height) == (Place.MEMPOOL, None)
    raw = await node.raw_transaction(txid)
    assert raw is not None
    assert Transaction.parse(raw).txid[::-1].hex() == txid


async def test_a_transaction_of_the_chain(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    name = "getrawtransaction_confirmed"
    found = recorded[name]["body"]["result"]
    node = play(name, by_hand("getblockheader", {"height": 131, "confirmations": 2}, first=found["blockhash"]))
    status = await node.transaction_status(first_param(recorded[name]))
    assert (status.place, status.height, status.block_hash) == (Place.CHAIN, 131, found["blockhash"])


async def test_a_transaction_that_a_reorg_gave_back(play: Play, recorded: Recorded) -> None:
    name = "getrawtransaction_after_invalidate"
    assert (await play(name).transaction_status(first_param(recorded[name]))).place is Place.MEMPOOL


async def test_a_transaction_that_only_a_stale_block_holds_is_unknown(play: Play, recorded: Recorded) -> None:
    """The index still gives it with a block hash; taking that for confirmed would settle tickets."""
    name = "getrawtransaction_stale"
    assert "blockhash" in recorded[name]["body"]["result"]
    node = play(name, {**recorded["getblockheader_off_chain"], "request": {"method": "getblockheader", "params": []}})
    assert (await node.transaction_status(first_param(recorded[name]))).place is Place.UNKNOWN


@pytest.mark.parametrize("name", ["getrawtransaction_unknown", "getrawtransaction_unknown_v1"])
async def test_an_unknown_transaction(play: Play, recorded: Recorded, name: str) -> None:
    node = play(name, "getindexinfo", "getblockchaininfo")
    assert (await node.transaction_status(first_param(recorded[name]))).place is Place.UNKNOWN
    assert await node.raw_transaction(first_param(recorded[name])) is None


@pytest.mark.parametrize(
    ("indexes", "error"),
    [
        ({}, Unsuitable),
        ({"txindex": {"synced": False, "best_block_height": 130}}, Unreachable),
        ({"txindex": {"synced": True, "best_block_height": 129}}, Unreachable),
    ],
)
async def test_unknown_is_said_only_by_an_index_that_is_complete(
    play: Play, recorded: Recorded, by_hand: Hand, indexes: Any, error: type[PortError]
) -> None:
    name = "getrawtransaction_unknown"
    with pytest.raises(error):
        await play(name, by_hand("getindexinfo", indexes), "getblockchaininfo").transaction_status(
            first_param(recorded[name])
        )


async def test_a_transaction_that_was_mined_meanwhile_is_found_by_the_second_look(
    play: Play, recorded: Recorded, by_hand: Hand
) -> None:
    missing = by_hand("getrawtransaction", error=recorded["getrawtransaction_unknown"]["body"]["error"])
    confirmed = recorded["getrawtransaction_confirmed"]
    header = by_hand("getblockheader", {"height": 131, "confirmations": 1})
    node = play(missing, confirmed, header, "getindexinfo", "getblockchaininfo")
    assert (await node.transaction_status(first_param(confirmed))).place is Place.CHAIN


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("sendrawtransaction_ok", BroadcastVerdict.ACCEPTED),
        ("sendrawtransaction_again_in_mempool", BroadcastVerdict.ACCEPTED),
        ("sendrawtransaction_already_confirmed", BroadcastVerdict.ALREADY_KNOWN),
        ("sendrawtransaction_below_min_relay_fee", BroadcastVerdict.FEE_TOO_LOW),
        ("sendrawtransaction_zero_fee_parent_alone", BroadcastVerdict.FEE_TOO_LOW),
        ("sendrawtransaction_not_final", BroadcastVerdict.NOT_FINAL),
        ("sendrawtransaction_bip68_not_final", BroadcastVerdict.NOT_FINAL),
        ("sendrawtransaction_immature_coinbase", BroadcastVerdict.NOT_FINAL),
        ("sendrawtransaction_conflict_same_fee", BroadcastVerdict.CONFLICT),
        ("sendrawtransaction_replacement", BroadcastVerdict.ACCEPTED),
        ("sendrawtransaction_dust", BroadcastVerdict.INVALID),
        ("sendrawtransaction_dust_v1", BroadcastVerdict.INVALID),
        ("sendrawtransaction_bad_signature", BroadcastVerdict.INVALID),
        ("sendrawtransaction_script_lock_unmet", BroadcastVerdict.INVALID),
        ("sendrawtransaction_more_out_than_in", BroadcastVerdict.INVALID),
        ("sendrawtransaction_max_fee_exceeded", BroadcastVerdict.INVALID),
        ("sendrawtransaction_version_4", BroadcastVerdict.INVALID),
        ("sendrawtransaction_version_3_child_of_version_2", BroadcastVerdict.INVALID),
    ],
)
async def test_verdicts(play: Play, recorded: Recorded, name: str, verdict: BroadcastVerdict) -> None:
    result = await play(name).broadcast(bytes.fromhex(first_param(recorded[name])))
    assert result.verdict is verdict
    assert result.in_node == (verdict in (BroadcastVerdict.ACCEPTED, BroadcastVerdict.ALREADY_KNOWN))


async def test_garbage_is_invalid(play: Play, recorded: Recorded) -> None:
    error = recorded["sendrawtransaction_garbage"]
    node = play({**error, "request": {"method": "sendrawtransaction", "params": []}})
    assert (await node.broadcast(b"\x02\x00")).verdict is BroadcastVerdict.INVALID


@pytest.mark.parametrize("name", ["sendrawtransaction_conflict_confirmed", "sendrawtransaction_missing_inputs"])
async def test_missing_inputs(play: Play, recorded: Recorded, by_hand: Hand, name: str) -> None:
    unknown = by_hand("getrawtransaction", error=recorded["getrawtransaction_unknown"]["body"]["error"])
    node = play(name, unknown, "getindexinfo", "getblockchaininfo")
    result = await node.broadcast(bytes.fromhex(first_param(recorded[name])))
    assert result.verdict is BroadcastVerdict.MISSING_INPUTS


async def test_a_confirmed_transaction_whose_outputs_are_spent_is_not_given_up(
    play: Play, recorded: Recorded, by_hand: Hand
) -> None:
    name = "sendrawtransaction_already_confirmed_all_spent"
    assert "missingorspent" in recorded[name]["body"]["error"]["message"]
    found = by_hand("getrawtransaction", recorded["getrawtransaction_confirmed"]["body"]["result"])
    node = play(name, found, by_hand("getblockheader", {"height": 131, "confirmations": 3}))
    result = await node.broadcast(bytes.fromhex(first_param(recorded[name])))
    assert result.verdict is BroadcastVerdict.ALREADY_KNOWN


@pytest.mark.parametrize("code", [-1, -32601, -8, -20])
async def test_an_error_about_the_call_is_no_verdict(play: Play, by_hand: Hand, code: int) -> None:
    with pytest.raises(RpcError) as caught:
        await play(by_hand("sendrawtransaction", error={"code": code, "message": "no"})).broadcast(b"\x00")
    assert caught.value.number == code


def package(exchange: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(raw) for raw in first_param(exchange)]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("submitpackage_ok", BroadcastVerdict.ACCEPTED),
        ("submitpackage_again", BroadcastVerdict.ACCEPTED),
        ("submitpackage_replaces_child", BroadcastVerdict.ACCEPTED),
        ("submitpackage_low_fee", BroadcastVerdict.FEE_TOO_LOW),
        ("submitpackage_unrelated", BroadcastVerdict.INVALID),
    ],
)
async def test_packages(play: Play, recorded: Recorded, by_hand: Hand, name: str, verdict: BroadcastVerdict) -> None:
    unknown = by_hand("getrawtransaction", error=recorded["getrawtransaction_unknown"]["body"]["error"])
    node = play(name, unknown, "getindexinfo", "getblockchaininfo")
    assert (await node.broadcast_package(package(recorded[name]))).verdict is verdict


async def test_a_refused_parent_is_the_reason_of_its_child(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    raws = package(recorded["submitpackage_low_fee"])
    parent, child = (Transaction.parse(raw).wtxid[::-1].hex() for raw in raws)
    results = {child: {"error": "bad-txns-inputs-missingorspent"}, parent: {"error": "min relay fee not met, 0 < 13"}}
    refused = by_hand("submitpackage", {"package_msg": "transaction failed", "tx-results": results})
    unknown = by_hand("getrawtransaction", error=recorded["getrawtransaction_unknown"]["body"]["error"])
    result = await play(refused, unknown, "getindexinfo", "getblockchaininfo").broadcast_package(raws)
    assert (result.verdict, result.reason) == (BroadcastVerdict.FEE_TOO_LOW, "min relay fee not met, 0 < 13")


async def test_a_package_whose_parent_is_confirmed_sends_the_child_alone(
    play: Play, recorded: Recorded, by_hand: Hand
) -> None:
    raws = package(recorded["submitpackage_confirmed"])
    parent = Transaction.parse(raws[0]).txid[::-1].hex()
    confirmed = recorded["getrawtransaction_confirmed"]["body"]["result"]
    node = play(
        by_hand("getrawtransaction", confirmed, first=parent),
        by_hand("getblockheader", {"height": 131, "confirmations": 3}),
        by_hand("sendrawtransaction", "aa" * 32, first=raws[-1].hex()),
    )
    assert (await node.broadcast_package(raws)).verdict is BroadcastVerdict.ACCEPTED


async def test_a_package_of_nothing_or_of_garbage(play: Play) -> None:
    for raws in ([], [b"\x02\x00", b""]):
        with pytest.raises(InvalidInput, match="package"):
            await play().broadcast_package(raws)


async def test_a_spend_in_the_mempool(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    item = recorded["gettxspendingprevout"]["body"]["result"][0]
    node = play(by_hand("gettxspendingprevout", [item]), "getrawtransaction_mempool_verbose")
    spend = await node.spend_of(Outpoint(item["txid"], item["vout"]))
    assert spend is not None
    assert (spend.txid, spend.status.place) == (item["spendingtxid"], Place.MEMPOOL)


async def test_an_unspent_output(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    outpoint = Outpoint(first_param(recorded["gettxout_unspent"]), 0)
    node = play(by_hand("gettxspendingprevout", [{"txid": outpoint.txid, "vout": 0}]), "gettxout_unspent")
    assert await node.spend_of(outpoint) is None


def spent_long_ago(recorded: Recorded, by_hand: Hand, created: int, tip: int) -> list[Any]:
    """An output of a confirmed transaction is neither in mempool nor UTXO set, and blocks hold no spend of it."""
    block = recorded["getblock_2"]["body"]["result"]
    info = {**recorded["getblockchaininfo"]["body"]["result"], "blocks": tip}
    return [
        by_hand("gettxspendingprevout", [{"txid": "aa" * 32, "vout": 0}]),
        by_hand("gettxout", None),
        by_hand("getrawtransaction", recorded["getrawtransaction_confirmed"]["body"]["result"]),
        by_hand("getblockheader", {"height": created, "confirmations": tip - created + 1, "mediantime": 0}),
        by_hand("getblockchaininfo", info),
        by_hand("getblockhash", block["hash"]),
        recorded["getblock_0"],
    ]


async def test_a_search_that_ends_before_the_spend_is_an_error(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    node = play(*spent_long_ago(recorded, by_hand, 100, 110), spend_search_blocks=5)
    with pytest.raises(Unsuitable, match="5 blocks ago"):
        await node.spend_of(Outpoint("aa" * 32, 0))


async def test_a_spend_that_left_the_chain_is_asked_for_again(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    node = play(*spent_long_ago(recorded, by_hand, 100, 103))
    with pytest.raises(Unreachable):
        await node.spend_of(Outpoint("aa" * 32, 0))


async def test_an_output_that_does_not_exist_is_not_spent(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    assert await play(*spent_long_ago(recorded, by_hand, 100, 103)).spend_of(Outpoint("aa" * 32, 7)) is None


async def test_coins(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    scan = recorded["scantxoutset"]["body"]["result"]
    coin = scan["unspents"][0]
    script = bytes.fromhex(coin["scriptPubKey"])
    free = by_hand("gettxspendingprevout", [{} for _ in scan["unspents"]])
    found = await play(by_hand("scantxoutset", scan), free).coins_of([script])
    assert found[0].outpoint == Outpoint(coin["txid"], coin["vout"])
    assert (found[0].value, found[0].script) == (100_000_000, script)
    assert found[0].confirmations == scan["height"] - coin["height"] + 1
    taken = by_hand("gettxspendingprevout", [{"spendingtxid": "aa" * 32} for _ in scan["unspents"]])
    assert await play(by_hand("scantxoutset", scan), taken).coins_of([script]) == ()
    assert await play().coins_of([]) == ()


@pytest.mark.parametrize(("depth", "mature"), [(99, False), (100, True)])
async def test_a_coinbase_counts_once_it_is_mature(
    play: Play, recorded: Recorded, by_hand: Hand, depth: int, mature: bool
) -> None:
    scan = recorded["scantxoutset"]["body"]["result"]
    coin = {**scan["unspents"][0], "coinbase": True, "height": 1}
    scan = {**scan, "height": depth, "unspents": [coin]}
    found = await play(by_hand("scantxoutset", scan), by_hand("gettxspendingprevout", [{}])).coins_of([b"\x51"])
    assert bool(found) == mature


async def test_a_scan_that_another_one_holds_up_is_waited_for(play: Play, by_hand: Hand) -> None:
    busy = {"code": -8, "message": 'Scan already in progress, use action "abort" or "status"'}
    with pytest.raises(Unreachable) as caught:
        await play(by_hand("scantxoutset", error=busy)).coins_of([b"\x51"])
    assert caught.value.retry_after == 5


async def test_fees(play: Play, recorded: Recorded, by_hand: Hand) -> None:
    assert await play("estimatesmartfee_no_data").fee_rate(6) is None
    rate = by_hand("estimatesmartfee", {"feerate": 0.00001001, "blocks": 6})
    assert await play(rate).fee_rate(6) == 251
    assert await play("getmempoolinfo").relay_floor() == 25
    full = {**recorded["getmempoolinfo"]["body"]["result"], "mempoolminfee": 0.00002}
    assert await play(by_hand("getmempoolinfo", full)).relay_floor() == 500


@pytest.mark.parametrize("name", ["startup_2", "startup_5"])
async def test_a_node_that_starts_is_waited_for(play: Play, recorded: Recorded, name: str) -> None:
    warming = {**recorded[name], "request": {"method": "getblockchaininfo", "params": []}}
    with pytest.raises(Unreachable):
        await play(warming).tip()


@pytest.mark.parametrize("name", ["auth_wrong", "auth_missing"])
async def test_wrong_credentials_need_the_operator(play: Play, recorded: Recorded, name: str) -> None:
    with pytest.raises(Unsuitable, match="credentials"):
        await play({**recorded[name], "request": {"method": "getblockchaininfo", "params": []}}).tip()


HOSTILE = [b"", b"{", b"null", b"[]", b"\xff", b'{"result": 5}', b'{"error": "x"}', b'{"error": {"code": "x"}}']
RESULTS = [
    b"5",
    b'"zz"',
    b"[]",
    b"{}",
    b'{"chain": "regtest", "blocks": -1, "bestblockhash": "", "time": 0, "mediantime": 0}',
    b'{"feerate": 1e999999}',
    b'{"feerate": 0.000000001}',
    b'{"feerate": -1}',
    b'{"feerate": "NaN"}',
    b'{"mempoolminfee": "Infinity", "minrelaytxfee": 1e-6}',
    b'{"success": true, "height": 1, "unspents": [{"txid": "x"}]}',
    b'{"success": false}',
    b'{"package_msg": 3}',
]


@pytest.mark.parametrize("body", HOSTILE + [b'{"error": null, "result": ' + result + b"}" for result in RESULTS])
@pytest.mark.parametrize("status", [200, 500])
async def test_hostile_answers_get_typed_errors(body: bytes, status: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    node = CoreNode(
        CoreRpc("http://127.0.0.1:1", user="u", password=Secret(b"p"), transport=transport), network=Network.REGTEST
    )
    outpoint = Outpoint("aa" * 32, 0)
    calls: list[Any] = [
        node.network,
        node.tip,
        lambda: node.block_at(Height(1)),
        lambda: node.transaction_status("aa" * 32),
        lambda: node.raw_transaction("aa" * 32),
        lambda: node.spend_of(outpoint),
        lambda: node.coins_of([b"\x51"]),
        lambda: node.broadcast(b"\x00"),
        lambda: node.fee_rate(6),
        node.relay_floor,
    ]
    for call in calls:
        try:
            result = await call()
        except PortError:
            continue
        # Only an estimate may be absent, and sendrawtransaction answers any text.
        assert status == 200
        assert result is None or result.verdict is BroadcastVerdict.ACCEPTED
    await node.close()
