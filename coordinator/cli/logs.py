"""The log: one JSON object a line on stderr, with the request's id, and without secrets.

Nothing should hand a secret to the log. Where something does by mistake, this is the last door.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from coordinator_core.secret import Secret

HIDDEN: Final = "***"
_WORDS = "authorization|cookie|macaroon|passphrase|password|preimage|seed|secret|token|nsec|private_?key|xprv"
NAMES: Final = re.compile(rf"(?:^|[_.-])(?:{_WORDS})s?(?:$|[_.-])", re.IGNORECASE)
"""Names of values that are never written down."""
CREDENTIALS: Final = (
    re.compile(r"\b(Bearer|Nostr|Basic)\s+[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(://)[^/\s@]+@"),
    re.compile(r"\b(nsec1)[02-9ac-hj-np-z]{20,}"),
    re.compile(r"\b([xtyzuv]prv)[1-9A-HJ-NP-Za-km-z]{50,}"),
    re.compile(r"\b(AgED|0201036c6e64)[A-Za-z0-9+/=_-]{20,}"),
)
"""Credentials within longer texts: an authorization, userinfo of a URL, a Nostr or BIP32 key, a macaroon of LND."""


def hide(value: Any) -> Any:
    """The same value without what must not be seen, however deep inside."""
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, str):
        return _hide_text(value)
    if isinstance(value, Mapping):
        return {name: HIDDEN if NAMES.search(str(name)) else hide(inner) for name, inner in value.items()}
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, Sequence):
        return [hide(inner) for inner in value]
    return value


def _hide_text(text: str) -> str:
    for pattern in CREDENTIALS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor; after exceptions became text, before lines are made."""
    return hide(event)


def log_to(stream: TextIO | None = None) -> None:
    """From now on log to a stream, stderr by default."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
    )
