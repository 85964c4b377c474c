"""A toolchain that lacks something is named with the way to get it."""

import pytest

from tools.daemons import toolchain
from tools.daemons.toolchain import Need


def test_everything_that_lacks_is_named_at_once() -> None:
    needs = [
        Need("cmake", "cmake", lambda: False),
        Need("ninja", "ninja-build", lambda: True),
        Need("Boost's headers", "libboost-dev", lambda: False),
        Need("more of Boost", "libboost-dev", lambda: False),
    ]
    lacking = toolchain.missing_for_core(needs)
    assert lacking is not None
    assert lacking.packages == ["cmake", "libboost-dev"]
    assert "cmake, Boost's headers, more of Boost not found" in str(lacking)
    assert "apt-get install --no-install-recommends cmake libboost-dev" in str(lacking)
    assert "BITCOIND" in str(lacking)


def test_a_complete_toolchain_lacks_nothing() -> None:
    assert toolchain.missing_for_core([Need("cmake", "cmake", lambda: True)]) is None


def test_every_need_has_a_package_of_debian() -> None:
    wanted = {"cmake", "ninja-build", "libboost-dev", "libevent-dev", "libzmq3-dev", "build-essential", "pkg-config"}
    assert wanted <= {need.package for need in toolchain.CORE_NEEDS}


@pytest.mark.parametrize("said", ["go version go1.20.14 linux/amd64", "go version go1.19.8 linux/amd64", "gccgo"])
def test_an_old_go_is_refused(said: str) -> None:
    lacking = toolchain.missing_for_lnd(said)
    assert lacking is not None
    assert "Go 1.21 or later" in str(lacking)
    assert said in str(lacking)
    assert lacking.packages == []


def test_a_new_go_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert toolchain.missing_for_lnd("go version go1.26.8 linux/amd64") is None
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    lacking = toolchain.missing_for_lnd("go version go1.26.8 linux/amd64")
    assert lacking is not None
    assert lacking.packages == ["build-essential"]


def test_no_go_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    lacking = toolchain.missing_for_lnd()
    assert lacking is not None
    assert "go not found" in str(lacking)
