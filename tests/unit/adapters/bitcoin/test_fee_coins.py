"""Coins that pay for fee bumps: reserved before they are spent, kept until released; what is signed with them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.adapters.bitcoin import OnchainWallet
from coordinator.adapters.bitcoin.funding import MAX_FEE_COINS, choose_fee_coins
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import Coin, Network, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.secp256k1 import schnorr_verify
from coordinator_core.secret import Secret
from coordinator_core.transaction import PAY_TO_ANCHOR, SEQUENCE_REPLACEABLE, Transaction, TxOut, taproot_sighash
from coordinator_core.units import Confirmations, FeeRate, Sats

ANCHOR = Coin(Outpoint("a" * 64, 1), Sats(240), PAY_TO_ANCHOR, Confirmations(0))


@dataclass
class Unspent:
    """What the node lists: a coin leaves the list as soon as something in the mempool spends it."""

    coins: list[Coin] = field(default_factory=list[Coin])

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        await asyncio.sleep(0)
        return tuple(coin for coin in self.coins if coin.script in scripts)

    def add(self, script: bytes, *values: int) -> None:
        for value in values:
            name = hashlib.sha256(f"{len(self.coins)}".encode()).hexdigest()
            self.coins.append(Coin(Outpoint(name, 0), Sats(value), script, Confirmations(1)))


@pytest.fixture
async def store(new_database: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(new_database)
    yield opened
    await opened.close()


def make(store: SqliteStore, unspent: Unspent, seed: int = 1) -> OnchainWallet:
    return OnchainWallet(store, unspent, Secret(bytes([seed]) * 32), Network.REGTEST)  # type: ignore[arg-type]


@pytest.fixture
async def funded(store: SqliteStore) -> tuple[OnchainWallet, Unspent]:
    """A wallet with coins of 300,000, 40,000, 9,000 and 2,000 sat."""
    unspent = Unspent()
    wallet = make(store, unspent)
    unspent.add(await wallet.script_for("operator", "deposit"), 300_000, 40_000, 9_000, 2_000)
    return wallet, unspent


async def values(wallet: OnchainWallet, at_least: int, lane: str = "a", purpose: str = "bump/outcome/1") -> list[int]:
    return [coin.value for coin in await wallet.fee_coins(lane, purpose, Sats(at_least))]


async def test_the_smallest_coin_that_suffices_is_reserved(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    assert await values(wallet, 0) == []
    assert await values(wallet, 5_000) == [9_000]
    assert await wallet.balance() == 342_000
    assert await wallet.total() == 351_000
    # More is added to what is there; what is there suffices for less.
    assert await values(wallet, 9_001) == [9_000, 2_000]
    assert sorted(await values(wallet, 1)) == [2_000, 9_000]


async def test_less_than_asked_when_the_wallet_has_no_more(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    assert sum(await values(wallet, 1_000_000)) == 351_000
    assert await wallet.balance() == 0


async def test_no_other_bump_or_funding_takes_them(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    assert await values(wallet, 250_000) == [300_000]
    assert await values(wallet, 250_000, purpose="bump/split/1") == [40_000, 9_000, 2_000]
    output = Output(b"\x51\x20" + b"\x03" * 32, Sats(30_000))
    for lane in ("a", "b"):
        with pytest.raises(Rejected, match="missing to fund"):
            await wallet.plan_funding(lane, "funding/1", output, FeeRate(250))


async def test_asked_at_once_each_gets_its_own(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    asked = [values(wallet, 1_000, purpose=f"bump/sweep/{n}") for n in range(4)]
    assert sorted(await asyncio.gather(*asked)) == [[2_000], [9_000], [40_000], [300_000]]


async def test_they_are_known_after_a_restart_although_their_child_spends_them(
    funded: tuple[OnchainWallet, Unspent], store: SqliteStore
) -> None:
    wallet, unspent = funded
    assert await values(wallet, 5_000) == [9_000]
    unspent.coins = [coin for coin in unspent.coins if coin.value != 9_000]
    again = make(store, unspent)
    assert await values(again, 5_000) == [9_000]
    assert sorted(await values(again, 9_500)) == [2_000, 9_000]


async def test_released_they_are_free(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    await values(wallet, 250_000)
    await values(wallet, 1_000, purpose="bump/split/1")
    await wallet.release("b", "bump/outcome/1")
    await wallet.release("a", "bump/expiry/1")
    assert await wallet.balance() == 49_000
    await wallet.release("a", "bump/outcome/1")
    assert await wallet.balance() == 349_000
    assert await values(wallet, 1_000, purpose="bump/split/1") == [2_000]


async def test_child_of_an_anchor_is_signed_and_pays_back_to_us(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    coins = (ANCHOR, *await wallet.fee_coins("a", "bump/outcome/1", Sats(41_000)))
    child = Transaction.parse(await wallet.spend_to_us("a", "bump/outcome/1", coins, Sats(1_500)))
    assert [str(one.previous_output) for one in child.inputs] == [str(coin.outpoint) for coin in coins]
    assert {one.sequence for one in child.inputs} == {SEQUENCE_REPLACEABLE}
    [output] = child.outputs
    assert output == TxOut(
        Sats(sum(coin.value for coin in coins) - 1_500), await wallet.script_for("a", "bump/outcome/1")
    )
    previous = [TxOut(coin.value, coin.script) for coin in coins]
    assert child.inputs[0].witness == ()
    for index, coin in enumerate(coins[1:], start=1):
        [signature] = child.inputs[index].witness
        assert schnorr_verify(signature, taproot_sighash(child, index, previous), coin.script[2:])


async def test_what_is_not_ours_or_would_be_dust_is_not_signed(funded: tuple[OnchainWallet, Unspent]) -> None:
    wallet, _ = funded
    stranger = Coin(Outpoint("b" * 64, 0), Sats(50_000), b"\x51\x20" + b"\x09" * 32, Confirmations(1))
    with pytest.raises(Rejected, match="seed"):
        await wallet.spend_to_us("a", "bump/outcome/1", [ANCHOR, stranger], Sats(500))
    ours = await wallet.fee_coins("a", "bump/outcome/1", Sats(2_000))
    for fee in (2_240 - 329, 5_000, -1):
        with pytest.raises(Rejected, match="eat the coins"):
            await wallet.spend_to_us("a", "bump/outcome/1", [ANCHOR, *ours], Sats(fee))
    await wallet.spend_to_us("a", "bump/outcome/1", [ANCHOR, *ours], Sats(2_240 - 330))


@given(st.lists(st.integers(330, 1_000_000), max_size=20), st.integers(1, 3_000_000))
def test_choice(held: list[int], missing: int) -> None:
    coins = [Coin(Outpoint(f"{n:064x}", 0), Sats(v), b"", Confirmations(1)) for n, v in enumerate(held)]
    chosen = choose_fee_coins(coins, Sats(missing))
    total = sum(coin.value for coin in chosen)
    assert len({coin.outpoint for coin in chosen}) == len(chosen) <= MAX_FEE_COINS
    if total < missing:
        # As far as they reach: nothing better was left out.
        rest = sorted((coin.value for coin in coins if coin not in chosen), reverse=True)
        assert len(chosen) == min(len(coins), MAX_FEE_COINS)
        assert not rest or not chosen or rest[0] <= min(coin.value for coin in chosen)
    elif any(value >= missing for value in held):
        assert [coin.value for coin in chosen] == [min(value for value in held if value >= missing)]
