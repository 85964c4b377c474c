"""`coordinator admin money` and `audit` as a person reads them: nothing that was found is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ID = "01926f3a-0000-7000-8000-000000000001"
BASE = "/api/v1/operator"
DONE = {
    "complete": True,
    "done": ["chain", "invoices", "payments"],
    "waits_for": "",
    "looked_at": 12,
    "differences": 2,
    "contradictions": 1,
}
PAYMENT = {
    "payment_hash": "aa" * 32,
    "value": 5_000,
    "created_at": 1,
    "state": "succeeded",
    "explained": False,
    "holds": "",
}
FOUND: dict[str, Any] = {
    "reconciliation": DONE,
    "amounts": {"held": {"sats": 157_200, "at": 1}, "wallet": {"sats": 0, "at": 1}},
    "faults": [],
    "payments": [],
    "invoices": [],
}


@pytest.fixture
def shown(command: Any, server: Any, tmp_path: Path) -> Any:
    token = tmp_path / "operator.token"
    token.write_text("5e" * 32)

    def run(what: str, answer: Any, *words: str) -> list[str]:
        server.answers = {f"GET {BASE}/{what}": answer}
        result = command("admin", what, *words, "--url", server.url, "--token-file", token)
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()

    return run


class TestMoney:
    def test_amounts_have_their_age_and_a_zero_is_shown_as_one(self, shown: Any) -> None:
        first, held, wallet = shown("money", FOUND)
        assert first == "compared: 12 compared, 2 differences, 1 contradictions"
        assert held.startswith("held: 157200 sat, ")
        assert wallet.startswith("wallet: 0 sat, ")

    def test_a_comparison_that_goes_on_says_what_it_waits_for(self, shown: Any) -> None:
        waiting = {**DONE, "complete": False, "waits_for": "block 101"}
        first, *_ = shown("money", {**FOUND, "reconciliation": waiting})
        assert first.startswith("being compared: ")
        assert first.endswith(", waits for block 101")

    def test_what_does_not_add_up_names_its_competition_or_the_house(self, shown: Any) -> None:
        faults = [{"competition": ID, "what": "paid twice\x1b[31m"}, {"competition": None, "what": "a gap of 5 sat"}]
        lines = shown("money", {**FOUND, "faults": faults})
        assert f"does not add up: {ID}, paid twice" in lines[-2]
        assert "\x1b" not in lines[-2]
        assert lines[-1] == "does not add up: coordinator, a gap of 5 sat"

    @pytest.mark.parametrize(
        ("more", "end"),
        [
            ({}, "succeeded, unexplained"),
            ({"holds": "entry-1"}, "succeeded, may have paid entry-1"),
            ({"holds": "entry-1", "explained": True}, "succeeded, explained"),
        ],
    )
    def test_a_payment_says_what_it_holds_back(self, shown: Any, more: dict[str, Any], end: str) -> None:
        line = shown("money", {**FOUND, "payments": [{**PAYMENT, **more}]})[-1]
        assert line.startswith(f"payment {'aa' * 32}, 5000 msat, ")
        assert line.endswith(end)

    def test_an_invoice_without_a_ticket_is_listed(self, shown: Any) -> None:
        invoice = {"payment_hash": "bb" * 32, "value": 52_400, "created_at": 1, "state": "ACCEPTED"}
        line = shown("money", {**FOUND, "invoices": [invoice]})[-1]
        assert line.startswith(f"invoice {'bb' * 32}, 52400 sat, ")
        assert line.endswith("ACCEPTED, no ticket explains it")

    def test_json_is_the_whole_answer(self, shown: Any) -> None:
        [line] = shown("money", FOUND, "--json")
        assert json.loads(line) == FOUND


LINE = {"seq": 4, "at": 1, "who": "operator", "act": "retry", "competition": ID, "subject": "ln.pay", "reason": "w"}


class TestAudit:
    def test_each_act_is_one_line(self, shown: Any) -> None:
        house = {**LINE, "seq": 5, "act": "freeze", "competition": "", "subject": ""}
        first, second = shown("audit", [LINE, house])
        assert first.startswith("4 ")
        assert first.endswith(f" operator retry {ID} ln.pay: w")
        assert second.endswith(" operator freeze: w")

    def test_nothing_is_said_as_well(self, shown: Any) -> None:
        assert shown("audit", []) == ["no operator did anything yet"]
