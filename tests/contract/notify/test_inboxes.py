"""Where notices go: the coordinator's relays and those of the player's own list (kind 10050)."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from coordinator.adapters.notify.inbox import AHEAD_SECONDS, MAX_RELAYS, inbox_relays
from coordinator.adapters.notify.relay import RelayNotifier
from coordinator.ports.notify import Notice
from coordinator_core.nostr.event import Event, sign_event
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

NOW = UnixTime(1_795_000_000)
SECONDS = 5.0


class StandingClock:
    """A wall clock that stands still."""

    def now(self) -> UnixTime:
        return NOW


@pytest.fixture(scope="module")
def relays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two embedded relays: the coordinator's and a player's."""
    command = [sys.executable, "-m", "coordinator.embedded.relay", "--exit-with-parent", "--data-dir"]
    started = [
        subprocess.Popen([*command, str(tmp_path_factory.mktemp("relay"))], stdout=subprocess.PIPE) for _ in range(2)
    ]
    ready = [json.loads(process.stdout.readline())["url"] for process in started if process.stdout is not None]
    yield ready[0], ready[1]
    for process in started:
        with process:
            process.terminate()
            assert process.wait(15) == 0


@pytest.fixture
def player() -> SecretKey:
    return SecretKey.generate()


@asynccontextmanager
async def stranger(answer: Callable[[Any], Sequence[str]]) -> AsyncIterator[str]:
    """A relay by hand: what it says to each message."""

    class Handler(WebSocketHandler):
        def on_message(self, message: str | bytes) -> None:
            for words in answer(json.loads(message)):
                self.write_message(words)

    async with _serving(Handler) as port:
        yield f"ws://127.0.0.1:{port}"


@asynccontextmanager
async def _serving(handler: type[RequestHandler]) -> AsyncIterator[int]:
    (socket,) = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/.*", handler)], log_function=lambda _: None))
    server.add_socket(socket)
    yield socket.getsockname()[1]
    server.stop()
    await server.close_all_connections()


async def publish(url: str, event: Event) -> None:
    connection = await websocket_connect(url)
    await connection.write_message(json.dumps(["EVENT", json.loads(event.to_json())]))
    async with asyncio.timeout(10):
        answer = json.loads(await connection.read_message() or "null")
    assert answer[2] is True, answer
    connection.close()
    async with asyncio.timeout(10):
        assert await connection.read_message() is None


async def count_for(url: str, player: SecretKey) -> int:
    """How many gift wraps a relay keeps for a player."""
    connection = await websocket_connect(url)
    await connection.write_message(json.dumps(["REQ", "n", {"kinds": [1059], "#p": [player.x_only.hex()]}]))
    found = 0
    async with asyncio.timeout(10):
        while json.loads(await connection.read_message() or "null")[0] == "EVENT":
            found += 1
        connection.close()
        assert await connection.read_message() is None
    return found


def a_list(player: SecretKey, *urls: str, created_at: int = NOW, kind: int = 10_050) -> Event:
    return sign_event(player, kind, "", [["relay", url] for url in urls], created_at=UnixTime(created_at))


async def ask(relays: Sequence[str], player: SecretKey, *, loopback: bool = True, seconds: float = SECONDS):
    return await inbox_relays(player.x_only.hex(), relays, now=NOW, seconds=seconds, loopback=loopback)


async def test_a_notice_goes_to_both_places(relays: tuple[str, str], player: SecretKey) -> None:
    own, theirs = relays
    await publish(own, a_list(player, theirs))
    notifier = RelayNotifier([own], SecretKey.generate(), StandingClock(), loopback_inboxes=True)
    await notifier.send("lane", Notice(player.x_only.hex(), "closing", "Your appointment", "text"))
    assert (await count_for(own, player), await count_for(theirs, player)) == (1, 1)


async def test_a_relay_of_both_lists_gets_one_copy(relays: tuple[str, str], player: SecretKey) -> None:
    own, _ = relays
    await publish(own, a_list(player, f"{own}/", own.upper().replace("WS", "ws")))
    notifier = RelayNotifier([own, f"{own}/"], SecretKey.generate(), StandingClock(), loopback_inboxes=True)
    await notifier.send("lane", Notice(player.x_only.hex(), "closing", "s", "text"))
    assert await count_for(own, player) == 1


async def test_outside_development_nobody_sends_us_to_this_machine(relays: tuple[str, str], player: SecretKey) -> None:
    own, theirs = relays
    await publish(own, a_list(player, theirs))
    await RelayNotifier([own], SecretKey.generate(), StandingClock()).send(
        "lane", Notice(player.x_only.hex(), "closing", "s", "text")
    )
    assert (await count_for(own, player), await count_for(theirs, player)) == (1, 0)


async def test_an_inbox_that_is_away_costs_nothing_but_a_line(relays: tuple[str, str], player: SecretKey) -> None:
    own, _ = relays
    (socket,) = bind_sockets(0, "127.0.0.1")
    away = f"ws://127.0.0.1:{socket.getsockname()[1]}"
    socket.close()
    await publish(own, a_list(player, away))
    notifier = RelayNotifier([own], SecretKey.generate(), StandingClock(), loopback_inboxes=True)
    with capture_logs() as lines:
        await notifier.send("lane", Notice(player.x_only.hex(), "closing", "s", "text"))
    assert [line["event"] for line in lines] == ["relay did not take a notice"]
    assert await count_for(own, player) == 1


async def test_who_has_no_list_has_no_inbox(relays: tuple[str, str], player: SecretKey) -> None:
    assert await ask(relays, player) == ()


async def test_the_newest_list_counts_wherever_it_is(relays: tuple[str, str], player: SecretKey) -> None:
    own, theirs = relays
    await publish(own, a_list(player, "ws://127.0.0.1:1", created_at=NOW - 10))
    await publish(theirs, a_list(player, "ws://127.0.0.1:2", created_at=NOW - 5))
    assert await ask([own, theirs], player) == ("ws://127.0.0.1:2",)
    assert await ask([theirs, own], player) == ("ws://127.0.0.1:2",)


async def test_at_most_three_relays_of_a_list(relays: tuple[str, str], player: SecretKey) -> None:
    urls = [f"ws://127.0.0.1:{port}" for port in range(1, 10)]
    await publish(relays[0], a_list(player, urls[0], *urls))
    assert await ask(relays[:1], player) == tuple(urls[:MAX_RELAYS])


URLS = {
    "in the clear": "ws://8.8.8.8",
    "not a relay": "https://8.8.8.8",
    "this machine": "wss://127.0.0.1",
    "this machine by name": "wss://localhost:7000",
    "a private network": "wss://10.0.0.1",
    "a link's own network": "wss://169.254.169.254",
    "a private network in IPv6": "wss://[fd00::1]",
    "mapped to a private network": "wss://[::ffff:10.0.0.1]",
    "no address at all": "wss://0.0.0.0",
    "credentials": "wss://user@8.8.8.8",
    "no port": "wss://8.8.8.8:99999",
    "port 0": "wss://8.8.8.8:0",
    "too long": f"wss://8.8.8.8/{'a' * 200}",
    "a line break": "wss://8.8.8.8/\nx",
    "no host": "wss://",
    "no such host": "wss://relay.invalid",
    "half an address": "wss://[::1",
}


@pytest.mark.parametrize("name", URLS)
async def test_addresses_that_a_stranger_may_not_name(player: SecretKey, name: str) -> None:
    raw = json.loads(a_list(player, URLS[name], "wss://8.8.8.8").to_json())
    async with stranger(lambda said: (json.dumps(["EVENT", said[1], raw]), json.dumps(["EOSE", said[1]]))) as relay:
        assert await ask([relay], player, loopback=False) == ("wss://8.8.8.8",)


def forged(event: Event, **changes: Any) -> dict[str, Any]:
    return {**json.loads(event.to_json()), **changes}


async def test_what_is_no_list_of_the_player_is_passed_over(player: SecretKey) -> None:
    good = a_list(player, "wss://8.8.8.8", created_at=NOW - 100)
    other = a_list(SecretKey.generate(), "wss://1.1.1.1")
    served = [
        json.loads(other.to_json()),
        forged(good, tags=[["relay", "wss://1.1.1.1"]]),
        forged(other, pubkey=player.x_only.hex()),
        json.loads(a_list(player, "wss://1.1.1.1", kind=10_002).to_json()),
        json.loads(a_list(player, "wss://1.1.1.1", created_at=NOW + AHEAD_SECONDS + 1).to_json()),
        5,
        json.loads(good.to_json()),
    ]

    def answer(said: Any) -> list[str]:
        return [json.dumps(["EVENT", said[1], event]) for event in served] + [json.dumps(["EOSE", said[1]])]

    async with stranger(answer) as relay:
        assert await ask([relay], player) == ("wss://8.8.8.8",)


async def test_a_relay_that_never_ends_is_cut_off(player: SecretKey) -> None:
    event = json.loads(a_list(player, "wss://8.8.8.8").to_json())

    def answer(said: Any) -> list[str]:
        return [json.dumps(["EVENT", said[1], event])] * 100

    async with stranger(answer) as relay:
        assert await ask([relay], player, seconds=60) == ("wss://8.8.8.8",)


async def test_a_silent_relay_tells_no_inbox(player: SecretKey) -> None:
    async with stranger(lambda _: ()) as relay:
        with capture_logs() as lines:
            assert await ask([relay], player, seconds=0.3) == ()
    assert [line["reason"] for line in lines] == ["no answer within 0.3 s"]


async def test_a_relay_cannot_send_us_elsewhere(player: SecretKey) -> None:
    asked: list[str] = []

    class Inside(RequestHandler):
        def get(self) -> None:
            asked.append(self.request.uri or "")

    async with _serving(Inside) as inside:

        class Outside(RequestHandler):
            def get(self) -> None:
                self.redirect(f"http://127.0.0.1:{inside}/secret")

        async with _serving(Outside) as outside:
            with capture_logs():
                assert await ask([f"ws://127.0.0.1:{outside}"], player) == ()
    assert asked == []
