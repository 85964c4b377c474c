"""docs/regressions.md: every mistake and demand once, each with a test that exists or a reason why there is none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs/regressions.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[^`]+\.py)::([^`]+)`")
REASONS = ("cannot occur: ", "later: ", "measured: ")
PARTS = ("escrow mode", "several instances", "shadow runs", "player pages", "debts and standing books")
"""Later parts of the product, as the head of the document lists them."""

# Faults were numbered by subject, with gaps; so were the rows.
FAULTS = {*range(1, 19), *range(20, 29), *range(30, 40), *range(40, 50), *range(50, 55), *range(60, 66), *range(70, 81)}
ROWS = {
    "O": {*range(1, 25), *range(30, 35), *range(40, 72)},
    "A": {*range(1, 16), *range(20, 35), *range(40, 76)},
    "M": {*range(1, 28)},
    "J": {*range(1, 39)},
    "C": {*range(1, 11)},
}
WANTED = [
    [f"mistake {number}" for number in range(1, 75)],
    [f"F-{number:02}" for number in sorted(FAULTS)],
    [f"8.{number}" for number in range(1, 53)],
    [f"{letter}-{number:02}" for letter, numbers in ROWS.items() for number in sorted(numbers)],
]
LINES = [(found[0], found[1], found[2]) for found in ROW.findall(DOCUMENT.read_text()) if found[0] not in ("id", "---")]


@cache
def functions_in(path: str) -> frozenset[str]:
    """Names of test functions of a file, and class::method for those of classes."""
    found: set[str] = set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, functions):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{m.name}" for m in node.body if isinstance(m, functions)}
            found |= {m.name for m in node.body if isinstance(m, functions)}
        if isinstance(node, ast.Assign):
            # A state machine of Hypothesis becomes a test by being named.
            found |= {target.id for target in node.targets if isinstance(target, ast.Name) and target.id[:4] == "Test"}
    return frozenset(found)


def tables() -> list[list[str]]:
    """The ids of each table, in their order."""
    sections = DOCUMENT.read_text().split("\n## ")[1:]
    return [[cells[0] for cells in ROW.findall(section) if cells[0] not in ("id", "---")] for section in sections]


def test_every_id_stands_once_in_its_table() -> None:
    assert tables() == WANTED


def test_the_numbers_are_those_that_were_promised() -> None:
    assert [len(ids) for ids in WANTED] == [74, 69, 52, 202]


@pytest.mark.parametrize("path", sorted({path for _, _, how in LINES for path, _ in TEST.findall(how)}))
def test_the_named_tests_exist(path: str) -> None:
    assert (ROOT / path).is_file()
    named = {name for _, _, how in LINES for file, name in TEST.findall(how) if file == path}
    assert named <= functions_in(path)
    assert all(name.rpartition("::")[2].startswith(("test_", "Test")) for name in named)


@pytest.mark.parametrize(("line", "what", "how"), LINES, ids=[line for line, _, _ in LINES])
def test_a_line_names_a_test_or_says_why_there_is_none(line: str, what: str, how: str) -> None:
    assert len(what.split()) > 2, "a line has to be understood by itself"
    if how.startswith("later: "):
        assert any(part in how for part in PARTS), f"{line}: which part of the product?"
    if how.startswith("cannot occur: "):
        assert len(how.split()) > 6, f"{line}: say why"
    if how.startswith("measured: "):
        [module] = re.findall(r"`python -m (tests\.bench\.\w+)`", how)
        assert "def main(" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert not how.startswith("not yet")
    assert TEST.search(how) or how.startswith(REASONS), line


def test_parts_that_come_later_are_listed() -> None:
    head = DOCUMENT.read_text().partition("\n## ")[0]
    assert all(f"**{part}**" in head for part in PARTS)
