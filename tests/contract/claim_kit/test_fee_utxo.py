"""`coordinator claim --fee-utxo`: a player's own coin pays for each step, on the embedded node."""

import json

import pytest
from embit.base58 import encode_check
from embit.networks import NETWORKS
from embit.script import Script

from coordinator.cli.fee_options import KEY_VARIABLE, read_key
from coordinator_core.claim_kit import ClaimDestination, FeeCoin, child_of, plan_claim, win_with_coin
from coordinator_core.claim_kit.fee_coin import der_signature, taproot_script, witness_key_hash_script
from coordinator_core.competition.terms import Network
from coordinator_core.dlc.anchor import BumpUnaffordable
from coordinator_core.dlc.claims import DustSweep
from coordinator_core.errors import InvalidInput, Misuse, Refused
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.transaction import OutPoint, Transaction, TxOut
from coordinator_core.units import FeeRate, Sats

KEY = SecretKey.from_bytes(sha256(b"fee coin"))
SCRIPTS = {"p2tr": taproot_script(KEY), "p2wpkh": witness_key_hash_script(KEY)}
COIN = Sats(100_000)
DELTA = 144


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "fee-key"
    path.write_text(encode_check(b"\xef" + KEY.reveal() + b"\x01") + "\n")
    return path


@pytest.fixture
def pay(node):
    """A confirmed coin on a script of the player's; "TXID:VOUT"."""

    def make(script, value=COIN, *, confirm=True):
        txid = node.call("faucet", Script(script).address(NETWORKS["regtest"]), value)
        txid = txid if isinstance(txid, str) else txid["txid"]
        if confirm:
            node.mine(1)
        outputs = node.call("getrawtransaction", txid, True)["vout"]
        return f"{txid}:{next(o['n'] for o in outputs if o['scriptPubKey']['hex'] == script.hex())}"

    return make


def steps(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["steps"]


def package_rate(node, *txids):
    """Satoshi per virtual byte that transactions of the mempool pay together."""
    entries = [node.call("getmempoolentry", txid) for txid in txids]
    fees = sum(round(entry["fees"]["base"] * 10**8) for entry in entries)
    return fees / sum(entry["vsize"] for entry in entries)


@pytest.mark.parametrize("kind", SCRIPTS)
def test_each_step_is_mined_under_a_floor_that_its_own_fee_does_not_reach(
    node, funded, files, claim_full, pay, key_file, kind
):
    """Anchor children, and the coin as an input of the last transaction. The node relays nothing below the floor."""
    paths = files(funded, 1)
    attested = ("--attestation", funded.attestation(0).hex())
    node.call("setmempoolminimum", 20_000)
    node.call("setblockfloor", 20_000)
    alone = claim_full(paths, node, *attested)
    assert alone.exit_code == 1
    assert "mempool min fee not met" in alone.stderr

    for number in range(3):
        node.call("setmempoolminimum", 0)
        coin = pay(SCRIPTS[kind])
        node.call("setmempoolminimum", 20_000)
        paid = ("--fee-utxo", coin, "--fee-key-file", key_file, "--fee-rate", "25")
        found = steps(claim_full(paths, node, *attested, *paid))
        assert [one["state"] for one in found] == ["confirmed"] * number + ["sent"] + ["waiting"] * (2 - number)
        bumped = found[number]
        package = [bumped["bump"]["txid"]] if number == 2 else [bumped["txid"], bumped["bump"]["txid"]]
        assert 25 <= package_rate(node, *package) < 25.5
        assert all(one["bump"] is None for one in found[number + 1 :])
        change = Transaction.from_hex(bumped["bump"]["hex"]).outputs
        assert [out.script_pubkey for out in change] == [claim_full.script]
        node.mine(1)
        assert node.call("getmempoolinfo")["size"] == 0
        node.mine(DELTA - 1)
    done = json.loads(claim_full(paths, node, *attested).stdout)
    assert done["done"]
    assert done["steps"][2]["replaced_by"] == bumped["bump"]["txid"]


def test_what_was_sent_before_is_bumped_and_bumped_again(node, funded, files, claim_full, pay, key_file):
    paths = files(funded, 1)
    attested = ("--attestation", funded.attestation(0).hex())
    coins = [pay(SCRIPTS["p2tr"]) for _ in range(2)]

    def bump(coin, rate):
        return steps(
            claim_full(paths, node, *attested, "--fee-utxo", coin, "--fee-key-file", key_file, "--fee-rate", rate)
        )

    assert steps(claim_full(paths, node, *attested))[0]["state"] == "sent"
    node.call("setblockfloor", 50_000)
    node.mine(1)
    first = bump(coins[0], "20")[0]
    assert first["state"] == "sent"
    assert bump(coins[0], "20")[0]["state"] == "in mempool"
    again = bump(coins[0], "60")[0]
    assert again["bump"]["txid"] != first["bump"]["txid"]
    assert set(node.call("getrawmempool")) == {again["txid"], again["bump"]["txid"]}
    node.mine(1)
    node.mine(DELTA - 1)
    node.call("setblockfloor", 0)
    assert steps(claim_full(paths, node, *attested))[1]["state"] == "sent"
    node.mine(DELTA)
    assert steps(claim_full(paths, node, *attested))[2]["state"] == "sent"
    node.call("setblockfloor", 50_000)
    replaced = bump(coins[1], "60")[2]
    assert replaced["state"] == "sent"
    assert node.call("getrawmempool") == [replaced["bump"]["txid"]]
    assert steps(claim_full(paths, node, *attested))[2]["state"] == "in mempool"
    node.mine(1)
    assert json.loads(claim_full(paths, node, *attested).stdout)["done"]


def test_nothing_is_sent_without_broadcast(node, funded, files, claim_run, claim_full, pay, key_file, monkeypatch):
    paths, coin = files(funded, 1), pay(SCRIPTS["p2wpkh"])
    monkeypatch.setenv(KEY_VARIABLE, KEY.reveal().hex())
    common = ["--to", claim_full.address, "--esplora", node.esplora, "--fee-utxo", coin, "--fee-rate", "9", "--json"]
    found = steps(claim_run(paths["kit"], "--attestation", funded.attestation(0).hex(), *common))
    assert found[0]["state"] == "ready"
    assert node.call("getrawmempool") == []
    child = Transaction.from_hex(found[0]["bump"]["hex"])
    assert found[0]["bump"]["txid"] == child.txid[::-1].hex()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"--fee-rate": None}, "needs a server, an address and a fee rate"),
        ({"--to": None}, "needs a server, an address and a fee rate"),
        ({"--esplora": None}, "needs a server, an address and a fee rate"),
        ({"--fee-utxo": None}, "has no coin"),
        ({"--fee-utxo": "11" * 32 + ":0"}, "is not a confirmed coin"),
        ({"--fee-utxo": "x:0"}, "--fee-utxo"),
        ({"--fee-key-file": None}, KEY_VARIABLE),
        ({"--fee-rate": "10000"}, "fall short by"),
    ],
)
def test_one_line_says_what_is_wrong_with_the_coin(
    node, funded, files, claim_run, claim_full, pay, key_file, change, text
):
    options = {
        "--to": claim_full.address,
        "--esplora": node.esplora,
        "--fee-utxo": pay(SCRIPTS["p2tr"]),
        "--fee-key-file": str(key_file),
        "--fee-rate": "9",
    } | change
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    result = claim_run(files(funded, 1)["kit"], "--attestation", funded.attestation(0).hex(), *given)
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_coin_that_is_unconfirmed_spent_or_anothers_is_refused(node, funded, files, claim_full, pay, key_file):
    paths, attested = files(funded, 1), ("--attestation", funded.attestation(0).hex())

    def refusal(coin):
        result = claim_full(paths, node, *attested, "--fee-utxo", coin, "--fee-key-file", key_file, "--fee-rate", "9")
        assert result.exit_code == 2
        assert node.call("getrawmempool") in ([], [coin.partition(":")[0]])
        return result.stderr

    other = taproot_script(SecretKey.from_bytes(sha256(b"another")))
    assert "is not locked to this key" in refusal(pay(other))
    assert "is not a confirmed coin" in refusal(pay(SCRIPTS["p2tr"], confirm=False))
    node.mine(1)
    spent = f"{funded.signed.contract.outpoint}"
    assert "is not locked to this key" in refusal(spent)


def wif(prefix, key, suffix=b"\x01"):
    return encode_check(prefix + key.reveal() + suffix)


def test_keys_are_read_as_wif_or_hex_of_the_right_network(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    path = tmp_path / "key"

    def read(text, network=Network.REGTEST):
        path.write_text(text)
        return read_key(str(path), network)

    good = [read(wif(b"\xef", KEY)), read(KEY.reveal().hex()), read(wif(b"\x80", KEY), Network.MAINNET)]
    assert {key.public_key for key in good} == {KEY.public_key}
    for text in (
        wif(b"\x80", KEY),
        wif(b"\xef", KEY, b""),
        wif(b"\xef", KEY)[:-1],
        "zz" * 32,
        "00" * 32,
        "é" * 51,
        " ",
    ):
        with pytest.raises(InvalidInput) as refused:
            read(text)
        assert len(text) < 5 or text not in str(refused.value)
    with pytest.raises(InvalidInput, match=KEY_VARIABLE):
        read_key(None, Network.REGTEST)


@pytest.fixture
def plan(scene):
    """A whole claim of player 1, and the destination it was made for."""
    to = ClaimDestination(SCRIPTS["p2tr"], FeeRate(1_000))
    kit = scene.kit(1)
    secrets = {"ticket_preimage": scene.tickets[1], "entry_key": kit.entry_key(scene.roots[1])}
    return kit, plan_claim(kit, scene.attestation(0), **secrets, destination=to), to


def coin_of(value, script=SCRIPTS["p2tr"], key=KEY):
    return FeeCoin.of(OutPoint(bytes([7]) * 32, 1), TxOut(Sats(value), script), key)


def test_a_coin_too_small_for_the_fee_is_refused(plan):
    kit, claim, to = plan
    dear = ClaimDestination(to.script_pubkey, FeeRate(500_000))
    with pytest.raises(BumpUnaffordable):
        child_of(kit, claim.steps[0].transaction, coin_of(1_000), dear)
    with pytest.raises(DustSweep):
        win_with_coin(claim, coin_of(1_000), dear)
    with pytest.raises(InvalidInput):
        child_of(kit, claim.steps[2].transaction, coin_of(100_000), to)


def test_a_plan_without_its_end_has_no_last_transaction(scene):
    unfinished = plan_claim(scene.kit(1), scene.attestation(0))
    with pytest.raises(Misuse):
        win_with_coin(unfinished, coin_of(1_000), ClaimDestination(SCRIPTS["p2tr"], FeeRate(250)))


@pytest.mark.parametrize("kind", SCRIPTS)
def test_the_predicted_weight_is_never_less_than_the_real_one(plan, kind):
    kit, claim, to = plan
    for number in range(24):
        coin = FeeCoin.of(OutPoint(bytes([number]) * 32, number), TxOut(COIN, SCRIPTS[kind]), KEY)
        child = child_of(kit, claim.steps[0].transaction, coin, to)
        spare = coin.input_weight - (child.weight - child_of_nothing(child))
        assert 0 <= spare <= 3


def child_of_nothing(child):
    """Weight without the coin's input."""
    return child.weight - 4 * 41 - sum(len(item) + 1 for item in child.inputs[1].witness) - 1


def test_a_script_of_another_kind_is_refused():
    for script in (
        b"\x51",
        b"\x00\x20" + bytes(32),
        b"\x51\x20" + KEY.x_only,
        b"\x76\xa9\x14" + bytes(20) + b"\x88\xac",
    ):
        with pytest.raises(Refused):
            coin_of(1_000, script)


def test_der_is_strict():
    """Example signatures of BIP66's rules: no needless zero, no negative number."""
    assert der_signature(bytes(31) + b"\x01" + b"\x7f" + bytes(31)).hex() == "3025020101" + "02207f" + "00" * 31
    assert der_signature(b"\x80" + bytes(63)).hex() == "3026022100" + "80" + "00" * 31 + "020100"
