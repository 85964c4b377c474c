"""Fault switches for tests, on a loopback listener of their own: nothing a gateway's clients can reach."""

from __future__ import annotations

import asyncio
from typing import cast

from litestar import Request, Response, delete, get, post

from coordinator.embedded.keymeld.gateway.faults import Order, Restart
from coordinator.embedded.keymeld.http.answers import json_answer
from coordinator.embedded.keymeld.http.body import read_body
from coordinator.embedded.keymeld.http.dependencies import GatewayService


@get("/control/faults")
async def list_faults(gateway: GatewayService) -> Response:
    """Switches that are on."""
    return json_answer({"faults": gateway.services.faults.active()})


@post("/control/faults", status_code=200)
async def add_fault(request: Request, gateway: GatewayService) -> Response:
    """Turn a switch on: {"kind": "slow", "seconds"} | "silent" | "bad_signature" | "refuse", each with operation

    ("signing" or "keygen"), session_id and times; or {"kind": "restart", "enclave_id"}, which happens at once.
    """
    order = await read_body(request, cast("type[Order]", Order))
    if isinstance(order, Restart):
        epoch = await asyncio.to_thread(gateway.restart_enclave, order.enclave_id)
        return json_answer({"enclave_id": order.enclave_id, "key_epoch": epoch})
    gateway.services.faults.add(order)
    return json_answer({"faults": gateway.services.faults.active()})


@delete("/control/faults", status_code=200)
async def clear_faults(gateway: GatewayService) -> Response:
    """Turn every switch off."""
    gateway.services.faults.clear()
    return json_answer({"faults": []})


CONTROL_ROUTES = [list_faults, add_fault, clear_faults]
