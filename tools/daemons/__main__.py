"""`./dev daemons`: find bitcoind and LND, build what lacks, print what there is."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.daemons import build, cache, locate, toolchain, versions
from tools.daemons.errors import DaemonsError, Missing


def main(arguments: list[str] | None = None) -> int:
    """0 when both daemons are there; 1 with a sentence on stderr otherwise."""
    given = _parser().parse_args(arguments)
    try:
        if not given.find_only:
            _ensure(locate.core(), toolchain.missing_for_core, versions.core_key(), build.build_core, given.packages)
            _ensure(locate.lnd(), toolchain.missing_for_lnd, versions.lnd_key(), build.build_lnd, given.packages)
        _print(locate.daemons(), given.format)
    except DaemonsError as error:
        _say(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev daemons", description="bitcoind and LND: find them, or build them")
    parser.add_argument("--find-only", action="store_true", help="build nothing; fail when one is missing")
    parser.add_argument(
        "--install-packages", dest="packages", action="store_true", help="let apt install what lacks (needs root)"
    )
    parser.add_argument("--format", choices=["text", "json", "shell"], default="text", help="how to print the paths")
    return parser


Build = Callable[[Path, Path, build.Progress], None]


def _ensure(
    found: Path | None, missing: Callable[[], Missing | None], key: str, how: Build, install_packages: bool
) -> None:
    if found is not None:
        return
    _complete_toolchain(missing, install_packages)
    cache.obtain(cache.root() / key, partial(_build_into, how))


def _build_into(how: Build, scratch: Path, into: Path) -> None:
    how(scratch, into, _say)


def _complete_toolchain(missing: Callable[[], Missing | None], install_packages: bool) -> None:
    lacking = missing()
    if lacking is not None and lacking.packages and install_packages:
        if os.geteuid() != 0:
            raise DaemonsError(f"{lacking}\n--install-packages needs root")
        _say(f"apt: installing {' '.join(lacking.packages)}")
        toolchain.install(lacking.packages)
        lacking = missing()
    if lacking is not None:
        raise lacking


def _print(found: locate.Daemons, form: str) -> None:
    if form == "json":
        print(json.dumps({"bitcoind": str(found.bitcoind), "lnd": str(found.lnd), "lncli": str(found.lncli)}))
    elif form == "shell":
        print(f"export BITCOIND={shlex.quote(str(found.bitcoind))} LND={shlex.quote(str(found.lnd))}")
    else:
        for program in (found.bitcoind, found.lnd):
            print(f"{program}: {locate.version_of(program)}")


def _say(text: str) -> None:
    print(f"daemons: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
