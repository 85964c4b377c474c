"""Nothing that a stack started outlives it, however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PATIENCE = 90
STACK = """
import json, pathlib, signal, sys
from coordinator.cli.embedded import Stack
stack = Stack(pathlib.Path(sys.argv[1]))
stack.start_services()
stack.start_coordinator()
print(json.dumps({name: child.process.pid for name, child in stack.children.items()}), flush=True)
signal.pause()
"""


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_all_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STACK, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            children: dict[str, int] = json.loads(parent.stdout.readline())
        finally:
            os.kill(parent.pid, signal.SIGKILL)
    assert children.keys() == {"node", "lightning", "keymeld", "oracle", "coordinator"}
    deadline = time.monotonic() + PATIENCE
    while alive := [name for name, process in children.items() if is_running(process)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.05)
