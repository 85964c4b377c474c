"""`coordinator start`, `run`, `mine` and `stop` as a developer types them, each a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PATIENCE = 120


class Developer:
    """A terminal in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.environment.pop("COORDINATOR_PASSPHRASE", None)

    def words(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "coordinator.cli.main", *arguments]
        return {"args": command, "cwd": self.directory, "env": self.environment, "text": True}

    def types(self, *arguments: str, code: int = 0) -> str:
        ran = subprocess.run(**self.words(*arguments), capture_output=True, timeout=PATIENCE)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def stack(self) -> dict[str, Any]:
        return json.loads((self.directory / ".dev" / "stack.json").read_text())


def height_in(words: str) -> int:
    return int(words.partition("height ")[2].partition(",")[0])


def test_a_day_of_a_developer(tmp_path: Path) -> None:
    here = Developer(tmp_path)
    assert "nothing runs" in here.types("stop")
    assert not list(tmp_path.iterdir())
    try:
        told = here.types("start", "--wallets", "1")
        assert "player-1" in told
        assert "50,000,000 sat from the faucet" in told
        assert "run there already" in here.types("start", code=2)
        assert "run there already" in here.types("dev", code=2)
        before = height_in(here.types("mine"))
        assert height_in(here.types("mine", "2")) == before + 2
        addresses = here.stack()["services"]
        _run_the_coordinator(here, addresses["coordinator"]["url"])
    finally:
        told = here.types("stop")
    assert told.split("\n")[:5] == [f"{name} stopped" for name in ("relay", "oracle", "keymeld", "lightning", "node")]
    assert "no node runs there" in here.types("mine", code=2)

    try:
        # Terms of competitions name oracle and keymeld: they come back where they were, and so does the chain.
        assert "from the faucet" not in here.types("start", "--wallets", "0")
        again = here.stack()["services"]
        assert {name: service["url"] for name, service in again.items()} == {
            name: service["url"] for name, service in addresses.items()
        }
        assert height_in(here.types("mine")) == before + 3
    finally:
        here.types("stop")


def _run_the_coordinator(here: Developer, url: str) -> None:
    with subprocess.Popen(**here.words("run", "--ready-line"), stdout=subprocess.PIPE) as coordinator:
        try:
            assert coordinator.stdout is not None
            assert json.loads(coordinator.stdout.readline()) == {"service": "coordinator", "url": url}
            token = (here.directory / ".dev/coordinator/operator.token").read_text()
            header = {"Authorization": f"Bearer {token}"}
            wallet = httpx.get(f"{url}/api/v1/operator/wallet", headers=header, trust_env=False).json()
            assert wallet["onchain_free"] == 50_000_000
        finally:
            coordinator.terminate()
        assert coordinator.wait(30) == 0
