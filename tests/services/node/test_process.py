"""The node as a process: ready line, authentication, the two servers, kill -9, the end with its parent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "coordinator.embedded.node"]
FLAGS = ["--genesis-time", "1795000000", "--frozen", "--bootstrap-blocks", "110"]


class Running:
    """A started node."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.ready = json.loads(process.stdout.readline())
        self._cookie = tuple(Path(self.ready["rpc_cookie_file"]).read_text().split(":"))

    def post(self, body: Any, auth: Any = "cookie") -> httpx.Response:
        user = self._cookie if auth == "cookie" else auth
        return httpx.post(self.ready["url"], json=body, auth=user)

    def call(self, method: str, *params: Any) -> Any:
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).json()
        return answer["result"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[subprocess.Popen[str]] = []

    def run(*more: str, name: str = "node") -> Running:
        command = [*COMMAND, "--data-dir", str(tmp_path / name), *FLAGS, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        return Running(process)

    yield run
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_servers(start: Callable[..., Running]) -> None:
    node = start()
    assert node.ready["service"] == "node"
    assert Path(node.ready["rpc_cookie_file"]).stat().st_mode & 0o777 == 0o600
    request = {"jsonrpc": "2.0", "id": 1, "method": "getblockcount"}
    assert node.post(request).json() == {"jsonrpc": "2.0", "result": 110, "id": 1}
    for credentials in (None, ("__cookie__", "wrong")):
        refused = node.post(request, auth=credentials)
        assert (refused.status_code, refused.content) == (401, b"")
        assert refused.headers["www-authenticate"].startswith("Basic")
    got = httpx.get(node.ready["url"])
    assert (got.status_code, got.text) == (405, "JSONRPC server handles only POST requests")
    notified = node.post({"jsonrpc": "2.0", "method": "getblockcount"})
    assert (notified.status_code, notified.content) == (204, b"")
    assert b'"total_fee":0.00000000' in node.post({"id": 1, "method": "getmempoolinfo"}).content

    esplora = node.ready["esplora"]
    tip = httpx.get(f"{esplora}/blocks/tip/height")
    assert (tip.text, tip.headers["access-control-allow-origin"]) == ("110", "*")
    preflight = httpx.options(f"{esplora}/txs/package")
    assert (preflight.status_code, "POST" in preflight.headers["access-control-allow-methods"]) == (204, True)
    assert httpx.post(f"{esplora}/tx", content=b"0" * 16_000_001).status_code == 413

    assert node.call("stop") == "Bitcoin Core stopping"
    assert node.process.wait(20) == 0
    assert not Path(node.ready["rpc_cookie_file"]).exists()


def test_kill_9_loses_no_acknowledged_block(start: Callable[..., Running]) -> None:
    node = start()
    acknowledged: list[str] = []
    for _ in range(3):
        for count in (1, 2, 5):
            node.call("faucet", "bcrt1pfeesnyr2tx", 700)
            acknowledged += node.call("mine", count)
        clock = node.call("getnodetime")["time"]
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
        node = start()
        assert node.call("getnodetime")["time"] == clock
        assert [node.call("getblockhash", 111 + n) for n in range(len(acknowledged))] == acknowledged
    node.process.terminate()
    assert node.process.wait(20) == 0


def test_a_second_node_and_other_networks_are_told_off(start: Callable[..., Running], tmp_path: Path) -> None:
    start()
    second = subprocess.run(
        [*COMMAND, "--data-dir", str(tmp_path / "node"), *FLAGS], capture_output=True, text=True, cwd=ROOT
    )
    assert (second.returncode, "is in use by another node" in second.stderr) == (1, True)
    mainnet = subprocess.run(
        [*COMMAND, "--data-dir", str(tmp_path / "m"), "--network", "mainnet"], capture_output=True, text=True, cwd=ROOT
    )
    assert (mainnet.returncode, "regtest only" in mainnet.stderr) == (2, True)
    assert not (tmp_path / "m").exists()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    # The parent starts the node on its own standard output and waits; the pipe ends when both are gone.
    command = [*COMMAND, "--data-dir", str(tmp_path / "node"), *FLAGS, "--exit-with-parent"]
    script = f"import subprocess; subprocess.Popen({command!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    with parent.stdout:
        assert json.loads(parent.stdout.readline())["service"] == "node"
        parent.kill()
        parent.wait()
        assert parent.stdout.read() == ""


def test_a_missing_engine_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pbk.py").write_text("raise ImportError('not for this Python')\n")
    code = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        "runpy.run_module('coordinator.embedded.node', run_name='__main__')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "--data-dir", str(tmp_path / "node")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("embedded node: The embedded node needs the package py-bitcoinkernel")
    assert len(run.stderr.splitlines()) == 1
