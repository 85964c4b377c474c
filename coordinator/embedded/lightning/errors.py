"""Refusals as LND words them: a gRPC code, an HTTP status that follows from it, a text that is not a contract."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final

from coordinator_core.errors import CoreError, Fault


class Code(IntEnum):
    """The gRPC codes that LND's REST routes answer with."""

    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    UNIMPLEMENTED = 12


HTTP_STATUS: Final = {
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.UNIMPLEMENTED: 501,
}


class LndError(CoreError):
    """A call that the node refuses. `grpc_code` decides the HTTP status."""

    code: ClassVar[str] = "embedded.lightning"
    fault: Fault = Fault.CALLER

    def __init__(self, message: str, grpc_code: Code = Code.UNKNOWN) -> None:
        super().__init__(message)
        self.message = message
        self.grpc_code = grpc_code

    @property
    def status(self) -> int:
        """The HTTP status of the gRPC code."""
        return HTTP_STATUS[self.grpc_code]

    def body(self) -> dict[str, object]:
        """The JSON object of a unary refusal; stream routes put it under `error`."""
        return {"code": int(self.grpc_code), "message": self.message, "details": []}
