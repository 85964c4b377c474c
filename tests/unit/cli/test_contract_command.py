import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from coordinator.cli.contract import contract

VECTORS = Path(__file__).parents[2] / "vectors" / "dlctix"
KEYS = ("funding_output", "outcome_txs", "split_txs", "outcome_sighashes", "split_sighashes", "digest")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(contract, arguments, input=stdin)


def vector(name: str) -> dict:
    return json.loads((VECTORS / f"{name}.json").read_text())


def signed(data: dict) -> dict:
    dlc = {"params": data["params"], "funding_outpoint": data["funding_outpoint"]}
    return {"signatures": data["signatures"], "dlc": dlc}


@pytest.mark.parametrize("name", ["n3k1", "n5k1-delta8", "bound_n3k2", "bound_anchor_n3k2"])
def test_build_prints_the_vectors(tmp_path, name):
    data = vector(name)
    path = tmp_path / "params.json"
    path.write_text(data["params_json_string"])
    result = run("build", str(path), "--outpoint", data["funding_outpoint"])
    assert result.exit_code == 0
    assert result.stderr == ""
    assert json.loads(result.stdout) == {key: data[key] for key in KEYS}


def test_build_refuses_unbound_rankings_unless_told():
    data = vector("n3k2")
    arguments = ("build", "-", "--outpoint", data["funding_outpoint"])
    refused = run(*arguments, stdin=data["params_json_string"])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "outcome_payouts.att2" in refused.stderr
    assert refused.stderr.count("\n") == 1

    allowed = run(*arguments, "--allow-unbound-rankings", stdin=data["params_json_string"])
    assert allowed.exit_code == 0
    assert "never fund" in allowed.stderr
    assert "outcome_payouts.att2" in allowed.stderr
    assert json.loads(allowed.stdout) == {key: data[key] for key in KEYS}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fee_rate": "12500"}, "fee_rate"),
        ({"colour": "red"}, "colour"),
        ({"relative_locktime_block_delta": 32768}, "relative_locktime_block_delta"),
        ({"outcome_payouts": {"att00": {"0": 1}}}, "outcome_payouts"),
        ({"funding_value": 600}, "funding_value"),
    ],
)
def test_build_names_the_bad_field_in_one_line(change, field):
    data = vector("n3k1")
    result = run("build", "-", "--outpoint", data["funding_outpoint"], stdin=json.dumps(data["params"] | change))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {field}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("document", ["", "{", "[1", "null", "[]", '{"a":1,"a":2}', "[" * 100_000])
def test_documents_that_are_no_parameters(document):
    result = run("build", "-", "--outpoint", "5a" * 32 + ":1", stdin=document)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("outpoint", ["", "5a:1", "5a" * 32, "5a" * 32 + ":01", "5a" * 32 + ":4294967296"])
def test_bad_outpoint(outpoint):
    result = run("build", "-", "--outpoint", outpoint, stdin=vector("n3k1")["params_json_string"])
    assert result.exit_code == 2
    assert "--outpoint" in result.stderr


def test_missing_file(tmp_path):
    result = run("verify", str(tmp_path / "absent.json"))
    assert result.exit_code == 2
    assert "absent.json: cannot be read" in result.stderr


@pytest.mark.parametrize("name", ["n3k1", "n3k2", "bound_anchor_n3k2"])
def test_verify_accepts_signed_contracts(name):
    data = vector(name)
    result = run("verify", "-", stdin=json.dumps(signed(data)))
    assert result.exit_code == 0
    assert data["digest"] in result.stdout
    assert ("would be refused" in result.stderr) == (name == "n3k2")


@pytest.mark.parametrize(
    ("kind", "slot", "named"),
    [
        ("outcome_tx_signatures", "1", "outcome signature att1"),
        ("split_tx_signatures", "att2:p2", "split signature att2:p2"),
        ("expiry_tx_signature", None, "expiry signature"),
    ],
)
def test_verify_names_the_first_bad_signature(kind, slot, named):
    document = signed(vector("n3k1"))
    place = document["signatures"] if slot is None else document["signatures"][kind]
    key = kind if slot is None else slot
    place[key] = place[key][:-2] + f"{int(place[key][-2:], 16) ^ 1:02x}"
    document["signatures"]["split_tx_signatures"]["exp:p2"] = "00" * 64
    result = run("verify", "-", stdin=json.dumps(document))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {named}:")
    assert result.stdout == ""


def test_verify_misses_a_signature_and_refuses_a_superfluous_one():
    document = signed(vector("n3k1"))
    taken = document["signatures"]["split_tx_signatures"].pop("att0:p0")
    missing = run("verify", "-", stdin=json.dumps(document))
    assert (missing.exit_code, missing.stderr) == (1, "Error: split signature att0:p0: is missing\n")

    document["signatures"]["split_tx_signatures"] |= {"att0:p0": taken, "att0:p1": taken}
    extra = run("verify", "-", stdin=json.dumps(document))
    assert extra.exit_code == 1
    assert "split signature att0:p1" in extra.stderr


def test_verify_for_one_player():
    data = vector("n3k1")
    key = data["params"]["players"][1]["pubkey"]
    document = signed(data) | {"signatures": data["pruned_signatures"][key]}
    assert run("verify", "-", stdin=json.dumps(document)).exit_code == 1
    assert run("verify", "-", "--player", "1", stdin=json.dumps(document)).exit_code == 0
    assert run("verify", "-", "--player", "0", stdin=json.dumps(document)).exit_code == 1
    assert run("verify", "-", "--player", "7", stdin=json.dumps(document)).exit_code == 2
