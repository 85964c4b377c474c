"""Whatever JSON stands in a file, a command ends with one sentence that names the file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.cli.main import main
from tests.hostile_json import changed

VECTORS = Path(__file__).parents[1] / "vectors"
CONTRACT = json.loads((VECTORS / "dlctix" / "n3k1.json").read_text())
TERMS = json.loads((VECTORS / "terms.json").read_text())["terms"]
SIGNED = {
    "signatures": CONTRACT["signatures"],
    "dlc": {"params": CONTRACT["params"], "funding_outpoint": CONTRACT["funding_outpoint"]},
}
EVENT = {
    "id": "00" * 32,
    "pubkey": "11" * 32,
    "created_at": 1_790_000_000,
    "kind": 8_702,
    "tags": [["t", "x"]],
    "content": json.dumps({"type": "reservation/v1", "player": "22" * 32, "price": {"entry_fee": 1}}),
    "sig": "33" * 64,
}
STATE = {
    "url": "http://127.0.0.1:1",
    "competition": TERMS["competition_id"],
    "entry_id": "",
    "picks": [],
    "receipt": EVENT,
}
PICKS = [{"target": "KORD", "metric": "temp_high", "choice": "over"}]
HOSTILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


NO_SERVER = "Error: coordinator"
"""The file was right, and nobody is at the address that it gives."""


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.fixture
def tries(tmp_path):
    """Run a command line in which FILE stands for the file with this document."""
    other = tmp_path / "other"
    other.write_text("11" * 32)
    terms = tmp_path / "terms.json"
    terms.write_text(canonical(TERMS))
    home = tmp_path / "home"
    home.mkdir()
    (home / "seed").write_text("44" * 32)
    (home / "seed").chmod(0o600)

    def run(document, arguments, path=None):
        path = home / path if path else tmp_path / "hostile.json"
        path.write_text(document if isinstance(document, str) else canonical(document))
        words = {"FILE": path, "OTHER": other, "TERMS": terms, "HOME": home}
        result = CliRunner().invoke(main, [str(words.get(word, word)) for word in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if result.exit_code:
            assert result.exit_code in (1, 2)
            lines = result.stderr.splitlines()
            assert lines[-1].startswith("Error: ")
            assert any(str(file) in lines[-1] for file in (path, other)) or lines[-1].startswith(NO_SERVER)
            assert all(line.startswith(("Error: ", "Warning: ")) for line in lines)
        return result

    return run


WATCH = ["player", "watch", TERMS["competition_id"], "--home", "HOME"]
CLAIM = ["player", "claim", TERMS["competition_id"], "--expiry", "--home", "HOME"]
JUDGE = ["contract", "verify-receipt", "--preimage-file", "OTHER", "--tip", "1"]
FILES = {
    "parameters": (CONTRACT["params"], ["contract", "build", "FILE", "--outpoint", f"{'11' * 32}:0"], None),
    "foreign parameters": (
        CONTRACT["params"],
        ["contract", "build", "FILE", "--outpoint", f"{'11' * 32}:0", "--allow-unbound-rankings"],
        None,
    ),
    "signed contract": (SIGNED, ["contract", "verify", "FILE"], None),
    "signed contract of a player": (SIGNED, ["player", "verify", "FILE", "--home", "HOME"], None),
    "receipt": (EVENT, [*JUDGE, "--terms", "TERMS", "FILE"], None),
    "receipt in a state file": ({"receipt": EVENT}, [*JUDGE, "--terms", "TERMS", "FILE"], None),
    "terms": (TERMS, [*JUDGE, "OTHER", "--terms", "FILE"], None),
    "picks": (
        PICKS,
        ["player", "join", "http://127.0.0.1:1", TERMS["competition_id"], "--picks", "FILE", "--home", "HOME"],
        None,
    ),
    "state": (STATE, WATCH, f"{TERMS['competition_id']}.json"),
    "kit of a player": ({"version": 1}, CLAIM, f"{TERMS['competition_id']}.kit.json"),
}


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
@HOSTILE
def test_any_change_of_a_document_ends_in_one_sentence(tries, kind, data):
    document, arguments, path = FILES[kind]
    # A crash, or more than a sentence, fails in `tries`.
    assert tries(data.draw(changed(document)), arguments, path).exit_code in (0, 1, 2)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "null",
        "[]",
        "7",
        '"x"',
        '{"a": 1, "a": 2}',
        '{"x": "\\ud800"}',
        "[" * 100_000,
        "\x00",
        '{"version": 1e999}',
        "9" * 5_000,
    ],
    ids=range(12),
)
def test_what_is_no_such_document_is_refused(tries, kind, text):
    _, arguments, path = FILES[kind]
    if kind == "terms" or (kind == "picks" and text == "[]"):
        return
    assert tries(text, arguments, path).exit_code in (1, 2)
