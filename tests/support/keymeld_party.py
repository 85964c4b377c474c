"""A keymeld client written by hand from the specification; it shares no codec with the service under test."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import time
import uuid
from typing import Any

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coordinator_core.secp256k1 import SecretKey, ecdsa_sign, point_mul

NO_TWEAK = {"type": "none"}


class Clock:
    """The gateway's wall clock, moved by hand."""

    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        return self.now


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def canonical_digest(domain: str, payload: Any) -> bytes:
    data = b"keymeld-authorization-v1" + prefixed(domain.encode()) + prefixed(compact(payload))
    return hashlib.sha256(data).digest()


def signature(domain: str, payload: Any, key: SecretKey) -> list[int]:
    return list(ecdsa_sign(canonical_digest(domain, payload), key))


def derive(key_material: bytes, info: str, salt: bytes | None = None) -> bytes:
    return HKDF(SHA256(), 32, salt, info.encode()).derive(key_material)


def seal(plaintext: bytes, recipient_hex: str) -> str:
    ephemeral = SecretKey.generate()
    shared = hashlib.sha256(point_mul(bytes.fromhex(recipient_hex), ephemeral.reveal())).digest()
    nonce = secrets.token_bytes(12)
    ciphertext = AESGCM(derive(shared, "keymeld-ecies-encrypt")).encrypt(nonce, plaintext, None)
    return (ephemeral.public_key + nonce + ciphertext).hex()


def auth_header(key: SecretKey, domain: str, scope: str, user: str, timestamp: int, nonce: bytes | None = None) -> str:
    nonce = secrets.token_bytes(16) if nonce is None else nonce
    parts = b"".join(prefixed(text.encode()) for text in (domain, scope, user))
    digest = hashlib.sha256(parts + timestamp.to_bytes(8, "big") + nonce).digest()
    return f"v1:{timestamp}:{nonce.hex()}:{ecdsa_sign(digest, key).hex()}"


class Party:
    """Coordinator and players of one keygen session, with all their keys."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        players: int = 3,
        max_signing_sessions: int | None = None,
        session_tweak: dict[str, Any] = NO_TWEAK,
        timeout_secs: int = 3600,
        approvals: bool = True,
    ) -> None:
        self.http, self.clock = http, clock
        self.session_secret = secrets.token_bytes(32)
        self.session_key = SecretKey.from_bytes(
            derive(self.session_secret, "session-auth-key", b"keymeld-session-auth-v1")
        )
        self.creator = SecretKey.generate()
        self.keygen_id = str(uuid.uuid4())
        self.users = [str(uuid.uuid4()) for _ in range(players + 1)]
        self.coordinator, self.players = self.users[0], self.users[1:]
        self.keys = {user: SecretKey.generate() for user in self.users}
        self.slots = {user: SecretKey.generate() for user in self.users}
        self.needs_approval = {user: approvals and user != self.coordinator for user in self.users}
        self.session_tweak = session_tweak
        self.pairs = {str(uuid.uuid4()): [self.coordinator, player] for player in self.players}
        self.manifest: dict[str, Any] = {
            "keygen_session_id": self.keygen_id,
            "coordinator_user_id": self.coordinator,
            "creator_pubkey": list(self.creator.public_key),
            "signing_pubkey": list(self.creator.public_key),
            "session_public_key": list(self.session_key.public_key),
            "participant_verifiers": {user: list(self.slots[user].public_key) for user in sorted(self.users)},
            "timeout_secs": timeout_secs,
            "max_signing_sessions": max_signing_sessions,
            "encrypted_taproot_tweak": self.encrypt(compact(session_tweak), "taproot_tweak"),
            "subset_definitions": [{"subset_id": s, "participants": m} for s, m in self.pairs.items()],
        }
        self.reserved: dict[str, Any] = {}
        self.enclaves: dict[int, dict[str, Any]] = {}

    def encrypt(self, plaintext: bytes, context: str) -> str:
        nonce = secrets.token_bytes(12)
        ciphertext = AESGCM(derive(self.session_secret, context)).encrypt(nonce, plaintext, None)
        return (bytes((len(context),)) + context.encode() + nonce + ciphertext).hex()

    def decrypt(self, encrypted: str, context: str) -> bytes:
        data = bytes.fromhex(encrypted)
        header = bytes((len(context),)) + context.encode()
        assert data.startswith(header)
        body = data[len(header) :]
        return AESGCM(derive(self.session_secret, context)).decrypt(body[:12], body[12:], None)

    def session_header(self, *, timestamp: int | None = None) -> dict[str, str]:
        at = self.clock.now if timestamp is None else timestamp
        value = auth_header(self.session_key, "keymeld-http-session-auth-v1", self.keygen_id, "", at)
        return {"X-Session-Signature": value}

    def auth_key(self, user: str) -> SecretKey:
        info = f"keymeld-session-auth-v1:{self.keygen_id}"
        return SecretKey.from_bytes(derive(self.keys[user].reveal(), info))

    def user_header(self, user: str, signing_id: str) -> dict[str, str]:
        key = self.auth_key(user)
        value = auth_header(key, "keymeld-http-user-auth-v1", signing_id, user, self.clock.now)
        return {"X-User-Signature": value}

    def signed_manifest(self) -> dict[str, Any]:
        return {"manifest": self.manifest, "signature": signature("session-manifest", self.manifest, self.creator)}

    def manifest_hash(self) -> list[int]:
        return list(canonical_digest("signed-session-manifest", self.signed_manifest()))

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", headers=headers)

    async def post(
        self, path: str, body: Any, headers: dict[str, str] | None = None, *, compress: bool = False
    ) -> httpx.Response:
        content, every = compact(body), {"Content-Type": "application/json", **(headers or {})}
        if compress:
            content, every = gzip.compress(content), {**every, "Content-Encoding": "gzip"}
        return await self.http.post(f"/api/v1{path}", content=content, headers=every)

    def reserve_body(self) -> dict[str, Any]:
        copied = (
            "keygen_session_id",
            "coordinator_user_id",
            "timeout_secs",
            "max_signing_sessions",
            "encrypted_taproot_tweak",
            "subset_definitions",
        )
        return {
            "authorization_manifest": self.signed_manifest(),
            "expected_participants": self.users,
            **{name: self.manifest[name] for name in copied},
        }

    async def reserve(self) -> dict[str, Any]:
        answer = await self.post("/keygen/reserve", self.reserve_body())
        assert answer.status_code == 200, answer.text
        self.reserved = answer.json()
        await self.fetch_enclaves()
        return self.reserved

    async def fetch_enclaves(self) -> None:
        for enclave_id in set(self.reserved["user_enclave_assignments"].values()):
            answer = await self.get(f"/enclaves/{enclave_id}/public-key?nonce={secrets.token_hex(32)}")
            assert answer.status_code == 200, answer.text
            self.enclaves[enclave_id] = answer.json()

    def recipients(self, **changes: Any) -> dict[str, Any]:
        assigned = self.reserved["user_enclave_assignments"]
        unsigned = {
            "keygen_session_id": self.keygen_id,
            "manifest_hash": self.manifest_hash(),
            "user_enclave_assignments": {user: assigned[user] for user in sorted(assigned)},
            "recipient_public_keys": {
                str(e): list(bytes.fromhex(self.enclaves[e]["public_key"])) for e in sorted(self.enclaves)
            },
            **changes,
        }
        return {**unsigned, "signature": signature("enclave-recipients", list(unsigned.values()), self.creator)}

    def initialize_body(self, **changes: Any) -> dict[str, Any]:
        home = self.enclaves[self.reserved["coordinator_enclave_id"]]
        body = {
            "coordinator_pubkey": list(self.keys[self.coordinator].public_key),
            "session_public_key": list(self.session_key.public_key),
            "encrypted_session_secret": seal(self.session_secret, home["public_key"]),
            "encrypted_session_data": self.encrypt(b"{}", "keygen_session"),
            "enclave_key_epoch": home["key_epoch"],
            "recipient_authorization": self.recipients(),
            **changes,
        }
        signed = signature("initialize-session", [self.keygen_id, *body.values()], self.creator)
        return {**body, "authorization_signature": signed}

    async def initialize(self) -> dict[str, Any]:
        answer = await self.post(f"/keygen/{self.keygen_id}/initialize", self.initialize_body())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def context(self, user: str, **changes: Any) -> dict[str, Any]:
        enclave = self.enclaves[self.reserved["user_enclave_assignments"][user]]
        return {
            "keygen_session_id": self.keygen_id,
            "manifest_hash": self.manifest_hash(),
            "user_id": user,
            "enclave_id": enclave["enclave_id"],
            "enclave_key_epoch": enclave["key_epoch"],
            "public_key": list(self.keys[user].public_key),
            "auth_pubkey": list(self.auth_key(user).public_key),
            "require_signing_approval": self.needs_approval[user],
            **changes,
        }

    def envelope(self, user: str, context: dict[str, Any]) -> dict[str, Any]:
        return {
            "context": context,
            "private_key": list(self.keys[user].reveal()),
            "proof_signature": signature("registration-possession", context, self.keys[user]),
        }

    def register_body(
        self,
        user: str,
        *,
        context: dict[str, Any] | None = None,
        envelope: dict[str, Any] | None = None,
        recipient: str | None = None,
        slot: SecretKey | None = None,
    ) -> dict[str, Any]:
        context = self.context(user) if context is None else context
        envelope = self.envelope(user, context) if envelope is None else envelope
        enclave = self.enclaves[self.reserved["user_enclave_assignments"][user]]
        ciphertext = seal(compact(envelope), recipient or enclave["public_key"])
        ciphertext_hash = list(hashlib.sha256(bytes.fromhex(ciphertext)).digest())
        signed = signature("participant-registration", [context, ciphertext_hash], slot or self.slots[user])
        return {
            "registration_authorization": {
                "context": context,
                "ciphertext_hash": ciphertext_hash,
                "signature": signed,
            },
            "keygen_session_id": self.keygen_id,
            "user_id": user,
            "encrypted_private_key": ciphertext,
            "public_key": context["public_key"],
            "encrypted_session_data": self.encrypt(b"{}", "keygen_participant_session"),
            "enclave_public_key": enclave["public_key"],
            "enclave_key_epoch": context["enclave_key_epoch"],
            "require_signing_approval": context["require_signing_approval"],
            "auth_pubkey": context["auth_pubkey"],
        }

    async def register(self, user: str, body: dict[str, Any] | None = None) -> httpx.Response:
        body = self.register_body(user) if body is None else body
        return await self.post(f"/keygen/{self.keygen_id}/participants", body, self.session_header())

    async def keygen_status(self) -> httpx.Response:
        return await self.get(f"/keygen/{self.keygen_id}/status", self.session_header())

    async def collecting(self) -> Party:
        await self.reserve()
        await self.initialize()
        return self

    async def completed(self) -> Party:
        await self.collecting()
        for user in self.users:
            answer = await self.register(user)
            assert answer.status_code == 200, answer.text
        await self.wait_for_keygen()
        return self

    async def wait_for_keygen(self) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = await self.keygen_status()
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] == "completed":
                return answer.json()
        raise AssertionError("the keygen did not complete")

    def item(
        self,
        message: bytes,
        *,
        subset: str | None = None,
        adaptors: list[dict[str, Any]] | None = None,
        tweak: dict[str, Any] = NO_TWEAK,
    ) -> dict[str, Any]:
        mode: dict[str, Any] = {"type": "regular"}
        mode["encrypted_message"] = self.encrypt(message.hex().encode(), "session_data")
        if adaptors is not None:
            mode["type"] = "adaptor"
            mode["encrypted_adaptor_configs"] = self.encrypt(compact(adaptors), "adaptor_configs")
        return {
            "batch_item_id": str(uuid.uuid4()),
            "message_hash": list(message),
            "signing_mode": mode,
            "encrypted_taproot_tweak": self.encrypt(compact(tweak), "session_data"),
            "subset_id": subset,
        }

    def batch(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "batch_item_id": item["batch_item_id"],
                "encrypted_message": item["signing_mode"]["encrypted_message"],
                "encrypted_adaptor_configs": item["signing_mode"].get("encrypted_adaptor_configs"),
                "encrypted_taproot_tweak": item["encrypted_taproot_tweak"],
                "subset_id": item["subset_id"],
            }
            for item in items
        ]

    def signing_body(self, items: list[dict[str, Any]], *, timeout: int = 600) -> dict[str, Any]:
        signing_id = str(uuid.uuid4())
        payload = [self.keygen_id, signing_id, timeout, self.batch(items)]
        return {
            "signing_authorization": {
                "timeout_secs": timeout,
                "signature": signature("signing-batch", payload, self.creator),
            },
            "signing_session_id": signing_id,
            "keygen_session_id": self.keygen_id,
            "timeout_secs": timeout,
            "batch_items": items,
        }

    async def start_signing(self, body: dict[str, Any]) -> httpx.Response:
        return await self.post("/signing", body, self.session_header(), compress=True)

    def approval(self, user: str, body: dict[str, Any], *, timestamp: int | None = None) -> dict[str, Any]:
        at = self.clock.now if timestamp is None else timestamp
        payload = [user, self.keygen_id, body["signing_session_id"], at, self.batch(body["batch_items"])]
        signed = signature("participant-batch-approval", payload, self.auth_key(user))
        return {"user_id": user, "timestamp": at, "signature": signed}

    async def approve(self, user: str, body: dict[str, Any], approval: dict[str, Any] | None = None) -> httpx.Response:
        signing_id = body["signing_session_id"]
        approval = self.approval(user, body) if approval is None else approval
        path = f"/signing/{signing_id}/approve/{user}"
        return await self.post(path, approval, self.user_header(user, signing_id))

    async def signing_status(self, signing_id: str, user: str | None = None) -> dict[str, Any]:
        user = user or self.coordinator
        answer = await self.get(f"/signing/{signing_id}/status/{user}", self.user_header(user, signing_id))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Start a batch, approve it for everyone who has to, and wait for its end."""
        body = self.signing_body(items)
        answer = await self.start_signing(body)
        assert answer.status_code == 200, answer.text
        for user in self.users:
            if self.needs_approval[user]:
                answer = await self.approve(user, body)
                assert answer.status_code == 200, answer.text
        return await self.wait_for_signing(body["signing_session_id"])

    async def wait_for_signing(self, signing_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status = await self.signing_status(signing_id)
            if status["status"] in ("completed", "failed"):
                return status
        raise AssertionError("the signing session did not end")

    def public_keys(self, users: list[str]) -> list[bytes]:
        return [self.keys[user].public_key for user in users]
