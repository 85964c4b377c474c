"""The headless player refuses a coordinator that cheats: one lie at a time, and nothing leaves the player after it.

One competition is held in each stage while a player behind a proxy is lied to. In the end the proxy is honest, and the
same player goes on to a funded contract: what it refused were the lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from coordinator.player.closing import Sealing
from coordinator.player.oracle import OracleReader
from coordinator.player.play import Player
from coordinator_core.errors import CoreError, InvalidSignature, VerificationFailed
from coordinator_core.keymeld.audit import BatchRefused, ManifestRefused
from coordinator_core.keymeld.batch_item import PlainItem
from coordinator_core.keymeld.manifest import SessionManifest
from coordinator_core.keymeld.plan import fresh_id
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.units import Sats, Seconds
from tests.e2e import lies
from tests.e2e import tampering_stages as stages
from tests.e2e.cheating import CoordinatorSecrets
from tests.e2e.conftest import Rig
from tests.e2e.tampering import (
    LONG,
    Change,
    Refusal,
    Stage,
    ended,
    evil_session,
    exchange_items,
    foreign,
    name_another_session,
    regular,
    signed_again,
    signed_by_a_friend,
)
from tests.e2e.tampering_proxy import TamperingProxy

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("tampering")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Services of this module's own: its competition stands still for long."""
    made = Rig(tmp_path_factory.mktemp("tampering"))
    yield made
    await made.spoil()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def selling(own_rig: Rig) -> AsyncIterator[Stage]:
    """Entries are open; the victim has not joined."""
    app = await own_rig.app()
    stack = app.services.stack
    async with (
        TamperingProxy(stack.url("coordinator")) as coordinator,
        TamperingProxy(stack.url("keymeld")) as gateway,
        TamperingProxy(app.oracle.url) as oracle,
    ):
        competition = await app.create_competition(
            entries=3, closing=LONG, oracle_url=oracle.url, keymeld_gateway=gateway.url
        )
        victim = await app.new_player(competition, coordinator.url)
        coordinator.speak_for(victim.keys.identity)
        stage = Stage(app, competition, coordinator, gateway, oracle, victim, [])
        yield stage
        for task in stage.tasks:
            task.cancel()
        await asyncio.gather(*stage.tasks, return_exceptions=True)
        await app.close()


async def _newcomer(stage: Stage) -> Player:
    """Somebody who has no ticket yet, behind the same proxy as the victim."""
    newcomer = await stage.app.new_player(stage.competition, stage.coordinator.url)
    stage.coordinator.speak_for(newcomer.keys.identity)
    return newcomer


async def _refused_ticket(stage: Stage, newcomer: Player) -> Refusal:
    """How a newcomer ends under the lie of now; a payment would bind it. The proxies are honest afterwards."""
    try:
        error = await ended(newcomer.join(stage.app.picks(stage.competition, 0)))
        paid = await stage.app.get_entry_balance(stage.competition, newcomer)
        return Refusal(error, frozenset({"payment"} if paid else ()))
    finally:
        stage.be_honest()


@pytest.mark.parametrize(
    ("more", "terms_hash", "text"),
    [(1_000, None, "asks for another price"), (0, bytes(32), "does not name the terms")],
    ids=["price", "terms"],
)
async def test_an_invoice_over_another_price_or_other_terms(
    selling: Stage, more: int, terms_hash: bytes | None, text: str
) -> None:
    newcomer = await _newcomer(selling)
    reserved = await newcomer.api.send(f"{newcomer.base}/entries", {}, dict[str, Any], signed=True)
    receipt = msgspec.json.decode(reserved["receipt"]["content"])
    price = sum(receipt["price"].values())
    thief = await selling.app.services.node(f"thief-{more}")
    request = await selling.app.services.hold_invoice(
        thief, bytes.fromhex(receipt["ticket_hash"]), price + more, terms_hash or selling.competition.terms.hash
    )

    def rewrite(path: str, body: bytes) -> bytes:
        if path.endswith("/entries"):
            return msgspec.json.encode(reserved)
        value = msgspec.json.decode(body)
        if "payment_request" in value:
            value["payment_request"] = request
        return msgspec.json.encode(value) if path.endswith(reserved["entry_id"]) else body

    selling.coordinator.rewrite = rewrite
    assert (await _refused_ticket(selling, newcomer)).says(VerificationFailed, text)


@pytest.mark.parametrize("line", ["entry_fee", "coordinator_fee"])
async def test_a_receipt_over_another_price(selling: Stage, line: str) -> None:
    """Signed by the coordinator as it should be, but not the price that the terms say."""

    def change(answer: Any) -> None:
        content = msgspec.json.decode(answer["receipt"]["content"])
        content["price"][line] += 1
        answer["receipt"] = signed_again(answer["receipt"], content, keys.nostr_key)

    async with CoordinatorSecrets(selling.app.coordinator_directory) as keys:
        selling.change_json(selling.coordinator, "/entries", change)
        assert (await _refused_ticket(selling, await _newcomer(selling))).says(CoreError, line)


async def test_terms_that_are_not_those_of_the_receipt(selling: Stage) -> None:
    selling.coordinator.rewrite = _other_terms
    refused = await _refused_ticket(selling, await _newcomer(selling))
    assert refused.says(VerificationFailed, "receipt.terms_hash")


def _other_terms(path: str, body: bytes) -> bytes:
    """Valid terms with another stake."""
    return body.replace(b'"entry_fee":50000', b'"entry_fee":50001') if path.endswith("/terms") else body


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealing(selling: Stage) -> Stage:
    return await stages.everyone_else_sealed(selling)


async def test_terms_that_change_after_the_ticket(sealing: Stage) -> None:
    sealing.coordinator.rewrite = _other_terms
    assert (await sealing.refusal()).says(VerificationFailed, "changed since the ticket was reserved")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lies.another_quota, "max_signing_sessions"),
        (lies.no_quota, "max_signing_sessions"),
        (lies.fewer_subsets, "subset_definitions"),
        (lies.an_extra_subset, "subset_definitions"),
        (lies.another_slot_key, "participant_verifiers"),
        (lies.another_timeout, "timeout_secs"),
    ],
)
async def test_a_manifest_with(sealing: Stage, change: Callable[[SessionManifest], dict[str, Any]], field: str) -> None:
    """A session of the cheat's own, signed as it should be, with one thing changed."""
    evil = evil_session(sealing, await sealing.status(), change)
    sealing.change_json(sealing.coordinator, "/keymeld/status", lambda status: status.update(evil))
    assert (await sealing.refusal()).says(ManifestRefused, field)


async def test_a_manifest_without_one_of_the_players_slots(sealing: Stage) -> None:
    evil = evil_session(sealing, await sealing.status(), lambda _: {}, without=sealing.victim.entry_id)
    sealing.change_json(sealing.coordinator, "/keymeld/status", lambda status: status.update(evil))
    assert (await sealing.refusal()).says(VerificationFailed, "has no slot for this entry")


async def test_a_manifest_with_a_stranger(sealing: Stage) -> None:
    evil = evil_session(sealing, await sealing.status(), lambda _: {}, stranger=fresh_id())
    sealing.change_json(sealing.coordinator, "/keymeld/status", lambda status: status.update(evil))
    assert (await sealing.refusal()).says(VerificationFailed, "without a signed entry")


async def test_an_enclave_key_that_the_gateway_does_not_serve(sealing: Stage) -> None:
    own = generator_mul((11).to_bytes(32, "big"))
    sealing.change_json(sealing.gateway, "/public-key", lambda answer: answer.update(public_key=own.hex()))
    assert (await sealing.refusal()).says(ManifestRefused, "recipient_public_keys")


async def test_another_players_picks_that_were_exchanged(sealing: Stage) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        other = next(entry for entry in entries if entry["opened"] is not None)
        pick = other["opened"]["picks"][0]
        pick["choice"] = "under" if pick["choice"] != "under" else "over"

    sealing.change_json(sealing.coordinator, "/entries", change)
    assert (await sealing.refusal()).says(VerificationFailed, "picks: are not those of the signed entry")


async def test_another_players_entry_that_was_exchanged(sealing: Stage) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        other = next(entry for entry in entries if entry["entry_id"] != sealing.victim.entry_id)
        content = msgspec.json.decode(other["event"]["content"])
        content["payout_hash"] = "11" * 32
        other["event"]["content"] = msgspec.json.encode(content).decode()

    sealing.change_json(sealing.coordinator, "/entries", change)
    assert (await sealing.refusal()).says(VerificationFailed, "event: the id is not the hash of its content")


async def test_another_entry_in_the_players_own_place(sealing: Stage) -> None:
    """With the player's own keys, and with a payout hash whose preimage the cheat knows: the prize would be its own."""

    def change(entries: list[dict[str, Any]]) -> None:
        own = next(entry for entry in entries if entry["entry_id"] == sealing.victim.entry_id)
        content = msgspec.json.decode(own["event"]["content"]) | {"payout_hash": "11" * 32}
        own["event"] = signed_again(own["event"], content, SecretKey.from_bytes(bytes([21]) * 32))

    sealing.change_json(sealing.coordinator, "/entries", change)
    assert (await sealing.refusal()).says(VerificationFailed, "another entry in this player's place")


async def test_a_list_without_the_players_own_entry(sealing: Stage) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        entries[:] = [entry for entry in entries if entry["entry_id"] != sealing.victim.entry_id]

    sealing.change_json(sealing.coordinator, "/entries", change)
    assert (await sealing.refusal()).says(VerificationFailed, "do not hold this player's entry")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signing(sealing: Stage) -> Stage:
    return await stages.batches_open(sealing)


async def test_an_event_with_other_dates_than_the_terms(signing: Stage) -> None:
    event = signing.competition.terms.oracle.event_ids[1]
    later = signing.competition.terms.observation.window.end + 3_600
    # The oracle's own signature, over an event that a cheat had it announce.
    statement = signing.app.oracle.sign_changed_statement(event, end=later)
    signing.change_json(signing.oracle, f"/events/{event}", lambda answer: answer.update(statement=statement))
    assert (await signing.refusal()).says(VerificationFailed, "end_observation_date")


async def test_a_statement_of_another_oracle(signing: Stage) -> None:
    event = signing.competition.terms.oracle.event_ids[1]

    def change(answer: dict[str, Any]) -> None:
        answer["statement"]["signature"] = "11" * 64

    signing.change_json(signing.oracle, f"/events/{event}", change)
    assert (await signing.refusal()).says(InvalidSignature, "statement")


async def test_another_players_picks_at_the_oracle(signing: Stage) -> None:
    event = signing.competition.terms.oracle.event_ids[1]

    def change(answer: dict[str, Any]) -> None:
        other = next(entry for entry in answer["entries"] if entry["id"] != signing.victim.entry_id)
        pick = other["picks"][0]
        pick["prediction"] = "Under" if pick["prediction"].lower() != "under" else "Over"

    signing.change_json(signing.oracle, f"/events/{event}", change)
    assert (await signing.refusal()).says(VerificationFailed, "another entry stands at the oracle")


@pytest.mark.parametrize("what", ["payout_hash", "entry_keys", "picks"])
async def test_another_players_entry_that_its_owner_signed_again_after_the_closing(signing: Stage, what: str) -> None:
    """A friend of the coordinator's who has seen the opened picks, and now has other ones: good signatures all over."""
    change = signed_by_a_friend(signing, what)
    signing.change_json(signing.coordinator, "/entries", change)
    assert (await signing.refusal()).says(VerificationFailed, "exchanged after the picks were opened")


async def test_an_attempt_that_was_over(signing: Stage) -> None:
    """The same entry key in another session: entry keys are fresh for each attempt."""
    kept = signing.victim.sealing
    assert kept is not None
    signing.victim.sealing = Sealing(2, kept.manifest, kept.recipients, kept.registration)
    try:
        assert (await signing.refusal()).says(VerificationFailed, "goes back to an earlier attempt")
    finally:
        signing.victim.sealing = kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lies.another_payout_hash, "parameters.players"),
        (lies.exchanged_players, "parameters.players"),
        (lies.another_locking_point, "parameters.event"),
        (lies.another_delta, "parameters.relative_locktime_block_delta"),
        (lies.another_market_maker, "another market maker key"),
        (lies.less_money, "parameters.funding_value"),
    ],
)
async def test_parameters_with(signing: Stage, change: Change, field: str) -> None:
    signing.change_json(signing.coordinator, "/contract", change)
    assert (await signing.refusal()).says(VerificationFailed, field)


async def test_another_outpoint_makes_every_item_another_one(signing: Stage) -> None:
    signing.change_json(signing.coordinator, "/contract", lambda document: document.update(outpoint="33" * 32 + ":0"))
    assert (await signing.refusal()).says(BatchRefused, "message that is not the contract's")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda items: [regular(items[0]), *items[1:]], "has another adaptor point, or none"),
        (lambda items: [foreign(items[0]), *items[1:]], "message that is not the contract's"),
        (lambda items: [*items, foreign(items[0])], "message that is not the contract's"),
        (lambda items: [*items, items[0]], "is signed a second time"),
        (lambda items: items[1:], "items of the contract are in none"),
    ],
    ids=["regular outcome", "foreign message", "extra item", "item twice", "missing item"],
)
async def test_a_batch_with(signing: Stage, change: Callable[[list[PlainItem]], list[PlainItem]], text: str) -> None:
    exchange_items(signing, change)
    assert (await signing.refusal()).says(BatchRefused, text)


async def test_an_extra_batch(signing: Stage) -> None:
    await name_another_session(signing, replaces=False, change=lambda items: [foreign(items[0])])
    assert (await signing.refusal()).says(BatchRefused, "message that is not the contract's")


async def test_an_extra_batch_without_items(signing: Stage) -> None:
    await name_another_session(signing, replaces=False, change=lambda _: [])
    assert (await signing.refusal()).says(BatchRefused, "are not the 1 batches")


async def test_a_spare_session_with_other_items(signing: Stage) -> None:
    await name_another_session(signing, replaces=True, change=lambda items: [*items[1:], foreign(items[0])])
    assert (await signing.refusal()).says(BatchRefused, "does not hold exactly the items of the session it replaces")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signed(signing: Stage) -> Stage:
    return await stages.contract_signed(signing)


@pytest.mark.parametrize("group", ["expiry_tx_signature", "outcome_tx_signatures", "split_tx_signatures"])
async def test_a_kit_with_one_wrong_signature(signed: Stage, group: str) -> None:
    def change(kit: dict[str, Any]) -> None:
        signatures = kit["contract"]["signatures"]
        if isinstance(signatures[group], str):
            signatures[group] = _one_bit_off(signatures[group])
        else:
            name = next(iter(signatures[group]))
            signatures[group][name] = _one_bit_off(signatures[group][name])

    signed.change_json(signed.coordinator, "/kit", change)
    assert (await signed.refusal()).says(InvalidSignature, "signature")


def _one_bit_off(text: str) -> str:
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


async def test_the_kit_of_another_entry(signed: Stage) -> None:
    other = signed.honest[0]
    kit = await other.api.get(f"{other.own}/kit", signed=True)
    signed.coordinator.rewrite = lambda path, body: kit if path.endswith("/kit") else body
    assert (await signed.refusal()).says(VerificationFailed, "kit.entry_id: is another entry")


async def test_a_kit_of_a_contract_that_was_not_approved(signed: Stage) -> None:
    approved, signed.victim.contract = signed.victim.contract, "00" * 32
    try:
        assert (await signed.refusal()).says(VerificationFailed, "another contract than the one approved")
    finally:
        signed.victim.contract = approved


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def won(signed: Stage) -> Stage:
    return await stages.prize_won(signed)


async def test_less_than_the_prize(won: Stage) -> None:
    """An invoice on the payout hash sells the whole prize, whatever it is over."""
    won.change_json(won.coordinator, "/payout", lambda answer: answer.update(net=answer["net"] - 1))
    try:
        with pytest.raises(VerificationFailed, match=r"payout\.net: is less than the"):
            async with asyncio.timeout(20):
                await won.victim.take_prize()
        assert "payout" not in won.coordinator.posted
        assert won.victim.payout_request == ""
    finally:
        won.be_honest()


async def test_a_payment_that_never_came(won: Stage) -> None:
    """The entry key would give the output away; the player's wallet knows that nothing was paid."""
    won.change_json(won.coordinator, "/payout", lambda answer: answer.update(state="PAID"))
    # An invoice that was made and not paid.
    won.victim.payout_request = await won.victim.wallet.make_invoice(Sats(1), Seconds(3_600))
    try:
        async with asyncio.timeout(20):
            assert await won.victim.take_prize() == "PAID"
        assert "key" not in won.coordinator.posted
    finally:
        won.victim.payout_request = ""
        won.be_honest()


async def test_the_honest_contract_goes_on_to_the_end(won: Stage) -> None:
    app, competition = won.app, won.competition
    states = await app.take_prizes(competition)
    assert states[won.victim.entry_id] == "PAID"
    assert "key" in won.coordinator.posted
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)
    reader = OracleReader(competition.terms.oracle.url)
    assert await reader.attestation(str(competition.terms.oracle.event_ids[1])) is not None
    await reader.close()
