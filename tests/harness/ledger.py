"""What the coordinator asked the outside world to do, written down by the proxies as it passed them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.harness.fault_proxy import Call

NODE_WRITES: Final = frozenset({"sendrawtransaction", "submitpackage"})
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SETTLE: Final = "lightning POST /v2/invoices/settle"


@dataclass(frozen=True, slots=True)
class Effect:
    """One order of the coordinator that reached a service."""

    name: str
    """Service, method and path; of the node the RPC."""
    body: dict[str, Any]
    height: int
    """Height of the node's chain before the order."""

    @property
    def preimage_hash(self) -> str:
        """Payment hash (hex) of a settle order."""
        return hashlib.sha256(base64.b64decode(self.body["preimage"])).hexdigest()


@dataclass(slots=True)
class Ledger:
    """Every effect in the order in which it reached its service."""

    height: Callable[[], Awaitable[int]]
    effects: list[Effect] = field(default_factory=list[Effect])

    async def enter(self, service: str, call: Call) -> None:
        """Write down what is more than a read. The height is read only where it is judged by: for settle."""
        name = effect_name(service, call)
        if name is None:
            return
        height = await self.height() if name == SETTLE else 0
        self.effects.append(Effect(name, _body(call), height))

    def named(self, name: str) -> list[Effect]:
        """All effects of a name."""
        return [effect for effect in self.effects if effect.name == name]


def effect_name(service: str, call: Call) -> str | None:
    """What an order is called; None for a read."""
    if service == "node":
        method = str(_body(call).get("method", ""))
        return f"node {method}" if method in NODE_WRITES else None
    if call.method in READS:
        return None
    path = call.path.partition("?")[0]
    return f"{service} {call.method} {_without_ids(path)}"


def _without_ids(path: str) -> str:
    return "/".join("*" if any(c.isdigit() for c in part) and len(part) > 4 else part for part in path.split("/"))


def _body(call: Call) -> dict[str, Any]:
    try:
        value = json.loads(call.body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
