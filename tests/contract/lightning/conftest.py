"""An embedded Lightning network: our node, a player's, and what only the network's owner can do."""

import asyncio
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.adapters.lightning import LndNode
from coordinator.ports.lightning import HoldInvoice, InvoiceState, Payment
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds

PATIENCE = 20.0
_runs = itertools.count(1)


@dataclass
class Network:
    """Two nodes behind the port, and the controls."""

    ours: LndNode
    alice: LndNode
    alias: str
    control: httpx.AsyncClient
    run: int
    tasks: list[asyncio.Task[Payment]] = field(default_factory=list)

    def preimage(self, number: int = 0) -> Secret:
        """A preimage that no other test uses."""
        return Secret(hashlib.sha256(f"{self.run}/{number}".encode()).digest())

    def hash(self, number: int = 0) -> str:
        return hashlib.sha256(self.preimage(number).reveal()).hexdigest()

    async def hold(
        self, number: int = 0, *, value: int = 50_000, node: LndNode | None = None, cltv_expiry: int = 144
    ) -> HoldInvoice:
        return await (node or self.ours).add_hold_invoice(
            self.hash(number),
            Sats(value),
            description_hash=bytes(32),
            expiry=Seconds(600),
            cltv_expiry=Blocks(cltv_expiry),
        )

    def begin(
        self, invoice: HoldInvoice, *, payer: LndNode | None = None, fee_limit: int = 100
    ) -> asyncio.Task[Payment]:
        """Pay in the background."""
        task = asyncio.create_task(self.pay(invoice, payer=payer, fee_limit=fee_limit))
        self.tasks.append(task)
        return task

    async def pay(self, invoice: HoldInvoice, *, payer: LndNode | None = None, fee_limit: int = 100) -> Payment:
        return await (payer or self.alice).pay(
            invoice.payment_request, fee_limit=Sats(fee_limit), timeout=Seconds(30), cltv_limit=Blocks(500)
        )

    async def reach(self, state: InvoiceState, number: int = 0, *, node: LndNode | None = None) -> HoldInvoice:
        """Wait on the stream for a state, then look it up: the lookup is the truth."""
        owner = node or self.ours
        async with asyncio.timeout(PATIENCE):
            async for seen in owner.invoice_updates(self.hash(number)):
                if seen is state:
                    break
        found = await owner.invoice(self.hash(number))
        assert found is not None
        return found

    async def held(self, number: int = 0) -> tuple[HoldInvoice, asyncio.Task[Payment]]:
        """An invoice of ours that alice pays, ACCEPTED."""
        task = self.begin(await self.hold(number))
        return await self.reach(InvoiceState.ACCEPTED, number), task

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.control.post(f"/control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def height(self) -> int:
        return (await self.ours.info()).block_height

    async def set_height(self, height: int) -> None:
        await self.post("height", height=height)


@pytest.fixture(scope="module")
def embedded_lightning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The ready line of a process that serves the whole module."""
    directory = tmp_path_factory.mktemp("lightning")
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator.embedded.lightning", "--data-dir", str(directory), "--exit-with-parent"],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def macaroon(embedded_lightning: dict[str, str]) -> Secret:
    """What the network baked for us: the least that the port needs."""
    return Secret(Path(embedded_lightning["macaroon_file"]).read_bytes())


@pytest.fixture
async def network(embedded_lightning: dict[str, str], macaroon: Secret) -> AsyncIterator[Network]:
    """Our node with the macaroon it wrote for us; a player of this test's own."""
    run = next(_runs)
    alias = f"alice-{run}"
    async with httpx.AsyncClient(base_url=embedded_lightning["control"], trust_env=False) as control:
        made = (await control.post("/control/nodes", json={"alias": alias})).json()
        ours = LndNode(embedded_lightning["url"], macaroon)
        alice = LndNode(made["url"], Secret(bytes.fromhex(made["macaroon_hex"])))
        network = Network(ours, alice, alias, control, run)
        yield network
        for task in network.tasks:
            task.cancel()
        await asyncio.gather(*network.tasks, return_exceptions=True)
        await ours.close()
        await alice.close()
