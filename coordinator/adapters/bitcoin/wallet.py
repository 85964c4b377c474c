"""The coordinator's own coins: BIP86 addresses of one seed, durable reservations, fee caps.

Descriptor: tr([fingerprint/86h/COINh/0h]xpub/0/*). Index numbers are taken in the reservation table before an address
is used, so a lost process never hands out an address twice; coins are reserved with the plan that spends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from embit.bip32 import HDKey

from coordinator.adapters.bitcoin.funding import (
    Groups,
    back_to_us,
    check_groups,
    choose_fee_coins,
    plan_of,
    read_plan,
    to_us,
)
from coordinator.adapters.bitcoin.reservations import Reservations
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import Chain, Coin, FundingPlan, Holdings, Network, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.secp256k1 import SecretKey, lift_x, schnorr_sign, schnorr_verify
from coordinator_core.secret import Secret
from coordinator_core.transaction import (
    PAY_TO_ANCHOR,
    Transaction,
    TxOut,
    pay_to_taproot,
    taproot_sighash,
    tweak_public_key,
)
from coordinator_core.units import FeeRate, Sats

COIN_TYPE_MAINNET, COIN_TYPE_TEST = 0, 1
_WITNESS_PROGRAM = slice(2, 34)


class OnchainWallet:
    """See ports.bitcoin.Wallet."""

    def __init__(self, store: SqliteStore, chain: Chain, seed: Secret, network: Network) -> None:
        self._chain = chain
        self._reservations = Reservations(store)
        coin = COIN_TYPE_MAINNET if network is Network.MAINNET else COIN_TYPE_TEST
        self._account = HDKey.from_seed(seed.reveal()).derive(f"m/86h/{coin}h/0h")
        self._scripts: dict[int, bytes] = {}
        # Choosing and reserving are one step: two competitions that ask at once get different coins.
        self._planning = asyncio.Lock()

    async def script_for(self, lane: str, purpose: str) -> bytes:
        """See ports.bitcoin.Wallet."""
        return self._script(await self._reservations.address_number(lane, purpose))

    async def balance(self) -> Sats:
        """See ports.bitcoin.Wallet."""
        reserved = await self._reservations.coins()
        return Sats(sum(coin.value for coin in await self._coins() if str(coin.outpoint) not in reserved))

    async def total(self) -> Sats:
        """See ports.bitcoin.Wallet."""
        return Sats(sum(coin.value for coin in await self._coins()))

    async def holdings(self) -> Holdings:
        """See ports.bitcoin.Wallet."""
        taken, coins = await self._reservations.coins(), await self._coins()
        reserved = sum(coin.value for coin in coins if str(coin.outpoint) in taken)
        return Holdings(Sats(sum(coin.value for coin in coins)), Sats(reserved))

    async def plan_funding(
        self,
        lane: str,
        purpose: str,
        output: Output,
        fee_rate: FeeRate,
        *,
        must_spend_one_of: Sequence[Sequence[Outpoint]] = (),
    ) -> FundingPlan:
        """See ports.bitcoin.Wallet. Raises Rejected also when the known plan of this purpose funds something else."""
        async with self._planning:
            known = await self._reservations.plan(lane, purpose)
            if known is not None:
                _check_same(known, output, must_spend_one_of)
                return known
            coins = await self._available(lane, must_spend_one_of)
            change_script = await self.script_for(lane, f"change/{purpose}")
            plan = plan_of(coins, must_spend_one_of, output, change_script, fee_rate)
            await self._reservations.reserve(lane, purpose, plan)
            return plan

    async def sign(self, plan: FundingPlan) -> bytes:
        """See ports.bitcoin.Wallet. Raises Rejected for a plan that is not reserved, VerificationFailed for one that
        contradicts itself.
        """
        transaction = read_plan(plan)
        if not await self._reservations.holds(plan):
            raise Rejected("wallet", "the plan is not reserved", fault=Fault.COORDINATOR)
        signed = self._sign(transaction, plan.coins, await self._own(plan.coins))
        if signed.txid[::-1].hex() != plan.txid:
            raise VerificationFailed("funding plan", "changed its txid by signing", fault=Fault.COORDINATOR)
        return signed.serialize()

    def _sign(self, transaction: Transaction, coins: Sequence[Coin], numbers: dict[bytes, int]) -> Transaction:
        previous = [TxOut(coin.value, coin.script) for coin in coins]
        for index, coin in enumerate(coins):
            if coin.script == PAY_TO_ANCHOR:
                continue
            message = taproot_sighash(transaction, index, previous)
            signature = self._signature(message, numbers[coin.script])
            if not schnorr_verify(signature, message, coin.script[_WITNESS_PROGRAM]):
                raise VerificationFailed("signature", "does not verify", fault=Fault.COORDINATOR)
            transaction = transaction.with_witness(index, (signature,))
        return transaction

    def _signature(self, message: bytes, number: int) -> bytes:
        internal = SecretKey.from_bytes(self._account.derive([0, number]).secret)
        output_key = internal.taproot_tweaked()
        try:
            return schnorr_sign(message, output_key)
        finally:
            internal.wipe()
            output_key.wipe()

    async def take_back(self, plan: FundingPlan, lane: str, fee_rate: FeeRate) -> bytes:
        """See ports.bitcoin.Wallet. Raises VerificationFailed for a plan that contradicts itself."""
        read_plan(plan)
        coin = plan.coins[0]
        numbers = await self._own([coin])
        script = await self.script_for(lane, f"take-back/{plan.txid}")
        return self._sign(back_to_us(coin, script, fee_rate), [coin], numbers).serialize()

    async def fee_coins(self, lane: str, purpose: str, at_least: Sats) -> tuple[Coin, ...]:
        """See ports.bitcoin.Wallet."""
        async with self._planning:
            held = await self._reservations.fee_coins(lane, purpose)
            missing = Sats(at_least - sum(coin.value for coin in held))
            if missing <= 0:
                return held
            more = choose_fee_coins(await self._available(lane, ()), missing)
            await self._reservations.reserve_fee_coins(lane, purpose, more)
            return (*held, *more)

    async def spend_to_us(self, lane: str, purpose: str, coins: Sequence[Coin], fee: Sats) -> bytes:
        """See ports.bitcoin.Wallet."""
        ours = [coin for coin in coins if coin.script != PAY_TO_ANCHOR]
        numbers = await self._own(ours)
        script = await self.script_for(lane, purpose)
        return self._sign(to_us(coins, script, fee), coins, numbers).serialize()

    async def release(self, lane: str, purpose: str) -> None:
        """See ports.bitcoin.Wallet."""
        async with self._planning:
            await self._reservations.release(lane, purpose)
            await self._reservations.release_fee_coins(lane, purpose)

    async def _coins(self) -> tuple[Coin, ...]:
        return await self._chain.coins_of(tuple(await self._numbers()))

    async def _available(self, lane: str, groups: Groups) -> list[Coin]:
        """Coins nobody reserved, and those of the groups that this lane reserved itself."""
        reserved = await self._reservations.coins()
        again = {outpoint for group in groups for outpoint in group if reserved.get(str(outpoint)) == lane}
        return [c for c in await self._coins() if str(c.outpoint) not in reserved or c.outpoint in again]

    async def _own(self, coins: Sequence[Coin]) -> dict[bytes, int]:
        """Number by script, of these coins and all others. Raises Rejected for a coin that is not ours."""
        numbers = await self._numbers()
        if any(coin.script not in numbers for coin in coins):
            raise Rejected("wallet", "a coin does not belong to this seed", fault=Fault.COORDINATOR)
        return numbers

    async def _numbers(self) -> dict[bytes, int]:
        """Number by script, of every address given out."""
        return {self._script(number): number for number in await self._reservations.address_numbers()}

    def _script(self, number: int) -> bytes:
        if number not in self._scripts:
            internal = self._account.derive([0, number]).get_public_key().xonly()
            self._scripts[number] = pay_to_taproot(tweak_public_key(lift_x(internal), b"")[1:])
        return self._scripts[number]


def _check_same(known: FundingPlan, output: Output, groups: Groups) -> None:
    """A purpose that has a plan cannot get another one: what was signed for the first must not change."""
    made = read_plan(known).outputs[known.output_index]
    if (made.script_pubkey, made.value) != (output.script, output.value):
        raise Rejected("wallet", "this purpose has a plan for another output", fault=Fault.COORDINATOR)
    check_groups([coin.outpoint for coin in known.coins], groups)
