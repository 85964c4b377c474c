"""The frontend's sources and its build."""

import json
import re

import pytest

from coordinator.api.assets import BUILT, FRONTEND, TEMPLATES, Assets
from coordinator.views.moments import moment, relative
from coordinator_core.units import UnixTime


def test_lock_names_versions_and_hashes_but_no_registry() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages["node_modules/htmx.org"]["version"] == "2.0.11"
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    wanted = json.loads((FRONTEND / "package.json").read_text())
    exact = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in exact.values())


def test_templates_never_mark_a_value_as_safe_but_the_rendered_live_part() -> None:
    marked = [path.name for path in TEMPLATES.rglob("*.html") if re.search(r"\|\s*safe|autoescape", path.read_text())]
    assert marked == ["live.html"]
    assert (TEMPLATES / "fragments" / "live.html").read_text().count("safe") == 1


@pytest.mark.skipif(not (BUILT / "manifest.json").exists(), reason="the frontend is built by ./dev")
def test_built_files_carry_a_hash_and_are_there() -> None:
    assets = Assets()
    for name in ("pages.js", "site.css", "icon.svg"):
        stem, suffix = name.split(".")
        built = assets.url(name).removeprefix("/static/")
        assert re.fullmatch(rf"{stem}-[A-Z0-9]{{8}}\.{suffix}", built)
        assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", (BUILT / built).read_text()) or suffix == "js"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-59, "just now"),
        (59, "in less than a minute"),
        (60, "in 1 minute"),
        (-7_200, "2 hours ago"),
        (86_399, "in 23 hours"),
        (86_400, "in 1 day"),
        (-200_000, "2 days ago"),
    ],
)
def test_distances_in_words(seconds: int, text: str) -> None:
    assert relative(seconds) == text


def test_moments_are_utc_for_machines_and_people() -> None:
    made = moment(UnixTime(1_790_000_000), UnixTime(1_790_000_600))
    assert (made.iso, made.text, made.relative) == ("2026-09-21T14:13:20Z", "2026-09-21 14:13 UTC", "10 minutes ago")
