"""A wheel, installed where no checkout is: it says its version, migrates a database and serves pages."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import coordinator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
PATIENCE = 120
PAGES = """
import json, pathlib, re, sys
import httpx
import coordinator
from coordinator.cli.embedded import Stack
with Stack(pathlib.Path(sys.argv[1])) as stack:
    stack.start_services()
    stack.start_coordinator()
    with httpx.Client(base_url=stack.url("coordinator"), trust_env=False) as client:
        page = client.get("/")
        links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        told = {
            "package": coordinator.__file__,
            "page": page.status_code,
            "kind": page.headers["content-type"],
            "links": {link: client.get(link).status_code for link in links},
        }
print(json.dumps(told))
"""


def pip(*words: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network: the build's own packages are among those of development."""
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", ".", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target))
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is installed; what it depends on comes from this environment, which does not hold it."""
    target = tmp_path_factory.mktemp("site")
    pip("install", "--no-index", "--no-deps", "--target", str(target), str(wheel))
    return target


def run(site: Path, directory: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    ran = subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_command_says_the_version(site: Path, tmp_path: Path) -> None:
    said = run(site, tmp_path, str(site / "bin" / "coordinator"), "--version")
    assert said == f"coordinator, version {coordinator.__version__}\n"


def test_pages_are_served_and_the_database_is_made(site: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads(run(site, tmp_path, sys.executable, "-c", PAGES, str(tmp_path / "stack")))
    assert Path(told["package"]).is_relative_to(site)
    assert (told["page"], told["kind"].partition(";")[0]) == (200, "text/html")
    assert len(told["links"]) >= 2
    assert set(told["links"].values()) == {200}
    assert (tmp_path / "stack" / "coordinator" / "coordinator.db").exists()


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "coordinator",
        "coordinator_core",
        f"coordinator-{coordinator.__version__}.dist-info",
    }
    assert not [name for name in names if re.search(r"\.pyc$|node_modules|/tests/|package-lock", name)]
    for folder in ("templates", "static"):
        wanted = [p for p in (ROOT / "frontend" / folder).rglob("*") if p.is_file()]
        inside = [name for name in names if name.startswith(f"coordinator/frontend/{folder}/")]
        assert len(inside) == len(wanted) > 0
