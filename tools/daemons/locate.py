"""Which binaries to run: those the environment names, those on PATH, those in the cache. In this order."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.daemons import cache, versions
from tools.daemons.errors import DaemonsError

HOW = "run `./dev daemons`, or set BITCOIND and LND"


@dataclass(frozen=True, slots=True)
class Daemons:
    """Paths of the programs. lncli stands beside lnd, where it is there at all."""

    bitcoind: Path
    lnd: Path

    @property
    def lncli(self) -> Path:
        """LND's command line."""
        return self.lnd.with_name("lncli")


def core(environment: Mapping[str, str] | None = None) -> Path | None:
    """bitcoind, or None when there is none yet. Raises DaemonsError when BITCOIND names none."""
    return _find("BITCOIND", "bitcoind", versions.core_key(), environment)


def lnd(environment: Mapping[str, str] | None = None) -> Path | None:
    """lnd, or None when there is none yet. Raises DaemonsError when LND names none."""
    return _find("LND", "lnd", versions.lnd_key(), environment)


def daemons(environment: Mapping[str, str] | None = None) -> Daemons:
    """Both. Raises DaemonsError that says how to get what lacks."""
    bitcoind, node = core(environment), lnd(environment)
    if bitcoind is None or node is None:
        lacking = " and ".join(name for name, found in (("bitcoind", bitcoind), ("lnd", node)) if found is None)
        raise DaemonsError(f"{lacking} not found: {HOW}")
    return Daemons(bitcoind, node)


def version_of(program: Path) -> str:
    """First line of what a program says to --version. Raises DaemonsError."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise DaemonsError(f"{program} does not run: {error}") from error
    return said.stdout.partition("\n")[0].strip()


def _find(variable: str, name: str, key: str, environment: Mapping[str, str] | None) -> Path | None:
    env = os.environ if environment is None else environment
    if named := env.get(variable):
        found = shutil.which(named, path=env.get("PATH"))
        if found is None:
            raise DaemonsError(f"{variable} names {named}, which is not a program")
        return Path(found).absolute()
    if found := shutil.which(name, path=env.get("PATH")):
        return Path(found).absolute()
    built = cache.root(env) / key / name
    return built if built.is_file() else None
