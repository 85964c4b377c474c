"""The workflow and the flake: read, and compared with the recipes they name."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.daemons import toolchain

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / ".github/workflows/ci.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return yaml.safe_load(WORKFLOW.read_text())


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_it_builds_lints_tests_and_runs_regtest(workflow: dict[Any, Any]) -> None:
    ran = "\n".join(step.get("run", "") for step in steps(workflow))
    recipes = set(re.findall(r"^\./dev (\w+)", ran, re.MULTILINE))
    assert recipes >= {"build", "lint", "unit", "test", "demo", "regtest"}
    known = set(re.findall(r"^([a-z0-9]+)(?: [^:\n]*)?:", (ROOT / "justfile").read_text(), re.MULTILINE))
    assert recipes <= known


def test_logs_are_kept_on_failure(workflow: dict[Any, Any]) -> None:
    for name, job in workflow["jobs"].items():
        last = job["steps"][-1]
        assert last["if"] == "failure()", name
        assert last["uses"].startswith("actions/upload-artifact@"), name
        assert last["with"]["path"], name


def test_it_may_only_read_and_ends(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 60
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_it_names_no_host_and_only_common_actions(workflow: dict[Any, Any]) -> None:
    assert "://" not in WORKFLOW.read_text()
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_every_python_of_the_demo_is_in_it(workflow: dict[Any, Any]) -> None:
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_the_packages_of_the_build_are_installed(workflow: dict[Any, Any]) -> None:
    installed = set(" ".join(step.get("run", "") for step in steps(workflow)).split())
    assert {need.package for need in toolchain.CORE_NEEDS} <= installed


FLAKE = ROOT / "flake.nix"


def without_strings_and_comments(text: str) -> str:
    text = re.sub(r"''.*?''", "", text, flags=re.DOTALL)
    return re.sub(r"#[^\n]*", "", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))


def test_the_flake_is_closed_and_names_the_daemons() -> None:
    # Not a parser: it sees a bracket that lacks and a name that is not what ./dev daemons reads.
    text = FLAKE.read_text()
    opened: list[str] = []
    pairs = {")": "(", "]": "[", "}": "{"}
    for letter in without_strings_and_comments(text):
        if letter in pairs.values():
            opened.append(letter)
        elif letter in pairs:
            assert opened.pop() == pairs[letter]
    assert not opened
    for name in ("BITCOIND", "LND"):
        assert re.search(rf'\b{name} = "\$\{{pkgs\.', text)
        assert f'"{name}"' in (ROOT / "tools/daemons/locate.py").read_text()
