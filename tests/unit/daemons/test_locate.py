"""The environment's binaries win over PATH, and PATH over the cache."""

from pathlib import Path

import pytest

from tools.daemons import cache, locate, versions
from tools.daemons.errors import DaemonsError


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(tmp_path / "path")}


def test_the_order_of_places(tmp_path: Path, environment: dict[str, str]) -> None:
    assert locate.core(environment) is None
    cached = program(cache.root(environment) / versions.core_key() / "bitcoind")
    assert locate.core(environment) == cached
    on_path = program(tmp_path / "path" / "bitcoind")
    assert locate.core(environment) == on_path
    named = program(tmp_path / "elsewhere" / "bitcoind-30")
    assert locate.core({**environment, "BITCOIND": str(named)}) == named


def test_a_name_that_is_no_program_is_an_error(tmp_path: Path, environment: dict[str, str]) -> None:
    program(tmp_path / "path" / "lnd")
    with pytest.raises(DaemonsError, match=r"LND names .*nowhere"):
        locate.lnd({**environment, "LND": str(tmp_path / "nowhere")})


def test_what_lacks_is_named_with_the_recipe(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(DaemonsError, match=r"bitcoind and lnd not found: run `\./dev daemons`"):
        locate.daemons(environment)
    program(tmp_path / "path" / "bitcoind")
    with pytest.raises(DaemonsError, match=r"^lnd not found"):
        locate.daemons(environment)


def test_lncli_stands_beside_lnd(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("bitcoind", "lnd"):
        program(tmp_path / "path" / name)
    assert locate.daemons(environment).lncli == tmp_path / "path" / "lncli"
