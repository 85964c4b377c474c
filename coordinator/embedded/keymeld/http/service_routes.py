"""Enclave keys, version and health (keymeld sections 2.3 and 4.7)."""

from __future__ import annotations

import re
import time
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from coordinator.embedded.keymeld.enclave.enclave import Enclave
from coordinator.embedded.keymeld.errors import BadRequest, PlainTextError
from coordinator.embedded.keymeld.gateway.gateway import Gateway
from coordinator.embedded.keymeld.gateway.records import KeygenState
from coordinator.embedded.keymeld.http.answers import json_answer
from coordinator.embedded.keymeld.http.dependencies import GatewayService

_NONCE = re.compile(r"[0-9a-fA-F]{64}")
VERSION = "0.10.5"
"""The release whose generation A behaviour is served."""


@get("/enclaves")
async def enclaves(gateway: GatewayService) -> Response:
    """All enclaves. None is attested: the document is empty, as in simulation."""
    started = gateway.started_at
    listed = [_summary(enclave, started) for enclave in gateway.services.fleet.enclaves.values()]
    return json_answer({"enclaves": listed, "total_enclaves": len(listed), "healthy_enclaves": len(listed)})


@get("/enclaves/{enclave_id:str}/public-key")
async def public_key(request: Request, gateway: GatewayService, enclave_id: FromPath[str]) -> Response:
    """One enclave's key and epoch. A challenge is checked for shape and cannot be answered: there is no document."""
    if not enclave_id.isascii() or not enclave_id.isdecimal() or len(enclave_id) > 10:
        raise PlainTextError(400, "Invalid URL: expected an enclave id")
    enclave = gateway.services.fleet.get(int(enclave_id))
    nonce = request.query_params.get("nonce")
    if nonce is not None and _NONCE.fullmatch(nonce) is None:
        raise BadRequest("Attestation nonce must be 32 bytes")
    return json_answer(
        {
            "enclave_id": enclave.enclave_id,
            "public_key": enclave.identity.public_key.hex(),
            "attestation_document": "",
            "pcr_measurements": {},
            "timestamp": int(time.time()),
            "healthy": True,
            "key_epoch": enclave.identity.epoch,
        }
    )


@get("/version")
async def version() -> Response:
    """What this gateway serves."""
    features = {"service_participation": True, "user_authentication": True, "enclave_isolation": False}
    return json_answer(
        {"service": "KeyMeld Gateway (embedded)", "version": VERSION, "api_version": "v1", "features": features}
    )


@get("/escrow/capabilities")
async def escrow_capabilities() -> Response:
    """Escrow needs generation B, which is not served."""
    return json_answer({"escrow": False})


@get("/health")
async def health() -> Response:
    """200 without a body."""
    return Response(b"", status_code=200)


@get("/health/detail")
async def health_detail(gateway: GatewayService) -> Response:
    """Counts of sessions and enclaves."""
    counts = _counts(gateway)
    return json_answer(
        {
            "status": "healthy",
            "version": VERSION,
            "active_sessions": counts["active_sessions"],
            "healthy_enclaves": counts["enclaves"],
            "total_enclaves": counts["enclaves"],
            "database_stats": {
                "total_sessions": counts["sessions"],
                "active_sessions": counts["active_sessions"],
                "total_participants": counts["participants"],
            },
        }
    )


@get("/metrics")
async def metrics(gateway: GatewayService) -> Response:
    """The same counts in Prometheus' text format."""
    lines = [f"# TYPE keymeld_{name} gauge\nkeymeld_{name} {value}\n" for name, value in _counts(gateway).items()]
    return Response("".join(lines), media_type="text/plain; version=0.0.4")


SERVICE_ROUTES = [enclaves, public_key, version, escrow_capabilities, health, health_detail, metrics]


def _summary(enclave: Enclave, started_at: int) -> dict[str, Any]:
    now = int(time.time())
    return {
        "enclave_id": enclave.enclave_id,
        "healthy": True,
        "public_key": enclave.identity.public_key.hex(),
        "attestation_document": "",
        "active_sessions": enclave.session_count,
        "uptime_seconds": max(0, now - started_at),
        "key_epoch": enclave.identity.epoch,
        "key_generation_time": enclave.identity.generated_at,
        "last_health_check": now,
    }


def _counts(gateway: Gateway) -> dict[str, int]:
    services = gateway.services
    return {
        "enclaves": len(services.fleet.enclaves),
        "sessions": len(services.keygens.in_state(*KeygenState)),
        "active_sessions": len(services.keygens.in_state(KeygenState.RESERVED, KeygenState.COLLECTING)),
        "participants": services.keygens.participant_count(),
        "signing_sessions": services.signings.total(),
    }
