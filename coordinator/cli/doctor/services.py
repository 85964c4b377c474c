"""The services as they answer now: of this network, in step, with the keys that running competitions count on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from coordinator import app
from coordinator.adapters.clock import SystemClock
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.adapters.lightning.condition import LndExamination
from coordinator.adapters.oracle import NoaaOracle, NoaaSettings
from coordinator.cli.doctor.clock import LET_IT_FOLLOW, NOTICED_SKEW, behind_the_chain, judge, skews
from coordinator.cli.doctor.report import Check, Verdict
from coordinator.cli.doctor.reservations import reserved
from coordinator.config.settings import Settings
from coordinator.ports.bitcoin import Network
from coordinator.ports.clock import MOST_SKEW
from coordinator.ports.condition import Condition
from coordinator.ports.faults import PortError
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import CoreError
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

PATIENCE_SECONDS: Final = 10.0
Probe = Callable[[], Awaitable[Sequence[Check]]]


class Services:
    """Clients of every service of the settings; nothing is written to any of them."""

    def __init__(
        self,
        settings: Settings,
        live: Sequence[Terms],
        coins: Sequence[tuple[str, frozenset[str]]],
        first: Mapping[str, frozenset[str]],
    ) -> None:
        """`live` are the terms of competitions that go on, `coins` reserved outpoints with who may spend them, `first`
        the keys that count, by whose they are.
        """
        self._first = first
        self._settings = settings
        self._live = live
        self._coins = coins

    async def checks(self) -> AsyncIterator[Check]:
        """One after the other in a fixed order, all asked at once."""
        probes: list[tuple[str, Probe]] = [
            ("time", self._time),
            ("bitcoin", self._bitcoin),
            ("lightning", self._lightning),
            ("oracle", self._oracle),
            ("keymeld", self._keymeld),
        ]
        for found in await asyncio.gather(*(_patient(name, probe) for name, probe in probes)):
            for check in found:
                yield check

    async def _bitcoin(self) -> Sequence[Check]:
        async with AsyncExitStack() as stack:
            chain = app.chain_client(self._settings)
            stack.push_async_callback(chain.close)
            network, _ = app.NETWORKS[self._settings.network]
            found = _judged(await app.chain_examination(chain, network).condition())
            if found.verdict is Verdict.FAILED:
                return [found]
            now = UnixTime(int(time.time()))
            behind = [] if self._settings.domain_clock == "chain" else [await behind_the_chain(chain, now)]
            return [found, *behind, await reserved(chain, self._coins)]

    async def _time(self) -> Sequence[Check]:
        return [judge(await skews(self._settings))]

    async def _lightning(self) -> Sequence[Check]:
        async with AsyncExitStack() as stack:
            node = app.lightning_client(self._settings)
            stack.push_async_callback(node.close)
            _, name = app.NETWORKS[self._settings.network]
            return [_judged(await LndExamination(node, name).condition())]

    async def _oracle(self) -> Sequence[Check]:
        async with AsyncExitStack() as stack:
            # No identity of ours: what is asked here everyone may ask.
            network, _ = app.NETWORKS[self._settings.network]
            place = NoaaSettings(url=self._settings.oracle.url, is_mainnet=network is Network.MAINNET)
            oracle = NoaaOracle(place, SecretKey.generate(), SystemClock())
            stack.push_async_callback(oracle.close)
            key = (await oracle.public_key()).hex()
        pinned = {terms.oracle.public_key for terms in self._live}
        if pinned - {key}:
            detail = f"it answers with the key {key}, running competitions count on {', '.join(sorted(pinned - {key}))}"
            return [Check("oracle", Verdict.FAILED, detail, "point oracle.url to the oracle that they name")]
        return [self._as_at_first("oracle", key) or Check("oracle", Verdict.OK, f"key {key}")]

    def _as_at_first(self, whose: str, key: str) -> Check | None:
        if key in self._first.get(whose, {key}):
            return None
        fix = f'find out why; then coordinator admin accept-key "{whose}" {key}'
        return Check("key pins", Verdict.FAILED, f"{whose} has the key {key}, which is not its first one", fix)

    async def _keymeld(self) -> Sequence[Check]:
        async with AsyncExitStack() as stack:
            gateway = KeymeldGateway(self._settings.keymeld.url, SystemClock())
            stack.push_async_callback(gateway.close)
            enclaves = await gateway.enclaves()
            before = time.time()
            theirs = await gateway.gateway_time()
            # Its answer is from somewhere between the two moments.
            skew = round(theirs - (before + time.time()) / 2)
        if enclaves:
            found = Check("keymeld", Verdict.OK, f"{len(enclaves)} enclaves")
        else:
            found = Check("keymeld", Verdict.FAILED, "has no healthy enclave", "no ticket is sold until it has one")
        names = ((f"enclave {one.enclave_id}/{one.key_epoch}", one.public_key.hex()) for one in enclaves)
        changed = [check for name, key in names if (check := self._as_at_first(name, key)) is not None]
        return [found, *changed, clock(skew)]


def clock(skew: int) -> Check:
    """How far keymeld's clock is from this machine's, in seconds."""
    detail = f"keymeld's is {abs(skew)} s {'ahead' if skew > 0 else 'behind'}" if skew else "as keymeld's"
    fix = LET_IT_FOLLOW
    if abs(skew) > MOST_SKEW:
        return Check("clock", Verdict.FAILED, detail, fix)
    return (
        Check("clock", Verdict.WARNING, detail, fix) if abs(skew) > NOTICED_SKEW else Check("clock", Verdict.OK, detail)
    )


async def _patient(name: str, probe: Probe) -> Sequence[Check]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await probe()
    except TimeoutError:
        return [Check(name, Verdict.FAILED, f"did not answer within {PATIENCE_SECONDS:g} s", "is it running?")]
    except (PortError, CoreError) as error:
        return [Check(name, Verdict.FAILED, str(error), "see docs/settings.md")]


def _judged(found: Condition) -> Check:
    version = f"version {found.version}" if found.version else "answers"
    if found.problem:
        return Check(found.service, Verdict.WARNING if found.answers else Verdict.FAILED, found.problem)
    if found.note:
        return Check(found.service, Verdict.WARNING, f"{version}: {found.note}")
    return Check(found.service, Verdict.OK, version)
