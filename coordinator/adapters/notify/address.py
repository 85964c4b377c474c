"""Addresses of relays: those an operator chose, and those a stranger's event names."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from coordinator_core.errors import Fault, InvalidInput

MAX_LENGTH: Final = 200
_PORTS: Final = {"ws": 80, "wss": 443}


def configured(url: str) -> str:
    """A relay of the settings: wss://, or ws:// on loopback. Raises InvalidInput."""
    parts = _split(url)
    if parts is None:
        raise InvalidInput("relays", "holds an address that is no relay's", "wss://HOST", fault=Fault.COORDINATOR)
    if parts.scheme == "ws" and not _is_loopback(parts):
        reason = f"would send to {parts.hostname} in the clear"
        raise InvalidInput("relays", reason, "wss://HOST; ws:// is for loopback", fault=Fault.COORDINATOR)
    return _normal(parts)


async def named_by_a_stranger(url: str, *, loopback: bool) -> str | None:
    """The address if it may be connected to, else None: wss:// to a host of the public Internet.

    Players name these hosts, so without this the coordinator could be sent into its own network. A name that resolves
    otherwise at the second look still has to show a certificate for itself. `loopback` is for development.
    """
    parts = _split(url)
    if parts is None:
        return None
    if _is_loopback(parts):
        return _normal(parts) if loopback else None
    if parts.scheme != "wss" or not await _is_public(parts):
        return None
    return _normal(parts)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_LENGTH
    return parts if usable and plain and parts.username is None and not parts.fragment else None


def _normal(parts: SplitResult) -> str:
    """One spelling of one relay."""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}{query}"


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


async def _is_public(parts: SplitResult) -> bool:
    loop, port = asyncio.get_running_loop(), parts.port or _PORTS[parts.scheme]
    try:
        found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_global(str(entry[4][0])) for entry in found)


def _is_global(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None)
    return (inner or found).is_global and not found.is_multicast
