"""Documents and code say the same: each thing has its row, each row has its thing."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_args

import click
import msgspec
import pytest

import coordinator
import coordinator_core
from coordinator.api.application import create_application
from coordinator.api.context import Api
from coordinator.cli.main import main
from coordinator.config.settings import SECRETS, Settings, load_settings
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import PrizeState
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\|(.+)\|$")


def rows(document: str) -> list[list[str]]:
    """The cells of every table row of a document, without headings and rulers."""
    lines = (ROOT / "docs" / document).read_text().splitlines()
    found = [match[1] for line in lines if (match := ROW.match(line))]
    tables = [cells for cells in found if not set(cells) <= set("-| ")]
    return [[cell.strip() for cell in cells.split(" | ")] for cells in tables]


def names(document: str, column: int = 0) -> list[str]:
    """What stands alone in backquotes in a column, row by row."""
    cells = [row[column] for row in rows(document) if len(row) > column]
    return [match[1] for cell in cells if (match := re.fullmatch(r"`([^`]+)`", cell))]


def modules() -> Iterator[ModuleType]:
    for package in (coordinator_core, coordinator):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def error_classes() -> list[type[Exception]]:
    return [
        member
        for module in modules()
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, CoreError | PortError)
        and member.__module__ == module.__name__
    ]


def test_every_error_class_has_a_code_of_its_own() -> None:
    without = [error.__qualname__ for error in error_classes() if "code" not in vars(error)]
    assert not without, f"give each a unique code: {without}"
    counted = Counter(vars(error)["code"] for error in error_classes())
    assert not [code for code, count in counted.items() if count > 1]


def test_every_error_code_is_documented() -> None:
    assert sorted(names("errors.md")) == sorted(vars(error)["code"] for error in error_classes())


def setting_names(kind: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(kind):
        if inspect.isclass(field.type) and issubclass(field.type, msgspec.Struct):
            yield from setting_names(field.type, f"{field.name}.")
        else:
            yield f"{prefix}{field.name}", field.default


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows("settings.md") if len(row) == 3}
    documented.pop("setting")
    settings = dict(setting_names())
    assert sorted(documented) == sorted(settings)
    for name, default in settings.items():
        if default is msgspec.NODEFAULT:
            assert documented[name] == "required", name
        elif default is None or default == ():
            assert documented[name] == "none", name
        elif default:
            assert documented[name] == str(default), name


def test_the_settings_example_can_be_read(tmp_path: Path) -> None:
    example = (ROOT / "docs/settings.md").read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "coordinator.toml").write_text(example)
    assert load_settings(tmp_path / "coordinator.toml", {}).network == "signet"


def test_every_variable_with_a_secret_is_documented() -> None:
    source = "".join((ROOT / path).read_text() for path in ("coordinator/config/settings.py", "coordinator/app.py"))
    named = set(re.findall(r"\{PREFIX\}([A-Z_]+)", source)) | set(re.findall(r'"COORDINATOR_([A-Z_]+)"', source))
    named |= {name + end for name in SECRETS for end in ("", "_FILE")}
    assert {f"COORDINATOR_{name}" for name in named} <= set(names("settings.md"))


def states(union: object) -> Iterator[type[msgspec.Struct]]:
    for member in get_args(union):
        yield from states(member) if get_args(member) else (member,)


def test_every_state_is_documented() -> None:
    tags = [cast(str, state.__struct_config__.tag) for state in states(Competition)]
    assert sorted(names("states.md", 1)) == sorted(tags)
    assert len(tags) > 15


def test_every_state_of_a_prize_is_documented() -> None:
    assert sorted(names("states.md")) == sorted(cast(EnumType, PrizeState).__members__)


def commands(command: click.Command, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            yield from commands(member, f"{path} {name}")
    else:
        given = [p.human_readable_name if isinstance(p, click.Argument) else p.opts[0] for p in command.params]
        yield path, given


def test_every_command_is_documented_with_its_options() -> None:
    documented = {row[0].strip("`"): re.findall(r"`([^`]+)`", row[1]) for row in rows("commands.md") if len(row) == 3}
    documented.pop("command")
    assert {name: sorted(given) for name, given in documented.items()} == {
        name: sorted(given) for name, given in commands(main, "coordinator")
    }


def test_every_route_is_documented() -> None:
    application = create_application(cast(Api, None))
    served = {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in application.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }
    documented = {
        (method, row[1].strip("`"))
        for row in rows("api.md")
        if row[1].startswith("`/")
        for method in row[0].split(", ")
    }
    assert documented == served


def functions_of(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


@pytest.mark.parametrize(
    "named", sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", (ROOT / "docs/trust.md").read_text())))
)
def test_tests_named_by_trust_exist(named: str) -> None:
    path, _, function = named.partition("::")
    assert function in functions_of(ROOT / path)


def test_every_row_of_trust_names_a_test_or_says_that_we_trust() -> None:
    claims = [row for row in rows("trust.md") if row[0] != "what it would take"]
    assert len(claims) > 20
    for row in claims:
        assert "::" in row[-1] or row[0].startswith("**Trusted**"), row[0]


def test_every_embedded_service_says_what_it_does_not_do() -> None:
    text = (ROOT / "docs/embedded.md").read_text()
    services = {path.parent.name for path in (ROOT / "coordinator/embedded").glob("*/__main__.py")}
    sections = {section.partition("\n")[0]: section for section in text.split("\n## ")[1:]}
    assert sections.keys() == services
    assert all("Does not do:" in section for section in sections.values())
    assert "No generation A traffic was ever recorded" in text


def test_every_vector_is_described() -> None:
    table = (ROOT / "tests/vectors/README.md").read_text()
    present = {path.name + "/" * path.is_dir() for path in (ROOT / "tests/vectors").iterdir()} - {"README.md"}
    assert present == set(re.findall(r"^\| ([\w./]+) \|", table, re.MULTILINE)) - {"folder"}


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def test_the_readme_names_exactly_two_commands() -> None:
    assert set(re.findall(r"\./dev [a-z]+", (ROOT / "README.md").read_text())) == {"./dev demo", "./dev test"}


def test_every_recipe_that_is_named_exists() -> None:
    recipes = set(re.findall(r"^([a-z0-9]+)(?: [^:\n]*)?:", (ROOT / "justfile").read_text(), re.MULTILINE)) - {"set"}
    named = {name for path in DOCUMENTS for name in re.findall(r"`\./dev ([a-z0-9]+)", path.read_text())}
    assert named <= recipes


def test_decisions_are_numbered_without_gaps() -> None:
    found = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [path.name[:4] for path in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    for path in found:
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert all(f"## {part}\n" in text for part in ("Context", "Decision", "Consequences"))
