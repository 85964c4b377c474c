"""Ways to an operator: what they say, and that the webhook's address, which holds a token, is said to nobody."""

from __future__ import annotations

import json

import httpx
import pytest
from structlog.testing import capture_logs

from coordinator.adapters.alerts import LogAlerts, MessageAlerts, WebhookAlerts
from coordinator.ports.alerts import Alert, AlertName, AlertRow
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

ALERT = Alert(AlertName.DUTY_DEAD, "lane/x", "an error; do this")
ROW = AlertRow(
    key=ALERT.key, summary=ALERT.summary, first=UnixTime(5), last=UnixTime(9), count=2, told=UnixTime(9), cleared=None
)
TOKEN = "T0KEN-of-the-webhook"


def webhook(status: int, seen: list[httpx.Request]) -> WebhookAlerts:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, text=f"no such hook {TOKEN}")

    address = Secret(f"https://hooks.example/{TOKEN}?room=1".encode())
    return WebhookAlerts(address, transport=httpx.MockTransport(answer))


async def test_the_webhook_gets_both() -> None:
    seen: list[httpx.Request] = []
    sink = webhook(204, seen)
    await sink.raised(ALERT, ROW)
    await sink.cleared(ROW)
    await sink.close()
    assert [str(request.url) for request in seen] == [f"https://hooks.example/{TOKEN}?room=1"] * 2
    bodies = [json.loads(request.content) for request in seen]
    assert [body["status"] for body in bodies] == ["firing", "resolved"]
    assert bodies[0] == {
        "status": "firing",
        "name": "duty_dead",
        "key": "duty_dead/lane/x",
        "summary": "an error; do this",
        "since": 5,
        "count": 2,
    }


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_webhook_that_does_not_take_it_is_named_without_its_address(status: int) -> None:
    sink = webhook(status, [])
    with pytest.raises(Unreachable, match=str(status)) as caught:
        await sink.raised(ALERT, ROW)
    await sink.close()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("bad", ["ftp://x/T0KEN", "T0KEN", "https://u:T0KEN@x/", "https://[T0KEN/", "https:///T0KEN"])
def test_what_is_no_address_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        WebhookAlerts(Secret(bad.encode()))
    assert caught.value.field == "COORDINATOR_ALERT_WEBHOOK"
    assert "T0KEN" not in str(caught.value)


async def test_the_log_names_the_entry_of_the_runbook() -> None:
    with capture_logs() as lines:
        await LogAlerts().raised(ALERT, ROW)
        await LogAlerts().cleared(ROW)
    assert [(line["event"], line["log_level"], line["key"]) for line in lines] == [
        ("alert", "error", ALERT.key),
        ("alert cleared", "info", ALERT.key),
    ]
    assert lines[0]["alert"] == "duty_dead"


async def test_every_owner_gets_a_message_of_its_own_for_each_telling() -> None:
    sent: list[Notice] = []

    class Post:
        async def send(self, lane: str, notice: Notice) -> None:
            sent.append(notice)

    sink = MessageAlerts(Post(), {b"\x02" * 32, b"\x01" * 32})
    await sink.raised(ALERT, ROW)
    await sink.cleared(ROW)
    assert [notice.recipient for notice in sent] == ["01" * 32, "02" * 32] * 2
    assert [notice.topic for notice in sent[::2]] == ["alert/duty_dead/lane/x/2", "cleared/duty_dead/lane/x/2"]
