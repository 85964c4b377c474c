"""The process: ready line, end on SIGTERM, end with its parent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.keymeld_party import Clock, Party

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "coordinator.embedded.keymeld", "--port", "0"]


@pytest.fixture
def start(tmp_path):
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [*COMMAND, "--data-dir", str(tmp_path / "state"), *arguments]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def test_ready_line_flow_and_clean_end(start):
    process = start()
    ready = json.loads(process.stdout.readline())
    assert ready["service"] == "keymeld"
    assert ready["attested"] is False
    assert ready["url"].startswith("http://127.0.0.1:")
    assert ready["control"] != ready["url"]
    async with httpx.AsyncClient(base_url=ready["url"]) as client:
        party = await Party(client, Clock()).completed()
        assert (await party.sign([party.item(b"\x01" * 32)]))["status"] == "completed"
        assert (await client.get(ready["control"] + "/control/faults")).json() == {"faults": []}
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert (out, err) == ("", "")


def test_it_ends_with_its_parent(tmp_path):
    script = (
        "import subprocess, sys\n"
        "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
        "print(process.stdout.readline(), flush=True)\n"
    )
    command = [*COMMAND, "--data-dir", str(tmp_path / "state"), "--exit-with-parent"]
    parent = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    # capture_output waits for everyone who holds standard error: had the service lived on, run() would have raised.
    with pytest.raises(httpx.ConnectError):
        httpx.get(json.loads(parent.stdout)["url"] + "/api/v1/version")
