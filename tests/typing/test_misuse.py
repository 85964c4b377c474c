"""The type checker refuses what the typestates forbid: each marked line of the bad samples, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLASSES = {"transition", "evidence", "next_state", "match", "mutation", "data"}
MARK = re.compile(r"# (report\w+)$", re.MULTILINE)
PYRIGHT = (sys.executable, "-m", "pyright")
Place = tuple[str, int, str]
"""File, line from 1, rule."""


def checked(command: Sequence[str]) -> dict[str, Any]:
    """The report of a run. Skips only where not even its version can be had: a run that breaks off is no success."""
    version = subprocess.run([*PYRIGHT, "--version"], capture_output=True, text=True, check=False, timeout=180)
    if version.returncode != 0:
        pytest.skip(f"pyright cannot run here: {(version.stderr or version.stdout).strip()[:200]}")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        pytest.fail(f"pyright gave no report: {(done.stderr or done.stdout).strip()[:500]}")


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
    command = [*PYRIGHT, "--pythonpath", sys.executable, "--outputjson", "-p", str(folder)]
    found = checked(command)["generalDiagnostics"]
    return {(Path(d["file"]).name, d["range"]["start"]["line"] + 1, d.get("rule", d["message"])) for d in found}


def marks(path: Path) -> set[Place]:
    lines = enumerate(path.read_text().splitlines(), start=1)
    return {(path.name, number, mark[1]) for number, line in lines if (mark := MARK.search(line))}


def test_a_run_without_a_report_is_no_skip() -> None:
    with pytest.raises(pytest.fail.Exception, match="no report: a crash"):
        checked([sys.executable, "-c", "raise SystemExit('a crash')"])


def test_where_there_is_no_pyright_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PYRIGHT", (sys.executable, "-c", "raise SystemExit('no pyright')"))
    with pytest.raises(pytest.skip.Exception, match="cannot run here: no pyright"):
        checked([])


def test_every_class_of_misuse_has_its_samples() -> None:
    assert {path.stem for path in (HERE / "bad").glob("*.py")} == CLASSES
    assert all(len(marks(path)) >= 3 for path in (HERE / "bad").glob("*.py"))
    assert not [path for path in (HERE / "good").glob("*.py") if marks(path)]


def test_each_misuse_is_an_error_of_its_line_and_the_right_uses_are_none(reported: set[Place]) -> None:
    marked = set[Place]().union(*(marks(path) for path in (HERE / "bad").glob("*.py")))
    assert sorted(reported) == sorted(marked)
