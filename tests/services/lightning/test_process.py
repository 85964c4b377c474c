"""The process itself: ready line, SIGTERM, and kill -9 after any acknowledgement."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

PREIMAGES = [bytes([number]) * 32 for number in range(1, 4)]
HASHES = [hashlib.sha256(preimage).digest() for preimage in PREIMAGES]
Start = Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(*options: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        command = [sys.executable, "-m", "coordinator.embedded.lightning", "--data-dir", str(tmp_path / "data")]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    yield run
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Peers:
    """Clients of the coordinator and of alice."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.control = httpx.Client(base_url=ready["control"], trust_env=False)
        alice = self.post(self.control, "/control/nodes", {"alias": "alice"})
        listed = self.control.get("/control/nodes").json()["nodes"]
        coordinator = next(node for node in listed if node["alias"] == "coordinator")
        self.coordinator, self.alice = (self.client(node) for node in (coordinator, alice))

    def client(self, node: dict[str, Any]) -> httpx.Client:
        headers = {"Grpc-Metadata-macaroon": node["macaroon_hex"]}
        return httpx.Client(base_url=node["url"], headers=headers, trust_env=False)

    @staticmethod
    def post(client: httpx.Client, path: str, body: Any) -> Any:
        answer = client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def hold(self, digest: bytes) -> str:
        made = self.post(self.coordinator, "/v2/invoices/hodl", {"hash": b64(digest), "value": "1000"})
        return str(made["payment_request"])

    def begin(self, request: str) -> None:
        """Pay, and go once the payment is known to be on its way."""
        body = {"payment_request": request, "fee_limit_sat": 10, "timeout_seconds": 60}
        with self.alice.stream("POST", "/v2/router/send", json=body) as response:
            next(response.iter_lines())

    def state(self, digest: bytes) -> Any:
        text = base64.urlsafe_b64encode(digest).decode()
        return self.coordinator.get("/v2/invoices/lookup", params={"payment_hash": text}).json()["state"]

    def track(self, digest: bytes) -> Any:
        text = base64.urlsafe_b64encode(digest).decode()
        with self.alice.stream("GET", f"/v2/router/track/{text}") as response:
            return json.loads(next(response.iter_lines()))["result"]["status"]

    def close(self) -> None:
        for client in (self.control, self.coordinator, self.alice):
            client.close()


def test_kill_9_loses_nothing_that_was_acknowledged(start: Start) -> None:
    process, ready = start()
    peers = Peers(ready)
    requests = [peers.hold(digest) for digest in HASHES]
    peers.begin(requests[0])
    peers.begin(requests[1])
    peers.post(peers.coordinator, "/v2/invoices/settle", {"preimage": b64(PREIMAGES[0])})
    before = peers.control.get("/control/ledger").json()
    process.send_signal(signal.SIGKILL)
    process.wait()
    peers.close()

    _, again = start()
    assert again["url"] == ready["url"]
    peers = Peers(again)
    assert [peers.state(digest) for digest in HASHES] == ["SETTLED", "ACCEPTED", "OPEN"]
    assert [peers.track(digest) for digest in HASHES[:2]] == ["SUCCEEDED", "IN_FLIGHT"]
    assert peers.control.get("/control/ledger").json() == before
    peers.post(peers.coordinator, "/v2/invoices/cancel", {"payment_hash": b64(HASHES[1])})
    assert peers.track(HASHES[1]) == "FAILED"
    peers.close()


def test_sigterm_ends_cleanly(start: Start) -> None:
    process, ready = start("--exit-with-parent")
    assert ready["service"] == "lightning"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize("options", [["--network", "mainnet"], ["--bitcoin-rpc", "http://127.0.0.1:1"]])
def test_refuses_mainnet_and_half_a_bitcoin_node(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "coordinator.embedded.lightning", "--data-dir", str(tmp_path / "data"), *options]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert refused.returncode == 2
    assert not (tmp_path / "data").exists()
