"""Answers of an HTTP service as values, and the error of an answer that is missing or unusable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from coordinator.ports.faults import LONGEST_ASKED, Unreachable
from coordinator_core.errors import Fault

_LATER = frozenset({429, 502, 503, 504})

T = TypeVar("T")


class TransportError(Unreachable):
    """No usable answer. `sent` is False only when the request certainly never left."""

    refused: Reply | None = None
    """The answer of another status with which a stream was refused."""

    code = "port.transport"

    def __init__(
        self, service: str, reason: str, *, fault: Fault, sent: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(service, reason, fault=fault, retry_after=retry_after)
        self.sent = sent


class Reply(Struct, frozen=True):
    """An answer of any status. Header names are lower case."""

    service: str
    fault: Fault
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """True for a status from 200 to 299."""
        return 200 <= self.status < 300

    @property
    def is_later(self) -> bool:
        """True when the status asks to come back (429, 502, 503, 504)."""
        return self.status in _LATER

    @property
    def retry_after(self) -> float | None:
        """Seconds of a Retry-After header in its number form, if there is one: at most `LONGEST_ASKED`."""
        value = self.headers.get("retry-after", "")
        return min(float(value), LONGEST_ASKED) if value.isascii() and value.isdigit() else None

    def json(self) -> Any:
        """The body as JSON. Raises TransportError when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(
                self.service, f"status {self.status} with a body that is not JSON", fault=self.fault
            ) from error

    def decode(self, kind: type[T]) -> T:
        """The body as `kind`, strictly typed. Raises TransportError naming the member that does not fit."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(self.service, f"unexpected body: {error}", fault=self.fault) from error

    def later(self) -> TransportError:
        """This answer as the error of a service that has no time now; 429 means that nothing happened."""
        return TransportError(
            self.service,
            f"answered {self.status}",
            fault=self.fault,
            sent=self.status != 429,
            retry_after=self.retry_after,
        )
