"""The chain as scenarios use it: blocks, time, raw transactions. It moves only when a scenario moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordinator.cli.demo.world import WorldError
from coordinator_core.transaction import OutPoint, Transaction

if TYPE_CHECKING:
    from tests.e2e.services import Services

MEDIAN_BLOCKS = 11
ANYONE = "raw(51)"


class ChainControl:
    """Mines and tells the time of the tip, which the oracle of the scenarios lives by."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.time = 0

    async def refresh(self) -> int:
        """Read the tip's time."""
        self.time = await self._services.now()
        return self.time

    async def mine(self, blocks: int = 1) -> None:
        """Mine so many blocks."""
        await self._services.mine(blocks)
        await self.refresh()

    async def mine_without_transactions(self) -> None:
        """One block that leaves the mempool as it is."""
        await self._services.rpc("generateblock", ANYONE, [])
        await self.refresh()

    async def pass_until(self, moment: int) -> None:
        """Let time reach a moment, in one block: while holds are open few blocks may pass."""
        await self._services.pass_until(moment)
        await self.refresh()

    async def pass_median(self, moment: int) -> None:
        """Let the median time past go beyond a moment."""
        await self.pass_until(moment)
        await self.mine(MEDIAN_BLOCKS)

    async def height(self) -> int:
        """Height of the tip."""
        return int(await self._services.rpc("getblockcount"))

    async def transaction(self, txid: str) -> Transaction:
        """A transaction of chain or mempool. Raises WorldError."""
        return Transaction.from_hex(await self._services.rpc("getrawtransaction", txid, False))

    async def confirmations(self, txid: str) -> int:
        """0 in the mempool. Raises WorldError for an unknown one."""
        return int((await self._services.rpc("getrawtransaction", txid, True)).get("confirmations", 0))

    async def spender(self, outpoint: OutPoint) -> str | None:
        """The txid that spends an output, in chain or mempool, by Esplora."""
        answer = await self._services.esplora(f"/tx/{outpoint.txid[::-1].hex()}/outspend/{outpoint.vout}")
        return str(answer["txid"]) if answer["spent"] else None

    async def refusal(self, transaction: Transaction) -> str | None:
        """Why the node refuses a transaction when it is really sent; None when it took it."""
        try:
            await self._services.rpc("sendrawtransaction", transaction.serialize().hex())
        except WorldError as error:
            return str(error)
        return None

    async def invalidate(self, height: int) -> None:
        """Take the block of a height, and all after it, out of the chain."""
        await self._services.rpc("invalidateblock", await self._services.rpc("getblockhash", height))
        await self.refresh()


@dataclass(frozen=True, slots=True)
class Spent:
    """A transaction with the values of the outputs it spends, in satoshi."""

    transaction: Transaction
    values: tuple[int, ...]

    @property
    def fee(self) -> int:
        """What miners got."""
        return sum(self.values) - sum(output.value for output in self.transaction.outputs)


async def with_inputs(chain: ChainControl, txid: str) -> Spent:
    """Read a transaction and what it spends."""
    transaction = await chain.transaction(txid)
    values: list[int] = []
    for one in transaction.inputs:
        parent = await chain.transaction(one.previous_output.txid[::-1].hex())
        values.append(parent.outputs[one.previous_output.vout].value)
    return Spent(transaction, tuple(values))
