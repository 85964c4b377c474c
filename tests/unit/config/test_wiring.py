"""What the settings choose: node, Lightning, whom alerts reach, and which services the house starts on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from coordinator import app
from coordinator.adapters.alerts import LogAlerts, MessageAlerts, WebhookAlerts
from coordinator.adapters.bitcoin import CoreNode, EsploraNode
from coordinator.adapters.bitcoin.condition import CoreExamination, EsploraExamination
from coordinator.adapters.notify import LogNotifier
from coordinator.adapters.vetting import Vetting
from coordinator.config.settings import Settings, load_settings
from coordinator.ports.bitcoin import Network
from coordinator.ports.condition import Condition
from coordinator.ports.faults import Unsuitable
from coordinator_core.errors import Fault, InvalidInput

OWNER = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
HEAD = 'network = "signet"\n'
CORE = '[bitcoin]\nrpc_url = "http://127.0.0.1:1"\n'
ESPLORA = '[bitcoin]\nsource = "esplora"\nesplora_url = "http://127.0.0.1:1"\n'
REST = """
[keymeld]
url = "http://127.0.0.1:3"
[oracle]
url = "http://127.0.0.1:4"
[lightning]
url = "http://127.0.0.1:2"
"""
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "macaroon").write_bytes(b"\x02\x01")

    def read(chain: str = CORE, head: str = "", *, macaroon: str = "macaroon") -> Settings:
        path = tmp_path / "coordinator.toml"
        lines = f'data_dir = "{tmp_path}"\n{HEAD}{head}{chain}{REST}macaroon_file = "{tmp_path / macaroon}"\n'
        path.write_text(lines)
        return load_settings(path, {})

    return read


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.mark.parametrize(
    ("chain", "node", "examination"),
    [(CORE, CoreNode, CoreExamination), (ESPLORA, EsploraNode, EsploraExamination)],
    ids=["core", "esplora"],
)
async def test_the_node_is_the_one_that_was_chosen_and_examined_as_such(
    load: Load, stack: AsyncExitStack, chain: str, node: type, examination: type
) -> None:
    client = app.chain_client(load(chain))
    stack.push_async_callback(client.close)
    assert type(client) is node
    assert type(app.chain_examination(client, Network.SIGNET)) is examination


async def test_a_macaroon_that_cannot_be_read_is_named(load: Load) -> None:
    with pytest.raises(InvalidInput) as refused:
        app.lightning_client(load(macaroon="missing"))
    assert refused.value.field == "lightning.macaroon_file"
    assert "No such file" in str(refused.value)


class TestAlerts:
    async def kinds(self, settings: Settings, stack: AsyncExitStack) -> list[type]:
        return [type(sink) for sink in app._alert_sinks(settings, LogNotifier(), stack)]

    @pytest.fixture(autouse=True)
    def quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("COORDINATOR_ALERT_WEBHOOK", "COORDINATOR_ALERT_WEBHOOK_FILE"):
            monkeypatch.delenv(name, raising=False)

    async def test_the_log_always_hears_of_them(self, load: Load, stack: AsyncExitStack) -> None:
        assert await self.kinds(load(), stack) == [LogAlerts]

    async def test_a_webhook_from_the_environment_hears_of_them_too(
        self, load: Load, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COORDINATOR_ALERT_WEBHOOK", "http://127.0.0.1:9/token")
        assert await self.kinds(load(), stack) == [LogAlerts, WebhookAlerts]

    @pytest.mark.parametrize(
        ("head", "more"),
        [
            (f'relays = ["ws://127.0.0.1:1"]\nowners = ["{OWNER}"]\n', [MessageAlerts]),
            ('relays = ["ws://127.0.0.1:1"]\n', []),
            (f'owners = ["{OWNER}"]\n', []),
        ],
        ids=["relays and owners", "nobody to write to", "nowhere to write"],
    )
    async def test_owners_are_written_to_where_there_is_a_relay(
        self, load: Load, stack: AsyncExitStack, head: str, more: list[type]
    ) -> None:
        assert await self.kinds(load(head=head), stack) == [LogAlerts, *more]


@dataclass
class Examined:
    """A service that says this of itself."""

    found: Condition
    service: str = "lightning"

    async def condition(self) -> Condition:
        return self.found


def vetting(found: Condition) -> Vetting:
    return Vetting(Examined(found), Fault.LIGHTNING)


class TestStart:
    @pytest.mark.parametrize(
        "found",
        [
            Condition("lightning", "0.21"),
            Condition("lightning", "0.21", note="it prunes"),
            Condition("lightning", "0.21", problem="it is not synced"),
            Condition("lightning", problem="the wallet is locked: unlock it (lncli unlock)", answers=False),
            Condition("lightning", problem="ConnectError", answers=False),
        ],
        ids=["ready", "worth knowing", "not ready yet", "locked", "away"],
    )
    async def test_it_starts_and_says_what_is_not_as_it_should_be(self, found: Condition) -> None:
        with capture_logs() as said:
            await app._examine([vetting(found)])
        assert [line.get("reason", line.get("note", "")) for line in said] == [found.problem or found.note]

    async def test_not_on_the_wrong_service(self) -> None:
        wrong = Condition("lightning", "0.21", problem="is on another network", answers=False, unsuitable=True)
        with pytest.raises(Unsuitable, match="is on another network"):
            await app._examine([vetting(Condition("chain")), vetting(wrong)])
