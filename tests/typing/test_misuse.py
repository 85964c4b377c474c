"""The type checker refuses what the typestates forbid: each marked line of the bad samples, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLASSES = {"transition", "evidence", "next_state", "match", "mutation", "data"}
MARK = re.compile(r"# (report\w+)$", re.MULTILINE)
Place = tuple[str, int, str]
"""File, line from 1, rule."""


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> set[Place]:
    """What one run of pyright says of all samples."""
    folder = tmp_path_factory.mktemp("pyright")
    for kind in ("bad", "good"):
        shutil.copytree(HERE / kind, folder / kind, ignore=shutil.ignore_patterns("__pycache__"))
    settings = {
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT)],
        "reportMissingTypeStubs": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        pytest.skip(f"pyright cannot run here: {(done.stderr or done.stdout).strip()[:200]}")
    found = report["generalDiagnostics"]
    return {(Path(d["file"]).name, d["range"]["start"]["line"] + 1, d.get("rule", d["message"])) for d in found}


def marks(path: Path) -> set[Place]:
    lines = enumerate(path.read_text().splitlines(), start=1)
    return {(path.name, number, mark[1]) for number, line in lines if (mark := MARK.search(line))}


def test_every_class_of_misuse_has_its_samples() -> None:
    assert {path.stem for path in (HERE / "bad").glob("*.py")} == CLASSES
    assert all(len(marks(path)) >= 3 for path in (HERE / "bad").glob("*.py"))
    assert not [path for path in (HERE / "good").glob("*.py") if marks(path)]


def test_each_misuse_is_an_error_of_its_line_and_the_right_uses_are_none(reported: set[Place]) -> None:
    marked = set[Place]().union(*(marks(path) for path in (HERE / "bad").glob("*.py")))
    assert sorted(reported) == sorted(marked)
