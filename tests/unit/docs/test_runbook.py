"""Alerts in the code, Prometheus' rules, metrics and the runbook name the same things."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from coordinator.domain.competitions import bumping
from coordinator.domain.competitions.settling import Equivocated
from coordinator.domain.versions import UnreadableRow
from coordinator.engine.metrics.instruments import OTHER, Histogram
from coordinator.engine.metrics.meters import Meters
from coordinator.ports.alerts import AlertName

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts/coordinator.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
UNMEASURED = {AlertName.NEEDS_OPERATOR, AlertName.DUTY_FAILING}
"""Told by the coordinator alone: no metric counts them."""


def entries() -> dict[str, str]:
    parts = re.split(r"^### (\w+)\n", RUNBOOK.partition("\n## Reasons why a competition stops")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchor(rule: dict[str, Any]) -> str:
    path, _, name = rule["annotations"]["runbook"].partition("#")
    assert path == "docs/runbook.md"
    return name


def table(heading: str) -> list[str]:
    section = RUNBOOK.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ")[0] for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_alert_has_an_entry_and_every_entry_an_alert() -> None:
    assert set(entries()) == {name.value for name in AlertName} | {anchor(rule) for rule in RULES}


def test_every_alert_that_a_metric_shows_has_a_rule() -> None:
    assert {name.value for name in AlertName} - {anchor(rule) for rule in RULES} == {n.value for n in UNMEASURED}


@pytest.mark.parametrize("name", sorted(entries()))
def test_an_entry_says_more_than_its_name(name: str) -> None:
    assert len(entries()[name].split()) > 12


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    meters = {metric.name: metric for metric in Meters().all}
    asked = re.findall(r"\b(coordinator_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert asked or rule["expr"].startswith("up{")
    for name, selector in asked:
        metric = meters.get(name) or meters[re.sub("_(bucket|sum|count)$", "", name)]
        assert not isinstance(metric, Histogram) or name != metric.name
        for label, values in re.findall(r'(\w+)(?:=|!=|=~|!~)"([^"]*)"', selector):
            wanted = [value for value in values.split("|") if ".*" not in value]
            assert set(wanted) <= metric.labels[label], (name, label)
            assert wanted or any(re.fullmatch(values, value) for value in metric.labels[label])
    assert {"severity"} == rule["labels"].keys()
    assert rule["annotations"]["summary"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_what_an_alert_sees_increase_is_there_from_the_start(rule: dict[str, Any]) -> None:
    """Prometheus' `increase` does not count what a series begins with: the first time would be missed."""
    meters = {metric.name: metric for metric in Meters().all}
    for name in re.findall(r"increase\((coordinator_\w+)", rule["expr"]):
        values = [labels - {OTHER} for labels in meters[name].labels.values()]
        shown = [line for line in meters[name].lines() if not line.startswith("#")]
        assert len(shown) == math.prod(map(len, values)), name


def calls(name: str) -> list[ast.Call]:
    sources = (path.read_text() for path in (ROOT / "coordinator").rglob("*.py"))
    nodes = (node for source in sources if name in source for node in ast.walk(ast.parse(source)))
    return [n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name]


def beginning(node: ast.expr) -> str:
    """What a text begins with; empty for one that another room makes."""
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        return str(node.values[0].value)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def test_every_topic_that_needs_a_person_is_explained() -> None:
    made = calls("NeedsOperator")
    topics = [next(word.value for word in call.keywords if word.arg == "topic") for call in made]
    begun = {beginning(topic) for topic in topics}
    # One is made by a function of the domain.
    assert begun - {""} == {"dust/"}
    known = {*begun - {""}, bumping.trouble_topic("outcome", 1).partition("/")[0] + "/"}
    assert [beginning(topic) for topic in topics].count("") == 1
    assert set(table("Reasons why a competition needs a person")) == {f"`{topic}`" for topic in known}


def test_every_reason_to_stop_is_explained() -> None:
    raised = {beginning(call.args[0]) for call in calls("InvariantViolation")}
    # The other one begins with the name of whatever was raised.
    assert raised == {"no fixpoint after ", ""}
    named = table("Reasons why a competition stops")
    assert "`no fixpoint after`" in named
    # Not every error is a defect of ours.
    assert f"`{Equivocated.__name__}: `" in named
    assert any(row.startswith("an error's name") for row in named)
    for row in ("state x", "fact x", "duty x"):
        kind = str(UnreadableRow(row, "cannot be read")).partition(" ")[0]
        assert any(f"`{kind} `" in reason for reason in named)
