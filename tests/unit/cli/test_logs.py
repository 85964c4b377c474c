"""The last door of the log: what looks like a secret is not written, whatever handed it over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from coordinator.cli.logs import log_to
from coordinator.ports.correlation import carrying
from coordinator_core.secret import Secret

S = "5ec2e7f00d" * 6


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    made = io.StringIO()
    log_to(made)
    yield made
    structlog.configure(**before)


@pytest.mark.parametrize(
    "name",
    ["passphrase", "rpc_password", "macaroon", "ticket_preimage", "preimages", "Authorization", "cookie", "seed",
     "session_secret", "operator.token", "private_key", "wallet_seed", "nsec"],
)  # fmt: skip
def test_names_of_secrets(stream: io.StringIO, name: str) -> None:
    structlog.get_logger().info("x", **{name: S, "inner": {name: [S]}})
    assert S not in stream.getvalue()
    assert json.loads(stream.getvalue())[name] == "***"


@pytest.mark.parametrize(
    "text",
    [
        f"header was Bearer {S}",
        f"Nostr {S}==",
        f"http://user:{S}@127.0.0.1:8332/",
        f"key nsec1{'q' * 58}",
        f"xprv9{'A' * 100}",
        f"macaroon 0201036c6e64{S}",
    ],
)
def test_credentials_within_texts(stream: io.StringIO, text: str) -> None:
    secret = text.split()[-1]
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger().exception("failed", error=text, lines=(text,))
    assert secret not in stream.getvalue()
    assert S not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_typed_secrets_and_bytes(stream: io.StringIO) -> None:
    structlog.get_logger().info("x", value=Secret(S.encode()), raw=S.encode(), many=[Secret(S.encode())])
    assert S not in stream.getvalue()


def test_what_is_no_secret_stays(stream: io.StringIO) -> None:
    said = {"lane": "01926f3a", "txid": "ab" * 32, "error": "took longer than its lease", "ms": 1.5, "status": 200}
    with carrying("request-0001"):
        structlog.get_logger().info("request", **said)
    line = json.loads(stream.getvalue())
    assert {name: line[name] for name in said} == said
    assert (line["request_id"], line["level"], line["event"]) == ("request-0001", "info", "request")
