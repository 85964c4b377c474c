"""The running coordinator as its operator's commands see it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx
import msgspec

from coordinator.cli.esplora import ServiceFailed
from coordinator_core.errors import Fault, InvalidInput

SECONDS: Final = 30.0
_REFUSED: Final = range(400, 500)


class CoordinatorRefused(InvalidInput):
    """The coordinator refused a request, in its own words."""

    code = "cli.coordinator_refused"


class Signer(Protocol):
    """Signs requests in place of the token."""

    def authorization(self, method: str, url: str, body: bytes | None) -> str:
        """The header of exactly this request."""
        ...


class OperatorApi:
    """JSON API of one coordinator; use it as a context manager.

    Raises CoordinatorRefused for a request to correct, ServiceFailed when there is no usable answer.
    """

    def __init__(
        self,
        url: str,
        token: bytes | None = None,
        transport: httpx.BaseTransport | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._headers = {"Authorization": f"Bearer {token.decode('ascii', 'replace').strip()}"} if token else {}
        self._client = httpx.Client(timeout=SECONDS, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def public(self, path: str) -> Any:
        """A read that everyone may do."""
        return self._call("GET", path)

    def get(self, path: str) -> Any:
        """An operator's read; `path` is below /operator."""
        return self._call("GET", f"/operator{path}")

    def post(self, path: str, body: object, *, key: str = "") -> Any:
        """An operator's command; with the same `key` again it has no second effect."""
        return self._call("POST", f"/operator{path}", body, {"Idempotency-Key": key} if key else {})

    def _call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        sent = {**self._headers, **(headers or {}), "Content-Type": "application/json"}
        if self._signer is not None:
            sent["Authorization"] = self._signer.authorization(method, f"{self._url}/api/v1{path}", content)
        try:
            answer = self._client.request(method, f"{self._url}/api/v1{path}", content=content, headers=sent)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{self._url} does not answer ({type(error).__name__})"
            raise ServiceFailed("coordinator", reason, Fault.COORDINATOR) from None
        decoded = _json(answer)
        if answer.is_success and decoded is not None:
            return decoded
        raise _refusal(answer, decoded if isinstance(decoded, dict) else {})


def _json(answer: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None


def _refusal(answer: httpx.Response, problem: dict[str, Any]) -> CoordinatorRefused | ServiceFailed:
    detail = str(problem.get("detail") or f"answered with status {answer.status_code}")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        fix = "the file operator.token in the coordinator's data_dir, or the key file of one of its owners"
        return CoordinatorRefused("--token-file", detail, fix)
    if answer.status_code in _REFUSED and problem:
        field = str(problem.get("field") or "request")
        return CoordinatorRefused(field, _reason(detail, field), str(problem.get("fix") or ""))
    return ServiceFailed("coordinator", detail, Fault.COORDINATOR)


def _reason(detail: str, field: str) -> str:
    """The detail without field and fix, which it repeats around the reason."""
    reason = detail.removeprefix(f"{field}: ")
    return reason.rpartition(" (")[0] if reason.endswith(")") and " (" in reason else reason
