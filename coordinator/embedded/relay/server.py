"""The relay on a socket: WebSocket for clients, the NIP-11 document for whoever asks for it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from coordinator.embedded.relay import limits
from coordinator.embedded.relay.session import Hub, Session

HOST: Final = "127.0.0.1"
_log = logging.getLogger(__name__)


class _Client(WebSocketHandler):
    """One connection."""

    def initialize(self, hub: Hub) -> None:
        """Take the relay."""
        self._hub = hub
        self._session: Session | None = None

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """A WebSocket, or the relay information document."""
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await super().get(*args, **kwargs)
            return
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Content-Type", "application/nostr+json")
        self.finish(json.dumps(limits.document()))

    def check_origin(self, origin: str) -> bool:
        """Browsers of any page may connect, as at any relay."""
        return True

    def open(self, *args: str, **kwargs: str) -> None:
        """A client came."""
        if len(self._hub.sessions) >= limits.MAX_CONNECTIONS:
            self.close(1013, "too many connections")
            return
        self._session = Session(self._hub, self._say)

    def on_message(self, message: str | bytes) -> None:
        """A client says something; binary frames are not NIP-01."""
        if self._session is not None and isinstance(message, str):
            self._session.receive(message)

    def on_close(self) -> None:
        """A client left."""
        if self._session is not None:
            self._session.close()

    def _say(self, message: str) -> None:
        try:
            self.write_message(message).add_done_callback(_note_departure)
        except WebSocketClosedError:
            _log.debug("a client left before its answer")


def _note_departure(sent: asyncio.Future[None]) -> None:
    if not sent.cancelled() and sent.exception() is not None:
        _log.debug("a client left before its answer")


def serve(hub: Hub, port: int) -> tuple[HTTPServer, int]:
    """Listen on loopback; the server and its port. Raises OSError when the port is taken."""
    # named protocol: without it TCP_NODELAY stays off and small answers wait
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    listener.setblocking(False)
    application = Application(
        [("/", _Client, {"hub": hub})],
        websocket_max_message_size=limits.MAX_MESSAGE_BYTES,
        log_function=lambda _: None,
    )
    server = HTTPServer(application)
    server.add_socket(listener)
    return server, listener.getsockname()[1]
