"""JSON-RPC as Core speaks it over HTTP: 2.0 and the older form, batches, notifications, statuses.

2.0 answers 200 even for errors, with either result or error. Without `jsonrpc`, or with "1.0" or "1.1", both fields
are there, and errors have status 404 for an unknown method and 500 otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from coordinator.embedded.node.rpc import blockchain, control, embedded, mempool, mining, transactions
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, Method
from coordinator_core.errors import CoreError

METHODS: Final[dict[str, Method]] = {
    name: method
    for group in (blockchain, transactions, mempool, mining, control, embedded)
    for name, method in group.TABLE.methods.items()
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON body of an HTTP answer; no body for notifications."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    """The answer to one request of a body; `payload` is None for a notification."""

    payload: dict[str, Any] | None
    status: int


class Dispatcher:
    """Answers request bodies. One call at a time holds the node's lock."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def answer(self, body: bytes) -> Answer:
        """Handle one HTTP body: a request or a batch."""
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _encoded(_failure(None, RpcError(Code.PARSE_ERROR, "Parse error"), v2=False))
        if isinstance(request, dict):
            return _encoded(self._one(request))
        if not isinstance(request, list):
            return _encoded(_failure(None, RpcError(Code.PARSE_ERROR, "Top-level object parse error"), v2=False))
        replies = [self._one(one) for one in request]
        payloads = [r.payload for r in replies if r.payload is not None]
        if replies and not payloads:
            return Answer(204, b"")
        return Answer(200, msgspec.json.encode(payloads))

    def _one(self, request: Any) -> _Reply:
        if not isinstance(request, dict):
            return _failure(None, RpcError(Code.INVALID_REQUEST, "Invalid Request object"), v2=False)
        version = request.get("jsonrpc")
        v2 = version == "2.0"
        if version not in (None, "1.0", "1.1", "2.0"):
            error = RpcError(Code.INVALID_REQUEST, "JSON-RPC version not supported")
            return _failure(request.get("id"), error, v2=False)
        try:
            result = self._call(request)
        except RpcError as error:
            reply = _failure(request.get("id"), error, v2=v2)
        else:
            reply = _success(request.get("id"), result, v2=v2)
        notification = v2 and "id" not in request and reply.status != 400
        return _Reply(None, 204) if notification else reply

    def _call(self, request: dict[str, Any]) -> Any:
        name, params = request.get("method"), request.get("params")
        if name is None:
            raise RpcError(Code.INVALID_REQUEST, "Missing method")
        if not isinstance(name, str):
            raise RpcError(Code.INVALID_REQUEST, "Method must be a string")
        if params is None:
            params = []
        if not isinstance(params, list | dict):
            raise RpcError(Code.INVALID_REQUEST, "Params must be an array or object")
        method = METHODS.get(name)
        if method is None:
            raise RpcError(Code.METHOD_NOT_FOUND, "Method not found")
        arguments = method.bind(params)
        with self._context.node.lock:
            try:
                return method.handler(self._context, *arguments)
            except CoreError as error:
                raise RpcError(Code.MISC_ERROR, str(error)) from error


def _success(request_id: Any, result: Any, *, v2: bool) -> _Reply:
    if v2:
        return _Reply({"jsonrpc": "2.0", "result": result, "id": request_id}, 200)
    return _Reply({"result": result, "error": None, "id": request_id}, 200)


def _failure(request_id: Any, error: RpcError, *, v2: bool) -> _Reply:
    shown = {"code": int(error.code), "message": error.message}
    status = {Code.INVALID_REQUEST: 400, Code.METHOD_NOT_FOUND: 404}.get(error.code, 500)
    if v2:
        payload = {"jsonrpc": "2.0", "error": shown, "id": request_id}
        return _Reply(payload, 400 if status == 400 else 200)
    return _Reply({"result": None, "error": shown, "id": request_id}, status)


def _encoded(reply: _Reply) -> Answer:
    if reply.payload is None:
        return Answer(204, b"")
    return Answer(reply.status, msgspec.json.encode(reply.payload))
