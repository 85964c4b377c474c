import pytest

from coordinator.player.http import ServerRefused
from coordinator.player.wallet import PaymentFailed
from coordinator_core.errors import Fault, Refused, VerificationFailed


def accept(coordinator, wallet, after=1):
    """The payment is held once the wallet was asked so many times."""

    def paid():
        if len(wallet.paid) >= after:
            coordinator.ticket_state = "ACCEPTED"

    wallet.on_pay = paid


async def test_a_ticket_is_reserved_signed_and_paid_once(make_player, picks):
    player, coordinator, wallet = make_player()
    accept(coordinator, wallet)
    await player.join(picks)
    assert [call for call in coordinator.calls if call in ("entries", "hand in", "renewal")] == ["entries", "hand in"]
    assert wallet.paid == [player.invoice]


async def test_a_pause_of_new_tickets_is_waited_for_before_the_first_reservation(make_player, picks):
    player, coordinator, wallet = make_player()
    accept(coordinator, wallet)
    coordinator.later = {"entries": 2}
    await player.join(picks)
    asked = [call for call in coordinator.calls if call in ("entries", "hand in", "renewal")]
    assert asked == ["entries"] * 3 + ["hand in"]
    assert coordinator.generation == 1


async def test_a_reservation_that_lapsed_is_renewed_and_its_price_agreed_again(make_player, picks):
    player, coordinator, wallet = make_player()
    prices = []
    player.agree = prices.append
    accept(coordinator, wallet)
    coordinator.lapsed = ["hand in"]
    await player.join(picks)
    asked = [call for call in coordinator.calls if call in ("entries", "hand in", "renewal")]
    assert asked == ["entries", "hand in", "renewal", "hand in"]
    assert (coordinator.generation, len(prices), len(wallet.paid)) == (2, 2, 1)


async def test_a_competition_that_is_over_is_not_asked_again(make_player, picks):
    player, coordinator, _ = make_player()
    coordinator.conflicts = ["entries"]
    with pytest.raises(ServerRefused):
        await player.join(picks)
    assert coordinator.calls == ["entries"]


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_coordinator_that_says_later_is_asked_again_and_the_price_agreed_once(make_player, picks, renewed):
    player, coordinator, wallet = make_player()
    prices = []
    player.agree = prices.append
    coordinator.later = {"hand in": 0 if renewed else 2}

    def paid():
        if renewed and len(wallet.paid) == 1:
            coordinator.expires_in, coordinator.later = -60, {"renewal": 1, "hand in": 2}
        else:
            coordinator.ticket_state = "ACCEPTED"

    wallet.on_pay = paid
    await player.join(picks)
    asked = [call for call in coordinator.calls if call in ("entries", "hand in", "renewal")]
    assert asked == ["entries", "hand in", *(["renewal"] * 2 if renewed else []), *["hand in"] * (3 if renewed else 2)]
    assert len(prices) == coordinator.generation


async def test_the_receipt_is_kept_before_the_entry_is_signed_or_paid(make_player, picks):
    player, coordinator, wallet = make_player()
    accept(coordinator, wallet)
    kept = []
    player.keep = lambda: kept.append((player.receipt is not None, player.ticket_hash, tuple(coordinator.calls)))
    await player.join(picks)
    has_receipt, ticket_hash, calls = kept[0]
    assert has_receipt
    assert ticket_hash == coordinator.ticket_hash.hex()
    assert calls == ("entries",)


async def test_an_expired_invoice_is_renewed_with_the_same_entry(make_player, picks):
    player, coordinator, wallet = make_player()

    def paid():
        if len(wallet.paid) == 1:
            coordinator.expires_in = -60
        else:
            coordinator.ticket_state = "ACCEPTED"

    wallet.on_pay = paid
    await player.join(picks)
    assert coordinator.calls.count("renewal") == 1
    assert coordinator.generation == 2
    assert player.ticket_hash == coordinator.ticket_hash.hex()
    assert len(set(wallet.paid)) == 2


async def test_a_restarted_client_goes_on_with_its_entry_and_invoice(make_player, picks):
    first, coordinator, wallet = make_player()
    wallet.reason = "no route"
    with pytest.raises(PaymentFailed) as failed:
        await first.join(picks)
    assert failed.value.fault is Fault.PLAYER
    wallet.reason = None
    second, _, again = make_player()
    second._service = coordinator
    for name in ("entry_id", "ticket_hash", "receipt", "invoice", "terms_hash"):
        setattr(second, name, getattr(first, name))
    accept(coordinator, again)
    await second.join(picks)
    assert again.paid == [first.invoice]
    assert coordinator.generation == 1


async def test_a_ticket_that_was_given_back_is_not_paid_again(make_player, picks):
    player, coordinator, wallet = make_player()

    def paid():
        coordinator.ticket_state = "CANCELED"

    wallet.on_pay = paid
    with pytest.raises(VerificationFailed, match="was canceled"):
        await player.join(picks)
    assert len(wallet.paid) == 1


async def test_a_refused_renewal_ends_the_command(make_player, picks):
    player, coordinator, wallet = make_player()
    coordinator.conflicts.append("renewal")

    def paid():
        coordinator.expires_in = -60

    wallet.on_pay = paid
    with pytest.raises(ServerRefused, match="entries have closed"):
        await player.join(picks)


async def test_a_declined_price_signs_and_pays_nothing(make_player, picks):
    player, coordinator, wallet = make_player()

    def decline(price):
        raise Refused("price", f"{price.total} is too much", "wait")

    player.agree = decline
    with pytest.raises(Refused):
        await player.join(picks)
    assert "hand in" not in coordinator.calls
    assert wallet.paid == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount_msat": 99_000_000}, "asks for another price"),
        ({"amount_msat": None}, "asks for another price"),
        ({"payment_hash": bytes(32)}, "has another payment hash"),
        ({"description_hash": bytes(32)}, "does not name the terms"),
        ({"description_hash": None, "description": "a ticket"}, "does not name the terms"),
        ({"final_cltv_delta": 433}, "holds the payment for too long"),
    ],
)
async def test_an_invoice_that_is_not_for_what_was_agreed_is_not_paid(make_player, picks, change, text):
    player, coordinator, wallet = make_player()
    coordinator.invoice = change
    with pytest.raises(VerificationFailed, match=text) as refused:
        await player.join(picks)
    assert refused.value.fault is Fault.COORDINATOR
    assert wallet.paid == []
    assert player.invoice == ""


async def test_no_second_invoice_is_paid_while_the_money_for_the_first_is_under_way(make_player, picks):
    """The coordinator says that the invoice expired; the wallet knows that the payment did not fail."""
    player, coordinator, wallet = make_player()
    looks = 0

    def paid():
        wallet.under_way = {player.ticket_hash}
        coordinator.expires_in = -60

    def look():
        nonlocal looks
        looks += 1
        if looks == 5:
            coordinator.ticket_state = "ACCEPTED"

    wallet.on_pay, coordinator.on_look = paid, look
    await player.join(picks)
    assert "renewal" not in coordinator.calls
    assert len(wallet.paid) == 1


async def test_terms_that_changed_since_are_refused(make_player, picks):
    player, _, wallet = make_player()
    player.terms_hash = bytes(32)
    with pytest.raises(VerificationFailed, match="changed"):
        await player.join(picks)
    assert wallet.paid == []
