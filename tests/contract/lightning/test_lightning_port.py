"""The rules of ports.lightning on the embedded network: hold invoices, payments, and the truth about both."""

import asyncio

import pytest

from coordinator.adapters.lightning import LndNode, lnd
from coordinator.ports.faults import Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import FailureKind, InvoiceState, PaymentState
from coordinator_core.bolt11 import decode
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds
from tests.contract.lightning.conftest import PATIENCE, Network


async def test_info_and_liquidity(network: Network) -> None:
    info = await network.ours.info()
    assert (info.network, info.synced_to_chain, info.cancel_delta) == ("regtest", True, 18)
    await network.set_height(info.block_height + 1)
    assert await network.height() == info.block_height + 1
    liquidity = await network.alice.liquidity()
    assert 0 < liquidity.outbound < 2_500_000
    assert 0 < liquidity.inbound < 2_500_000


async def test_an_invoice_says_what_was_asked_for(network: Network) -> None:
    made = await network.hold(value=12_345, cltv_expiry=99)
    assert (made.state, made.value, made.expiry_height) == (InvoiceState.OPEN, 12_345, None)
    invoice = decode(made.payment_request)
    assert invoice.payment_hash.hex() == made.payment_hash == network.hash()
    assert (invoice.amount, invoice.min_final_cltv_expiry) == (12_345_000, 99)
    assert (invoice.description_hash, invoice.expires_at) == (bytes(32), made.expires_at)


async def test_a_hash_belongs_to_one_invoice_for_ever(network: Network) -> None:
    made = await network.hold(value=50_000)
    assert await network.hold(value=50_000) == made
    with pytest.raises(Rejected):
        await network.hold(value=50_001)
    with pytest.raises(Rejected):
        await network.hold(value=50_000, cltv_expiry=145)
    with pytest.raises(Rejected):
        await network.ours.add_hold_invoice(
            network.hash(), Sats(50_000), description_hash=b"\x01" * 32, expiry=Seconds(600), cltv_expiry=Blocks(144)
        )
    await network.ours.cancel(network.hash())
    assert (await network.hold(value=50_000)).state is InvoiceState.CANCELED


async def test_an_unknown_hash(network: Network) -> None:
    assert await network.ours.invoice(network.hash()) is None
    with pytest.raises(Rejected):
        await network.ours.cancel(network.hash())
    with pytest.raises(Rejected):
        await network.ours.settle(network.preimage())
    assert (await network.alice.payment(network.hash())).state is PaymentState.NEVER_SENT


async def test_held_then_settled(network: Network) -> None:
    held, task = await network.held()
    assert held.expiry_height is not None
    assert held.expiry_height >= await network.height() + 144
    assert (await network.alice.payment(network.hash())).state is PaymentState.IN_FLIGHT
    settled = await network.ours.settle(network.preimage())
    assert (settled.state, settled.expiry_height) == (InvoiceState.SETTLED, None)
    async with asyncio.timeout(PATIENCE):
        paid = await task
    assert (paid.state, paid.payment_hash) == (PaymentState.SUCCEEDED, network.hash())
    assert paid.preimage == network.preimage().reveal().hex()
    assert paid.fee > 0
    assert await network.alice.payment(network.hash()) == paid
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.SETTLED
    assert (await network.ours.cancel(network.hash())).state is InvoiceState.SETTLED
    with pytest.raises(Rejected) as caught:
        await network.pay(settled)
    assert caught.value.remote_code == "6"


async def test_held_then_canceled(network: Network) -> None:
    held, task = await network.held()
    assert (await network.ours.cancel(held.payment_hash)).state is InvoiceState.CANCELED
    async with asyncio.timeout(PATIENCE):
        failed = await task
    assert (failed.state, failed.failure) == (PaymentState.FAILED, FailureKind.PAYEE_REJECTS)
    assert (await network.alice.payment(network.hash())).state is PaymentState.FAILED
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.CANCELED
    assert (await network.ours.cancel(held.payment_hash)).state is InvoiceState.CANCELED


async def test_an_open_invoice_cannot_be_settled(network: Network) -> None:
    await network.hold()
    with pytest.raises(Rejected):
        await network.ours.settle(network.preimage())
    found = await network.ours.invoice(network.hash())
    assert found is not None
    assert found.state is InvoiceState.OPEN


async def test_a_hold_is_canceled_by_the_node_cancel_delta_blocks_before_its_expiry(network: Network) -> None:
    held, task = await network.held()
    assert held.expiry_height is not None
    last = held.expiry_height - (await network.ours.info()).cancel_delta
    await network.set_height(last - 1)
    found = await network.ours.invoice(network.hash())
    assert found is not None
    assert found.state is InvoiceState.ACCEPTED
    await network.set_height(last)
    assert (await network.reach(InvoiceState.CANCELED)).expiry_height is None
    async with asyncio.timeout(PATIENCE):
        assert (await task).failure is FailureKind.PAYEE_REJECTS
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.CANCELED


async def test_a_second_payer_does_not_disturb_a_hold(network: Network) -> None:
    held, _ = await network.held()
    made = await network.post("nodes", alias=f"bob-{network.run}")
    bob = LndNode(made["url"], Secret(bytes.fromhex(made["macaroon_hex"])))
    assert (await network.pay(held, payer=bob)).failure is FailureKind.PAYEE_REJECTS
    await bob.close()
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.SETTLED


async def test_parts_are_accepted_together_and_the_least_expiry_counts(network: Network) -> None:
    alias = f"parts-{network.run}"
    made = await network.post("nodes", alias=alias, capacity_sat=60_000, pushed_sat=0)
    await network.post("channels", opener=alias, peer="router", capacity_sat=60_000, pushed_sat=0)
    payer = LndNode(made["url"], Secret(bytes.fromhex(made["macaroon_hex"])))
    task = network.begin(await network.hold(value=80_000), payer=payer)
    held = await network.reach(InvoiceState.ACCEPTED)
    assert held.value == 80_000
    ledger = (await network.control.get("/control/ledger")).json()
    parts = [c["held_msat"] for c in ledger["channels"] if alias in c["balances_msat"] and c["held_msat"]]
    assert len(parts) == 2
    await network.ours.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        assert (await task).state is PaymentState.SUCCEEDED
    await payer.close()


async def test_an_unpaid_invoice_ends_with_its_seconds(network: Network) -> None:
    made = await network.hold()
    await network.post("clock", advance_seconds=601)
    assert (await network.reach(InvoiceState.CANCELED)).payment_request == made.payment_request
    with pytest.raises(Rejected):
        await network.pay(made)


async def test_a_payment_of_ours_fails_and_the_same_invoice_is_paid_later(network: Network) -> None:
    made = await network.hold(node=network.alice)
    await network.post("faults", node="router", mode="fail")
    failed = await network.pay(made, payer=network.ours)
    await network.post("faults", node="router", mode="ok")
    assert failed.state is PaymentState.FAILED
    assert failed.failure is not FailureKind.PAYEE_REJECTS
    task = network.begin(made, payer=network.ours)
    await network.reach(InvoiceState.ACCEPTED, node=network.alice)
    await network.alice.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        assert (await task).state is PaymentState.SUCCEEDED


async def test_limits_are_kept(network: Network) -> None:
    made = await network.hold(node=network.alice)
    assert (await network.pay(made, payer=network.ours, fee_limit=0)).failure is FailureKind.NO_ROUTE
    short = await network.ours.pay(
        made.payment_request, fee_limit=Sats(100), timeout=Seconds(10), cltv_limit=Blocks(190)
    )
    assert short.failure is FailureKind.NO_ROUTE


async def test_more_than_the_balance(network: Network) -> None:
    made = await network.hold(value=4_000_000)
    assert (await network.pay(made, fee_limit=10_000)).failure is FailureKind.INSUFFICIENT_BALANCE


async def test_a_payment_that_hangs_is_in_flight_and_is_not_sent_twice(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lnd, "PAYMENT_MARGIN_SECONDS", -0.5)
    made = await network.hold(node=network.alice)
    await network.post("faults", node=network.alias, mode="hold")
    pending = await network.ours.pay(
        made.payment_request, fee_limit=Sats(100), timeout=Seconds(1), cltv_limit=Blocks(500)
    )
    assert pending.state is PaymentState.IN_FLIGHT
    with pytest.raises(Rejected) as caught:
        await network.pay(made, payer=network.ours)
    assert caught.value.remote_code == "6"
    assert (await network.ours.payment(made.payment_hash)).state is PaymentState.IN_FLIGHT
    await network.post("faults", node=network.alias, mode="ok")
    await network.reach(InvoiceState.ACCEPTED, node=network.alice)
    await network.alice.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        while (await network.ours.payment(made.payment_hash)).state is PaymentState.IN_FLIGHT:
            pass
    assert (await network.ours.payment(made.payment_hash)).state is PaymentState.SUCCEEDED


async def test_the_history_reaches_what_was_tried(network: Network) -> None:
    assert not await network.alice.history_reaches(network.hash())
    _, task = await network.held()
    assert await network.alice.history_reaches(network.hash())
    await network.ours.cancel(network.hash())
    async with asyncio.timeout(PATIENCE):
        await task
    assert await network.alice.history_reaches(network.hash())


async def test_a_foreign_macaroon(network: Network, embedded_lightning: dict[str, str]) -> None:
    made = await network.post("nodes", alias=f"eve-{network.run}", capacity_sat=0)
    for macaroon in (bytes.fromhex(made["macaroon_hex"]), b"junk"):
        node = LndNode(embedded_lightning["url"], Secret(macaroon))
        with pytest.raises(Unsuitable):
            await node.info()
        with pytest.raises(Unsuitable):
            await network.hold(node=node)
        await node.close()
    assert await network.ours.invoice(network.hash()) is None


@pytest.mark.parametrize("state", ["WAITING_TO_START", "LOCKED", "UNLOCKED"])
async def test_a_node_that_starts_tells_nothing_about_money(network: Network, state: str) -> None:
    held, _ = await network.held()
    await network.post("state", node="coordinator", state=state)
    try:
        for call in (
            network.ours.info(),
            network.ours.invoice(network.hash(1)),
            network.ours.payment(network.hash(1)),
            network.ours.settle(network.preimage()),
        ):
            with pytest.raises(Unreachable):
                await call
    finally:
        await network.post("state", node="coordinator", state=None)
    found = await network.ours.invoice(network.hash())
    assert found is not None
    assert (found.state, found.expiry_height) == (InvoiceState.ACCEPTED, held.expiry_height)


async def test_a_silent_address_is_unreachable(network: Network) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        node = LndNode(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", Secret(b"m"))
        with pytest.raises(Unreachable):
            await node.settle(network.preimage())
        await node.close()


async def test_no_satoshi_comes_or_goes(network: Network) -> None:
    before = (await network.control.get("/control/ledger")).json()["total_sat"]
    _, task = await network.held()
    await network.ours.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        await task
    after = (await network.control.get("/control/ledger")).json()["total_sat"]
    assert after == before
