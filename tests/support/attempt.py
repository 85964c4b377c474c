"""One attempt of the closing, driven duty by duty through the real executors against a book of keymeld."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.duties import Duty
from coordinator.domain.facts import Fact
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.duty import Done, Executor, Outcome, Task
from coordinator.engine.executors import keymeld_session, keymeld_signing
from coordinator.engine.executors.services import Services
from coordinator_core.competition.player_keys import slot_key
from coordinator_core.dlc.serialization import parameters_to_json
from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.keymeld_book import EPOCH, BookKeymeld, Session
from tests.support.lanes import Story
from tests.support.ports import Clock, MemorySecrets
from tests.support.scene import PLAYERS, Player

ROSTER = scene.ROSTER
S = TypeVar("S", bound=Struct)


def altered(value: S, **changes: Any) -> S:
    """The same struct with other members: what somebody else made of it."""
    return type(value)(**{name: getattr(value, name) for name in value.__struct_fields__} | changes)


@cache
def _entries() -> tuple[Fact, ...]:
    """Ticket, signed entry and invoice of each player."""
    return tuple(fact for player in PLAYERS for fact in player.facts(b.terms_with()))


@dataclass
class Attempt:
    """Facts are put into the story as the engine would; what is asked twice is asked with the same facts."""

    services: Services
    book: BookKeymeld
    number: int = 1
    story: Story = field(default_factory=Story)
    prepared: Prepared | None = None

    def __post_init__(self) -> None:
        self.story.put(*_entries(), scene.oracle_event(self.number))

    async def run(self, duty: Duty, *, keep: bool = True) -> Outcome:
        """One try of a duty; its facts enter the story."""
        executor: Executor = {
            d.OpenSession: keymeld_session.OpenSessionExecutor,
            d.RegisterPlayer: keymeld_session.RegisterPlayerExecutor,
            d.AwaitRoster: keymeld_session.AwaitRosterExecutor,
            d.OpenBatches: keymeld_signing.OpenBatchesExecutor,
            d.OpenSpare: keymeld_signing.OpenSpareExecutor,
            d.ForwardApproval: keymeld_signing.ForwardApprovalExecutor,
            d.CollectSignatures: keymeld_signing.CollectSignaturesExecutor,
        }[type(duty)](self.services)
        task: Task[Any] = Task(duty.id(b.LANE), duty, b.awaiting_signing(self.number, ROSTER), self.story.lane, 1)
        outcome = await executor(task)
        if keep:
            self.story.put(*outcome.facts)
        return outcome

    @property
    def opened(self) -> f.SessionOpen:
        return keymeld_session.session_open(self.story.lane, self.number)

    @property
    def manifest(self) -> SignedManifest:
        return SignedManifest.from_json(self.opened.manifest)

    async def open(self) -> Outcome:
        return await self.run(d.OpenSession(attempt=self.number, roster=ROSTER))

    def registration(self, player: Player, key: SecretKey | None = None) -> SealedRegistration:
        """A player's key of this attempt, sealed as its client does."""
        return seal_registration(
            manifest=self.manifest,
            recipients=EnclaveRecipients.from_json(self.opened.recipients, self.manifest),
            user_id=player.name,
            enclave_key_epoch=EPOCH,
            participant_key=key or player.key(self.number),
            slot_key=slot_key(player.root, player.id),
            require_signing_approval=True,
        )

    def seal(self, player: Player, sealed: SealedRegistration | None = None) -> f.Seal:
        sealed = sealed or self.registration(player)
        context = sealed.authorization.context
        return altered(
            player.seal(self.number),
            registration=sealed.authorization.to_json(),
            ciphertext=sealed.ciphertext.hex(),
            public_key=context.public_key.hex(),
            auth_public_key=context.auth_pubkey.hex(),
        )

    async def register(self, player: Player) -> Outcome:
        return await self.run(d.RegisterPlayer(attempt=self.number, entry_id=player.name))

    async def keygen(self) -> Outcome:
        """From nothing to a verified roster."""
        await self.open()
        self.story.put(*(self.seal(player) for player in PLAYERS))
        for player in PLAYERS:
            await self.register(player)
        return await self.run(d.AwaitRoster(attempt=self.number, roster=ROSTER))

    async def pin(self) -> None:
        """The contract of the scene is this attempt's."""
        parameters = scene.contract().parameters
        pinned = f.Pinned(
            attempt=self.number,
            parameters=await self.services.put_blob(parameters_to_json(parameters).encode()),
            plan="",
            funding_txid=b.FUNDING,
            funding_vout=0,
            funding_value=parameters.funding_value,
            fee_rate=parameters.fee_rate,
            inputs=(),
            at_height=Height(100),
        )
        self.story.put(pinned)

    async def batches(self) -> tuple[f.Batch, ...]:
        """From nothing to open batches; on a prepared database they are open."""
        if self.prepared is not None:
            self.prepared.restore(self)
            return self.batches_open.batches
        await self.keygen()
        await self.pin()
        outcome = await self.run(d.OpenBatches(attempt=self.number, roster=ROSTER))
        assert isinstance(outcome, Done), outcome
        return self.batches_open.batches

    @property
    def batches_open(self) -> f.BatchesOpen:
        found = self.story.lane.facts.get(f.BatchesOpen, self.number)
        assert found is not None
        return found

    async def spare(self, replaces: str, index: int = 0) -> Outcome:
        return await self.run(d.OpenSpare(attempt=self.number, replaces=replaces, index=index, roster=ROSTER))

    async def stored(self, session_id: str) -> SignedBatch:
        return await keymeld_signing.stored_batch(self.services, b.LANE, session_id)

    async def user(self, player: Player) -> UserAccess:
        """A player as a participant, with the session secret as it was shared with it."""
        held: Secret | None = await self.services.secrets.get(b.LANE, f"keymeld/{self.number}")
        assert held is not None
        credentials = keymeld_session.SessionCredentials.from_secret(held)
        return credentials.user(self.opened.session_id, player.name, player.key(self.number))

    async def approval(self, player: Player, session_id: str, at: int) -> tuple[ParticipantApproval, str]:
        """An approval of a batch with its header, as a player's client makes them."""
        user, time = await self.user(player), UnixTime(at)
        items = (await self.stored(session_id)).items
        return ParticipantApproval.sign(user, session_id, items, time), user.header(session_id, time)

    async def approve(self, players: Iterable[Player], session_id: str, at: int) -> list[Outcome]:
        """Approvals as the intake would write them, each handed over."""
        outcomes: list[Outcome] = []
        for player in players:
            approval, header = await self.approval(player, session_id, at)
            outcomes.append(await self.forward(player, session_id, approval, header))
        return outcomes

    async def forward(self, player: Player, session_id: str, approval: ParticipantApproval, header: str) -> Outcome:
        at = approval.timestamp
        given = f.Approval(
            attempt=self.number,
            entry_id=player.name,
            session_id=session_id,
            approval=approval.to_json(),
            header=header,
            timestamp=at,
            at=at,
        )
        self.story.put(given)
        duty = d.ForwardApproval(attempt=self.number, entry_id=player.name, session_id=session_id, timestamp=at)
        return await self.run(duty)

    async def collect(self, session_id: str, index: int = 0) -> Outcome:
        duty = d.CollectSignatures(attempt=self.number, session_id=session_id, index=index, roster=ROSTER)
        return await self.run(duty)


@dataclass(frozen=True)
class Prepared:
    """An attempt whose batches are open, made once: a database with its pins and blobs, and what stands beside it."""

    database: Path
    facts: tuple[Fact, ...]
    secrets: dict[tuple[str, str], bytes]
    sessions: dict[str, Session]
    batches: dict[str, SignedBatch]

    @classmethod
    async def make(cls, database: Path) -> Prepared:
        """Through the executors, on a new database."""
        store = await SqliteStore.open(database)
        secrets, book = MemorySecrets(), BookKeymeld(b.WALL)
        clock = Clockwork(Clock(b.WALL), store, chain_time=True)
        absent: Any = None
        services = Services(store, clock, secrets, absent, absent, absent, absent, book, absent)
        attempt = Attempt(services, book)
        await attempt.batches()
        await store.close()
        return cls(database, tuple(attempt.story.facts), secrets.held, book.sessions, book.batches)

    def restore(self, attempt: Attempt) -> None:
        """The same attempt again, on a copy of the database."""
        secrets = attempt.services.secrets
        assert isinstance(secrets, MemorySecrets)
        secrets.held |= self.secrets
        attempt.book.sessions = {
            name: Session(known.manifest, known.started, dict(known.registered), dict(known.keys))
            for name, known in self.sessions.items()
        }
        attempt.book.batches = dict(self.batches)
        attempt.story.facts = list(self.facts)
