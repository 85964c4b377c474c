"""A build is in the cache whole or not at all."""

from pathlib import Path

import pytest

from tools.daemons import cache, versions


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_second_call_builds_nothing(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(scratch: Path, into: Path) -> None:
        (scratch / "objects").write_text("heavy")
        (into / "program").write_text("light")
        built.append(into)

    for _ in range(2):
        assert cache.obtain(tmp_path / "key", build) == tmp_path / "key"
    assert len(built) == 1
    assert entries(tmp_path) == {"key"}
    assert entries(tmp_path / "key") == {"program"}


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(scratch: Path, into: Path) -> None:
        (into / "program").write_text("half")
        raise RuntimeError("compiler")

    with pytest.raises(RuntimeError, match="compiler"):
        cache.obtain(tmp_path / "key", build)
    assert entries(tmp_path) == set()


def test_what_a_killed_builder_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "key.tmp-dead").mkdir()
    (tmp_path / "key.tmp-dead" / "objects").write_text("heavy")
    (tmp_path / "other.tmp-alive").mkdir()
    cache.obtain(tmp_path / "key", lambda scratch, into: None)
    assert entries(tmp_path) == {"key", "other.tmp-alive"}


def test_the_cache_is_where_the_user_keeps_caches(tmp_path: Path) -> None:
    assert cache.root({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "coordinator-daemons"
    assert cache.root({}) == Path.home() / ".cache" / "coordinator-daemons"


def test_keys_follow_versions_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    core, lnd = versions.core_key(), versions.lnd_key()
    assert core.startswith("bitcoind-31.99.0-")
    assert lnd.startswith("lnd-0.21.1-beta-")
    monkeypatch.setattr(versions, "CORE_FLAGS", (*versions.CORE_FLAGS, "-DWITH_ZMQ=OFF"))
    assert versions.core_key() != core
    assert versions.lnd_key() == lnd
    monkeypatch.setattr(versions, "LND_TAGS", versions.LND_TAGS[:-1])
    assert versions.lnd_key() != lnd


def test_the_key_of_lnd_follows_every_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = versions.lnd_key()
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_text((versions.HERE / name).read_text())
    monkeypatch.setattr(versions, "HERE", tmp_path)
    assert versions.lnd_key() == before
    (tmp_path / "go.sum").write_text((tmp_path / "go.sum").read_text().replace("h1:", "h2:", 1))
    assert versions.lnd_key() != before


def test_go_mod_names_the_version_that_is_said() -> None:
    assert (
        f"require github.com/lightningnetwork/lnd v{versions.LND_VERSION}\n" in (versions.HERE / "go.mod").read_text()
    )
