"""The signing calls (keymeld sections 4.5 and 4.6)."""

from __future__ import annotations

import asyncio

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.gateway.authentication import SignatureHeader, parse_header
from coordinator.embedded.keymeld.gateway.wire import SigningRequest
from coordinator.embedded.keymeld.http.answers import json_answer
from coordinator.embedded.keymeld.http.body import path_uuid, read_body
from coordinator.embedded.keymeld.http.dependencies import GatewayService
from coordinator.embedded.keymeld.http.keygen_routes import session_header


def _user_header(request: Request) -> SignatureHeader:
    return parse_header("x-user-signature", request.headers.get("x-user-signature"))


class SigningRoutes(Controller):
    """Below /signing."""

    path = "/signing"

    @post("/", status_code=200)
    async def create(self, request: Request, gateway: GatewayService) -> Response:
        """Accept a signed batch."""
        header = session_header(request)
        body = await read_body(request, SigningRequest)
        return json_answer(await asyncio.to_thread(gateway.signings.create, body, header))

    @post("/{signing_id:str}/approve/{user_id:str}", status_code=200)
    async def approve(
        self, request: Request, gateway: GatewayService, signing_id: FromPath[str], user_id: FromPath[str]
    ) -> Response:
        """Approve the exact batch; the answer has no body."""
        session, user, header = path_uuid(signing_id), path_uuid(user_id), _user_header(request)
        body = await read_body(request, ParticipantApproval)
        await asyncio.to_thread(gateway.signings.approve, session, user, body, header)
        return Response(b"", status_code=200)

    @get("/{signing_id:str}/status/{user_id:str}")
    async def status(
        self, request: Request, gateway: GatewayService, signing_id: FromPath[str], user_id: FromPath[str]
    ) -> Response:
        """Progress, the encrypted batch, results."""
        session, user, header = path_uuid(signing_id), path_uuid(user_id), _user_header(request)
        return json_answer(await asyncio.to_thread(gateway.signings.status, session, user, header))
