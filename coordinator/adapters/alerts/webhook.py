"""Alerts as JSON to an address of the operator's. The address is a secret: services put their token into it."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from coordinator.adapters.http import HttpClient
from coordinator.ports.alerts import Alert, AlertRow
from coordinator.ports.faults import Unreachable
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret

SERVICE = "alert webhook"
SECONDS = 10.0


class WebhookAlerts:
    """See ports.alerts.AlertSink. POST {"status", "name", "key", "summary", "since", "count"}; any 2xx is an answer."""

    def __init__(self, address: Secret, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Raises InvalidInput for what is no http(s) address, without repeating it."""
        try:
            url = urlsplit(address.reveal().decode("ascii"))
            origin = f"{url.scheme}://{url.netloc}"
        except ValueError:
            raise _invalid() from None
        if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
            raise _invalid()
        self._path = Secret((f"{url.path or '/'}?{url.query}" if url.query else url.path or "/").encode())
        self._http = HttpClient(SERVICE, origin, fault=Fault.COORDINATOR, timeout=SECONDS, transport=transport)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        """See ports.alerts.AlertSink."""
        await self._post("firing", row)

    async def cleared(self, row: AlertRow) -> None:
        """See ports.alerts.AlertSink."""
        await self._post("resolved", row)

    async def _post(self, status: str, row: AlertRow) -> None:
        body = {
            "status": status,
            "name": row.key.partition("/")[0],
            "key": row.key,
            "summary": row.summary,
            "since": row.first,
            "count": row.count,
        }
        reply = await self._http.post(self._path.reveal().decode("ascii"), json=body)
        if not 200 <= reply.status < 300:
            raise Unreachable(SERVICE, f"answers with status {reply.status}", fault=Fault.COORDINATOR)


def _invalid() -> InvalidInput:
    fix = "give an http:// or https:// address without user and password"
    return InvalidInput("COORDINATOR_ALERT_WEBHOOK", "is no address", fix, fault=Fault.COORDINATOR)
