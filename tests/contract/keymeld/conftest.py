"""A keymeld gateway as its own process, and one attempt of a competition played against it by both sides."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.http import RequestBudget
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.keymeld import BatchOutcome, EnclaveKey, ForwardedApproval, Keymeld
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.audit import (
    OpenSession,
    audit_manifest,
    audit_recipients,
    audit_session_secret,
    audit_sessions,
)
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.initialization import Initialization
from coordinator_core.keymeld.plan import SIGNING_TIMEOUT, fresh_id, plan_batches
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration, accept_registration
from coordinator_core.keymeld.roster import RosterExpectation, VerifiedRoster
from coordinator_core.musig2 import KeySet, SigningItem
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.units import Seconds, UnixTime


@dataclass
class Server:
    """Where the gateway's process listens."""

    url: str
    control: str

    def fault(self, **order: Any) -> None:
        self._call("POST", json.dumps(order).encode())

    def clear(self) -> None:
        self._call("DELETE", None)

    def _call(self, method: str, body: bytes | None) -> None:
        request = urllib.request.Request(  # noqa: S310
            self.control + "/control/faults", data=body, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            answer.read()


def start(data_dir: Path) -> tuple[subprocess.Popen[str], Server]:
    command = [sys.executable, "-m", "coordinator.embedded.keymeld", "--data-dir", str(data_dir), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--exit-with-parent"], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    return process, Server(ready["url"], ready["control"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process, running = start(tmp_path_factory.mktemp("keymeld"))
    yield running
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert process.stdout is not None
    process.stdout.close()


class Wall:
    def now(self) -> UnixTime:
        return UnixTime(int(time.time()))


def connect(server: Server) -> KeymeldGateway:
    return KeymeldGateway(server.url, Wall(), budget=RequestBudget(1000, burst=200))


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[KeymeldGateway]:
    async with connect(server) as client:
        yield client


class Attempt:
    """One attempt: the coordinator's side and three players' side, each with its own keys."""

    def __init__(self, gateway: Keymeld, players: int = 3) -> None:
        self.gateway = gateway
        self.credentials = SessionCredentials.generate()
        self.keygen_session_id = fresh_id()
        self.coordinator = fresh_id()
        self.players = sorted(fresh_id() for _ in range(players))
        self.keys = {user: SecretKey.generate() for user in (self.coordinator, *self.players)}
        self.slots = {user: SecretKey.generate() for user in self.players}
        self.slot_keys = {user: slot.public_key for user, slot in self.slots.items()}
        self.manifest = self.credentials.sign_manifest(
            keygen_session_id=self.keygen_session_id,
            coordinator_user_id=self.coordinator,
            slot_keys=self.slot_keys,
            places=1,
        )
        self.session = self.credentials.access(self.keygen_session_id)
        self.registered: dict[str, SealedRegistration] = {}

    def user(self, name: str) -> UserAccess:
        return UserAccess(self.session, name, self.keys[name])

    async def open(self) -> None:
        self.pinned: Sequence[EnclaveKey] = await self.gateway.enclaves()
        self.epochs = {enclave.enclave_id: enclave.key_epoch for enclave in self.pinned}
        reservation = await self.gateway.reserve(self.session, self.manifest, self.pinned)
        keys = {enclave.enclave_id: enclave.public_key for enclave in self.pinned}
        creator = self.credentials.creator_key
        self.recipients = EnclaveRecipients.sign(self.manifest, reservation.assignments, keys, creator)
        self.initialization = Initialization.sign(
            self.manifest,
            self.recipients,
            session_secret=self.credentials.session_secret,
            coordinator_pubkey=self.keys[self.coordinator].public_key,
            enclave_key_epoch=self.epochs[reservation.coordinator_enclave],
            creator_key=creator,
        )
        await self.gateway.initialize(self.session, self.manifest, self.initialization)
        self.registered[self.coordinator] = self.seal(self.coordinator)
        await self.gateway.register(self.session, self.registered[self.coordinator])

    def seal(self, user: str) -> SealedRegistration:
        own = user == self.coordinator
        return seal_registration(
            manifest=self.manifest,
            recipients=self.recipients,
            user_id=user,
            enclave_key_epoch=self.epochs[self.recipients.user_enclave_assignments[user]],
            participant_key=self.keys[user],
            slot_key=self.credentials.slot_key if own else self.slots[user],
            require_signing_approval=not own,
        )

    async def join(self, user: str) -> None:
        """What a player does, with what it reads from the gateway itself, then what the coordinator does."""
        served = {enclave.enclave_id: enclave.public_key for enclave in await self.gateway.enclaves()}
        audit_manifest(self.manifest, slot_keys=self.slot_keys, places=1, keygen_session_id=self.keygen_session_id)
        audit_recipients(self.recipients, self.manifest, served)
        sealed = self.seal(user)
        self.registered[user] = accept_registration(
            sealed.authorization,
            sealed.ciphertext,
            manifest=self.manifest,
            recipients=self.recipients,
            enclave_key_epochs=self.epochs,
            user_id=user,
            public_key=self.keys[user].public_key,
        )
        await self.gateway.register(self.session, self.registered[user])

    def expectation(self, user: str) -> RosterExpectation:
        participants = {name: secret.public_key for name, secret in self.keys.items()}
        return RosterExpectation(self.manifest, self.recipients, participants, self.registered[user].authorization)

    async def complete(self) -> VerifiedRoster:
        await self.open()
        for player in self.players:
            await self.join(player)
        return await eventually(lambda: self.gateway.roster(self.session, self.expectation(self.coordinator)))

    def items(self, roster: VerifiedRoster, extra: int = 0) -> list[SigningItem]:
        """Shaped as a contract of one place: outcomes, expiry, splits; `extra` more plain items."""
        own = self.keys[self.coordinator].public_key
        pairs = [KeySet.aggregate([own, self.keys[player].public_key]) for player in self.players]
        outcomes = [
            SigningItem(roster.key_set, sha256(b"outcome%d" % i), SecretKey.generate().public_key)
            for i in range(len(self.players) + 1)
        ]
        splits = [SigningItem(pair, sha256(b"split%d" % i)) for i, pair in enumerate(pairs)]
        shared = [
            SigningItem(roster.key_set, sha256(b"shared%d" % i)) for i in range(2 * len(self.players) + 1 + extra)
        ]
        return [*outcomes, *splits, *shared]

    def batches(self, items: list[SigningItem], roster: VerifiedRoster) -> list[tuple[SignedBatch, list[SigningItem]]]:
        secret, made = self.credentials.session_secret, []
        for index, plain in enumerate(plan_batches(items, roster)):
            encrypted = [EncryptedItem.encrypt(item, secret) for item in plain]
            made.append((self.sign_batch(encrypted), items[100 * index : 100 * index + len(plain)]))
        return made

    def sign_batch(self, items: Sequence[EncryptedItem]) -> SignedBatch:
        return SignedBatch.sign(
            self.keygen_session_id, fresh_id(), SIGNING_TIMEOUT, items, self.credentials.creator_key
        )

    async def read(self, user: str, sessions: dict[str, str | None]) -> list[OpenSession]:
        """Every session as a player reads it from the gateway with its own header."""
        access = self.user(user)
        statuses = [await eventually(lambda s=s: self.gateway.signing_status(access, s)) for s in sessions]
        return [
            OpenSession(name, replaces, status.items)
            for (name, replaces), status in zip(sessions.items(), statuses, strict=True)
        ]

    async def approve(
        self,
        user: str,
        sessions: dict[str, str | None],
        *,
        expected: list[SigningItem],
        roster: VerifiedRoster,
        only: set[str] | None = None,
    ) -> None:
        """A player's check of all sessions, its approvals of the open ones, and the coordinator's forwarding."""
        access = self.user(user)
        audit_session_secret(self.manifest, access.session.session_secret)
        read = await self.read(user, sessions)
        quota = self.manifest.manifest.max_signing_sessions
        assert quota is not None
        audit_sessions(
            read,
            expected=expected,
            roster=roster,
            session_secret=access.session.session_secret,
            max_signing_sessions=quota,
        )
        now = await self.gateway.gateway_time()
        for session in read:
            if only is not None and session.signing_session_id not in only:
                continue
            approval = ParticipantApproval.sign(access, session.signing_session_id, session.items, now)
            header = access.header(session.signing_session_id, now)
            await self.gateway.approve(ForwardedApproval(session.signing_session_id, approval, header))

    async def sign(
        self, batches: list[tuple[SignedBatch, list[SigningItem]]], roster: VerifiedRoster, within: int = 30
    ) -> tuple[BatchOutcome, ...]:
        own = self.user(self.coordinator)
        await self.gateway.start_batches(own, [batch for batch, _ in batches])
        sessions: dict[str, str | None] = {batch.signing_session_id: None for batch, _ in batches}
        expected = [item for _, items in batches for item in items]
        for player in self.players:
            await self.approve(player, sessions, expected=expected, roster=roster)
        return await self.gateway.await_signatures(own, batches, within=Seconds(within))


async def eventually(call: Any) -> Any:
    """Repeat a read until it stops saying "not ready"; bounded."""
    from coordinator.ports.keymeld import NotReady

    for _ in range(200):
        try:
            return await call()
        except NotReady:
            await asyncio.sleep(0.05)
    return await call()


@pytest.fixture
def attempt(gateway: KeymeldGateway) -> Attempt:
    return Attempt(gateway)
