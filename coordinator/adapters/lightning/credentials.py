"""How a macaroon may travel: to a pinned certificate, or not beyond this machine."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from coordinator.ports.faults import Unsuitable
from coordinator_core.errors import Fault


def tls_for(service: str, base_url: str, certificate: Path | None) -> ssl.SSLContext | bool:
    """A TLS context that trusts `certificate` alone, or True for plain HTTP on loopback. Raises Unsuitable."""
    parts = urlsplit(base_url)
    if certificate is None:
        if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
            raise _unsuitable(service, "without a certificate file only http:// on loopback is safe")
        return True
    if parts.scheme != "https":
        raise _unsuitable(service, "a certificate file needs an https:// address")
    try:
        return ssl.create_default_context(cafile=str(certificate))
    except (OSError, ssl.SSLError) as error:
        raise _unsuitable(service, "the certificate file cannot be read") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unsuitable(service: str, reason: str) -> Unsuitable:
    return Unsuitable(service, reason, fault=Fault.COORDINATOR)
