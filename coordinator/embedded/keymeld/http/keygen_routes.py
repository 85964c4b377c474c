"""The keygen calls (keymeld sections 4.1 to 4.4)."""

from __future__ import annotations

import asyncio

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from coordinator.embedded.keymeld.gateway.authentication import SignatureHeader, parse_header
from coordinator.embedded.keymeld.gateway.wire import InitializeRequest, RegisterRequest, ReserveRequest
from coordinator.embedded.keymeld.http.answers import json_answer
from coordinator.embedded.keymeld.http.body import path_uuid, read_body
from coordinator.embedded.keymeld.http.dependencies import GatewayService


def session_header(request: Request) -> SignatureHeader:
    """X-Session-Signature, in shape. Raises PlainTextError."""
    return parse_header("x-session-signature", request.headers.get("x-session-signature"))


class KeygenRoutes(Controller):
    """Below /keygen. Work runs in threads: it verifies signatures and waits for the disk."""

    path = "/keygen"

    @post("/reserve", status_code=200)
    async def reserve(self, request: Request, gateway: GatewayService) -> Response:
        """Reserve a session under a signed manifest."""
        body = await read_body(request, ReserveRequest)
        return json_answer(await asyncio.to_thread(gateway.reservations.reserve, body))

    @post("/{keygen_id:str}/initialize", status_code=200)
    async def initialize(self, request: Request, gateway: GatewayService, keygen_id: FromPath[str]) -> Response:
        """Bring the session secret to the enclaves."""
        session = path_uuid(keygen_id)
        body = await read_body(request, InitializeRequest)
        return json_answer(await asyncio.to_thread(gateway.reservations.initialize, session, body))

    @post("/{keygen_id:str}/participants", status_code=200)
    async def register(self, request: Request, gateway: GatewayService, keygen_id: FromPath[str]) -> Response:
        """Claim a slot."""
        session, header = path_uuid(keygen_id), session_header(request)
        body = await read_body(request, RegisterRequest)
        return json_answer(await asyncio.to_thread(gateway.registrations.register, session, body, header))

    @get("/{keygen_id:str}/slots")
    async def slots(self, request: Request, gateway: GatewayService, keygen_id: FromPath[str]) -> Response:
        """All slots and whether they are claimed."""
        session, header = path_uuid(keygen_id), session_header(request)
        return json_answer(await asyncio.to_thread(gateway.keygens.slots, session, header))

    @get("/{keygen_id:str}/status")
    async def status(self, request: Request, gateway: GatewayService, keygen_id: FromPath[str]) -> Response:
        """Progress, aggregates and roster."""
        session, header = path_uuid(keygen_id), session_header(request)
        return json_answer(await asyncio.to_thread(gateway.keygens.status, session, header))
