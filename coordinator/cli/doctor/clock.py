"""This machine's clock against what every service says the time is.

keymeld takes requests that are at most five minutes old, players sign theirs for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from coordinator.adapters.http import HttpClient
from coordinator.adapters.lightning.credentials import tls_for
from coordinator.cli.doctor.report import Check, Verdict
from coordinator.config.settings import Settings
from coordinator.ports.bitcoin import Chain
from coordinator.ports.clock import MOST_SKEW
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError, Fault
from coordinator_core.units import UnixTime

NOTICED_SKEW: Final = 5
PATIENCE_SECONDS: Final = 3.0
LET_IT_FOLLOW: Final = "let this machine follow a time server: signed requests are good for a minute"


async def skews(settings: Settings) -> Mapping[str, int]:
    """Seconds that the clock of each service is ahead of ours, by the Date of an answer; of those that answer."""
    bitcoin = settings.bitcoin.rpc_url if settings.bitcoin.source == "core" else settings.bitcoin.esplora_url
    asked = {
        "bitcoin": (bitcoin or "", "/"),
        "lightning": (settings.lightning.url, "/v1/state"),
        "oracle": (settings.oracle.url, "/health"),
        "keymeld": (settings.keymeld.url, "/api/v1/health"),
    }
    certificate = settings.lightning.certificate_file
    pinned = {"lightning": Path(certificate)} if certificate else {}
    found = await asyncio.gather(*(_skew(name, *where, pinned.get(name)) for name, where in asked.items()))
    return {name: skew for name, skew in zip(asked, found, strict=True) if skew is not None}


async def _skew(name: str, url: str, path: str, certificate: Path | None) -> int | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
            verify = tls_for(name, url, certificate) if name == "lightning" else True
            http = HttpClient(name, url, fault=Fault.COORDINATOR, verify=verify)
            stack.push_async_callback(http.close)
            said = (await http.get(path)).headers.get("date", "")
        return round(parsedate_to_datetime(said).timestamp() - time.time())
    except (PortError, CoreError, TimeoutError, ValueError):
        # Who does not tell the time is no witness of it.
        return None


def judge(found: Mapping[str, int]) -> Check:
    """Ours is wrong where two services at least say so, and more than say that it is right."""
    far = {name: skew for name, skew in found.items() if abs(skew) > MOST_SKEW}
    noticed = {name: skew for name, skew in found.items() if abs(skew) > NOTICED_SKEW}
    if not found:
        return Check("time", Verdict.SKIPPED, "no service says what time it is")
    if not noticed:
        return Check("time", Verdict.OK, f"as that of {', '.join(found)}")
    detail = ", ".join(f"{name} is {_words(skew)}" for name, skew in noticed.items())
    if len(far) >= 2 and len(far) > len(found) - len(far):
        return Check("time", Verdict.FAILED, detail, LET_IT_FOLLOW)
    return Check("time", Verdict.WARNING, detail, LET_IT_FOLLOW)


async def behind_the_chain(chain: Chain, now: UnixTime) -> Check:
    """A clock that shows less than the chain's median time is wrong: blocks are made after it. Raises PortError."""
    median = (await chain.tip()).median_time_past
    if now < median:
        return Check(
            "time", Verdict.FAILED, f"the chain's median time is {median - now} s ahead of ours", LET_IT_FOLLOW
        )
    return Check("time", Verdict.OK, "not behind the chain's median time")


def _words(skew: int) -> str:
    return f"{abs(skew)} s {'ahead' if skew > 0 else 'behind'}"
