import copy
import json
from pathlib import Path
from uuid import UUID

import pytest

from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.fees import FeeMarket, offer
from coordinator_core.competition.terms import Terms
from coordinator_core.receipts import sign_repayment_request, sign_reservation, verify_reservation
from coordinator_core.secp256k1 import SecretKey, sha256

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "terms.json").read_text())
COORDINATOR, ALICE = (SecretKey.from_bytes(bytes([n]) * 32) for n in (4, 1))
TICKET, REPAID = bytes([9]) * 32, bytes([6]) * 32
NOW = VECTOR["created"]["time"]


@pytest.fixture
def terms() -> Terms:
    document = copy.deepcopy(VECTOR["terms"])
    document["coordinator_key"] = COORDINATOR.x_only.hex()
    return convert_strict(document, Terms, "terms")


@pytest.fixture
def receipt(terms):
    def make(signer=COORDINATOR):
        return sign_reservation(
            signer,
            terms,
            entry_id=UUID(int=1),
            player=ALICE.x_only,
            ticket_hash=sha256(TICKET),
            price=offer(terms, FeeMarket(1_001, 250)),
            created_at=NOW,
        )

    return make


@pytest.fixture
def judge(command, terms, receipt, tmp_path):
    def run(*more, event=None, preimage=TICKET, nested=False):
        text = (event or receipt()).to_json().decode()
        (tmp_path / "receipt.json").write_text(f'{{"receipt": {text}, "url": "x"}}' if nested else text)
        (tmp_path / "terms.json").write_bytes(terms.to_bytes())
        (tmp_path / "preimage").write_text(preimage.hex())
        files = ("--terms", tmp_path / "terms.json", "--preimage-file", tmp_path / "preimage")
        return command("contract", "verify-receipt", tmp_path / "receipt.json", *files, *more)

    return run


@pytest.mark.parametrize("nested", [False, True])
def test_a_fraud_is_proved_from_144_blocks_after_f_on(judge, terms, nested):
    last = terms.schedule.funding_deadline + 144
    early = judge("--tip", last - 1, nested=nested)
    assert (early.exit_code, early.stdout.split(":")[0]) == (0, "too early"), early.stderr
    late = judge("--tip", last, nested=nested)
    assert (late.exit_code, late.stdout.split(":")[0]) == (1, "fraud"), late.stderr


def test_a_repayment_is_counted(judge, receipt, terms, tmp_path):
    reservation = verify_reservation(receipt(), terms, ALICE.x_only)
    asked = sign_repayment_request(ALICE, reservation, payment_hash=sha256(REPAID), created_at=NOW)
    shown = {"request": json.loads(asked.to_json()), "preimage": REPAID.hex()}
    path = tmp_path / "repayment.json"
    path.write_text(json.dumps(shown))
    late = ("--tip", terms.schedule.funding_deadline + 144, "--repayment", path)
    result = judge(*late)
    assert (result.exit_code, result.stdout.split(":")[0]) == (0, "repaid"), result.stderr
    path.write_text(json.dumps({**shown, "preimage": bytes(32).hex()}))
    assert judge(*late).exit_code == 1


def test_what_proves_nothing_is_refused(judge, receipt):
    assert judge("--tip", 1, preimage=bytes(32)).exit_code == 2
    forged = judge("--tip", 1, event=receipt(ALICE))
    assert forged.exit_code == 1
    assert "signed by another key" in forged.stderr
    for options in ((), ("--tip", 1, "--esplora", "http://127.0.0.1:1"), ("--tip", 1, "--contract", "x")):
        result = judge(*options)
        assert result.exit_code == 2
        assert "--esplora" in result.stderr


def test_a_contract_counts_only_when_the_chain_has_it(judge, server, terms, tmp_path):
    data = json.loads((Path(__file__).parents[2] / "vectors" / "dlctix" / "n3k1.json").read_text())
    path = tmp_path / "contract.json"
    path.write_text(json.dumps({"parameters": data["params"], "outpoint": data["funding_outpoint"]}))
    txid = data["funding_outpoint"].split(":")[0]
    server.answers = {
        "GET /blocks/tip/height": terms.schedule.funding_deadline + 144,
        f"GET /tx/{txid}/status": {"confirmed": False},
    }
    result = judge("--esplora", server.url, "--contract", path)
    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "fraud"), result.stderr
    server.answers[f"GET /tx/{txid}/hex"] = b"0200"
    broken = judge("--esplora", server.url, "--contract", path)
    assert broken.exit_code == 1
    assert f"esplora: /tx/{txid}/hex answered no transaction" in broken.stderr
