"""`./dev start --services real`, `mine`, `run` and `stop`, each a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.daemons.locate import Daemons

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENCE = 180
NODES = ("lnd-bob", "lnd-alice", "lnd-router", "lnd-coordinator")


class Developer:
    """A terminal in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.environment.pop("COORDINATOR_PASSPHRASE", None)

    def words(self, module: str, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", module, *arguments]
        return {"args": command, "cwd": self.directory, "env": self.environment, "text": True}

    def types(self, module: str, *arguments: str, code: int = 0) -> str:
        ran = subprocess.run(**self.words(module, *arguments), capture_output=True, timeout=PATIENCE)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr


def test_a_coordinator_by_hand_on_real_daemons(real_daemons: Daemons, tmp_path: Path) -> None:
    here = Developer(tmp_path)
    try:
        told = here.types("tools.start", "--services", "real")
        assert "alice: https://127.0.0.1:" in told
        assert "bitcoind" in here.types("tools.start", "--services", "real", code=2)
        before = int(here.types("coordinator.cli.main", "mine").split()[1].strip(","))
        assert int(here.types("coordinator.cli.main", "mine", "2").split()[1].strip(",")) == before + 2
        _run_the_coordinator(here)
    finally:
        told = here.types("coordinator.cli.main", "stop")
    ended = [line.removesuffix(" stopped") for line in told.splitlines() if line.endswith(" stopped")]
    assert ended[:3] == ["relay", "oracle", "keymeld"]
    assert sorted(ended[3:-1]) == sorted(NODES)
    assert ended[-1] == "bitcoind"
    assert "new chain" in here.types("tools.start", "--services", "real", code=2)
    assert "chain of bitcoind's" in here.types("coordinator.cli.main", "start", code=2)


def _run_the_coordinator(here: Developer) -> None:
    with subprocess.Popen(
        **here.words("coordinator.cli.main", "run", "--ready-line"), stdout=subprocess.PIPE
    ) as coordinator:
        try:
            assert coordinator.stdout is not None
            url = json.loads(coordinator.stdout.readline())["url"]
            token = (here.directory / ".dev/coordinator/operator.token").read_text()
            header = {"Authorization": f"Bearer {token}"}
            wallet = httpx.get(f"{url}/api/v1/operator/wallet", headers=header, trust_env=False).json()
            assert wallet["onchain_free"] == 50_000_000
            assert wallet["lightning_outbound"] > 2_000_000
        finally:
            coordinator.terminate()
        assert coordinator.wait(60) == 0
