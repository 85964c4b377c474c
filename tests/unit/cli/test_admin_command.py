"""`coordinator admin`: what is sent, as whom, and what is shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.nostr.nip19 import nsec
from coordinator_core.secp256k1 import SecretKey

ID = "01926f3a-0000-7000-8000-000000000001"
KEY = SecretKey.from_bytes(b"\x07" * 32)
NEW_KEY = "02" + "aa" * 32
BASE = "/api/v1/operator"
ITEM = {
    "kind": "stopped",
    "competition": ID,
    "subject": "competition",
    "reason": "KeyError: 'a\x1b[31m defect'",
    "since": 1,
    "age": 3_700,
    "fix": f"coordinator admin resume {ID}",
}
LINE = {"seq": 4, "at": 1, "who": "operator", "act": "retry", "competition": ID, "subject": "", "reason": "why"}
ACTS = [
    (("retry", ID), f"/competitions/{ID}/retry", {"duty": ""}, {"due": 3}, "3 duties are tried now"),
    (("retry", ID, "--duty", "d"), f"/competitions/{ID}/retry", {"duty": "d"}, {"due": 1}, "1 duties"),
    (("resume", ID), f"/competitions/{ID}/resume", {}, {"resumed": True}, "goes on"),
    (("reconcile", ID), f"/competitions/{ID}/reconcile", {}, {"due": 2, "watches": 5}, "5 watches"),
    (("cancel", ID), f"/competitions/{ID}/cancel", {}, {"cancelled": True, "awaits_second_owner": False}, "given back"),
    (
        ("cancel", ID),
        f"/competitions/{ID}/cancel",
        {},
        {"cancelled": False, "awaits_second_owner": True},
        "another owner",
    ),
    (
        ("reopen", "--kind", "ln.pay"),
        "/duties/reopen",
        {"competition": "", "kind": "ln.pay", "duty": ""},
        {"reopened": ["a", "b"]},
        "a\nb\n",
    ),
    (
        ("reopen", "--competition", ID),
        "/duties/reopen",
        {"competition": ID, "kind": "", "duty": ""},
        {"reopened": []},
        "",
    ),
    (("freeze",), "/freeze", {}, {"frozen": True}, "no new money"),
    (("unfreeze",), "/unfreeze", {}, {"frozen": False}, "may come in"),
    (("settle-only",), "/settle-only", {}, {"settle_only": True}, "nothing new is taken on"),
    (
        ("accept-key", "oracle", NEW_KEY),
        "/keys/accept",
        {"whose": "oracle", "key": NEW_KEY},
        {"accepted": NEW_KEY},
        f"is {NEW_KEY}",
    ),
    (("take-on",), "/take-on", {}, {"settle_only": False}, "are taken on"),
    (
        ("explain", "aa" * 32),
        "/payments/explain",
        {"payment_hash": "aa" * 32},
        {"explained": "aa" * 32},
        "is explained",
    ),
]


@pytest.fixture
def place(server: Any, tmp_path: Path) -> tuple[object, ...]:
    token = tmp_path / "operator.token"
    token.write_text("5e" * 32)
    return ("--url", server.url, "--token-file", token)


@pytest.mark.parametrize(("words", "path", "body", "answer", "shown"), ACTS, ids=lambda value: str(value)[:40])
def test_an_act_is_sent_once_with_its_reason(
    command: Any, server: Any, place: Any, words: Any, path: str, body: Any, answer: Any, shown: str
) -> None:
    server.answers = {f"POST {BASE}{path}": answer}
    result = command("admin", *words, "--reason", "I looked", *place)
    assert result.exit_code == 0, result.output
    assert shown in result.stdout
    [(_, headers, sent)] = server.asked
    assert sent == {"reason": "I looked", **body}
    assert headers["Authorization"] == f"Bearer {'5e' * 32}"
    assert len(headers["Idempotency-Key"]) == 32


@pytest.mark.parametrize("words", [words for words, *_ in ACTS], ids=lambda value: str(value)[:40])
def test_without_a_reason_nothing_is_sent(command: Any, server: Any, place: Any, words: Any) -> None:
    result = command("admin", *words, *place)
    assert result.exit_code == 2
    assert "--reason" in result.stderr
    assert server.asked == []


@pytest.mark.parametrize("text", [nsec(KEY), KEY.reveal().hex()])
def test_an_owner_signs_exactly_the_request(command: Any, server: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "owner").write_text(text + "\n")
    server.answers = {f"POST {BASE}/freeze": {"frozen": True}}
    result = command("admin", "freeze", "--reason", "why", "--url", server.url, "--owner-key-file", tmp_path / "owner")
    assert result.exit_code == 0, result.output
    [(_, headers, _)] = server.asked
    scheme, _, encoded = headers["Authorization"].partition(" ")
    event = json.loads(base64.b64decode(encoded))
    tags = {tag[0]: tag[1] for tag in event["tags"]}
    assert (scheme, event["pubkey"]) == ("Nostr", KEY.x_only.hex())
    assert (tags["u"], tags["method"]) == (f"{server.url}{BASE}/freeze", "POST")
    assert "payload" in tags


@pytest.mark.parametrize("text", ["secret words", "00" * 32, "nsec1qqqq", ""])
def test_a_file_without_a_key_is_not_shown(command: Any, server: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "owner").write_text(text)
    result = command("admin", "freeze", "--reason", "why", "--url", server.url, "--owner-key-file", tmp_path / "owner")
    assert result.exit_code == 2
    assert "--owner-key-file" in result.stderr
    assert not text or text not in result.output
    assert server.asked == []


def test_attention_says_what_to_do_and_its_exit_code_tells_a_script(command: Any, server: Any, place: Any) -> None:
    server.answers = {f"GET {BASE}/attention": [ITEM]}
    result = command("admin", "attention", *place)
    assert result.exit_code == 3
    assert "1:01:40" in result.stdout
    assert "\x1b" not in result.stdout
    assert f"  coordinator admin resume {ID}\n" in result.stdout
    assert json.loads(command("admin", "attention", "--json", *place).stdout) == [ITEM]
    server.answers = {f"GET {BASE}/attention": []}
    quiet = command("admin", "attention", *place)
    assert (quiet.exit_code, quiet.stdout) == (0, "nothing needs a person\n")


def test_the_audit_log_has_a_line_each(command: Any, server: Any, place: Any) -> None:
    server.answers = {f"GET {BASE}/audit": [LINE], f"GET {BASE}/audit?before=4": []}
    shown = command("admin", "audit", *place).stdout
    assert shown.startswith("4 1970-01-01 00:00 UTC")
    assert f"operator retry {ID}: why" in shown
    assert command("admin", "audit", "--before", "4", *place).stdout == "no operator did anything yet\n"


def test_a_refusal_ends_with_its_fix(command: Any, server: Any, place: Any) -> None:
    problem = {"detail": "state: entries are closed (two owners)", "field": "state", "fix": "two owners"}
    server.answers = {f"POST {BASE}/competitions/{ID}/cancel": (409, problem)}
    result = command("admin", "cancel", ID, "--reason", "r", *place)
    assert result.exit_code == 2
    assert "entries are closed (two owners)" in result.stderr
