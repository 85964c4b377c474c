"""Gateways in the test's process, and parties that speak to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.embedded.keymeld.gateway.gateway import Gateway
from coordinator.embedded.keymeld.http.app import control_app, gateway_app
from coordinator.embedded.keymeld.http.rate_limit import RateLimits
from tests.support.keymeld_party import Clock, Party


def clients_of(build: Callable[[Gateway], Any], base_url: str) -> Callable[[Gateway], httpx.AsyncClient]:
    # With the gateway itself: its id alone could be another gateway's later.
    built: dict[int, tuple[Gateway, Any]] = {}

    def client(gateway: Gateway) -> httpx.AsyncClient:
        if id(gateway) not in built:
            built[id(gateway)] = gateway, build(gateway)
        return httpx.AsyncClient(transport=httpx.ASGITransport(built[id(gateway)][1]), base_url=base_url)

    return client


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def open_gateway(clock: Clock) -> Iterator[Callable[..., Gateway]]:
    """Opens a gateway over a directory; a second one over the same directory is a restarted process."""
    opened: list[Gateway] = []

    def open_one(directory: Path, enclaves: int = 2) -> Gateway:
        opened.append(Gateway(directory, enclaves, clock))
        return opened[-1]

    yield open_one
    for gateway in opened:
        gateway.close()


@pytest.fixture(scope="module")
def connect() -> Callable[[Gateway], httpx.AsyncClient]:
    """A client of a gateway's application, which is built once a gateway."""
    unlimited = RateLimits(address_burst=10**9, global_burst=10**9)
    return clients_of(lambda gateway: gateway_app(gateway, limits=unlimited), "http://keymeld.test")


@pytest.fixture(scope="module")
def gateway(open_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """Shared by the tests of a module: each makes its own parties."""
    return open_gateway(tmp_path_factory.mktemp("keymeld"))


@pytest.fixture
def http(gateway: Gateway, connect: Callable[[Gateway], httpx.AsyncClient]) -> httpx.AsyncClient:
    return connect(gateway)


@pytest.fixture(scope="module")
def connect_control() -> Callable[[Gateway], httpx.AsyncClient]:
    """A client of a gateway's controls, whose application is built once a gateway."""
    return clients_of(control_app, "http://control.test")


@pytest.fixture
def control(gateway: Gateway, connect_control: Callable[[Gateway], httpx.AsyncClient]) -> httpx.AsyncClient:
    return connect_control(gateway)


@pytest.fixture
def make_party(http: httpx.AsyncClient, clock: Clock) -> Callable[..., Party]:
    def make(**options: Any) -> Party:
        return Party(options.pop("http", http), clock, **options)

    return make


@pytest.fixture
def refused() -> Callable[..., None]:
    """Asserts the error envelope with this status, and a message that contains `text`."""

    def check(answer: httpx.Response, status: int, text: str = "") -> None:
        assert answer.status_code == status, answer.text
        body = answer.json()
        kinds = {400: "bad_request", 401: "unauthorized", 404: "not_found", 409: "conflict"}
        assert body["error"]["type"] == kinds.get(status, "enclave_communication_error")
        assert body["error"]["code"] == status
        assert isinstance(body["timestamp"], int)
        assert text in body["error"]["message"], body["error"]["message"]

    return check
