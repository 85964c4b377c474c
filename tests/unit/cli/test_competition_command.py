import json
import uuid

import pytest

from coordinator.cli.competition.tables import when

ID = "01926f3a-0000-7000-8000-000000000001"
DRAFT = """
title = "Weather"
network = "regtest"
targets = ["KORD"]
metrics = ["temp_high"]
values_per_entry = 1
entries_close = 2026-10-22T19:18:00Z
observation_start = 2026-10-23T03:18:00Z
observation_end = 2026-10-24T03:18:00Z
signing_date = 2026-10-24T04:18:00Z
entry_fee = 50000
minimum_entries = 3
maximum_entries = 3
oracle_url = "http://127.0.0.1:1"
keymeld_gateway = "http://127.0.0.1:2"
"""
NOW = 1_792_685_880
BUDGET = {
    "title": "Weather",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high"],
    "picks": 1,
    "scoring": "lines",
    "entry_fee": 50_000,
    "coordinator_fee": 1_500,
    "fee_rate_ceiling": 12_500,
    "delta": 144,
    "minimum_entry_fee": 1_781,
    "unpaused_entry_fee": 121_640,
    "route_reach": 4,
    "rows": [
        {
            "entries": 3,
            "outcomes": 4,
            "signing_items": 14,
            "batches": 1,
            "signing_sessions": 4,
            "winner_sets": 4,
            "pool": 150_000,
            "prizes": [{"gross": 150_000, "net": 149_240}],
            "chain_cost": 29_193,
            "network_fees": 36_492,
            "shares": {
                "funding_value": 150_480,
                "outcome_value": 1,
                "ranked": [148_911],
                "refund": 1,
                "expiry": 1,
            },
        }
    ],
    "dates": dict.fromkeys(
        (
            "entries_close",
            "closing_ends",
            "funding_deadline",
            "observation_start",
            "observation_end",
            "signing_date",
            "expiry",
        ),
        NOW + 10_800,
    ),
    "funding_deadline_height": 175,
    "objections": [],
    "findings": [],
    "tip": 153,
    "now": NOW,
}
DETAIL = {
    "id": ID,
    "title": "Weather",
    "state": "collecting_entries",
    "step": 1,
    "players": 0,
    "minimum": 3,
    "maximum": 3,
    "entry_fee": 50_000,
    "closes_at": NOW + 10_800,
    "reason": None,
    "terms_hash": "ab" * 32,
    "attempt": None,
    "waiting_for": [],
    "transactions": [{"role": "funding", "txid": "cd" * 32, "height": None}],
    "outcome": None,
    "tip": 153,
    "now": NOW,
}
CREATE, ASK_BUDGET = "POST /api/v1/operator/competitions", "POST /api/v1/operator/budget"


@pytest.fixture
def draft(tmp_path):
    path = tmp_path / "terms.toml"
    path.write_text(DRAFT)
    return path


@pytest.fixture
def place(server, tmp_path):
    token = tmp_path / "operator.token"
    token.write_text("5e" * 32 + "\n")
    server.answers = {
        ASK_BUDGET: BUDGET,
        CREATE: (201, {"id": ID}),
        f"GET /api/v1/competitions/{ID}": DETAIL,
        "GET /api/v1/competitions": [DETAIL],
        f"GET /api/v1/competitions?before={ID}": [],
        "GET /api/v1/status": {"now": NOW},
    }
    return ("--url", server.url, "--token-file", token)


def test_create_shows_budget_and_dates_and_publishes_the_same_draft(command, server, place, draft):
    result = command("competition", "create", draft, "--yes", *place)
    assert result.exit_code == 0, result.stderr
    assert "149,240" in result.stdout
    assert "148,911" in result.stdout
    assert "height 175" in result.stdout
    assert f"created {ID}, terms {'ab' * 32}" in result.stdout
    (asked,) = server.bodies(ASK_BUDGET)
    assert server.bodies(CREATE) == [asked]
    assert asked["draft"]["entry_fee"] == 50_000
    headers = {what: headers for what, headers, _ in server.asked}[CREATE]
    assert headers["Authorization"] == f"Bearer {'5e' * 32}"
    assert headers["Idempotency-Key"]


@pytest.mark.parametrize(("answer", "created"), [("y\n", 1), ("n\n", 0), ("", 0)])
def test_create_asks_before_it_publishes(command, server, place, draft, answer, created):
    result = command("competition", "create", draft, *place, stdin=answer)
    assert result.exit_code == (0 if created else 1)
    assert len(server.bodies(CREATE)) == created


def test_create_publishes_nothing_that_the_budget_objects_to(command, server, place, draft):
    objection = {"field": "terms.money.entry_fee", "reason": "is dust", "fix": "at least 1781 sat"}
    server.answers[ASK_BUDGET] = {**BUDGET, "objections": [objection]}
    result = command("competition", "create", draft, "--yes", *place)
    assert result.exit_code == 2
    assert result.stderr == "Error: terms.money.entry_fee: is dust (at least 1781 sat)\n"
    assert server.bodies(CREATE) == []


def test_a_competition_that_is_not_published_says_why(command, server, place, draft, monkeypatch):
    monkeypatch.setattr("coordinator.cli.competition.command.PUBLISH_SECONDS", -1.0)
    server.answers[f"GET /api/v1/competitions/{ID}"] = {**DETAIL, "state": "created"}
    server.answers[f"GET /api/v1/operator/competitions/{ID}/log"] = {"duties": [{"error": "oracle: is away"}]}
    result = command("competition", "create", draft, "--yes", *place)
    assert result.exit_code == 1
    assert f"{ID} is made but not published: oracle: is away" in result.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("entry_fee", "entri_fee"), "unknown field `entri_fee`"),
        (("50000", '"much"'), "draft.entry_fee"),
        (("title =", "title"), "is not TOML"),
        (("T19:18:00Z", "T19:18:00"), "draft.entries_close"),
    ],
)
def test_a_bad_file_is_refused_before_anyone_is_asked(command, server, place, draft, change, words):
    draft.write_text(DRAFT.replace(*change))
    result = command("competition", "create", draft, "--yes", *place)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert server.asked == []


def test_refusals_of_the_coordinator_are_told_once_with_field_and_fix(command, server, place, draft):
    problem = {"detail": "terms.x: is wrong (do y)", "field": "terms.x", "fix": "do y", "code": "input.invalid"}
    server.answers[ASK_BUDGET] = (400, problem)
    result = command("competition", "create", draft, "--yes", *place)
    assert (result.exit_code, result.stderr) == (2, "Error: terms.x: is wrong (do y)\n")
    server.answers[ASK_BUDGET] = (401, {"detail": "the operator token is missing or wrong"})
    result = command("competition", "create", draft, "--yes", *place)
    assert result.exit_code == 2
    assert "--token-file: the operator token is missing or wrong" in result.stderr
    server.answers[ASK_BUDGET] = (503, {"detail": "oracle is not available"})
    result = command("competition", "create", draft, "--yes", *place)
    assert (result.exit_code, result.stderr) == (1, "Error: coordinator: oracle is not available\n")


def test_list_show_and_cancel(command, server, place):
    listed = command("competition", "list", *place)
    assert ID in listed.stdout
    assert "0 of 3 players, 50,000 sat" in listed.stdout
    shown = command("competition", "show", ID, *place)
    assert "collecting entries, step 1 of 7" in shown.stdout
    assert f"{'cd' * 32} unconfirmed" in shown.stdout
    cancel = f"POST /api/v1/operator/competitions/{ID}/cancel"
    server.answers[cancel] = {"cancelled": True}
    assert command("competition", "cancel", ID, *place).exit_code == 2
    assert command("competition", "cancel", ID, "--reason", "storm", *place).exit_code == 0
    assert server.bodies(cancel) == [{"reason": "storm"}]


def test_words_of_others_cannot_move_the_cursor_or_colour_the_text(command, server, place):
    hostile = {**DETAIL, "title": "\x1b[2Jhello [bold red]x[/]", "reason": "a\nb\x07"}
    server.answers[f"GET /api/v1/competitions/{ID}"] = hostile
    server.answers["GET /api/v1/competitions"] = [hostile]
    for arguments in (("show", ID), ("list",)):
        shown = command("competition", *arguments, *place).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[bold red]x[/]" in shown


def test_every_page_is_listed_and_one_that_leads_back_is_the_last(command, server, place):
    older = str(uuid.UUID(int=uuid.UUID(ID).int - 1))
    server.answers[f"GET /api/v1/competitions?before={ID}"] = [{**DETAIL, "id": older}]
    server.answers[f"GET /api/v1/competitions?before={older}"] = []
    listed = json.loads(command("competition", "list", "--json", *place).stdout)
    assert [item["id"] for item in listed] == [ID, older]
    server.answers[f"GET /api/v1/competitions?before={older}"] = [DETAIL]
    listed = json.loads(command("competition", "list", "--json", *place).stdout)
    assert [item["id"] for item in listed] == [ID, older, ID]


def test_without_an_address_the_options_are_named(command):
    result = command("competition", "list")
    assert result.exit_code == 2
    assert "--url" in result.stderr
    gone = command("competition", "list", "--url", "http://127.0.0.1:1")
    assert gone.exit_code == 1
    assert "does not answer" in gone.stderr


def test_dates_say_how_far_they_are():
    assert when(NOW + 90_000, NOW).endswith("(in 1 d 1 h)")
    assert when(NOW - 3_660, NOW).endswith("(1 h 1 min ago)")
