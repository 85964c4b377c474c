"""Who asks: NIP-98 for players and owners, a bearer token for operators on loopback. A proof is accepted once."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import Any, Protocol

from litestar import Request
from litestar.exceptions import NotAuthorizedException

from coordinator.api.admission import TooManyRequests
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.nip98 import verify_authorization
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

REMEMBERED = 100_000
WINDOW_SECONDS = 130


class ReplayMemory:
    """Ids of proofs accepted within their window. Lost at a restart: the window is two minutes, and every command is
    idempotent or judged against its state."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def claim(self, proof: bytes, now: UnixTime) -> None:
        """Raises InvalidInput for a proof that was used before, TooManyRequests while no further one can be
        remembered: a proof is never accepted unremembered.
        """
        while self._seen and next(iter(self._seen.values())) < now - WINDOW_SECONDS:
            self._seen.popitem(last=False)
        if len(self._seen) >= REMEMBERED:
            raise TooManyRequests("server", max(1, next(iter(self._seen.values())) + WINDOW_SECONDS + 1 - now))
        if proof in self._seen:
            raise InvalidInput(
                "authorization", "was used before", "sign a new one for each request", fault=Fault.PLAYER
            )
        self._seen[proof] = now


async def player_of(request: Request[Any, Any, Any], origin: str, memory: ReplayMemory, now: UnixTime) -> bytes:
    """The x-only Nostr key that signed this very request. Raises NotAuthorized, InvalidInput."""
    # From the request line, never from the Host header: that one is the caller's to choose.
    query = request.scope["query_string"].decode("latin-1")
    url = f"{origin}{request.scope['path']}{'?' if query else ''}{query}"
    body = await request.body()
    proof = verify_authorization(request.headers.get("authorization"), request.method, url, body, now)
    memory.claim(proof.replay_id, now)
    return proof.author


class Doors(Protocol):
    """What an operator is judged by."""

    @property
    def operator_token(self) -> Secret:
        """Content of the token file."""
        ...

    @property
    def owners(self) -> frozenset[bytes]:
        """X-only keys of the owners."""
        ...

    async def signer(self, request: Request[Any, Any, Any]) -> bytes:
        """The key that signed this request."""
        ...


async def operator_of(request: Request[Any, Any, Any], doors: Doors) -> str:
    """Who runs this coordinator and asks: `operator` for the bearer token, an owner's key (hex) for a NIP-98 proof.

    Raises NotAuthorizedException, NotAuthorized, InvalidInput.
    """
    given = request.headers.get("authorization", "")
    if given.startswith("Nostr "):
        key = await doors.signer(request)
        if key in doors.owners:
            return key.hex()
        raise NotAuthorizedException("this key is none of the owners'")
    if not hmac.compare_digest(given.removeprefix("Bearer ").encode(), doors.operator_token.reveal()):
        raise NotAuthorizedException("the operator token is missing or wrong")
    return "operator"
