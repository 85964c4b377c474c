"""A payment that LND waits for although no channel holds it: the one reason for which a soak lets a player go."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest

from tests.regtest.soak.story import is_stranded
from tools.regtest.lnd import Lnd

HASH = "ab" * 32


class RecordedNode:
    """Answers the two reads."""

    def __init__(self, status: str | None, offered: tuple[str, ...]) -> None:
        payments = [] if status is None else [{"payment_hash": HASH, "status": status}]
        htlcs = [{"hash_lock": base64.b64encode(bytes.fromhex(one)).decode()} for one in offered]
        self._answers: dict[str, Any] = {
            "/v1/payments": {"payments": payments},
            "/v1/channels": {"channels": [{"pending_htlcs": htlcs}]},
        }

    def get(self, path: str, **_: object) -> Any:
        return self._answers[path]


@pytest.mark.parametrize(
    ("status", "offered", "stranded"),
    [
        ("IN_FLIGHT", (), True),
        ("IN_FLIGHT", ("cd" * 32,), True),
        ("IN_FLIGHT", (HASH,), False),
        ("FAILED", (), False),
        (None, (), False),
    ],
)
def test_only_what_no_channel_holds_is_stranded(status: str | None, offered: tuple[str, ...], stranded: bool) -> None:
    assert is_stranded(cast(Lnd, RecordedNode(status, offered)), HASH) is stranded
