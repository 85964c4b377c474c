"""What the builds need of the machine, and how to get what lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.daemons.errors import BuildFailed, Missing

GO_LEAST = (1, 21)
"""From this version on Go fetches the newer toolchain that go.mod names by itself."""
GO_FIX = "Debian 13: apt-get install golang-go; else the archive of go.dev/dl, with its bin folder on PATH"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a build needs: `is_there` looks for it, `package` is Debian's name of it."""

    name: str
    package: str
    is_there: Callable[[], bool]


def _program(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


def _header(path: str, language: str = "c++") -> Callable[[], bool]:
    def compiles() -> bool:
        compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
        if compiler is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.cpp")
            source.write_text(f"#include <{path}>\n")
            command = [compiler, "-x", language, "-std=c++20", "-fsyntax-only", str(source)]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603

    return compiles


CORE_NEEDS = (
    Need("a C++ compiler", "build-essential", _program("c++", "g++", "clang++")),
    Need("cmake", "cmake", _program("cmake")),
    Need("ninja", "ninja-build", _program("ninja")),
    Need("pkg-config", "pkg-config", _program("pkg-config", "pkgconf")),
    Need("tar", "tar", _program("tar")),
    Need("strip", "binutils", _program("strip")),
    Need("Boost's headers", "libboost-dev", _header("boost/multi_index_container.hpp")),
    Need("libevent's headers", "libevent-dev", _header("event2/event.h")),
    Need("ZeroMQ's headers", "libzmq3-dev", _header("zmq.h")),
)


def missing_for_core(needs: Sequence[Need] = CORE_NEEDS) -> Missing | None:
    """What bitcoind's build lacks, or None."""
    lacking = [need for need in needs if not need.is_there()]
    if not lacking:
        return None
    packages = list(dict.fromkeys(need.package for need in lacking))
    names = ", ".join(need.name for need in lacking)
    sentences = [
        f"bitcoind cannot be built: {names} not found.",
        f"Debian and Ubuntu: apt-get install --no-install-recommends {' '.join(packages)}",
        "Or set BITCOIND to a bitcoind that is installed.",
    ]
    return Missing(sentences, packages)


def missing_for_lnd(go_version: str | None = None) -> Missing | None:
    """What LND's build lacks, or None. `go_version` is what `go version` says; asked when None."""
    said = _go_says() if go_version is None else go_version
    other = "Or set LND to an lnd that is installed (0.21.1 with the build tags of tools/daemons/versions.py)."
    if not said:
        return Missing([f"LND cannot be built: go not found. {GO_FIX}.", other], [])
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < GO_LEAST:
        wanted = ".".join(map(str, GO_LEAST))
        return Missing([f"LND cannot be built: Go {wanted} or later is needed, this is {said}. {GO_FIX}.", other], [])
    if not _program("cc", "gcc", "clang")():
        return Missing(
            ["LND cannot be built: a C compiler is needed: apt-get install build-essential", other], ["build-essential"]
        )
    return None


def _go_says() -> str:
    go = shutil.which("go")
    if go is None:
        return ""
    return subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def install(packages: Sequence[str]) -> None:
    """Install Debian packages with apt; needs root. Raises BuildFailed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        ended = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if ended.returncode:
            raise BuildFailed(" ".join(step), ended.returncode, (ended.stdout + ended.stderr)[-2000:])
