"""The oracle as a process: ready line, state on disk, clean end, refusals."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

Start = Callable[..., tuple[subprocess.Popen[bytes], dict[str, str]]]


def command(directory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "coordinator.embedded.oracle", "--data-dir", str(directory), "--port", "0", *more]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def launch(directory: Path, *more: str) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
        process = subprocess.Popen(command(directory, "--exit-with-parent", *more), stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    yield launch
    for process in running:
        process.kill()
        process.communicate()


def get(url: str) -> dict[str, object]:
    return httpx.get(url).raise_for_status().json()


def post(url: str, body: object) -> dict[str, object]:
    return httpx.post(url, json=body).raise_for_status().json()


def test_it_keeps_its_key_and_settings_through_kill_9_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    process, ready = start(tmp_path)
    assert ready["service"] == "oracle"
    assert ready["control"] == ready["url"] + "/control"
    assert post(ready["control"] + "/allow", {"pubkey": "11" * 32}) == {"allowed": 1}
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process, again = start(tmp_path)
    assert again["public_key"] == ready["public_key"]
    assert post(again["control"] + "/allow", {"pubkey": "11" * 32}) == {"allowed": 1}
    process.terminate()
    assert process.wait(10) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b""


def test_the_key_file_is_the_owners_alone(start: Start, tmp_path: Path) -> None:
    start(tmp_path)
    key_file = tmp_path / "oracle_key.pem"
    assert stat.S_IMODE(os.stat(key_file).st_mode) == 0o600
    assert key_file.read_text().startswith("-----BEGIN EC PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--network", "mainnet"), "refuses mainnet"),
        (("--network", "main"), "refuses mainnet"),
        (("--coordinator-pubkey", "npub1xyz"), "not an npub"),
        (("--clock-rpc", "ftp://x"), "http://HOST:PORT"),
    ],
)
def test_unfit_arguments_are_refused(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    ended = subprocess.run(command(tmp_path, *arguments), capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("damage", ["another key", "no key"])
def test_it_refuses_a_key_that_did_not_make_the_database(start: Start, tmp_path: Path, damage: str) -> None:
    process, _ = start(tmp_path)
    process.kill()
    process.wait(10)
    key_file = tmp_path / "oracle_key.pem"
    key_file.unlink()
    if damage == "no key":
        key_file.write_text("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n")
    ended = subprocess.run(command(tmp_path), capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ("database was made with key" if damage == "another key" else "does not hold 32 bytes") in ended.stderr


class _Node:
    """A node that answers getblockchaininfo only."""

    def __init__(self, chain: str) -> None:
        node = self
        self.chain = chain
        self.time = 1_700_000_000
        self.authorizations: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.authorizations.append(self.headers["Authorization"])
                result = {"chain": node.chain, "blocks": 1, "time": node.time}
                found = call["method"] == "getblockchaininfo"
                body = json.dumps({"result": result if found else None, "error": None, "id": call["id"]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[_Node]:
    running = _Node(request.param)
    yield running
    running.close()


@pytest.mark.parametrize("node", ["regtest"], indirect=True)
def test_it_follows_the_time_of_a_node(start: Start, tmp_path: Path, node: _Node) -> None:
    cookie = tmp_path / "cookie"
    cookie.write_text("__cookie__:abc")
    options = ("--clock-rpc", node.url, "--clock-rpc-cookie", str(cookie), "--tick-seconds", "0.05")
    _, ready = start(tmp_path / "data", *options)
    assert get(ready["control"] + "/clock") == {"now": node.time}
    node.time += 86_400
    while get(ready["control"] + "/clock") != {"now": node.time}:
        pass
    assert set(node.authorizations) == {"Basic X19jb29raWVfXzphYmM="}


@pytest.mark.parametrize("node", ["main"], indirect=True)
def test_it_refuses_to_follow_a_node_on_mainnet(tmp_path: Path, node: _Node) -> None:
    ended = subprocess.run(
        command(tmp_path, "--clock-rpc", node.url), capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "mainnet" in ended.stderr


def test_controls_turn_web_pages_away(start: Start, tmp_path: Path) -> None:
    _, ready = start(tmp_path)
    page = {"Origin": "https://page.test", "Content-Type": "text/plain"}
    for path in ("clock", "observations", "settle", "allow", "faults"):
        assert httpx.post(f"{ready['control']}/{path}", content=b"{}", headers=page).status_code == 403
    assert httpx.get(ready["control"] + "/clock", headers=page).status_code == 403
