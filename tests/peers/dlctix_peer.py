"""Builds the Rust programs of tests/peers/dlctix, one a published version of dlctix, and talks to them.

They are built once, in release mode, into the user's cache directory; the tree only gets an ignored Cargo.lock.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VERSIONS = ("0.0.7", "0.2.2")
SOURCE = Path(__file__).parent / "dlctix"
OLDEST_CARGO = (1, 85)
_BUILD_SECONDS = 1_800
_ANSWER_SECONDS = 600


class PeerUnavailable(Exception):
    """The programs cannot be built here; the text says why and what would help."""


class PeerRefused(Exception):
    """dlctix refused the request; the text is what it said."""


class DlctixPeer:
    """One version's program. Each call is a process of its own."""

    def __init__(self, version: str, program: Path) -> None:
        self.version = version
        self._program = program

    def contract(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build, sign with every key and verify the signatures of the request. Raises PeerRefused."""
        return json.loads(self.run(["contract"], json.dumps(request).encode()))

    def run(self, arguments: Sequence[str], request: bytes) -> bytes:
        """The answer of one command. Raises PeerRefused."""
        command = [str(self._program), *arguments]
        ended = subprocess.run(command, input=request, capture_output=True, timeout=_ANSWER_SECONDS, check=False)
        if ended.returncode:
            raise PeerRefused(ended.stderr.decode(errors="replace").strip())
        return ended.stdout


def build_peers() -> dict[str, DlctixPeer]:
    """The peers by version, built if they are not yet.

    Raises PeerUnavailable without a new enough cargo, a C compiler or the crates. A failing build is no such case:
    it raises RuntimeError with the compiler's output.
    """
    cargo = _find_cargo()
    _run_cargo(cargo, "fetch", PeerUnavailable, "cannot fetch the crates")
    target = _cache() / "target"
    _run_cargo(cargo, "build", RuntimeError, "cannot build", "--release", "--offline", "--target-dir", str(target))
    suffix = ".exe" if os.name == "nt" else ""
    release = target / "release"
    return {v: DlctixPeer(v, release / f"dlctix-peer-{v.replace('.', '-')}{suffix}") for v in VERSIONS}


def cargo_version() -> str:
    """What `cargo --version` prints. Raises PeerUnavailable."""
    return subprocess.run([_find_cargo(), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _find_cargo() -> str:
    cargo = shutil.which("cargo")
    if cargo is None:
        raise PeerUnavailable("cargo is missing: install Rust to compare with dlctix")
    if shutil.which("cc") is None:
        raise PeerUnavailable("a C compiler is missing: dlctix builds libsecp256k1 (Debian: apt-get install gcc)")
    text = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)\.(\d+)", text)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_CARGO:
        raise PeerUnavailable(f"{text.strip() or cargo} is too old: 1.85 or later builds dlctix")
    return cargo


def _run_cargo(cargo: str, command: str, error: type[Exception], what: str, *options: str) -> None:
    environment = os.environ | {"CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "20", "CARGO_TERM_COLOR": "never"}
    full = [cargo, command, "--quiet", "--manifest-path", str(SOURCE / "Cargo.toml"), *options]
    ended = subprocess.run(full, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    if ended.returncode:
        raise error(f"cargo {what}: {ended.stderr.strip()}")


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "coordinator-dlctix-peer"
