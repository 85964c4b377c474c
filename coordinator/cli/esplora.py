"""What a claim needs of an Esplora server: heights, who spends what, broadcasting. One request at a time."""

from __future__ import annotations

from types import TracebackType
from typing import Annotated, Final, Self, TypeVar

import httpx
import msgspec
from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex32
from coordinator_core.errors import CoreError, Fault
from coordinator_core.transaction import OutPoint, Transaction, TxOut
from coordinator_core.units import Height, UnixTime

TIMEOUT_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 1_000_000
MAX_TRANSACTION_HEX: Final = 8_000_000

T = TypeVar("T")


class ServiceFailed(CoreError):
    """A service could not be asked, or did not answer as it should."""

    code = "cli.service_failed"

    def __init__(self, service: str, reason: str, fault: Fault) -> None:
        super().__init__(f"{service}: {reason}")
        self.fault = fault


class BroadcastRefused(ServiceFailed):
    """The node refused a transaction, in its own words."""

    code = "cli.broadcast_refused"


class Confirmation(Struct, frozen=True):
    """Whether and where a transaction is in the chain."""

    confirmed: bool
    block_height: Annotated[int, Meta(ge=0, lt=500_000_000)] | None = None

    @property
    def height(self) -> Height | None:
        """Its block, None while it has none."""
        return Height(self.block_height) if self.confirmed and self.block_height is not None else None


class Spender(Struct, frozen=True):
    """The transaction that spends an output, in the chain or in the mempool."""

    spent: bool
    txid: Hex32 | None = None


class _Block(Struct, frozen=True):
    mediantime: Annotated[int, Meta(ge=0, lt=1 << 32)]


class Esplora:
    """A client of one server; use it as a context manager. Raises ServiceFailed, BroadcastRefused."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(
            base_url=url.rstrip("/"), timeout=TIMEOUT_SECONDS, follow_redirects=False, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def tip_height(self) -> Height:
        """Height of the last block."""
        return Height(self._get("/blocks/tip/height", int))

    def median_time(self) -> UnixTime:
        """Median time past of the last block: what absolute lock times are compared with."""
        tip = self._text("/blocks/tip/hash")
        return UnixTime(self._get(f"/block/{tip}", _Block).mediantime)

    def confirmation(self, txid: bytes) -> Confirmation:
        """Where a transaction (id in internal order) is; unknown ones are unconfirmed."""
        return self._get(f"/tx/{txid[::-1].hex()}/status", Confirmation)

    def spender(self, outpoint: OutPoint) -> bytes | None:
        """The id (internal order) of the transaction that spends an output; None: it is unspent, or
        unknown.
        """
        found = self._get(f"/tx/{outpoint.txid[::-1].hex()}/outspend/{outpoint.vout}", Spender)
        return bytes.fromhex(found.txid)[::-1] if found.spent and found.txid is not None else None

    def output(self, outpoint: OutPoint) -> TxOut | None:
        """An output of a transaction that the server knows; None when it knows none."""
        answer = self._send("GET", f"/tx/{outpoint.txid[::-1].hex()}/hex")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_TRANSACTION_HEX:
            raise ServiceFailed("esplora", f"answered with status {answer.status_code}", Fault.NODE)
        transaction = Transaction.from_hex(answer.text.strip(), "esplora transaction")
        if transaction.txid != outpoint.txid:
            raise ServiceFailed("esplora", "answered another transaction", Fault.NODE)
        return transaction.outputs[outpoint.vout] if outpoint.vout < len(transaction.outputs) else None

    def broadcast(self, transaction: Transaction) -> None:
        """Hand a transaction to the node. Raises BroadcastRefused."""
        answer = self._send("POST", "/tx", transaction.serialize().hex())
        if answer.status_code != httpx.codes.OK:
            raise BroadcastRefused("esplora", answer.text[:500], Fault.NODE)

    def _get(self, path: str, kind: type[T]) -> T:
        answer = self._answer(path)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as problem:
            raise ServiceFailed("esplora", f"{path} answered {problem}", Fault.NODE) from None

    def _text(self, path: str) -> str:
        text = self._answer(path).text.strip()
        if len(text) != 64 or not text.isalnum():
            raise ServiceFailed("esplora", f"{path} answered no hash", Fault.NODE)
        return text

    def _answer(self, path: str) -> httpx.Response:
        answer = self._send("GET", path)
        if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_ANSWER_BYTES:
            raise ServiceFailed("esplora", f"{path} answered with status {answer.status_code}", Fault.NODE)
        return answer

    def _send(self, method: str, path: str, body: str | None = None) -> httpx.Response:
        try:
            return self._client.request(method, path, content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise ServiceFailed("esplora", f"{type(problem).__name__}: {problem}", Fault.NODE) from None
