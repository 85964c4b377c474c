"""Seed and operator's token: whole or not there, whenever the process that makes them dies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coordinator import app
from coordinator.adapters.secrets import load_or_create_seed
from coordinator.adapters.secrets.private_file import write_private
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret

PASSPHRASE = Secret(b"correct horse")


class Killed(BaseException):
    """Ends the write where SIGKILL would."""


def die(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.rename"])
def test_a_seed_whose_writer_died_does_not_bar_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(call, die)
        with pytest.raises(Killed):
            load_or_create_seed(tmp_path / "seed", PASSPHRASE)
    assert not (tmp_path / "seed").exists()
    made = load_or_create_seed(tmp_path / "seed", PASSPHRASE)
    assert load_or_create_seed(tmp_path / "seed", PASSPHRASE) == made


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "file", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "file").read_bytes() == b"data"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_operators_token_is_made_once(tmp_path: Path) -> None:
    made = app._operator_token(tmp_path / "operator.token")
    assert len(made.reveal()) == 64
    assert app._operator_token(tmp_path / "operator.token") == made


def test_an_empty_token_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "operator.token").write_bytes(b"\n")
    with pytest.raises(InvalidInput, match="remove the file"):
        app._operator_token(tmp_path / "operator.token")
