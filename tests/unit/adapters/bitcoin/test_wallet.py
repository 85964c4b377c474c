"""The wallet: durable reservations, coin choice, caps, and what it signs."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.adapters.bitcoin import OnchainWallet
from coordinator.adapters.bitcoin.funding import MIN_CHANGE, plan_of
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import Coin, FundingPlan, Network, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.errors import VerificationFailed
from coordinator_core.secp256k1 import schnorr_verify
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction, TxOut, taproot_sighash
from coordinator_core.units import Confirmations, FeeRate, Sats

RATE = FeeRate(1_000)
OUTPUT = Output(b"\x51\x20" + b"\x03" * 32, Sats(200_000))


@dataclass
class Coins:
    """The one call of a chain that a wallet makes."""

    coins: list[Coin] = field(default_factory=list)

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        await asyncio.sleep(0)
        return tuple(coin for coin in self.coins if coin.script in scripts)

    def add(self, script: bytes, value: int) -> Outpoint:
        outpoint = Outpoint(hashlib.sha256(f"{len(self.coins)}".encode()).hexdigest(), len(self.coins))
        self.coins.append(Coin(outpoint, Sats(value), script, Confirmations(1)))
        return outpoint

    def spend(self, outpoint: Outpoint) -> None:
        self.coins = [coin for coin in self.coins if coin.outpoint != outpoint]


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


def make(store: SqliteStore, coins: Coins) -> OnchainWallet:
    return OnchainWallet(store, coins, Secret(b"\x01" * 32), Network.REGTEST)  # type: ignore[arg-type]


@pytest.fixture
async def funded(store: SqliteStore) -> tuple[OnchainWallet, Coins]:
    """A wallet with coins of 300,000, 250,000 and 100,000 sat."""
    coins = Coins()
    wallet = make(store, coins)
    script = await wallet.script_for("operator", "deposit")
    for value in (300_000, 250_000, 100_000):
        coins.add(script, value)
    return wallet, coins


def verify(raw: bytes, plan: FundingPlan) -> Transaction:
    """Every input carries a valid key-path signature."""
    signed = Transaction.parse(raw)
    previous = [TxOut(coin.value, coin.script) for coin in plan.coins]
    for index, coin in enumerate(plan.coins):
        (signature,) = signed.inputs[index].witness
        assert schnorr_verify(signature, taproot_sighash(signed, index, previous), coin.script[2:])
    return signed


async def test_addresses_are_those_of_bip86(store: SqliteStore) -> None:
    """First receiving address of BIP86's test vector: m/86'/0'/0'/0/0 of the mnemonic abandon ... about."""
    seed = Secret(
        hashlib.pbkdf2_hmac("sha512", b"abandon " * 11 + b"about", b"mnemonic", 2048)  # BIP39
    )
    wallet = OnchainWallet(store, Coins(), seed, Network.MAINNET)  # type: ignore[arg-type]
    output_key = "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c"
    assert (await wallet.script_for("a", "deposit")).hex() == "5120" + output_key


async def test_a_purpose_has_one_address_for_ever(new_database: Path) -> None:
    store = await SqliteStore.open(new_database)
    first = [await make(store, Coins()).script_for(*name) for name in (("a", "x"), ("a", "y"), ("b", "x"))]
    await store.close()
    store = await SqliteStore.open(new_database)
    wallet = make(store, Coins())
    again = [await wallet.script_for(*name) for name in (("b", "x"), ("a", "y"), ("a", "x"), ("c", "x"))]
    await store.close()
    assert len(set(first)) == 3
    assert again[:3] == first[::-1]
    assert again[3] not in first


async def test_addresses_asked_for_at_once_differ(store: SqliteStore) -> None:
    wallet = make(store, Coins())
    scripts = await asyncio.gather(*(wallet.script_for("a", str(n)) for n in range(20)))
    assert len(set(scripts)) == 20


async def test_a_signed_plan_has_the_planned_txid(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    signed = verify(await wallet.sign(plan), plan)
    assert signed.txid[::-1].hex() == plan.txid
    assert signed.outputs[plan.output_index] == TxOut(OUTPUT.value, OUTPUT.script)
    change = signed.outputs[plan.change_index]
    assert change.value == plan.change_value >= MIN_CHANGE
    assert change.script_pubkey == await wallet.script_for("a", "change/funding/1")
    assert sum(coin.value for coin in plan.coins) == OUTPUT.value + plan.change_value + plan.fee
    # the fee is the rate's: never below it, at most one unit of weight a signature above
    assert 0 <= plan.fee * 1_000 - RATE * signed.weight <= 1_000 * len(plan.coins)


async def test_plans_and_reservations_survive_a_restart(new_database: Path) -> None:
    coins = Coins()
    store = await SqliteStore.open(new_database)
    wallet = make(store, coins)
    script = await wallet.script_for("operator", "deposit")
    coins.add(script, 300_000)
    coins.add(script, 250_000)
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    await store.close()

    store = await SqliteStore.open(new_database)
    wallet = make(store, coins)
    assert await wallet.plan_funding("a", "funding/1", OUTPUT, RATE) == plan
    other = await wallet.plan_funding("b", "funding/1", OUTPUT, RATE)
    assert not {c.outpoint for c in other.coins} & {c.outpoint for c in plan.coins}
    assert await wallet.balance() == 0
    assert await wallet.total() == 550_000
    verify(await wallet.sign(plan), plan)
    await store.close()


async def test_two_lanes_that_plan_at_once_share_no_coin(store: SqliteStore) -> None:
    coins = Coins()
    wallet = make(store, coins)
    script = await wallet.script_for("operator", "deposit")
    for _ in range(6):
        coins.add(script, 300_000)
    plans = await asyncio.gather(*(wallet.plan_funding(f"lane{n}", "funding/1", OUTPUT, RATE) for n in range(6)))
    spent = [coin.outpoint for plan in plans for coin in plan.coins]
    assert len(spent) == len(set(spent)) == 6


async def test_a_wallet_of_another_process_cannot_take_a_reserved_coin(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, coins = funded
    coins.coins = coins.coins[:1]
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    with pytest.raises(Rejected, match="taken by another competition"):
        await wallet._reservations.reserve("b", "funding/1", plan)
    assert await wallet.plan_funding("a", "funding/1", OUTPUT, RATE) == plan
    assert await wallet._reservations.plan("b", "funding/1") is None


async def test_a_released_coin_is_free_and_its_plan_is_gone(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, coins = funded
    coins.coins = coins.coins[:1]
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    with pytest.raises(Rejected, match="missing to fund"):
        await wallet.plan_funding("b", "funding/1", OUTPUT, RATE)
    await wallet.release("a", "funding/1")
    await wallet.release("a", "funding/1")
    other = await wallet.plan_funding("b", "funding/1", OUTPUT, RATE)
    assert other.coins == plan.coins
    with pytest.raises(Rejected, match="missing to fund"):
        await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    with pytest.raises(Rejected, match="not reserved"):
        await wallet.sign(plan)


async def test_a_released_purpose_gets_no_plan_any_more(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    free = await wallet.balance()
    for purpose in ("funding/1", "funding/2"):
        if purpose == "funding/1":
            await wallet.plan_funding("a", purpose, OUTPUT, RATE)
        await wallet.release("a", purpose)
        with pytest.raises(Rejected, match="was released"):
            await wallet.plan_funding("a", purpose, OUTPUT, RATE)
    assert await wallet.balance() == free
    assert (await wallet.plan_funding("a", "funding/3", OUTPUT, RATE)).coins
    assert (await wallet.plan_funding("b", "funding/1", OUTPUT, RATE)).coins


async def test_a_purpose_cannot_get_a_plan_for_something_else(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    for other in (Output(OUTPUT.script, Sats(199_999)), Output(b"\x51\x20" + b"\x04" * 32, OUTPUT.value)):
        with pytest.raises(Rejected, match="another output"):
            await wallet.plan_funding("a", "funding/1", other, RATE)


async def test_every_earlier_funding_is_ruled_out(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, coins = funded
    first = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    second = await wallet.plan_funding("a", "funding/2", OUTPUT, RATE)
    groups = [[coin.outpoint for coin in plan.coins] for plan in (first, second)]
    third = await wallet.plan_funding("a", "funding/3", OUTPUT, RATE, must_spend_one_of=groups)
    spent = {coin.outpoint for coin in third.coins}
    assert all(spent & set(group) for group in groups)
    # releasing the third keeps what the first two spend
    await wallet.release("a", "funding/3")
    assert await wallet.balance() == sum(coin.value for coin in coins.coins) - sum(
        coin.value for coin in (*first.coins, *second.coins)
    )


async def test_any_coin_of_an_earlier_funding_will_do_but_one_must(store: SqliteStore) -> None:
    coins = Coins()
    wallet = make(store, coins)
    script = await wallet.script_for("operator", "deposit")
    outpoints = [coins.add(script, 130_000) for _ in range(2)] + [coins.add(script, 400_000)]
    group = outpoints[:2]
    coins.spend(group[0])
    plan = await wallet.plan_funding("a", "funding/2", OUTPUT, RATE, must_spend_one_of=[group])
    assert group[1] in {coin.outpoint for coin in plan.coins}
    await wallet.release("a", "funding/2")
    coins.spend(group[1])
    for groups in ([group], [[]]):
        with pytest.raises(Rejected, match="may be in the chain"):
            await wallet.plan_funding("a", "funding/3", OUTPUT, RATE, must_spend_one_of=groups)


async def test_another_lanes_coin_is_not_taken_to_rule_a_funding_out(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    other = await wallet.plan_funding("b", "funding/1", OUTPUT, RATE)
    with pytest.raises(Rejected, match="every coin of an earlier funding is gone"):
        await wallet.plan_funding("a", "f", OUTPUT, RATE, must_spend_one_of=[[c.outpoint for c in other.coins]])


async def test_the_fee_is_capped_at_a_tenth_of_what_is_funded(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    with pytest.raises(Rejected, match="more than a tenth"):
        await wallet.plan_funding("a", "funding/1", OUTPUT, FeeRate(40_000))
    assert await wallet.balance() == 650_000


async def test_what_is_signed_is_what_was_planned(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    other = await wallet.plan_funding("b", "funding/1", Output(OUTPUT.script, Sats(50_000)), RATE)
    tampered = {
        "txid": "00" * 32,
        "unsigned": other.unsigned,
        "coins": other.coins,
        "fee": plan.fee + 1,
        "output_index": 7,
    }
    for name, value in tampered.items():
        changed = FundingPlan(**{**msgspec.structs.asdict(plan), name: value})
        with pytest.raises(VerificationFailed, match="funding plan"):
            await wallet.sign(changed)
    moved = FundingPlan(**{**msgspec.structs.asdict(plan), "change_index": 0})
    with pytest.raises(Rejected, match="not reserved"):
        await wallet.sign(moved)


async def test_a_coin_of_another_seed_is_not_signed(funded: tuple[OnchainWallet, Coins], store: SqliteStore) -> None:
    wallet, coins = funded
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    stranger = OnchainWallet(store, coins, Secret(b"\x02" * 32), Network.REGTEST)  # type: ignore[arg-type]
    with pytest.raises(Rejected, match="seed"):
        await stranger.sign(plan)
    with pytest.raises(Rejected, match="seed"):
        await stranger.take_back(plan, "a", RATE)


async def test_a_coin_of_a_plan_is_taken_back(funded: tuple[OnchainWallet, Coins]) -> None:
    wallet, _ = funded
    plan = await wallet.plan_funding("a", "funding/1", OUTPUT, RATE)
    back = Transaction.parse(await wallet.take_back(plan, "a", FeeRate(2_500)))
    assert [str(spent.previous_output) for spent in back.inputs] == [str(plan.coins[0].outpoint)]
    (output,) = back.outputs
    assert output.script_pubkey == await wallet.script_for("a", f"take-back/{plan.txid}")
    assert 0 <= (plan.coins[0].value - output.value) * 1_000 - 2_500 * back.weight <= 1_000
    verify(back.serialize(), FundingPlan(**{**msgspec.structs.asdict(plan), "coins": plan.coins[:1]}))
    with pytest.raises(Rejected, match="eat the coin"):
        await wallet.take_back(plan, "a", FeeRate(1_000_000))
    with pytest.raises(VerificationFailed, match="funding plan"):
        await wallet.take_back(FundingPlan(**{**msgspec.structs.asdict(plan), "coins": ()}), "a", RATE)


@given(
    values=st.lists(st.integers(330, 2_000_000), max_size=12),
    funded=st.integers(1_000, 3_000_000),
    rate=st.integers(25, 20_000),
)
def test_choice_of_coins(values: list[int], funded: int, rate: int) -> None:
    """Change, cap and sum hold for every plan; without one the coins did not suffice or the fee was too large."""
    script = b"\x51\x20" + b"\x05" * 32
    coins = [Coin(Outpoint(f"{n:064x}", n), Sats(v), script, Confirmations(1)) for n, v in enumerate(values)]
    output = Output(OUTPUT.script, Sats(funded))
    try:
        plan = plan_of(coins, [], output, script, FeeRate(rate))
    except Rejected as error:
        plan = error.reason
    if isinstance(plan, str):
        assert "tenth" in plan or "missing" in plan
        return
    assert plan.change_value >= MIN_CHANGE
    assert plan.fee * 10 <= funded
    assert sum(coin.value for coin in plan.coins) == funded + plan.change_value + plan.fee
    assert list(plan.coins) == sorted(set(plan.coins), key=lambda coin: coin.outpoint)
    assert Transaction.parse(plan.unsigned).txid[::-1].hex() == plan.txid
