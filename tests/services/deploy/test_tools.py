"""What the tools of systemd and Nix say about our files, where they are installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy/coordinator.service"
MAX_EXPOSURE = 1.5
"""Of 10, as `systemd-analyze security` counts; a unit without any hardening has 9.6."""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def needs(program: str):
    reason = f"not checked: there is no {program} here"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


@needs("systemd-analyze")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    # verify wants the command to exist, which it does on no machine but the operator's.
    unit = tmp_path / "coordinator.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    verified = run("systemd-analyze", "verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs("systemd-analyze")
def test_systemd_finds_the_unit_hardened(tmp_path: Path) -> None:
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"exposure level for coordinator.service: ([0-9.]+)", judged.stdout)
    if found is None:
        pytest.skip("not checked: this systemd-analyze judges no files")
    assert float(found[1]) <= MAX_EXPOSURE, judged.stdout


@needs("nix-instantiate")
def test_nix_reads_the_flake() -> None:
    parsed = run("nix-instantiate", "--parse", str(ROOT / "flake.nix"))
    assert parsed.returncode == 0, parsed.stderr
