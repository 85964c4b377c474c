"""Mistakes that show in the source: each would come back unseen, so the source is read."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.harness import coverage

ROOT = Path(__file__).parents[3]
EMBEDDED = ROOT / "coordinator/embedded"
PRODUCT = sorted(
    path
    for package in ("coordinator", "coordinator_core")
    for path in (ROOT / package).rglob("*.py")
    if EMBEDDED not in path.parents
)
"""All that a coordinator runs; the embedded services stand in for others and are no part of it."""
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PRETENCE = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|placeholder|simulat\w*|not implemented|NotImplementedError)\b", re.IGNORECASE
)
SKIPPED = re.compile(r"^\s*(@|pytestmark = )pytest\.mark\.(skip|xfail)\b|^\s*pytest\.xfail\(")
PURE = ("domain", "ports", "engine", "views", "api", "adapters")
"""Rooms that learn of settings by values alone."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute or name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := dotted(node.value)):
        return f"{inner}.{node.attr}"
    return ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a dotted name in a file."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def unbounded(path: Path) -> list[str]:
    queues = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "asyncio.Queue", "queue.Queue", "queue.SimpleQueue")
    if "Queue" not in path.read_text():
        return []
    return [
        f"{name(path)}:{call.lineno}" for made, call in calls(path) if made in queues and not call.args + call.keywords
    ]


def skipped(path: Path) -> list[str]:
    """Tests that never run, or may fail: a condition, with its reason, is `skipif`."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [f"{name(path)}:{number}" for number, line in lines if SKIPPED.search(line)]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


def swallowed(path: Path) -> list[str]:
    """Handlers that do nothing at all with what they caught, or catch without a name for it."""
    if "except" not in path.read_text():
        return []
    return [
        f"{name(path)}:{node.lineno}"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(n, ast.Pass) for n in node.body))
    ]


def test_no_queue_of_the_coordinator_is_without_a_bound() -> None:
    assert [place for path in PRODUCT for place in unbounded(path)] == []


def test_the_product_pretends_nothing() -> None:
    lines = ((path, line) for path in PRODUCT for line in path.read_text().splitlines())
    assert [f"{name(path)}: {line.strip()}" for path, line in lines if PRETENCE.search(line)] == []


def test_no_error_is_swallowed_in_silence() -> None:
    assert [place for path in PRODUCT for place in swallowed(path)] == []


def test_no_test_is_skipped_without_a_condition() -> None:
    assert [place for path in TESTS for place in skipped(path)] == []


@pytest.mark.parametrize("room", PURE)
def test_settings_are_not_read_where_competitions_run(room: str) -> None:
    """Terms are fixed when a competition is made; a setting that is changed has no way into one that runs."""
    files = [path for path in PRODUCT if (ROOT / "coordinator" / room) in path.parents]
    assert files
    assert [name(path) for path in files if any(m.startswith("coordinator.config") for m in imported(path))] == []


WAITING = {"asyncio", "httpx", "sqlalchemy", "aiosqlite", "litestar", "time", "datetime", "random", "os", "threading"}


def test_the_domain_imports_nothing_that_waits() -> None:
    domain = [path for path in PRODUCT if ROOT / "coordinator/domain" in path.parents]
    assert len(domain) > 20
    assert [name(path) for path in domain if {module.split(".")[0] for module in imported(path)} & WAITING] == []


def test_no_competition_waits_for_another_by_a_lock() -> None:
    """The one lock is that of the writer: a lane holds none, so no two can wait for each other."""
    rooms = [ROOT / "coordinator" / room for room in ("domain", "engine", "ports")]
    files = [path for path in PRODUCT if any(room in path.parents for room in rooms)]
    locks = ("asyncio.Lock", "asyncio.Condition", "threading.Lock", "threading.RLock")
    assert [name(path) for path in files for made, _ in calls(path) if made in locks] == []


def test_complexity_is_bounded_by_the_linter() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert settings["mccabe"]["max-complexity"] <= 8
    assert "C90" in settings["select"]
    assert [name(path) for path in PRODUCT if re.search(r"noqa:.*C901", path.read_text())] == []


def test_coverage_has_floors_that_the_build_checks() -> None:
    whole, most = coverage.Count(10, 10, 4, 4), coverage.Count(10, 10, 4, 3)
    domain = {f"{coverage.DOMAIN}lane.py": most, f"{coverage.DOMAIN}duties.py": whole}
    assert [line.partition(":")[0] for line in coverage.short(domain)] == [f"{coverage.DOMAIN}lane.py"]
    # The rest counts as a whole, its branches by themselves as well.
    enough = {"coordinator/app.py": coverage.Count(90, 90, 5, 0), "coordinator/x.py": coverage.Count(0, 0, 95, 90)}
    assert coverage.short(enough) == []
    assert coverage.weakest(enough) == []
    few = {**enough, "coordinator/y.py": coverage.Count(300, 299, 12, 7)}
    assert [line.partition(":")[0] for line in coverage.short(few)] == ["branches of the rest"]
    less = {**enough, "coordinator/y.py": coverage.Count(30, 9, 0, 0)}
    assert [line.partition(":")[0] for line in coverage.short(less)] == ["the rest"]
    assert coverage.weakest(less) == ["coordinator/y.py 30.0 %"]
    assert coverage.weakest(dict.fromkeys(coverage.SELDOM, coverage.Count(10, 0, 0, 0))) == []
    assert all((ROOT / path).is_file() for pair in coverage.SELDOM.items() for path in pair)
    assert "./dev coverage\n" in (ROOT / ".ci/run").read_text()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert settings["run"]["branch"] is True


def test_the_rules_see_what_they_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import asyncio\nfrom coordinator.config.settings import Settings\nq = asyncio.Queue()\nb = asyncio.Queue(9)\n"
        "try:\n    q\nexcept Exception:\n    pass\n# TODO: simulated\n@pytest.mark.skip\ndef test(): ...\n"
    )
    assert unbounded(bad) == ["bad.py:3"]
    assert swallowed(bad) == ["bad.py:7"]
    assert skipped(bad) == ["bad.py:10"]
    assert "coordinator.config.settings" in imported(bad)
    assert PRETENCE.search(bad.read_text())
