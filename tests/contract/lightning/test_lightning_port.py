"""The rules of ports.lightning on both networks: hold invoices, payments, and the truth about both."""

import asyncio
from contextlib import suppress

import pytest
import stamina

from coordinator.adapters.lightning import LndNode, lnd
from coordinator.adapters.lightning.condition import LndExamination
from coordinator.ports.faults import Rejected, Unreachable, Unsuitable
from coordinator.ports.lightning import FailureKind, InvoiceState, PaymentState
from coordinator_core.bolt11 import decode
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds, UnixTime
from tests.contract.lightning.conftest import PATIENCE, Network
from tests.contract.lightning.owners import EmbeddedOwner

ROUTER_FEE_MSAT, ROUTER_FEE_SATS = 1_050, 2
"""For 50,000 sat: one satoshi and one millionth. The port rounds it up."""
MOST_COMMITMENT_FEE = 2_000
"""Satoshi; for one HTLC more, on a test network. Far less than what is paid."""


async def test_info_and_liquidity(network: Network) -> None:
    info = await network.ours.info()
    assert (info.network, info.synced_to_chain, info.cancel_delta) == ("regtest", True, 18)
    await network.owner.height(info.block_height + 1)
    assert await network.height() == info.block_height + 1
    liquidity = await network.alice.liquidity()
    assert liquidity.outbound > 0
    assert liquidity.inbound > 0
    # Less than the channel: reserves and the commitment's fee cannot be spent.
    assert liquidity.outbound + liquidity.inbound < 5_000_000 - 50_000


async def test_what_an_outgoing_payment_holds_stays_ours_until_it_is_settled(network: Network) -> None:
    payer, payee = await locals_of(network)
    held, task = await network.held()
    now = await locals_of(network)
    # The fee of a commitment grows with each HTLC; the payee has nothing of it yet.
    assert payer - MOST_COMMITMENT_FEE <= now[0] <= payer
    assert payee - MOST_COMMITMENT_FEE <= now[1] <= payee
    await network.ours.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        assert (await task).state is PaymentState.SUCCEEDED
    most, least = payer - held.value, payer - held.value - ROUTER_FEE_SATS
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            # A commitment is signed for after the payment has ended for its payer.
            while now[1] != payee + held.value or not least <= now[0] < most:
                now = await locals_of(network)
    assert least <= now[0] < most
    assert now[1] == payee + held.value


async def locals_of(network: Network) -> tuple[int, int]:
    """What alice and our node have in their channels, in satoshi."""
    payer, payee = [(await node.liquidity()).local for node in (network.alice, network.ours)]
    assert payer is not None
    assert payee is not None
    return payer, payee


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
    await network.owner.height(last - 1)
    found = await network.ours.invoice(network.hash())
    assert found is not None
    assert found.state is InvoiceState.ACCEPTED
    await network.owner.height(last)
    assert (await network.reach(InvoiceState.CANCELED)).expiry_height is None
    async with asyncio.timeout(PATIENCE):
        assert (await task).failure is FailureKind.PAYEE_REJECTS
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.CANCELED


async def test_a_second_payer_does_not_disturb_a_hold(network: Network) -> None:
    held, _ = await network.held()
    bob = await network.owner.player(f"bob-{network.run}")
    assert (await network.pay(held, payer=bob)).failure is FailureKind.PAYEE_REJECTS
    await bob.close()
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.SETTLED


async def test_parts_are_accepted_together_and_the_least_expiry_counts(network: Network) -> None:
    alias = f"parts-{network.run}"
    payer = await network.owner.splinter(alias, 60_000)
    task = network.begin(await network.hold(value=80_000), payer=payer)
    held = await network.reach(InvoiceState.ACCEPTED)
    assert held.value == 80_000
    raw = (await network.owner.door("coordinator").ask("GET", f"/v1/invoice/{network.hash()}")).body
    assert [htlc["state"] for htlc in raw["htlcs"]] == ["ACCEPTED", "ACCEPTED"]
    assert held.expiry_height == min(htlc["expiry_height"] for htlc in raw["htlcs"])
    await network.ours.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        assert (await task).state is PaymentState.SUCCEEDED
    await payer.close()


async def test_an_unpaid_invoice_ends_with_its_seconds(network: Network) -> None:
    made = await network.hold(expiry=2)
    await network.owner.outlive(2)
    assert (await network.reach(InvoiceState.CANCELED)).payment_request == made.payment_request
    with pytest.raises(Rejected):
        await network.pay(made)


async def test_a_payment_of_ours_fails_and_the_same_invoice_is_paid_later(network: Network) -> None:
    made = await network.hold(node=network.alice)
    async with network.owner.cut(network.alias):
        failed = await network.pay(made, payer=network.ours)
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
    pending = await network.ours.pay(
        made.payment_request, fee_limit=Sats(100), timeout=Seconds(1), cltv_limit=Blocks(500)
    )
    assert pending.state is PaymentState.IN_FLIGHT
    with pytest.raises(Rejected) as caught:
        await network.pay(made, payer=network.ours)
    assert caught.value.remote_code == "6"
    assert (await network.ours.payment(made.payment_hash)).state is PaymentState.IN_FLIGHT
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


async def test_the_lists_hold_what_came_and_went_newest_first(network: Network) -> None:
    bill = await network.hold(1, node=network.alice, value=1_234)
    asked = await network.hold(2)
    await network.hold(3)
    begun = network.begin(bill, payer=network.ours)
    await network.reach(InvoiceState.ACCEPTED, 1, node=network.alice)
    paid = (await network.ours.listed_payments(UnixTime(0)))[0]
    assert (paid.payment_hash, paid.state, paid.value) == (bill.payment_hash, PaymentState.IN_FLIGHT, 1_234_000)
    await network.alice.settle(network.preimage(1))
    await begun
    assert (await network.ours.listed_payments(paid.created_at))[0].state is PaymentState.SUCCEEDED
    listed = await network.ours.listed_invoices(UnixTime(0))
    assert [line.payment_hash for line in listed[:2]] == [network.hash(3), network.hash(2)]
    assert (listed[1].state, listed[1].value, listed[1].description_hash) == (
        InvoiceState.OPEN,
        asked.value,
        "00" * 32,
    )
    later = UnixTime(max(listed[0].created_at, paid.created_at) + 1)
    assert await network.ours.listed_invoices(later) == await network.ours.listed_payments(later) == ()


async def test_a_foreign_macaroon(network: Network) -> None:
    for macaroon in (network.owner.foreign, b"junk"):
        node = network.owner.node("coordinator", Secret(macaroon))
        with pytest.raises(Unsuitable):
            await node.info()
        with pytest.raises(Unsuitable):
            await network.hold(node=node)
        await node.close()
    assert await network.ours.invoice(network.hash()) is None


@pytest.mark.parametrize("state", ["WAITING_TO_START", "LOCKED", "UNLOCKED"])
async def test_a_node_that_starts_tells_nothing_about_money(embedded: Network, state: str) -> None:
    held, _ = await embedded.held()
    assert isinstance(embedded.owner, EmbeddedOwner)
    await embedded.owner.post("state", node="coordinator", state=state)
    try:
        await tells_nothing(embedded)
    finally:
        await embedded.owner.post("state", node="coordinator", state=None)
    found = await embedded.ours.invoice(embedded.hash())
    assert found is not None
    assert (found.state, found.expiry_height) == (InvoiceState.ACCEPTED, held.expiry_height)


async def test_a_hold_outlives_a_restart_of_the_node(network: Network) -> None:
    held, task = await network.held()
    async with network.owner.stopped():
        await tells_nothing(network)
    found = await network.ours.invoice(network.hash())
    assert found is not None
    assert (found.state, found.expiry_height) == (InvoiceState.ACCEPTED, held.expiry_height)
    assert (await network.ours.settle(network.preimage())).state is InvoiceState.SETTLED
    async with asyncio.timeout(PATIENCE):
        while (await network.alice.payment(network.hash())).state is not PaymentState.SUCCEEDED:
            pass
    task.cancel()


async def tells_nothing(network: Network) -> None:
    for call in (
        network.ours.info(),
        network.ours.invoice(network.hash(1)),
        network.ours.payment(network.hash(1)),
        network.ours.settle(network.preimage()),
    ):
        with stamina.set_testing(True, attempts=1), pytest.raises(Unreachable):
            await call


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
    ours, alice, router = await all_msat(network)
    _, task = await network.held()
    await network.ours.settle(network.preimage())
    async with asyncio.timeout(PATIENCE):
        paid = await task
    assert paid.fee == ROUTER_FEE_SATS
    expected = (ours + 50_000_000, alice - 50_000_000 - ROUTER_FEE_MSAT, router + ROUTER_FEE_MSAT)
    now = await all_msat(network)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            # A commitment is signed for after the payment has ended for its payer.
            while now != expected:
                now = await all_msat(network)
    assert now == expected


async def all_msat(network: Network) -> tuple[int, int, int]:
    """What our node, alice and the router have in their channels, in millisatoshi."""
    doors = [network.owner.door(alias) for alias in ("coordinator", network.alias, "router")]
    found = [(await door.ask("GET", "/v1/balance/channels")).body for door in doors]
    ours, alice, router = (int(balance["local_balance"]["msat"]) for balance in found)
    return ours, alice, router


async def test_the_least_macaroon_allows_every_call_and_no_other(network: Network) -> None:
    """What the other tests of this file do with it, they may; here is what they may not."""
    assert await network.ours.missing_rights() == ()
    with pytest.raises(Unsuitable, match="does not allow"):
        await network.ours.bake_macaroon()
    owner = network.owner.node("coordinator")
    least = await owner.bake_macaroon()
    await owner.close()
    door = network.owner.door("coordinator", least.reveal().hex())
    for path in ("/v1/balance/channels", "/v1/balance/blockchain", "/v1/payreq/x", f"/v1/invoice/{network.hash()}"):
        refused = await door.ask("GET", path)
        assert (refused.status, refused.body["message"]) == (500, "permission denied"), path
    assert (await door.ask("GET", "/v1/getinfo")).status == 200


async def test_a_macaroon_that_lacks_a_call_is_found_out(network: Network) -> None:
    only_reads = await network.owner.bake_for(
        "coordinator", [("invoices", "read"), ("info", "read"), ("macaroon", "read")]
    )
    node = network.owner.node("coordinator", only_reads)
    assert await node.missing_rights() == (
        "/lnrpc.Lightning/ListChannels",
        "/lnrpc.Lightning/ListPayments",
        "/invoicesrpc.Invoices/AddHoldInvoice",
        "/invoicesrpc.Invoices/SettleInvoice",
        "/invoicesrpc.Invoices/CancelInvoice",
        "/routerrpc.Router/SendPaymentV2",
        "/routerrpc.Router/TrackPaymentV2",
    )
    await node.close()
    cannot_ask = await network.owner.bake_for("coordinator", [("info", "read")])
    node = network.owner.node("coordinator", cannot_ask)
    assert await node.missing_rights() is None
    await node.close()


async def test_an_examination_says_what_is_wrong_in_one_sentence(network: Network) -> None:
    found = await LndExamination(network.ours, "regtest").condition()
    assert (found.problem, found.note, found.answers, found.version[:6]) == ("", "", True, "0.21.1")
    found = await LndExamination(network.ours, "mainnet").condition()
    assert found.problem == "LND is on regtest, the settings say mainnet: point both to one network"
    assert not found.answers
    foreign = network.owner.node("coordinator", Secret(network.owner.foreign))
    assert "the macaroon is not of this node" in (await LndExamination(foreign, "regtest").condition()).problem
    await foreign.close()
    reads = network.owner.node("coordinator", await network.owner.bake_for("coordinator", [("info", "read")]))
    found = await LndExamination(reads, "regtest").condition()
    assert found.is_ready
    assert "cannot be asked" in found.note
    await reads.close()
