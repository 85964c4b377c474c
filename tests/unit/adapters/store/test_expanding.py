"""A schema expands before it contracts: what a release still reads goes one release later.

A migration that takes something away says with `EXPANDED = "NNNN"` which earlier one brought what took its place.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.adapters.store.schema import MIGRATIONS

FILES = sorted((MIGRATIONS / "versions").glob("*.py"))
TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "rename_table", "alter_column"}
STATEMENTS = ("DROP ", "DELETE ", "ALTER ")


def taken_away(module: ast.Module) -> Iterator[str]:
    """What the way up of a migration takes away. A table that it makes again, or made for itself, is not gone."""
    [way_up] = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
    calls = [node for node in ast.walk(way_up) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    done = [(call.func.attr, _first(call)) for call in calls if isinstance(call.func, ast.Attribute)]
    made = {word for what, word in done if what == "create_table"}
    made |= {text.split()[2] for what, text in done if what == "execute" and text.upper().startswith("CREATE TABLE")}
    for what, word in done:
        if what == "execute":
            table = word.split()[-1] if word.upper().startswith("DROP TABLE") else ""
            if word.upper().startswith(STATEMENTS) and table not in made:
                yield word
        elif what in TAKES_AWAY and not (what == "drop_table" and word in made):
            yield what


def _first(call: ast.Call) -> str:
    """The first word that a call is given."""
    given = call.args[0] if call.args else None
    return str(given.value).strip() if isinstance(given, ast.Constant) else ""


def names(module: ast.Module) -> dict[str, str]:
    """The constants of a migration."""
    found = [node for node in module.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)]
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in found}


def is_allowed(source: str) -> bool:
    """Whether a migration only adds, or names an earlier one that did."""
    module = ast.parse(source)
    said = names(module)
    earlier = said.get("EXPANDED", "")
    return not list(taken_away(module)) or (bool(earlier) and earlier < said["revision"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_migration_takes_away_what_the_release_before_reads(path: Path) -> None:
    assert is_allowed(path.read_text())


def test_what_brought_the_new_form_is_a_migration_itself() -> None:
    said = [names(ast.parse(path.read_text())) for path in FILES]
    assert {one["EXPANDED"] for one in said if "EXPANDED" in one} <= {one["revision"] for one in said}


def test_migrations_are_found() -> None:
    assert len(FILES) >= 6


@pytest.mark.parametrize(
    ("line", "expanded", "allowed"),
    [
        ('op.add_column("lane", sa.Column("b", sa.Integer()))', "", True),
        ('op.drop_column("lane", "a")', "", False),
        ('op.drop_column("lane", "a")', "0007", True),
        ('op.drop_column("lane", "a")', "0008", False),
        ('batch.alter_column("a", new_column_name="b")', "", False),
        ('op.rename_table("lane", "track")', "", False),
        ('op.execute("  delete from duty")', "", False),
        ('op.execute("UPDATE watch SET a = 0")', "", True),
        ('op.drop_index("watch_lane", "watch")', "", True),
        ('op.drop_table("timer")', "", False),
        ('op.drop_table("timer"); op.create_table("timer")', "", True),
        ('op.execute("CREATE TABLE old AS SELECT 1"); op.execute("DROP TABLE old")', "", True),
        ('op.execute("DROP TABLE old")', "", False),
    ],
)
def test_what_takes_something_away_is_seen(line: str, expanded: str, allowed: bool) -> None:
    said = f'EXPANDED = "{expanded}"\n' if expanded else ""
    source = f'revision = "0008"\n{said}def upgrade():\n    {line}\ndef downgrade():\n    op.drop_table("x")\n'
    assert is_allowed(source) is allowed
