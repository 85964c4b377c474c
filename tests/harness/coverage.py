"""Branch coverage of the domain, all of it; with --all that of the rest as well: `python -m tests.harness.coverage`

The domain is measured by its own tests, which need no service and no event loop (and by those of the engine that look
at its stored rows): every line and every branch of every file. The rest is measured as a whole by the unit, property,
contract and service tests, and by demos: one of each scenario in DEMOS, whose coordinator and services are processes of
their own and are measured as well (`patch` in the settings of coverage). What is left is in SELDOM: rooms that only
whole processes drive which are too slow or too dear for this (tests/e2e, tests/regtest, tests/browser), named with what
drives them. They count in the total all the same; only the list of files below the floor leaves them out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
ALL_TESTS = (
    "tests/unit",
    "tests/embedded",
    "tests/property",
    "--deselect=tests/property/domain/test_machine.py",
    "tests/contract",
    "tests/services",
    # It runs an installed copy, not these files.
    "--ignore=tests/services/wheel",
)
DEMOS = ("happy", "refund", "expiry", "onchain")
WHOLE = 100.0
FLOOR = 90.0
SELDOM: Mapping[str, str] = {
    **{
        f"coordinator/cli/dev/{name}.py": "tests/e2e/test_start.py"
        for name in ("command", "funding", "prepare", "start")
    },
    **{f"coordinator/cli/player/{name}.py": "tests/e2e/test_cli.py" for name in ("claim", "join", "verify", "watch")},
}
"""Files that only slow whole processes drive, and which."""


@dataclass(frozen=True, slots=True)
class Count:
    """Statements and branches, and how many of them were run."""

    statements: int
    statements_run: int
    branches: int
    branches_run: int

    @property
    def per_cent(self) -> float:
        """Of statements and branches together, as coverage's own total counts."""
        return _per_cent(self.statements_run + self.branches_run, self.statements + self.branches)

    @property
    def branches_per_cent(self) -> float:
        """Of branches alone."""
        return _per_cent(self.branches_run, self.branches)


def _per_cent(run: int, of: int) -> float:
    return 100.0 * run / of if of else 100.0


def total(counts: Iterable[Count]) -> Count:
    """The sum."""
    listed = list(counts)
    return Count(
        sum(count.statements for count in listed),
        sum(count.statements_run for count in listed),
        sum(count.branches for count in listed),
        sum(count.branches_run for count in listed),
    )


def measured(commands: Sequence[Sequence[str]], source: str) -> Mapping[str, Count]:
    """Counts by file, after Python ran all of these. Raises SystemExit when one fails."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": f"{folder}/data"}
        coverage = [sys.executable, "-m", "coverage"]

        def run(*words: str, must: bool = True) -> int:
            return subprocess.run([*coverage, *words], check=must, cwd=ROOT, env=environment).returncode

        for number, command in enumerate(commands):
            given = [word.replace("{folder}", f"{folder}/{number}") for word in command]
            if code := run("run", f"--source={source}", *given, must=False):
                raise SystemExit(code)
        run("combine", "--quiet")
        report = f"{folder}/report.json"
        run("json", "--quiet", "--fail-under=0", "-o", report)
        run("report", "--skip-covered", "--show-missing", "--fail-under=0")
        files = json.loads(Path(report).read_text())["files"]
    return {name: _count(found["summary"]) for name, found in files.items()}


def _count(summary: Mapping[str, int]) -> Count:
    return Count(
        summary["num_statements"], summary["covered_lines"], summary["num_branches"], summary["covered_branches"]
    )


def suite(tests: Sequence[str], workers: Sequence[str]) -> list[str]:
    """A run of pytest."""
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *tests]


def demo(scenario: str) -> list[str]:
    """A demo of three players; it fails when its books do not balance."""
    words = ["demo", "--once", "--json", "--players", "3", "--places", "2", "--scenario", scenario]
    return ["-m", "coordinator.cli.main", *words, "--data-dir", "{folder}"]


def short(found: Mapping[str, Count]) -> list[str]:
    """What is below its floor, in words: files of the domain one by one, the rest as a whole."""
    said = [
        f"{name}: {count.per_cent:.1f} % of {WHOLE:.0f}"
        for name, count in found.items()
        if name.startswith(DOMAIN) and count.per_cent < WHOLE
    ]
    rest = total(count for name, count in found.items() if not name.startswith(DOMAIN))
    for what, per_cent in (("the rest", rest.per_cent), ("branches of the rest", rest.branches_per_cent)):
        if per_cent < FLOOR:
            said.append(f"{what}: {per_cent:.1f} % of {FLOOR:.0f}")
    return said


def weakest(found: Mapping[str, Count]) -> list[str]:
    """Files of the rest that are below the floor by themselves: no failure, but where to look next."""
    listed = [(count.per_cent, name) for name, count in found.items() if name not in SELDOM]
    return [f"{name} {per_cent:.1f} %" for per_cent, name in sorted(listed) if per_cent < FLOOR]


def main() -> int:
    """Exit code 1 below a floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="measure everything, with the tests of everything")
    given = parser.parse_args()
    if given.all:
        tests = suite(ALL_TESTS, ["-n", "auto", "--dist", "loadgroup"])
        found = measured([tests, *map(demo, DEMOS)], "coordinator,coordinator_core")
    else:
        found = measured([suite(DOMAIN_TESTS, ["-p", "no:xdist"])], "coordinator.domain")
    for line in weakest(found):
        print(line)
    whole, below = total(found.values()), short(found)
    print(f"coverage: {len(found)} files, {whole.per_cent:.1f} %, branches alone {whole.branches_per_cent:.1f} %")
    for line in below:
        print(f"below its floor: {line}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
