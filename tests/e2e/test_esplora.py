"""The coordinator on an Esplora server alone: the node's RPC is not told to it."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PATIENCE = 180


def test_a_competition_on_esplora_alone(tmp_path: Path) -> None:
    words = ["demo", "--once", "--json", "--chain", "esplora", "--players", "3", "--places", "1"]
    ran = subprocess.run(
        [sys.executable, "-m", "coordinator.cli.main", *words, "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert (result["everyone_paid"], result["books_balance"]) == (True, True)
    assert [player["paid"] > 0 for player in result["players"]].count(True) == 1
    chain = tomllib.loads((tmp_path / "coordinator.toml").read_text())["bitcoin"]
    assert chain.keys() == {"source", "esplora_url", "poll_seconds"}
    assert chain["source"] == "esplora"
