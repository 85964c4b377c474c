"""What the command line refuses before anything is made."""

from __future__ import annotations

import pytest

from coordinator.embedded.keymeld.__main__ import main


@pytest.mark.parametrize(
    "arguments", [["--network", "mainnet"], ["--network", "bitcoin"], ["--enclaves", "0"], ["--enclaves", "17"]]
)
def test_mainnet_and_bad_arguments_are_refused(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--data-dir", str(tmp_path / "state"), *arguments])
    assert ended.value.code == 2
    assert (arguments[1] if arguments[0] == "--network" else "--enclaves") in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
