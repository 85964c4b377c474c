"""Where adapters meet ports: one process from settings."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
from litestar import Litestar

from coordinator.adapters.alerts import LogAlerts, MessageAlerts, WebhookAlerts
from coordinator.adapters.bitcoin import CoreNode, EsploraNode, OnchainWallet
from coordinator.adapters.bitcoin.condition import CoreExamination, EsploraExamination
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.adapters.bitcoin.vetted import VettedChain
from coordinator.adapters.clock import SystemClock
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.adapters.lightning import LndNode
from coordinator.adapters.lightning.condition import LndExamination
from coordinator.adapters.lightning.versions import possible_cancel_deltas
from coordinator.adapters.lightning.vetted import VettedLightning
from coordinator.adapters.notify import LogNotifier
from coordinator.adapters.oracle import NoaaOracle, NoaaSettings
from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.secrets.private_file import write_private
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.adapters.vetting import Vetting
from coordinator.api.admission import Admission, Limits, Rate
from coordinator.api.application import create_application
from coordinator.api.context import Api
from coordinator.api.door import Door
from coordinator.api.examinations import Examinations
from coordinator.config.settings import LimitSettings, Settings, alert_webhook, owner_keys, rpc_password
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.engine import Engine
from coordinator.engine.examination import EngineExamination
from coordinator.engine.executors.services import Services
from coordinator.engine.holds import remembered
from coordinator.engine.money.examination import MoneyExamination
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.ports.alerts import AlertSink
from coordinator.ports.bitcoin import Network
from coordinator.ports.condition import Examined
from coordinator.ports.faults import Unsuitable
from coordinator.ports.notify import Notifier
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, FeeRate

NETWORKS = {
    "mainnet": (Network.MAINNET, "mainnet"),
    "testnet4": (Network.TESTNET4, "testnet4"),
    "signet": (Network.SIGNET, "signet"),
    "regtest": (Network.REGTEST, "regtest"),
}
DATABASE = "coordinator.db"
SEED = "seed"
LEAST_TOKEN = 32
OPERATOR_TOKEN = "operator.token"  # noqa: S105  (a file name)


@dataclass(frozen=True, slots=True)
class Coordinator:
    """A coordinator that is put together but not started."""

    application: Litestar
    wallet: OnchainWallet
    engine: Engine
    door: Door


async def build(
    settings: Settings, passphrase: Secret, stack: AsyncExitStack, *, observer: EngineObserver = UNOBSERVED
) -> Coordinator:
    """Open the database, connect to every service, check those that answer. Everything opened is closed by `stack`.

    Raises InvalidInput, or Unsuitable for a service of another network and the like: one sentence for the operator.
    """
    data = _data_directory(settings)
    store = await SqliteStore.open(data / DATABASE)
    stack.push_async_callback(store.close)
    keys = SealedSecrets(store, load_or_create_seed(data / SEED, passphrase))
    chain = chain_client(settings)
    stack.push_async_callback(chain.close)
    lightning = lightning_client(settings)
    stack.push_async_callback(lightning.close)
    clock = SystemClock()
    keymeld = KeymeldGateway(settings.keymeld.url, clock)
    stack.push_async_callback(keymeld.close)
    network, lightning_name = NETWORKS[settings.network]
    oracle = NoaaOracle(
        NoaaSettings(url=settings.oracle.url, is_mainnet=network is Network.MAINNET), keys.signing_key("nostr"), clock
    )
    stack.push_async_callback(oracle.close)
    examined = (LndExamination(lightning, lightning_name), chain_examination(chain, network))
    vettings = (Vetting(examined[0], Fault.LIGHTNING), Vetting(examined[1], Fault.NODE))
    await _examine(vettings)
    vetted_chain = VettedChain(chain, vettings[1])
    wallet = OnchainWallet(store, vetted_chain, keys.wallet_seed(), network)
    services = Services(
        store=store,
        clock=Clockwork(
            wall_clock=clock,
            store=store,
            chain_time=settings.domain_clock == "chain",
            cancel_delta=await remembered(store, possible_cancel_deltas(_delta(settings))),
        ),
        secrets=keys,
        chain=vetted_chain,
        wallet=wallet,
        lightning=VettedLightning(lightning, vettings[0]),
        oracle=oracle,
        keymeld=keymeld,
        notifier=_notifier(settings, keys),
        observer=observer,
    )
    engine = Engine(
        services,
        poll_seconds=settings.bitcoin.poll_seconds,
        alerts=_alert_sinks(settings, services.notifier, stack),
        duty_limits=msgspec.to_builtins(settings.duties),
        closings_at_once=settings.closings_at_once,
        settle_only=settings.settle_only,
    )
    origin = settings.web.public_url or f"http://{settings.web.host}:{settings.web.port}"
    api = Api(
        engine=engine,
        origin=origin,
        operator_token=_operator_token(data / OPERATOR_TOKEN),
        network=network,
        owners=owner_keys(settings),
        esplora_url=settings.bitcoin.esplora_url or "",
        admission=Admission(_limits(settings.limits)),
        examinations=Examinations(
            (*examined, EngineExamination(engine.health), MoneyExamination(engine.money, engine.freezer))
        ),
    )
    return Coordinator(create_application(api), wallet, engine, api.door)


def _limits(settings: LimitSettings) -> Limits:
    return Limits(
        address=Rate(settings.address_per_second, settings.address_burst),
        player=Rate(settings.player_per_second, settings.player_burst),
        tracked=settings.tracked,
        trusted_proxies=settings.trusted_proxies,
    )


def _data_directory(settings: Settings) -> Path:
    """Where everything is kept; only the operator's account may look into it."""
    data = Path(settings.data_dir)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return data


def _notifier(settings: Settings, keys: SealedSecrets) -> Notifier:
    """Relays when some are set. Their library has no wheels for Python 3.14, so it is imported only then."""
    if not settings.relays:
        return LogNotifier()
    try:
        from coordinator.adapters.notify.relay import RelayNotifier
    except ImportError as error:
        fix = "run Python 3.11 to 3.13, or leave `relays` empty"
        raise InvalidInput("relays", "need the pynostr package", fix, fault=Fault.COORDINATOR) from error
    return RelayNotifier(
        settings.relays,
        keys.signing_key("nostr"),
        SystemClock(),
        loopback_inboxes=settings.network == "regtest",
    )


def _alert_sinks(settings: Settings, notifier: Notifier, stack: AsyncExitStack) -> Sequence[AlertSink]:
    """The log, and what the operator set up beside it."""
    sinks: list[AlertSink] = [LogAlerts()]
    if (address := alert_webhook()) is not None:
        webhook = WebhookAlerts(address)
        stack.push_async_callback(webhook.close)
        sinks.append(webhook)
    if settings.relays and (owners := owner_keys(settings)):
        sinks.append(MessageAlerts(notifier, owners))
    return sinks


def chain_client(settings: Settings) -> CoreNode | EsploraNode:
    """The node that is asked about blocks and given transactions."""
    bitcoin, (network, _) = settings.bitcoin, NETWORKS[settings.network]
    if bitcoin.source == "esplora":
        floor = FeeRate(bitcoin.esplora_relay_floor)
        return EsploraNode(bitcoin.esplora_url or "", network=network, relay_floor=floor)
    return CoreNode(_rpc(settings), network=network)


def _rpc(settings: Settings) -> CoreRpc:
    cookie = settings.bitcoin.cookie_file
    return CoreRpc(
        settings.bitcoin.rpc_url or "",
        cookie_file=Path(cookie) if cookie is not None else None,
        user=settings.bitcoin.user,
        password=rpc_password(),
    )


def lightning_client(settings: Settings) -> LndNode:
    """The Lightning node. Raises InvalidInput for a macaroon that cannot be read."""
    certificate = settings.lightning.certificate_file
    try:
        macaroon = Secret(Path(settings.lightning.macaroon_file).read_bytes())
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise InvalidInput(
            "lightning.macaroon_file", reason, "give the file that LND wrote", fault=Fault.COORDINATOR
        ) from error
    return LndNode(
        settings.lightning.url,
        macaroon,
        certificate=Path(certificate) if certificate else None,
        hold_expiry_delta=_delta(settings),
    )


def _delta(settings: Settings) -> Blocks | None:
    delta = settings.lightning.hold_expiry_delta
    return None if delta is None else Blocks(delta)


def chain_examination(chain: CoreNode | EsploraNode, network: Network) -> Examined:
    """What is looked at before the node is relied on."""
    if isinstance(chain, CoreNode):
        return CoreExamination(chain.rpc, network)
    return EsploraExamination(chain, network)


async def _examine(vettings: Sequence[Vetting]) -> None:
    """Look at each service, which says what an operator should know. Raises Unsuitable for the wrong one; one that is
    away is waited for: running competitions must not wait with it (docs/adr/0011).
    """
    for found in await asyncio.gather(*(vetting.look() for vetting in vettings)):
        if found.unsuitable:
            raise Unsuitable(found.service, found.problem, fault=Fault.COORDINATOR)


def _operator_token(path: Path) -> Secret:
    """A random token in a file that only the operator's account can read."""
    if not path.exists():
        write_private(path, secrets.token_hex(32).encode())
    token = path.read_bytes().strip()
    if len(token) < LEAST_TOKEN:
        # An empty one would be everybody's.
        fix = "remove the file: the next start makes a fresh one"
        raise InvalidInput(OPERATOR_TOKEN, "is no token of this program", fix, fault=Fault.COORDINATOR)
    return Secret(token)
