"""The embedded node as a developer drives it: blocks and time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from coordinator.cli.dev.stack_file import StackFile
from coordinator.cli.esplora import ServiceFailed
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.units import Height, Sats, UnixTime

SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class DevNode:
    """RPC of the node of a running stack. Raises ServiceFailed."""

    url: str
    cookie_file: Path
    mine_to: str | None = None

    @classmethod
    def of(cls, stack: StackFile) -> DevNode:
        """The node of a stack. Raises InvalidInput when none runs."""
        service = stack.service("node")
        if service.rpc_cookie_file is None:
            raise InvalidInput("--data-dir", "names no cookie file of the node", "start `coordinator dev` again")
        return cls(service.url, Path(service.rpc_cookie_file), service.mine_to)

    def mine(self, blocks: int) -> None:
        """Mine to the faucet."""
        if self.mine_to is None:
            self._call("mine", blocks)
        else:
            self._call("generatetoaddress", blocks, self.mine_to)

    def let_time_reach(self, moment: UnixTime) -> None:
        """Move the node's clock on; the next block carries the new time."""
        self._call("setmocktime", moment)

    def faucet(self, address: str, amount: Sats) -> None:
        """Send coins and confirm them."""
        self._call("faucet", address, amount)
        self._call("mine", 1)

    def tip(self) -> tuple[Height, UnixTime]:
        """Height and time of the last block."""
        info = self._call("getblockchaininfo")
        return Height(info["blocks"]), UnixTime(info["time"])

    def _call(self, method: str, *params: object) -> Any:
        body = {"id": 1, "method": method, "params": params}
        try:
            user, _, password = self.cookie_file.read_text().partition(":")
            answer = httpx.post(self.url, json=body, auth=(user, password), timeout=SECONDS, trust_env=False).json()
        except (OSError, httpx.HTTPError, ValueError) as error:
            reason = f"does not answer ({type(error).__name__}); is `coordinator dev` running?"
            raise ServiceFailed("node", reason, Fault.NODE) from None
        if answer.get("error"):
            raise ServiceFailed("node", str(answer["error"]["message"]), Fault.NODE)
        return answer["result"]
