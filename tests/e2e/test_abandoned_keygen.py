"""A keygen that was given up is completed late and signs whatever it is asked to: no output of the contract of the
next attempt can be spent with it, because entry keys are fresh for each attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from coordinator.adapters.clock import SystemClock
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.player.play import Player
from coordinator.ports.keymeld import ForwardedApproval, NotReady
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.dlc import Contract, WinCondition, claims
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.plan import SIGNING_TIMEOUT, fresh_id, plan_batches
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import RosterExpectation, VerifiedRoster
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner
from coordinator_core.secp256k1 import SecretKey, schnorr_sign
from coordinator_core.transaction import (
    SEQUENCE_FINAL,
    Transaction,
    TxIn,
    TxOut,
    pay_to_taproot,
    taproot_sighash,
)
from coordinator_core.units import FeeRate, Sats, Seconds, UnixTime
from tests.e2e.application import CLOSING, Competition, TestApp
from tests.e2e.cheating import CoordinatorSecrets
from tests.e2e.mock_oracle import Outcome
from tests.e2e.tampering_proxy import TamperingProxy
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

FEE_RATE = FeeRate(500)
REFUSED = "Invalid Schnorr signature"
THIEF = pay_to_taproot(SecretKey.generate().x_only)


@dataclass(frozen=True, slots=True)
class OldAttempt:
    """Everything a cheat could have of attempt 1: the session, all players' old keys, the market maker's key."""

    held: SessionCredentials
    market_maker: SecretKey
    players: tuple[Player, ...]
    late: Player

    def key(self, player: Player) -> SecretKey:
        """A player's entry key of attempt 1."""
        return entry_key(player.keys.secret, UUID(player.entry_id), 1)

    @property
    def manifest(self) -> SignedManifest:
        """As the late player got it."""
        assert self.late.sealing is not None
        return SignedManifest.from_value(self.late.sealing.manifest)

    @property
    def session_id(self) -> str:
        """The abandoned keygen session."""
        return self.manifest.manifest.keygen_session_id


async def test_keys_of_an_ended_attempt_spend_nothing_of_the_next_contract(app: TestApp) -> None:
    async with TamperingProxy(app.services.stack.url("coordinator")) as proxy:
        competition, late = await _second_attempt(app, proxy)
    staying = [player for player in competition.players if player is not late]
    contract = await app.contract(competition)
    winner = min(staying, key=lambda player: player.entry_id)
    won = WinCondition(ContractOutcome(0), 0)

    async with CoordinatorSecrets(app.coordinator_directory) as secrets:
        held = await secrets.session(competition.id, 1)
        old = OldAttempt(held, secrets.market_maker_key(competition.id), tuple(competition.players), late)
    new_keys = {player.public_key for player in contract.parameters.players}
    assert not new_keys & {old.key(player).public_key for player in old.players}

    theft = _theft(contract)
    split_message = contract.item(won).message
    async with KeymeldGateway(app.services.stack.url("keymeld"), SystemClock()) as gateway:
        roster = await _complete(gateway, old)
        everyone = roster.key_set_of(None)
        pair = KeySet.aggregate([old.key(winner).public_key, old.market_maker.public_key])
        wanted = [
            SigningItem(everyone, taproot_sighash(theft, 0, [contract.funding_output])),
            SigningItem(pair, split_message),
        ]
        of_funding, of_split = await _sign(app, gateway, old, roster, wanted)
    await _require_refused(app, theft.with_witness(0, (of_funding,)))

    await app.attest(competition, Outcome((0,)))
    assert await winner.take_prize(keep_key=True) == "PAID"
    app.kill_coordinator()
    await app.mine_blocks(competition.terms.contract.delta)
    preimage = await winner.ticket_preimage()
    assert winner.kit is not None
    assert preimage is not None
    split = winner.kit.signed.split_transaction(won, preimage)
    await _require_refused(app, split.with_witness(0, (of_split, *split.inputs[0].witness[1:])))
    await _require_refused(app, claims.sweep([_outcome_close(contract, old, winner)], THIEF, FEE_RATE))

    assert await app.chain.refusal(split) is None
    await app.mine_blocks(1 + competition.terms.contract.delta)
    new_key = winner.kit.entry_key(winner.keys.secret)
    win = claims.win(contract, won, new_key, preimage)
    await _require_refused(app, claims.sweep([replace(win, sign=_alone(old.key(winner)))], THIEF, FEE_RATE))
    close = claims.split_close(contract, won, old.market_maker, new_key)
    await _require_refused(app, claims.sweep([_closed_by(close, contract, old, winner)], THIEF, FEE_RATE))

    await app.start_coordinator()
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)


async def _second_attempt(app: TestApp, proxy: TamperingProxy) -> tuple[Competition, Player]:
    """Three players; one seals its key of attempt 1, but nobody passes it on in time: attempt 2 is without it."""
    competition = await app.create_competition(entries=3, minimum=2, closing={**CLOSING, "sealing": 5})
    late = await app.new_player(competition, proxy.url)
    proxy.speak_for(late.keys.identity)
    await late.join(app.picks(competition, 0))
    competition.players.append(late)
    await app.join_all(competition, 2)
    proxy.later = ("/join",)
    await app.close_entries(competition)
    waiting = asyncio.create_task(late.keep_appointment())
    await app.keep_appointments(competition, late)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert late.sealing is not None
    assert late.sealing.attempt == 1
    await app.confirm_funding(competition)
    assert await app.attempt(competition) == 2
    return competition, late


async def _complete(gateway: KeymeldGateway, old: OldAttempt) -> VerifiedRoster:
    """Hand the late registration over; keymeld finishes the keygen of attempt 1."""
    assert old.late.sealing is not None
    registration = SealedRegistration.from_json(old.late.sealing.registration)
    access = old.held.access(old.session_id)
    await gateway.register(access, registration)
    keys = {player.entry_id: old.key(player).public_key for player in old.players}
    expectation = RosterExpectation(
        manifest=old.manifest,
        recipients=EnclaveRecipients.from_value(old.late.sealing.recipients, old.manifest),
        participants={**keys, old.manifest.manifest.coordinator_user_id: old.market_maker.public_key},
        own=registration.authorization,
    )

    async def complete() -> VerifiedRoster | None:
        try:
            return await gateway.roster(access, expectation)
        except NotReady:
            return None

    return await wait_for(complete, "the late keygen")


async def _sign(
    app: TestApp, gateway: KeymeldGateway, old: OldAttempt, roster: VerifiedRoster, items: Sequence[SigningItem]
) -> tuple[bytes, ...]:
    """keymeld's signatures under the old keys, with the approvals of everyone: worse cannot be."""
    secret = old.held.session_secret
    [plain] = plan_batches(items, roster)
    encrypted = tuple(EncryptedItem.encrypt(item, secret) for item in plain)
    name = fresh_id()
    batch = SignedBatch.sign(old.session_id, name, SIGNING_TIMEOUT, encrypted, old.held.creator_key)
    own = old.held.user(old.session_id, old.manifest.manifest.coordinator_user_id, old.market_maker)
    await gateway.start_signing(own, batch)
    for player in old.players:
        await _approve(app, gateway, UserAccess(own.session, player.entry_id, old.key(player)), batch)
    [outcome] = await gateway.await_signatures(own, [(batch, items)], within=Seconds(30))
    assert outcome.error is None
    return outcome.signatures


async def _approve(app: TestApp, gateway: KeymeldGateway, user: UserAccess, batch: SignedBatch) -> None:
    name = batch.signing_session_id

    async def approved() -> bool:
        now = UnixTime((await app.services.gateway_json("/api/v1/enclaves/0/public-key"))["timestamp"])
        approval = ParticipantApproval.sign(user, name, batch.items, now)
        try:
            await gateway.approve(ForwardedApproval(name, approval, user.header(name, now)))
        except NotReady:
            return False
        return True

    await wait_for(approved, "the gateway to take an approval")


def _theft(contract: Contract) -> Transaction:
    """Everything in the funding output, less a fee, to a thief at once."""
    value = Sats(contract.funding_output.value - 1_000)
    return Transaction((TxIn(contract.outpoint, SEQUENCE_FINAL),), (TxOut(value, THIEF),))


def _alone(key: SecretKey) -> Callable[[bytes], bytes]:
    return lambda message: schnorr_sign(message, key)


def _outcome_close(contract: Contract, old: OldAttempt, winner: Player) -> claims.Spend:
    """The key path of the outcome output, with the winner's old key in place of its new one."""
    assert winner.kit is not None
    new_key = winner.kit.entry_key(winner.keys.secret)
    close = claims.outcome_close(contract, ContractOutcome(0), old.market_maker, [new_key])
    return _closed_by(close, contract, old, winner)


def _closed_by(close: claims.Spend, contract: Contract, old: OldAttempt, winner: Player) -> claims.Spend:
    """Signed by the market maker and an old key, tweaked as the output is."""
    keys = [old.market_maker, old.key(winner)]
    pair = KeySet.aggregate([key.public_key for key in keys])
    root = _merkle_root(close, contract)

    def sign(message: bytes) -> bytes:
        [signature] = SoloSigner(keys).sign([SigningItem(pair.with_taproot_tweak(root), message)])
        return signature

    return replace(close, sign=sign)


def _merkle_root(close: claims.Spend, contract: Contract) -> bytes:
    outcome = contract.outcome_outpoint(ContractOutcome(0))
    if close.outpoint == outcome:
        return contract.outcome_taproot(ContractOutcome(0)).tree.hash
    return contract.winner_output(0).taproot.tree.hash


async def _require_refused(app: TestApp, transaction: Transaction) -> None:
    refusal = await app.chain.refusal(transaction)
    assert refusal is not None
    assert REFUSED in refusal, refusal
