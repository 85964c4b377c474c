"""A competition with one player who is lied to, and the lies that take more than a changed number."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from coordinator.player.play import Player
from coordinator_core.competition.picks import commit
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.errors import CoreError
from coordinator_core.keymeld.access import SessionAccess, UserAccess
from coordinator_core.keymeld.batch_item import EncryptedItem, PlainItem
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.manifest import SessionManifest, SignedManifest
from coordinator_core.keymeld.plan import fresh_id
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.nostr.event import sign_event
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime
from tests.e2e.application import CLOSING, Competition, TestApp
from tests.e2e.tampering_proxy import TamperingProxy

LONG = {**CLOSING, "sealing": 300, "approvals": 300}
BINDING = {"join", "ready", "approvals"}
PATIENCE_SECONDS = 20
Change = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a player ended that was lied to."""

    error: CoreError | None
    bound: frozenset[str]
    """What binds the player and was sent all the same."""

    def says(self, kind: type[CoreError], text: str) -> bool:
        """True for an error of this kind whose words match, when nothing binds the player."""
        return isinstance(self.error, kind) and re.search(text, str(self.error)) is not None and not self.bound


async def ended(act: Awaitable[object]) -> CoreError | None:
    """The error that something a player does ends with; None without one. Raises TimeoutError."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await act
    except CoreError as error:
        return error
    return None


@dataclass(slots=True)
class Stage:
    """A competition with one player who is lied to and two who are not."""

    app: TestApp
    competition: Competition
    coordinator: TamperingProxy
    gateway: TamperingProxy
    oracle: TamperingProxy
    victim: Player
    honest: list[Player]
    told: list[str] = field(default_factory=list[str])
    """What the honest players say they do."""
    secret: Secret = field(default_factory=lambda: Secret(bytes(32)))
    tasks: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])

    @property
    def proxies(self) -> tuple[TamperingProxy, ...]:
        """All three."""
        return self.coordinator, self.gateway, self.oracle

    def be_honest(self) -> None:
        """No proxy changes anything from now on."""
        for proxy in self.proxies:
            proxy.honest()

    def change_json(self, proxy: TamperingProxy, end: str, change: Change) -> None:
        """Change the JSON of every answer whose path ends so."""

        def rewrite(path: str, body: bytes) -> bytes:
            if not path.endswith(end):
                return body
            value = msgspec.json.decode(body)
            change(value)
            return msgspec.json.encode(value)

        proxy.rewrite = rewrite

    async def refusal(self) -> Refusal:
        """How the victim ends its closing under the lie of now. The proxies are honest afterwards."""
        try:
            error = await ended(self.victim.keep_appointment())
            return Refusal(error, frozenset(BINDING & set(self.coordinator.posted)))
        finally:
            self.be_honest()

    async def status(self) -> dict[str, Any]:
        """The victim's status, as it really is."""
        path = f"{self.victim.base}/keymeld/status?entry={self.victim.entry_id}"
        return await self.victim.api.get_json(path, signed=True)

    async def user(self) -> UserAccess:
        """The victim's rights at the gateway."""
        status = await self.status()
        key = entry_key(self.victim.keys.secret, UUID(self.victim.entry_id), int(status["attempt"]))
        return UserAccess(SessionAccess(status["keygen_session_id"], self.secret), self.victim.entry_id, key)


def evil_session(
    stage: Stage,
    status: dict[str, Any],
    change: Callable[[SessionManifest], dict[str, Any]],
    *,
    without: str = "",
    stranger: str = "",
) -> dict[str, Any]:
    """Manifest and recipients of a session that the cheat made itself: every signature in them is good."""
    real = SignedManifest.from_value(status["manifest"])
    coordinator = real.manifest.coordinator_user_id
    slots = {u: k for u, k in real.manifest.participant_verifiers.items() if u not in (coordinator, without)}
    if stranger:
        slots[stranger] = generator_mul((9).to_bytes(32, "big"))
    held = SessionCredentials.generate()
    made = held.sign_manifest(
        keygen_session_id=status["keygen_session_id"],
        coordinator_user_id=coordinator,
        slot_keys=slots,
        places=stage.competition.terms.places,
    ).manifest
    changed = SessionManifest(**{**msgspec.structs.asdict(made), **change(made)})
    signed = SignedManifest.sign(changed, held.creator_key)
    old = EnclaveRecipients.from_value(status["recipients"], real)
    assignments = {user: old.user_enclave_assignments.get(user, 0) for user in changed.users}
    enclaves = {enclave: old.recipient_public_keys[enclave] for enclave in set(assignments.values())}
    recipients = EnclaveRecipients.sign(signed, assignments, enclaves, held.creator_key)
    return {
        "manifest": msgspec.json.decode(signed.to_json()),
        "recipients": msgspec.json.decode(recipients.to_json()),
    }


def _opened(stage: Stage, items: list[dict[str, Any]]) -> list[PlainItem]:
    return [EncryptedItem.from_wire(item, f"items[{i}]").decrypt(stage.secret) for i, item in enumerate(items)]


def _sealed(stage: Stage, item: PlainItem) -> dict[str, Any]:
    return EncryptedItem.encrypt(item, stage.secret).wire(item.message)


def exchange_items(stage: Stage, change: Callable[[list[PlainItem]], list[PlainItem]]) -> None:
    """What the gateway would serve, had the coordinator sent other items."""

    def rewrite(status: dict[str, Any]) -> None:
        status["batch_items"] = [_sealed(stage, item) for item in change(_opened(stage, status["batch_items"]))]

    stage.change_json(stage.gateway, f"/status/{stage.victim.entry_id}", rewrite)


def regular(item: PlainItem) -> PlainItem:
    """Signed without its adaptor point an outcome could be broadcast at once."""
    return PlainItem(item.batch_item_id, item.message, None, item.subset_id)


def foreign(item: PlainItem) -> PlainItem:
    return PlainItem(fresh_id(), b"\x44" * 32, None, item.subset_id)


async def name_another_session(
    stage: Stage, *, replaces: bool, change: Callable[[list[PlainItem]], list[PlainItem]]
) -> None:
    """A session that the status names beside the real one, served by the gateway with items of the cheat's."""
    status = await stage.status()
    [real] = [one["session"] for one in status["signing_sessions"]]
    another = fresh_id()
    user = await stage.user()
    path = f"/api/v1/signing/{real}/status/{stage.victim.entry_id}"
    now = UnixTime((await stage.app.services.gateway_json("/api/v1/enclaves/0/public-key"))["timestamp"])
    served = await stage.app.services.gateway_json(path, {"X-User-Signature": user.header(real, now)})
    items = [_sealed(stage, item) for item in change(_opened(stage, served["batch_items"]))]
    canned = msgspec.json.encode({**served, "signing_session_id": another, "batch_items": items})
    stage.gateway.canned[f"/api/v1/signing/{another}/status/{stage.victim.entry_id}"] = canned
    named = {"session": another, "replaces": real if replaces else None}
    stage.change_json(stage.coordinator, "/keymeld/status", lambda s: s["signing_sessions"].append(named))


def signed_again(event: dict[str, Any], content: object, key: SecretKey) -> dict[str, Any]:
    text = msgspec.json.encode(content).decode()
    made = sign_event(key, event["kind"], text, event["tags"], created_at=event["created_at"])
    return msgspec.json.decode(made.to_json())


def signed_by_a_friend(stage: Stage, what: str) -> Change:
    """The entry of an honest player, signed again by itself with one thing changed: "picks" are the victim's."""
    friend = stage.honest[0]

    def change(entries: list[dict[str, Any]]) -> None:
        entry = next(entry for entry in entries if entry["entry_id"] == friend.entry_id)
        content = msgspec.json.decode(entry["event"]["content"])
        if what == "payout_hash":
            content["payout_hash"] = "11" * 32
        elif what == "entry_keys":
            content["entry_keys"].reverse()
        else:
            picks = stage.victim.picks
            entry["opened"]["picks"] = msgspec.to_builtins(picks)
            salt = bytes.fromhex(entry["opened"]["salt"])
            content["picks_commitment"] = commit(UUID(friend.entry_id), salt, picks).hex()
        entry["event"] = signed_again(entry["event"], content, friend.keys.identity)

    return change
