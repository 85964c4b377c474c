"""Branch coverage of the domain, all of it; with --all that of the rest as well: `python -m tests.harness.coverage`

The domain is measured by its own tests, which need no service and no event loop (and by those of the engine that look
at its stored rows). The rest is measured by the unit, property and contract tests; rooms that only whole processes
drive (tests/services, tests/e2e, tests/browser) stand in DRIVEN with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOMAIN = "coordinator/domain/"
DOMAIN_TESTS = (
    "tests/unit/domain",
    "tests/property/domain",
    # Long, and it reaches nothing that the others do not.
    "--deselect=tests/property/domain/test_machine.py",
    "tests/unit/engine/test_versions.py",
    "tests/unit/engine/test_turns.py",
)
ALL_TESTS = ("tests/unit", "tests/property", "tests/contract")
FLOOR = 90.0
DRIVEN: Mapping[str, str] = {}
"""Files that only whole processes drive, and which."""


def measured(tests: Sequence[str], source: str, workers: Sequence[str]) -> Mapping[str, float]:
    """Per cent of lines and branches, by file. Raises SystemExit when a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": f"{folder}/data"}
        here = {"cwd": ROOT, "env": environment}
        command = [sys.executable, "-m", "coverage"]
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *tests]
        done = subprocess.run([*command, "run", f"--source={source}", *pytest], check=False, **here)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        subprocess.run([*command, "combine", "--quiet"], check=True, **here)
        report = f"{folder}/report.json"
        subprocess.run([*command, "json", "--quiet", "--fail-under=0", "-o", report], check=True, **here)
        subprocess.run([*command, "report", "--skip-covered", "--show-missing", "--fail-under=0"], check=True, **here)
        files = json.loads(Path(report).read_text())["files"]
    return {name: found["summary"]["percent_covered"] for name, found in files.items()}


def short(found: Mapping[str, float]) -> list[str]:
    """What is below its floor, in words."""
    told = [(name, per_cent, 100.0 if name.startswith(DOMAIN) else FLOOR) for name, per_cent in found.items()]
    return [f"{name}: {per_cent:.1f} % of {floor:.0f}" for name, per_cent, floor in told if per_cent < floor]


def main() -> int:
    """Exit code 1 when a file is below its floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="measure everything, with the tests of everything")
    given = parser.parse_args()
    if given.all:
        found = measured(ALL_TESTS, "coordinator,coordinator_core", ["-n", "auto", "--dist", "loadgroup"])
    else:
        found = measured(DOMAIN_TESTS, "coordinator.domain", ["-p", "no:xdist"])
    below = [line for line in short(found) if line.partition(":")[0] not in DRIVEN]
    for line in below:
        print(line, file=sys.stderr)
    print(f"coverage: {len(found)} files, {len(below)} below their floor")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
