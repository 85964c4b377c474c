import json
from dataclasses import replace
from uuid import UUID

import pytest

from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.fees import FeeMarket, PriceLines, offer
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.dlc import ContractParameters, EventLockingConditions, Player
from coordinator_core.dlc.funding import funding_output
from coordinator_core.errors import CoreError, Fault, InvalidInput, Refused, VerificationFailed
from coordinator_core.nostr.event import sign_event
from coordinator_core.receipts import (
    DebtReason,
    FundingEvidence,
    RepaymentEvidence,
    Verdict,
    judge_ticket,
    sign_entry_receipt,
    sign_prize_debt,
    sign_repayment_debt,
    sign_repayment_request,
    sign_reservation,
    verify_debt,
    verify_entry_receipt,
    verify_reservation,
)
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint

COORDINATOR, ALICE, BOB = (SecretKey.from_bytes(bytes([n]) * 32) for n in (4, 1, 2))
ENTRY = UUID("01926f3a-0000-7000-8000-000000000001")
TICKET = Secret(bytes([9]) * 32)
NOW = 1_790_000_000


@pytest.fixture
def terms(make_terms):
    return make_terms({"coordinator_key": COORDINATOR.x_only.hex()})


@pytest.fixture
def reservation(terms):
    def make(signer=COORDINATOR):
        return sign_reservation(
            signer,
            terms,
            entry_id=ENTRY,
            player=ALICE.x_only,
            ticket_hash=sha256(TICKET.reveal()),
            price=offer(terms, FeeMarket(1_001, 250)),
            created_at=NOW,
        )

    return make


@pytest.fixture
def entry(terms):
    picks = [
        Pick(target=t, metric=m, choice=Choice.OVER)
        for t, m in (("KORD", "temp_high"), ("KORD", "rain_amt"), ("KSAW", "rain_amt"))
    ]
    return sign_entry(
        ALICE,
        Secret(bytes(range(32))),
        terms_hash=terms.hash,
        entry_id=ENTRY,
        ticket_hash=sha256(TICKET.reveal()),
        picks=picks,
        created_at=NOW,
    )


def edited(event, signer=COORDINATOR, **change):
    document = json.loads(event.content) | change
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return sign_event(signer, event.kind, text, created_at=NOW)


def test_a_reservation_repeats_the_terms(terms, reservation):
    receipt = verify_reservation(reservation(), terms, ALICE.x_only)
    assert receipt.price.total == 52_427
    assert (receipt.funding_deadline, receipt.promise) == (terms.schedule.funding_deadline, "fund or cancel")
    assert verify_reservation(edited(reservation()), terms, ALICE.x_only) == receipt


@pytest.mark.parametrize(
    "change",
    [
        {"terms_hash": "00" * 32},
        {"player": BOB.x_only.hex()},
        {"funding_deadline": 900_095},
        {"entries_close": NOW},
        {"promise": "maybe"},
        {"price": {"entry_fee": 50_000, "coordinator_fee": 1_500, "network_fee": 5_001}},
        {"type": "entry-receipt/v1"},
    ],
)
def test_a_reservation_that_says_something_else_is_refused(terms, reservation, change):
    with pytest.raises(CoreError) as caught:
        verify_reservation(edited(reservation(), **change), terms, ALICE.x_only)
    assert caught.value.fault is Fault.COORDINATOR


def test_only_the_key_of_the_terms_signs_receipts(terms, reservation):
    with pytest.raises(VerificationFailed):
        verify_reservation(reservation(signer=BOB), terms, ALICE.x_only)


def test_no_receipt_for_a_price_that_breaks_the_terms(terms):
    price = PriceLines(entry_fee=50_001, coordinator_fee=1_500, network_fee=927)
    with pytest.raises(Refused):
        sign_reservation(
            COORDINATOR,
            terms,
            entry_id=ENTRY,
            player=ALICE.x_only,
            ticket_hash=bytes(32),
            price=price,
            created_at=NOW,
        )


def test_the_receipt_of_an_entry_names_its_event(terms, entry):
    event = sign_entry_receipt(COORDINATOR, entry, NOW)
    assert verify_entry_receipt(event, terms, entry).entry_event == entry.event.id
    for change in ({"entry_event": "00" * 32}, {"ticket_hash": "00" * 32}, {"entry_id": str(UUID(int=1))}):
        with pytest.raises(VerificationFailed):
            verify_entry_receipt(edited(event, **change), terms, entry)
    with pytest.raises(VerificationFailed):
        verify_entry_receipt(sign_entry_receipt(BOB, entry, NOW), terms, entry)


def test_a_prize_debt_names_output_and_preimage(terms, entry):
    output = OutPoint(bytes(31) + b"\x01", 1)
    event = sign_prize_debt(COORDINATOR, entry, amount=89_540, output=output, created_at=NOW)
    debt = verify_debt(event, terms, entry)
    assert (debt.amount, debt.output, debt.payout_hash) == (89_540, str(output), entry.document.payout_hash)
    assert debt.condition == "a confirmed claim of the output on chain ends this debt"
    for change in ({"condition": None}, {"output": None}, {"payout_hash": "00" * 32}, {"output": "x"}):
        with pytest.raises(CoreError):
            verify_debt(edited(event, **change), terms, entry)


def test_a_ticket_debt_has_no_output(terms, entry):
    event = sign_repayment_debt(COORDINATOR, entry, reason=DebtReason.TICKET, amount=52_427, created_at=NOW)
    assert verify_debt(event, terms, entry).output is None
    with pytest.raises(CoreError):
        verify_debt(edited(event, output=f"{'00' * 32}:0"), terms, entry)
    with pytest.raises(InvalidInput):
        sign_repayment_debt(COORDINATOR, entry, reason=DebtReason.PRIZE, amount=1, created_at=NOW)


@pytest.fixture
def receipt(terms, reservation):
    return verify_reservation(reservation(), terms, ALICE.x_only)


def contract_with(ticket_hash):
    parameters = ContractParameters(
        market_maker=COORDINATOR.public_key,
        players=(Player(ALICE.public_key, ticket_hash, bytes(32)), Player(BOB.public_key, bytes([1]) * 32, bytes(32))),
        event=EventLockingConditions((), None),
        outcome_payouts={},
        fee_rate=1_000,
        funding_value=100_000,
        relative_locktime_block_delta=144,
    )
    return FundingEvidence(parameters, funding_output(parameters), 1)


def test_receipt_and_preimage_prove_a_fraud_only_144_blocks_after_f(receipt):
    last = receipt.funding_deadline + 144
    assert judge_ticket(receipt, TICKET, last - 1, 1) is Verdict.TOO_EARLY
    assert judge_ticket(receipt, TICKET, last, 1) is Verdict.FRAUD
    with pytest.raises(InvalidInput):
        judge_ticket(receipt, Secret(bytes(32)), last, 1)


def test_a_confirmed_contract_with_the_ticket_keeps_the_promise(receipt):
    last = receipt.funding_deadline + 144
    holds = contract_with(bytes.fromhex(receipt.ticket_hash))
    assert judge_ticket(receipt, TICKET, last, 1, [holds]) is Verdict.KEPT
    not_counted = [
        contract_with(bytes([3]) * 32),
        replace(holds, confirmations=0),
        replace(holds, output=replace(holds.output, value=99_999)),
        replace(holds, output=replace(holds.output, script_pubkey=b"")),
        replace(holds, parameters=replace(holds.parameters, market_maker=bytes(33))),
    ]
    assert judge_ticket(receipt, TICKET, last, 1, not_counted) is Verdict.FRAUD
    assert judge_ticket(receipt, TICKET, last, 3, [holds]) is Verdict.FRAUD


def test_a_repayment_is_asked_for_by_the_player_and_proved_by_its_preimage(receipt):
    last, paid = receipt.funding_deadline + 144, Secret(bytes([6]) * 32)
    asked = sign_repayment_request(ALICE, receipt, payment_hash=sha256(paid.reveal()), created_at=NOW)

    def judge(request, preimage=paid):
        return judge_ticket(receipt, TICKET, last, 1, [], [RepaymentEvidence(request, preimage)])

    assert judge(asked) is Verdict.REPAID
    assert judge(asked, Secret(bytes([7]) * 32)) is Verdict.FRAUD
    assert judge(edited(asked)) is Verdict.FRAUD  # signed by the coordinator
    for change in ({"amount": 52_426}, {"entry_id": str(UUID(int=1))}, {"terms_hash": "00" * 32}, {"amount": -1}):
        assert judge(edited(asked, signer=ALICE, **change)) is Verdict.FRAUD
