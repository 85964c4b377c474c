"""A node that never made an invoice: LND has no table of them, and one of its calls says so with another code."""

import base64

import pytest

from coordinator.ports.faults import Rejected
from coordinator.ports.lightning import PaymentState
from tests.contract.lightning.conftest import Network
from tests.contract.lightning.doors import Answer, Door

NOTHING = "there are no existing invoices"
UNKNOWN = "unable to locate invoice"
HASH = base64.urlsafe_b64encode(bytes(32)).decode()


def told(answer: Answer) -> tuple[int, int, str]:
    return answer.status, answer.body["code"], answer.body["message"]


@pytest.fixture
def fresh(network: Network) -> Door:
    """The router of either network neither invoices nor pays."""
    return network.owner.door("router")


async def test_what_the_node_says(fresh: Door) -> None:
    assert told(await fresh.ask("GET", "/v2/invoices/lookup", query={"payment_hash": HASH})) == (500, 2, NOTHING)
    assert told(await fresh.ask("GET", f"/v1/invoice/{bytes(32).hex()}")) == (404, 5, NOTHING)
    assert told(await fresh.ask("POST", "/v2/invoices/cancel", body={"payment_hash": HASH})) == (500, 2, UNKNOWN)
    assert told(await fresh.ask("POST", "/v2/invoices/settle", body={"preimage": HASH})) == (500, 2, UNKNOWN)


async def test_no_hash_has_an_invoice_and_none_was_paid(network: Network) -> None:
    router = network.owner.node("router")
    try:
        assert await router.invoice(network.hash()) is None
        with pytest.raises(Rejected):
            await router.cancel(network.hash())
        with pytest.raises(Rejected):
            await router.settle(network.preimage())
        assert (await router.payment(network.hash())).state is PaymentState.NEVER_SENT
        assert not await router.history_reaches(network.hash())
    finally:
        await router.close()
