"""The container file: small, without root, nothing that a reader of the image could misuse."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction, continued lines joined."""
    text = (ROOT / "deploy/Containerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> list[tuple[str, str]]:
    made = instructions()
    return made[max(index for index, (name, _) in enumerate(made) if name == "FROM") :]


def test_it_is_made_in_stages_from_plain_names() -> None:
    bases = [rest for name, rest in instructions() if name == "FROM"]
    assert len(bases) == 3
    for base in bases:
        assert re.fullmatch(r"[a-z]+:[a-z0-9.-]+( AS [a-z]+)?", base), base
        assert ":latest" not in base


def test_it_runs_without_root() -> None:
    users = [rest for name, rest in last_stage() if name == "USER"]
    assert users == ["10001:10001"]
    after = [name for name, _ in last_stage()]
    assert after.index("USER") > max(index for index, name in enumerate(after) if name == "RUN")


def test_the_last_stage_gets_what_was_installed_and_nothing_else() -> None:
    copied = [rest for name, rest in last_stage() if name in ("COPY", "ADD")]
    assert copied == ["--from=wheel /opt/coordinator /opt/coordinator"]


def test_packages_are_installed_with_their_hashes() -> None:
    for name, rest in instructions():
        if name == "RUN":
            for command in re.split(r"&&", rest):
                if "pip install" in command:
                    assert "--require-hashes" in command or "--no-index --no-deps" in command, command
                assert "curl" not in command
                assert "npm install" not in command


def test_it_runs_what_the_unit_runs() -> None:
    unit = (ROOT / "deploy/coordinator.service").read_text()
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    [command] = [rest for name, rest in last_stage() if name == "CMD"]
    assert json.loads(command) == line.split()[1:]


def test_it_holds_no_secret() -> None:
    for name, rest in instructions():
        if name in ("ENV", "ARG"):
            for variable, value in re.findall(r"(\w+)=(\S+)", rest):
                assert not re.search("PASS|SECRET|TOKEN|KEY", variable) or variable.endswith("_FILE"), variable
                assert not variable.endswith("_FILE") or value.startswith("/run/secrets/")


@pytest.mark.parametrize("wanted", ["coordinator", "coordinator_core", "frontend", "migrations", "requirements"])
def test_the_context_has_what_is_copied_and_no_more(wanted: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert f"!{wanted}" in ignored
    assert not {"!tests", "!.git", "!.dev", "!deploy"} & set(ignored)
    assert {"frontend/node_modules", "frontend/static"} <= set(ignored)
