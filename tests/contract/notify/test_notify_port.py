"""The rules of ports.notify on the embedded relay: wrapped for one player, taken by one relay at least."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from coordinator.adapters.notify import LogNotifier
from coordinator.adapters.notify.relay import RelayNotifier
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.event import parse_event
from coordinator_core.nostr.nip59 import Rumor, unwrap
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

NOW = UnixTime(1_795_000_000)


class StandingClock:
    """A wall clock that stands still."""

    def now(self) -> UnixTime:
        return NOW


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a relay that serves the whole module."""
    arguments = ["--data-dir", str(tmp_path_factory.mktemp("relay")), "--exit-with-parent"]
    process = subprocess.Popen([sys.executable, "-m", "coordinator.embedded.relay", *arguments], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()
        assert process.wait(15) == 0


@pytest.fixture
def player() -> SecretKey:
    return SecretKey.generate()


@pytest.fixture
def identity() -> SecretKey:
    return SecretKey.generate()


@pytest.fixture
def notice(player: SecretKey) -> Notice:
    return Notice(player.x_only.hex(), "closing", "Your appointment", "Come back at 18:00 UTC \u2014 seal your key.")


@asynccontextmanager
async def stranger(answer: Callable[[Any], list[str]] | None) -> AsyncIterator[str]:
    """A relay by hand: what it says to an event; None closes at once."""

    class Handler(WebSocketHandler):
        def on_message(self, message: str | bytes) -> None:
            if answer is None:
                self.close()
                return
            said = json.loads(message)
            for words in answer(said) if said[0] == "EVENT" else (json.dumps(["EOSE", said[1]]),):
                self.write_message(words)

    (socket,) = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/", Handler)], log_function=lambda _: None))
    server.add_socket(socket)
    yield f"ws://127.0.0.1:{socket.getsockname()[1]}"
    server.stop()
    await server.close_all_connections()


async def stored(url: str, player: SecretKey) -> list[Rumor]:
    """What waits at a relay for a player, opened."""
    connection = await websocket_connect(url)
    query = {"kinds": [1059], "#p": [player.x_only.hex()]}
    await connection.write_message(json.dumps(["REQ", "inbox", query]))
    found: list[Rumor] = []
    async with asyncio.timeout(10):
        while (message := json.loads(await connection.read_message() or "null"))[0] == "EVENT":
            found.append(unwrap(parse_event(json.dumps(message[2])), player))
        assert message == ["EOSE", "inbox"]
        connection.close()
        assert await connection.read_message() is None
    return found


async def test_a_notice_reaches_its_player_and_nobody_else(
    relay: str, identity: SecretKey, player: SecretKey, notice: Notice
) -> None:
    await RelayNotifier([relay], identity, StandingClock()).send("lane-1", notice)
    (rumor,) = await stored(relay, player)
    assert (rumor.kind, rumor.content, rumor.created_at) == (14, notice.text, NOW)
    assert rumor.pubkey == identity.x_only.hex()
    assert [rumor.tag(name) for name in ("p", "subject", "d")] == [
        player.x_only.hex(),
        "Your appointment",
        "lane-1/closing",
    ]
    assert await stored(relay, SecretKey.generate()) == []


async def test_copies_of_one_notice_are_known_by_their_tag(
    relay: str, identity: SecretKey, player: SecretKey, notice: Notice
) -> None:
    notifier = RelayNotifier([relay, relay], identity, StandingClock())
    await notifier.send("lane-1", notice)
    await notifier.send("lane-1", notice)
    rumors = await stored(relay, player)
    assert len(rumors) == 2
    assert {rumor.tag("d") for rumor in rumors} == {"lane-1/closing"}


async def test_one_relay_is_enough(relay: str, identity: SecretKey, player: SecretKey, notice: Notice) -> None:
    async with stranger(lambda message: [json.dumps(["OK", message[1]["id"], False, "blocked: no\nthanks"])]) as full:
        with capture_logs() as lines:
            await RelayNotifier([full, relay], identity, StandingClock()).send("lane-1", notice)
    assert len(await stored(relay, player)) == 1
    (line,) = lines
    assert (line["reason"], line["topic"]) == ("blocked: no thanks", "closing")
    assert notice.text not in str(lines)


ANSWERS: dict[str, Callable[[Any], list[str]] | None] = {
    "refuses": lambda message: [json.dumps(["OK", message[1]["id"], False, "blocked"])],
    "says it in text": lambda message: [json.dumps(["OK", message[1]["id"], "true", ""])],
    "closes": None,
    "talks of something else": lambda _: [
        json.dumps(["OK", "00" * 32, True, ""]),
        '["NOTICE", "hello"]',
        '["AUTH", "x"]',
    ],
    "talks nonsense": lambda _: ["", "{", "[]", "5", '["OK"]', '["OK", {}]', "\x00"],
    "is silent": lambda _: [],
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_without_a_relay_that_took_it(
    identity: SecretKey, notice: Notice, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with stranger(ANSWERS[name]) as url:
        with pytest.raises(Unreachable, match="none took the notice"), capture_logs():
            await RelayNotifier([url], identity, StandingClock(), seconds=0.3).send("lane-1", notice)
    assert capsys.readouterr().out == ""


async def test_a_relay_that_is_away(identity: SecretKey, notice: Notice) -> None:
    (socket,) = bind_sockets(0, "127.0.0.1")
    url = f"ws://127.0.0.1:{socket.getsockname()[1]}"
    socket.close()
    with pytest.raises(Unreachable), capture_logs():
        await RelayNotifier([url], identity, StandingClock(), seconds=5).send("lane-1", notice)


@pytest.mark.parametrize(
    "relays",
    [
        [],
        ["http://relay"],
        ["ws://"],
        ["relay"],
        ["ws://user@relay"],
        ["ws://relay.example"],
        ["wss://[::1"],
        ["wss://relay:99999"],
    ],
)
def test_addresses(identity: SecretKey, relays: list[str]) -> None:
    with pytest.raises(InvalidInput, match="relays"):
        RelayNotifier(relays, identity, StandingClock())


@pytest.mark.parametrize("recipient", ["", "zz", "00" * 31, "ff" * 32])
async def test_a_recipient_that_is_no_key(relay: str, identity: SecretKey, recipient: str) -> None:
    with pytest.raises(InvalidInput):
        await RelayNotifier([relay], identity, StandingClock()).send("lane", Notice(recipient, "t", "s", "text"))


async def test_a_text_too_long_to_be_encrypted(relay: str, identity: SecretKey, notice: Notice) -> None:
    long = Notice(notice.recipient, "kit", "Your kit", "x" * 70_000)
    with pytest.raises(InvalidInput):
        await RelayNotifier([relay], identity, StandingClock()).send("lane", long)


async def test_the_log_names_the_notice_but_not_its_text(notice: Notice) -> None:
    with capture_logs() as lines:
        await LogNotifier().send("lane-1", notice)
    (line,) = lines
    assert (line["event"], line["lane"], line["topic"]) == ("notice", "lane-1", "closing")
    assert notice.text not in str(line)
