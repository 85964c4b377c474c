"""What a claim needs of an Esplora server: heights, who spends what, broadcasting. One request at a time."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Final, Self, TypeVar

import httpx
import msgspec
from msgspec import Meta, Struct

from coordinator.cli.exchange import TIMEOUT_SECONDS, ServiceFailed, exchange
from coordinator_core.competition.documents import Hex32
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.transaction import OutPoint, Transaction, TxOut
from coordinator_core.units import Height, UnixTime

MAX_ANSWER_BYTES: Final = 1_000_000
MAX_TRANSACTION_HEX: Final = 8_000_000
_MOST_SHOWN: Final = 500
_HEIGHTS: Final = 500_000_000
"""From here on a lock time is a date."""

T = TypeVar("T")


class BroadcastRefused(ServiceFailed):
    """The node refused a transaction, in its own words."""

    code = "cli.broadcast_refused"


class Confirmation(Struct, frozen=True):
    """Whether and where a transaction is in the chain."""

    confirmed: bool
    block_height: Annotated[int, Meta(ge=0, lt=_HEIGHTS)] | None = None

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


class _PackageEntry(Struct, frozen=True):
    error: Annotated[str, Meta(max_length=1_000)] | None = None


class _PackageAnswer(Struct, frozen=True):
    package_msg: Annotated[str, Meta(max_length=1_000)]
    results: dict[str, _PackageEntry] = msgspec.field(name="tx-results", default_factory=dict[str, _PackageEntry])


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
        height = self._get("/blocks/tip/height", int)
        if not 0 <= height < _HEIGHTS:
            raise _failed("/blocks/tip/height answered no height")
        return Height(height)

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
        transaction = self.transaction(outpoint.txid)
        if transaction is None or outpoint.vout >= len(transaction.outputs):
            return None
        return transaction.outputs[outpoint.vout]

    def transaction(self, txid: bytes) -> Transaction | None:
        """A transaction (id in internal order) from chain or mempool; None when the server knows none."""
        path = f"/tx/{txid[::-1].hex()}/hex"
        status, body = self._send("GET", path, limit=MAX_TRANSACTION_HEX)
        if status == httpx.codes.NOT_FOUND:
            return None
        if status != httpx.codes.OK:
            raise _failed(f"{path} answered with status {status}")
        try:
            transaction = Transaction.from_hex(_shown(body), "transaction")
        except InvalidInput as problem:
            raise _failed(f"{path} answered no transaction: {problem.reason}") from None
        if transaction.txid != txid:
            raise _failed(f"{path} answered another transaction")
        return transaction

    def broadcast(self, transaction: Transaction) -> None:
        """Hand a transaction to the node. Raises BroadcastRefused."""
        status, body = self._send("POST", "/tx", transaction.serialize().hex())
        if status != httpx.codes.OK:
            raise BroadcastRefused("esplora", _shown(body)[:_MOST_SHOWN], Fault.NODE)

    def broadcast_package(self, transactions: Sequence[Transaction]) -> None:
        """Hand parents and their child, in this order, to the node, which judges what they pay together.

        Raises BroadcastRefused.
        """
        document = [transaction.serialize().hex() for transaction in transactions]
        status, body = self._send("POST", "/txs/package", msgspec.json.encode(document).decode())
        if status != httpx.codes.OK:
            raise BroadcastRefused("esplora", _shown(body)[:_MOST_SHOWN], Fault.NODE)
        answer = _decoded(body, _PackageAnswer, "/txs/package")
        if answer.package_msg != "success":
            errors = sorted({entry.error for entry in answer.results.values() if entry.error is not None})
            raise BroadcastRefused("esplora", "; ".join([answer.package_msg, *errors])[:_MOST_SHOWN], Fault.NODE)

    def _get(self, path: str, kind: type[T]) -> T:
        return _decoded(self._answer(path), kind, path)

    def _text(self, path: str) -> str:
        text = _shown(self._answer(path))
        if len(text) != 64 or not (text.isascii() and text.isalnum()):
            raise _failed(f"{path} answered no hash")
        return text

    def _answer(self, path: str) -> bytes:
        status, body = self._send("GET", path)
        if status != httpx.codes.OK:
            raise _failed(f"{path} answered with status {status}")
        return body

    def _send(
        self, method: str, path: str, body: str | None = None, *, limit: int = MAX_ANSWER_BYTES
    ) -> tuple[int, bytes]:
        return exchange(self._client, method, path, body=body, limit=limit, service="esplora", fault=Fault.NODE)


def _failed(reason: str) -> ServiceFailed:
    return ServiceFailed("esplora", reason, Fault.NODE)


def _decoded(body: bytes, kind: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise _failed(f"{path} answered {problem}") from None


def _shown(body: bytes) -> str:
    return body.decode("utf-8", "replace").strip()
