"""The application over a real database of each test; facts are written as the engine would write them."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import func, select

from coordinator.adapters.secrets import SealedSecrets
from coordinator.adapters.store import tables
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.api.admission import Admission, Limits, Rate
from coordinator.api.application import create_application
from coordinator.api.assets import Assets
from coordinator.api.context import Api
from coordinator.api.door import Door
from coordinator.api.pages import public
from coordinator.api.pages.market import MarketBoard
from coordinator.domain.competitions.states import CollectingEntries, Competition
from coordinator.domain.facts import (
    Drafted,
    Entry,
    Fact,
    HoldState,
    Invoice,
    Payout,
    PrizeState,
    Published,
    Seal,
    SessionOpen,
    Ticket,
)
from coordinator.engine import codec
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.dependencies import Dependency
from coordinator.engine.engine import Engine
from coordinator.engine.executors.services import Services
from coordinator.ports.bitcoin import Block, Network, Tip
from coordinator.ports.faults import Unreachable
from coordinator.ports.following import BlockHeader, Hit, Watch
from coordinator.ports.lightning import Liquidity
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.fees import FeeMarket, price_lines
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault
from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import FeeRate, Height, Sats, UnixTime

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "terms.json").read_text())
NOW = UnixTime(VECTOR["created"]["time"])
TIP = VECTOR["created"]["height"]
ENTRY_IDS = tuple(f"01926f3b-0000-7000-8000-00000000000{n}" for n in range(1, 5))
KEYS = tuple(SecretKey.from_bytes(bytes([n]) * 32) for n in range(1, 5))
PLAYERS = tuple(key.x_only.hex() for key in KEYS)
ORIGIN = "http://test"
TOKEN = "operator"
LANE = "01926f3a-0000-7000-8000-0000000000{:02d}"


class FixedClock:
    def now(self) -> UnixTime:
        return NOW

    def precise(self) -> float:
        return float(NOW)


class Node:
    """The two questions about fees that pages ask; `rate` None: it is away."""

    def __init__(self) -> None:
        self.rate: FeeRate | None = FeeRate(1_000)
        self.asked = 0

    async def fee_rate(self, blocks: int) -> FeeRate | None:
        self.asked += 1
        if self.rate is None:
            raise Unreachable("node", "is away", fault=Fault.NODE)
        return self.rate

    async def tip(self) -> Tip:
        return Tip(Height(TIP), "b0" * 32, NOW, NOW)

    async def relay_floor(self) -> FeeRate:
        return FeeRate(25)


@dataclass
class House:
    """The application, its database and a browser."""

    store: SqliteStore
    application: Litestar
    browser: httpx.AsyncClient
    node: Node
    terms: Terms
    static: Path
    engine: Engine
    door: Door
    count: int = 0
    now: UnixTime = NOW
    ids: tuple[str, ...] = ENTRY_IDS
    players: tuple[str, ...] = PLAYERS
    keys: tuple[SecretKey, ...] = KEYS
    funding: str = "f1" * 32
    outcome: str = "0c" * 32
    split: str = "5b" * 32

    def change_terms(self, changes: dict[str, Any]) -> None:
        """Replace members of the terms of competitions written from now on."""
        document = json.loads(self.terms.to_bytes())
        for path, value in changes.items():
            *parents, name = path.split(".")
            inner = document
            for parent in parents:
                inner = inner[parent]
            inner[name] = value
        self.terms = convert_strict(document, Terms, "terms")

    def offered_network_fee(self) -> int:
        """What a ticket's network fee is at the node's present rate."""
        return price_lines(self.terms, FeeMarket(self.node.rate, FeeRate(25))).network_fee

    def entries(self, count: int, hold: HoldState) -> list[Fact]:
        """Ticket, signed entry and paid invoice of each of the first players."""
        return [fact for n in range(count) for fact in _entry(n, hold)]

    def unpaid(self, player: int, hold: HoldState) -> list[Fact]:
        """Ticket, signed entry and an invoice that was never paid."""
        return _entry(player, hold, paid=False)

    def session(self, count: int, attempt: int = 1) -> Fact:
        """The keymeld session of an attempt."""
        texts = dict.fromkeys(("manifest", "recipients", "registration"), "{}")
        roster = ENTRY_IDS[:count]
        return SessionOpen(
            attempt=attempt, session_id="s", user_id="u", epochs=(), opened_at=NOW, roster=roster, **texts
        )

    def seals(self, count: int, picks: int = 1) -> list[Fact]:
        """Sealed keys and opened picks of the first players."""
        opened = msgspec.json.encode([{"target": "KORD", "metric": "temp_high", "choice": "over"}] * picks).decode()
        keys = dict.fromkeys(("public_key", "auth_public_key"), "02" * 33)
        texts = {"registration": "{}", "ciphertext": "00", "salt": "00" * 32, "picks": opened}
        return [Seal(attempt=1, entry_id=entry_id, at=NOW, **keys, **texts) for entry_id in ENTRY_IDS[:count]]

    def payout(self, player: int, state: PrizeState, failure: str | None = None) -> Fact:
        """A payout that a player asked for on its own payout hash."""
        return Payout(
            entry_id=ENTRY_IDS[player],
            payment_hash="aa" * 32,
            payment_request="lnbcrt1",
            amount=Sats(1),
            atomic=True,
            state=state,
            failure=failure,
        )

    async def competition(self, state: Competition, facts: Sequence[Fact] = (), title: str | None = None) -> str:
        """Write a competition with published terms; its id."""
        document = json.loads(self.terms.to_bytes())
        document["title"] = title or document["title"]
        published = convert_strict(document, Terms, "terms")
        text = published.to_bytes().decode()
        return await self.bare(state, [Published(terms=text, terms_hash=published.hash.hex()), *facts])

    async def bare(self, state: Competition, facts: Sequence[Fact] = ()) -> str:
        """Write a competition with exactly these facts and its draft."""
        self.count += 1
        lane = LANE.format(self.count)
        drafted = Drafted(draft="{}", event_ids=("",) * 9, closes_at=self.terms.schedule.entries_close)
        async with self.store.write() as tx:
            await tx.create_lane(lane, codec.encode_state(state), codec.tag(state), NOW)
            await tx.put_facts(lane, [drafted, *facts], "test", NOW)
        return lane

    async def add_facts(self, lane: str, *facts: Fact) -> None:
        async with self.store.write() as tx:
            await tx.put_facts(lane, facts, "test", NOW)
        self.engine.wakeups.changed(lane)

    async def confirm(self, lane: str, txid: str, spends: str | None = None) -> None:
        """A transaction of a competition, and the outpoint it spends, in the tip."""
        watches = [Watch("t", txid)] + ([Watch("o", spends)] if spends else [])
        header = BlockHeader(Height(TIP), "b0" * 32, NOW, NOW)
        async with self.store.write() as tx:
            await tx.set_watches(lane, dict.fromkeys(watches, Height(TIP)))
            await tx.add_hits(header, [Hit(lane, watch, txid) for watch in watches])

    async def signed(
        self, method: str, path: str, body: bytes = b"", *, player: int = 0, **headers: str
    ) -> httpx.Response:
        """A request with a fresh proof of one of the players."""
        proof = build_authorization(method, ORIGIN + path, body, KEYS[player], NOW)
        given = {"authorization": proof, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.browser.request(method, path, content=body, headers=given)

    async def operated(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        """A request of the operator."""
        return await self.browser.request(method, path, content=body, headers={"authorization": f"Bearer {TOKEN}"})

    async def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        async with self.store.read_connection() as connection:
            return {
                table.name: await connection.scalar(select(func.count()).select_from(table)) or 0
                for table in tables.metadata.sorted_tables
            }

    async def page(self, lane: str) -> str:
        """The page of a competition, as a browser gets it."""
        answer = await self.browser.get(f"/competitions/{lane}")
        assert answer.status_code == 200, answer.text
        return answer.text


def _entry(n: int, hold: HoldState, *, paid: bool = True) -> list[Fact]:
    ticket_hash = f"{n + 1:02x}" * 32
    common: dict[str, Any] = {"entry_id": ENTRY_IDS[n], "generation": 1}
    ticket = Ticket(
        **common,
        ticket_hash=ticket_hash,
        player=PLAYERS[n],
        entry_fee=Sats(50_000),
        coordinator_fee=Sats(1_500),
        network_fee=Sats(900 + n),
        reserved_at=NOW,
        receipt="{}",
    )
    entry = Entry(
        **common,
        ticket_hash=ticket_hash,
        entry_keys=("02" * 33,) * 8,
        payout_hash="aa" * 32,
        slot_key="02" * 33,
        commitment="bb" * 32,
        signed_event="{}",
    )
    invoice = Invoice(
        **common,
        payment_hash=ticket_hash,
        payment_request="lnbcrt1",
        value=ticket.price,
        state=hold,
        expires_at=UnixTime(NOW + 600),
        accepted_at=UnixTime(NOW + n) if paid else None,
    )
    return [ticket, entry, invoice]


@pytest.fixture
def terms() -> Terms:
    return convert_strict(VECTOR["terms"], Terms, "terms")


class FreshAssets(Assets):
    """Reads the manifest at every look-up: the files change from test to test."""

    def url(self, name: str) -> str:
        self._names = None
        return super().url(name)


class FreshBoard(MarketBoard):
    """Forgets what it knew of another test's node."""

    engine: Engine | None = None

    async def look(self, api: Api) -> FeeMarket | None:
        if self.engine is not api.engine:
            super().__init__()
            self.engine = api.engine
        return await super().look(api)


@dataclass(frozen=True)
class Web:
    """The application, built once a run: Litestar takes longer for that than a test for its requests."""

    api: Api
    application: Litestar
    static: Path

    def serve(self, api: Api) -> None:
        """Answer with this state from now on."""
        for field in fields(Api):
            object.__setattr__(self.api, field.name, getattr(api, field.name))


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    static = tmp_path_factory.mktemp("static")
    nothing: Any = None
    api = Api(engine=nothing, origin=ORIGIN, operator_token=nothing, network=Network.REGTEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "MarketBoard", FreshBoard)
        return Web(api, create_application(api, assets=FreshAssets(static)), static)


@pytest.fixture
def built(web: Web) -> Web:
    """The application with a built frontend."""
    directory = web.static
    names = {"pages.js": "pages-AAAAAAAA.js", "site.css": "site-BBBBBBBB.css", "icon.svg": "icon-CCCCCCCC.svg"}
    (directory / "manifest.json").write_text(json.dumps(names))
    for name in names.values():
        (directory / name).write_text("/* built */")
    return web


def answered(engine: Engine) -> None:
    """No loop asks here: every service counts as one that answered, and everything as compared."""
    for dependency in Dependency:
        engine.dependencies.record(dependency, NOW, None)
    engine.money.reconciliation.finished_at = NOW
    engine.money.handshake.lacking = lambda _: ()  # type: ignore[method-assign]


@asynccontextmanager
async def open_house(
    database: Path, terms: Terms, built: Web, *, admission: Admission | None = None, **services: Any
) -> AsyncGenerator[House]:
    """The application over a fresh database; of the services behind it there are only those that are given."""
    store = await SqliteStore.open(database)
    async with store.write() as tx:
        await tx.add_block(Block(Height(TIP), "b0" * 32, "af" * 32, NOW, NOW, ()))
    node = Node()
    present = {
        "store": store,
        "clock": Clockwork(wall_clock=FixedClock(), store=store, chain_time=True),
        "chain": node,
        "secrets": SealedSecrets(store, Secret(bytes(32))),
        **services,
    }
    # Nothing else is there: a call to it would be an error 500.
    every: Any = {
        field.name: present.get(field.name, object()) for field in fields(Services) if field.default is MISSING
    }
    engine = Engine(Services(**every), poll_seconds=1.0)
    answered(engine)
    api = Api(
        engine=engine,
        origin=ORIGIN,
        operator_token=Secret(TOKEN.encode()),
        network=Network.REGTEST,
        admission=admission or Admission(Limits()),
    )
    built.serve(api)
    application: Any = built.application
    # Without the lifespan: the engine's loops stay still, so a page shows exactly the facts of its test.
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    headers = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as browser:
        yield House(store, application, browser, node, terms, built.static, engine, api.door)
    await store.close()


@pytest.fixture
async def house(new_database: Path, terms: Terms, built: Web) -> AsyncGenerator[House]:
    async with open_house(new_database, terms, built) as opened:
        yield opened


class Purse:
    """The coordinator's wallet and its Lightning node, as far as the operator's routes ask."""

    async def script_for(self, lane: str, purpose: str) -> bytes:
        return b"\x51\x20" + bytes.fromhex(PLAYERS[0])

    async def balance(self) -> int:
        return 2

    async def total(self) -> int:
        return 3

    async def info(self) -> object:
        raise Unreachable("lightning", "is away", fault=Fault.LIGHTNING)

    async def liquidity(self) -> Liquidity:
        return Liquidity(outbound=Sats(4), inbound=Sats(5))


class Away:
    """An oracle and a signer that do not answer."""

    async def enclaves(self) -> object:
        raise Unreachable("keymeld", "is away", fault=Fault.SIGNER)

    async def gateway_time(self) -> UnixTime:
        raise Unreachable("keymeld", "is away", fault=Fault.SIGNER)

    async def public_key(self) -> bytes:
        raise Unreachable("oracle", "is away", fault=Fault.ORACLE)

    async def sources(self) -> object:
        raise Unreachable("oracle", "is away", fault=Fault.ORACLE)


@pytest.fixture
async def edge(new_database: Path, terms: Terms, built: Web) -> AsyncGenerator[House]:
    """A house for every route, in which no limit of requests is met."""
    endless = Rate(per_second=1e9, burst=1_000_000_000)
    purse = Purse()
    services = {"wallet": purse, "lightning": purse, "oracle": Away(), "keymeld": Away()}
    admission = Admission(Limits(address=endless, player=endless))
    async with open_house(new_database, terms, built, admission=admission, **services) as opened:
        opened.browser.headers["accept"] = "*/*"
        await opened.engine.dependencies.look()
        answered(opened.engine)
        yield opened


@pytest.fixture
async def open_competition(house: House, terms: Terms) -> str:
    return await house.competition(CollectingEntries(terms_hash=terms.hash.hex()), house.entries(2, HoldState.ACCEPTED))
