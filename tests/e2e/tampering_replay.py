"""A real flow, written down, and a player that lives through a step of it again with one answer changed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx
import msgspec

from coordinator.player import play
from coordinator.player.closing import Closing, Sealing
from coordinator.player.gateway import Gateway
from coordinator.player.http import Service
from coordinator.player.keys import PlayerKeys
from coordinator.player.oracle import OracleReader
from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet
from coordinator_core.claim_kit import ClaimKit
from coordinator_core.competition.picks import Pick
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import CoreError, Fault
from coordinator_core.nostr.event import Event
from coordinator_core.secret import Secret
from tests.e2e.tampering_proxy import TamperingProxy

URL = "http://replayed"
CONTEXT = ssl.create_default_context()
"""Made once: no connection is opened, and each one costs more than the whole step."""
MOST_REQUESTS = 40
"""More means that the player waits for better answers, which is no defect."""


class Enough(Exception):
    """Ends a player that would wait for ever."""


@dataclass(slots=True)
class Flow:
    """What one player was told from its ticket to its prize, and what it knew in between."""

    seed: bytes
    competition: str
    picks: tuple[Pick, ...] = ()
    terms: Terms | None = None
    entry_id: str = ""
    ticket_hash: str = ""
    receipt: Event | None = None
    sealing: Sealing | None = None
    entries_seen: dict[str, str] = field(default_factory=dict[str, str])
    contract: str | None = None
    kit: ClaimKit | None = None
    payout_request: str = ""
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    """The last good answer by "METHOD /path", as JSON."""

    @property
    def base(self) -> str:
        """Path of the competition."""
        return f"/api/v1/competitions/{self.competition}"

    @property
    def own(self) -> str:
        """Path of the entry."""
        return f"{self.base}/entries/{self.entry_id}"

    def hear(self, *proxies: TamperingProxy) -> None:
        """Take what was answered since the last time."""
        for proxy in proxies:
            self.answers |= {path: msgspec.json.decode(body) for path, body in proxy.answered}
            proxy.answered.clear()

    def remember(self, player: Player) -> None:
        """Take what the player knows now."""
        self.picks, self.terms, self.entry_id = player.picks, player.terms, player.entry_id
        self.ticket_hash, self.receipt = player.ticket_hash, player.receipt
        self.sealing, self.entries_seen = player.sealing, dict(player.entries_seen)
        self.contract, self.kit, self.payout_request = player.contract, player.kit, player.payout_request

    @property
    def terms_hash(self) -> bytes | None:
        """As the player keeps it."""
        return None if self.terms is None else self.terms.hash


@dataclass(slots=True)
class Step:
    """A part of the flow: the answers it was given, what the player knew before it, and how it goes."""

    answers: Mapping[str, Any]
    knows: tuple[str, ...]
    go: Callable[[Replay], Awaitable[object]]


class Replay:
    """One player of a flow over changed answers; no request leaves the process."""

    def __init__(self, flow: Flow, answers: Mapping[str, Any], knows: tuple[str, ...]) -> None:
        self.flow = flow
        self.asked: set[str] = set()
        """What the player asked for, by "METHOD /path"."""
        self._answers = {path: msgspec.json.encode(value) for path, value in answers.items()}
        self._left = MOST_REQUESTS
        self._transport = httpx.MockTransport(self._answer)
        keys = PlayerKeys(Secret(flow.seed))
        self.wallet = LightningWallet(URL, "00")
        self._mock(self.wallet)
        self.player = Player(URL, keys, self.wallet, flow.competition)
        self.player._service = self.service("coordinator", keys)
        self.player.picks = flow.picks
        for name in knows:
            setattr(self.player, name, getattr(flow, name))

    def service(self, name: str, keys: PlayerKeys | None = None) -> Service:
        """A server of the flow."""
        faults = {"coordinator": Fault.COORDINATOR, "keymeld": Fault.SIGNER, "oracle": Fault.ORACLE}
        fault = faults.get(name, Fault.LIGHTNING)
        return Service(name, URL, None if keys is None else keys.identity, fault=fault, transport=self._transport)

    def closing(self) -> Closing:
        """The player's closing over this flow's gateway and oracle."""
        assert self.flow.terms is not None
        gateway, oracle = Gateway(URL), OracleReader(URL)
        for reader in (gateway, oracle):
            self._mock(reader)
        return Closing(self.player, self.flow.terms, gateway, oracle)

    def reader(self, _: str) -> OracleReader:
        """The oracle that a player opens by itself."""
        oracle = OracleReader(URL)
        self._mock(oracle)
        return oracle

    def _mock(self, reader: Any) -> None:
        real: Service = reader._service
        reader._service = self.service(real.name)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if self._left < 0:
            raise Enough
        path = f"{request.method} {request.url.path}"
        self.asked.add(path)
        if path not in self._answers:
            return httpx.Response(404, json={"code": "not_there_yet", "detail": f"nothing at {path}"})
        return httpx.Response(200, content=self._answers[path])


async def _at_once(_: float) -> None:
    """A pause of a player over which nothing changes."""


def outcome(flow: Flow, step: Step, changes: Mapping[str, Any]) -> CoreError | Enough | Replay:
    """What a step comes to with some answers changed; anything but these is a defect."""

    async def go() -> CoreError | Enough | Replay:
        with patch("coordinator.player.http._trusted", lambda _: CONTEXT):
            replay = Replay(flow, {**step.answers, **changes}, step.knows)
        with patch.object(play, "OracleReader", replay.reader), patch("asyncio.sleep", _at_once):
            try:
                await step.go(replay)
            except (CoreError, Enough) as end:
                return end
        return replay

    return asyncio.run(go())
