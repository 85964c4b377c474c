import stat

import pytest

from coordinator.cli import files
from coordinator_core.errors import InvalidInput


def test_what_is_written_is_for_its_owner_only_and_replaces_whole(tmp_path):
    path = tmp_path / "home" / "state.json"
    files.write(path, b"one")
    files.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


def test_a_key_file_that_is_there_is_never_replaced(tmp_path):
    path = tmp_path / "seed"
    files.create(path, b"first")
    files.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["seed"]


def test_secrets_are_32_bytes_of_hex_and_stay_out_of_errors(tmp_path):
    path = tmp_path / "preimage"
    path.write_text("ab" * 32 + "\n")
    secret = files.read_secret(str(path), "ticket preimage")
    assert secret is not None
    assert secret.reveal() == b"\xab" * 32
    assert files.read_secret(None, "ticket preimage") is None
    path.write_text("ab" * 31)
    with pytest.raises(InvalidInput) as refused:
        files.read_secret(str(path), "ticket preimage")
    assert refused.value.field == "ticket preimage"
    assert "abab" not in str(refused.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InvalidInput) as refused:
            files.read(path, "--terms")
        assert refused.value.field == "--terms"
