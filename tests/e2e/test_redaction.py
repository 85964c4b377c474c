"""No secret of anybody is found where it does not belong: log, database with WAL, error pages, metrics, health, status.

A competition is walked to its end; then everything that is secret is looked for, as bytes, hex and base64.
"""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.competition.player_keys import entry_key, payout_preimage, slot_key
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from tests.e2e.application import Competition, TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PASSPHRASE = os.environ.get("COORDINATOR_PASSPHRASE", "regtest only").encode()
PLANTED = {
    "session cookie": b"planted-session-cookie-6f1d2c",
    "bearer token": b"planted-bearer-token-91ab3e",
    "query secret": b"planted-query-secret-77c0de",
    "path secret": b"planted-path-secret-30bb1f",
    "body secret": b"planted-body-secret-c4a9d8",
    "nsec": b"nsec1" + b"q" * 58,
}
"""What callers may send by mistake to a place where it is refused."""


def spellings(secret: bytes) -> set[bytes]:
    hexed = secret.hex().encode()
    return {
        secret,
        hexed,
        hexed.upper(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    }


def bytes_of(key: SecretKey) -> bytes:
    return key.reveal()


def copied(data: Path, copy: Path) -> list[tuple[str, str]]:
    """The running coordinator's database in another directory; competition and name of each sealed secret."""
    copy.mkdir()
    with closing(sqlite3.connect(f"file:{data / 'coordinator.db'}?mode=ro", uri=True)) as source:
        with closing(sqlite3.connect(copy / "coordinator.db")) as target:
            source.backup(target)
        return source.execute("SELECT lane, name FROM secret").fetchall()


async def stored_secrets(data: Path, copy: Path, seed: Secret, own: str) -> dict[str, bytes]:
    """Everything that the coordinator keeps sealed for a competition or for all, opened from a copy of its database.

    Other tests played on the same coordinator, and ended anywhere: with a claim that was built and never sent, say.
    """
    rows = [(lane, name) for lane, name in copied(data, copy) if lane == own or "-" not in lane]
    store = await SqliteStore.open(copy / "coordinator.db")
    found: dict[str, bytes] = {}
    try:
        keys = SealedSecrets(store, seed)
        for lane, name in rows:
            secret = await keys.get(lane, name)
            assert secret is not None
            value = secret.reveal()
            # Session credentials are several secrets in a row.
            parts = [value[start : start + 32] for start in range(0, len(value), 32)]
            found |= {f"sealed {lane[-4:]}/{name}/{number}": part for number, part in enumerate(parts)}
    finally:
        await store.close()
    return found


def of_coordinator(app: TestApp, competition: Competition, seed: Secret) -> dict[str, bytes]:
    none: Any = None
    keys, data = SealedSecrets(none, seed), app.coordinator_directory
    files = {path.name: path for path in data.parent.rglob("*") if path.name in ("coordinator.macaroon", ".cookie")}
    cookie = files[".cookie"].read_bytes().strip()
    return {
        "seed": seed.reveal(),
        "passphrase": PASSPHRASE,
        "wallet seed": keys.wallet_seed().reveal(),
        "Nostr key": bytes_of(keys.signing_key("nostr")),
        "market maker key": bytes_of(keys.market_maker_key(competition.id)),
        "operator token": (data / "operator.token").read_bytes().strip(),
        "macaroon": files["coordinator.macaroon"].read_bytes(),
        "RPC cookie": cookie,
        "RPC password": cookie.partition(b":")[2],
    }


def of_players(competition: Competition) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, player in enumerate(competition.players):
        entry, secret = UUID(player.entry_id), player.keys.secret
        found |= {
            # Seeds of these players are small numbers, so what is derived of them is looked for instead.
            f"player {number} secret": secret.reveal(),
            f"player {number} Nostr key": bytes_of(player.keys.identity),
            f"player {number} slot key": bytes_of(slot_key(secret, entry)),
            f"player {number} entry key": bytes_of(entry_key(secret, entry, 1)),
            f"player {number} payout preimage": payout_preimage(secret, entry).reveal(),
        }
    return found


async def said(app: TestApp) -> dict[str, bytes]:
    """What the coordinator answers to those who send secrets where they do not belong, and to those who look."""
    url = app.services.stack.url("coordinator")
    headers = {
        "cookie": f"session={PLANTED['session cookie'].decode()}",
        "authorization": f"Bearer {PLANTED['bearer token'].decode()}",
        "x-request-id": PLANTED["nsec"].decode() + "!",
    }
    asked = {
        "page of nothing": ("GET", f"/{PLANTED['path secret'].decode()}?token={PLANTED['query secret'].decode()}"),
        "refused command": ("POST", f"/api/v1/operator/competitions?{PLANTED['query secret'].decode()}"),
        "bad id": ("GET", f"/competitions/{PLANTED['path secret'].decode()}"),
        "wrong method": ("POST", f"/status?{PLANTED['query secret'].decode()}"),
        "metrics refused": ("GET", "/metrics"),
        "health": ("GET", "/healthz"),
        "readiness": ("GET", "/readyz"),
        "status": ("GET", "/api/v1/status"),
        "status page": ("GET", "/status"),
    }
    answers: dict[str, bytes] = {}
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for name, (method, path) in asked.items():
            for accept in ("text/html", "application/json"):
                answer = await client.request(
                    method, path, content=PLANTED["body secret"], headers={**headers, "accept": accept}
                )
                answers[f"{name} ({accept})"] = answer.content + repr(answer.headers).encode()
        token = {"authorization": f"Bearer {app.services.stack.operator_token}"}
        metrics = await client.get("/metrics", headers=token)
        assert b"coordinator_transitions_total" in metrics.content
        answers["metrics"] = metrics.content
    return answers


def files_of(app: TestApp) -> dict[str, bytes]:
    data = app.coordinator_directory
    logs = (data.parent / "logs").glob("coordinator*.log")
    paths = [*logs, data / "coordinator.db", data / "coordinator.db-wal"]
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def hits(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[str]:
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, content in places.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


async def published(app: TestApp) -> bytes:
    """All blocks. A split opens the ticket preimages of its winners to everyone, and then they are no secrets."""
    height = await app.chain.height()
    hashes = [await app.services.rpc("getblockhash", number) for number in range(1, height + 1)]
    return b"".join([bytes.fromhex(await app.services.rpc("getblock", block, 0)) for block in hashes])


async def test_no_secret_is_seen(app: TestApp, tmp_path: Path) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome((1,)))
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)

    data = app.coordinator_directory
    seed = load_or_create_seed(data / "seed", Secret(PASSPHRASE))
    secrets = {**of_coordinator(app, competition, seed), **of_players(competition), **PLANTED}
    secrets |= await stored_secrets(data, tmp_path / "copy", seed, competition.id)
    chain = await published(app)
    secrets = {name: secret for name, secret in secrets.items() if secret not in chain}
    assert len(secrets) >= 20 + len(PLANTED)
    assert any("keymeld" in name for name in secrets)

    places = {**await said(app), **files_of(app)}
    assert {"coordinator.db", "coordinator.log"} <= places.keys()
    assert b'"event": "request"' in places["coordinator.log"]
    # A search that finds nothing has to be one that could: ids of entries are in the database.
    assert hits({"entry id": competition.order[0].encode()}, places)
    assert hits(secrets, places) == []
    shutil.rmtree(tmp_path / "copy")
