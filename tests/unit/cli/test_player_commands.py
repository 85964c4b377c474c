import copy
import json
from pathlib import Path

import pytest

from coordinator.cli.player.by_hand import WalletByHand, qr_code
from coordinator.cli.player.home import EntryState, Home
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret

VECTORS = Path(__file__).parents[2] / "vectors"
INVOICES = {v["name"]: v for v in json.loads((VECTORS / "bolt11.json").read_text())["valid"]}
TERMS = convert_strict(copy.deepcopy(json.loads((VECTORS / "terms.json").read_text())["terms"]), Terms, "terms")
NAME = str(TERMS.competition_id)
PICKS = [{"target": t, "metric": "rain_amt", "choice": "over"} for t in ("KORD", "KSAW")]


@pytest.fixture
def coffee() -> tuple[str, int]:
    """An invoice of the BOLT11 examples, and its amount in sat."""
    found = next(v for v in INVOICES.values() if v["invoice"].startswith("lnbc2500u"))
    return found["invoice"], 250_000


@pytest.fixture
def picks_file(tmp_path):
    path = tmp_path / "picks.json"
    path.write_text(json.dumps(PICKS))
    return path


@pytest.fixture
def place(server, tmp_path):
    server.answers[f"GET /api/v1/competitions/{NAME}/terms"] = TERMS.to_bytes()
    return (server.url, NAME, "--home", tmp_path / "home", "--yes")


async def test_by_hand_the_invoice_is_shown_with_its_amount(coffee):
    invoice, amount = coffee
    shown: list[str] = []
    await WalletByHand(shown.append, draw=True).pay_held(invoice, 1)
    text = "\n".join(shown)
    assert invoice in text
    assert f"{amount:,} sat" in text
    assert qr_code(invoice) in text
    shown.clear()
    await WalletByHand(shown.append, draw=False).pay_held(invoice, 1)
    assert "█" not in "".join(shown)


async def test_by_hand_only_an_invoice_over_the_exact_prize_is_handed_over(coffee):
    invoice, amount = coffee
    wallet = WalletByHand(lambda _: None, draw=False, invoice=invoice)
    assert await wallet.make_invoice(amount, 600) == invoice
    for wrong in (amount - 1, amount + 1):
        with pytest.raises(InvalidInput, match=f"exactly {wrong} sat"):
            await wallet.make_invoice(wrong, 600)
    with pytest.raises(InvalidInput):
        await wallet.make_invoice(amount, 600, Secret(bytes(32)))
    with pytest.raises(InvalidInput):
        await WalletByHand(lambda _: None, draw=False).make_invoice(amount, 600)


def test_join_checks_the_picks_against_the_terms_before_it_reserves(command, server, place, picks_file):
    result = command("player", "join", *place, "--picks", picks_file)
    assert result.exit_code == 2
    assert "picks: 2 picks (exactly 3)" in result.stderr
    assert [what for what, _, _ in server.asked] == [f"GET /api/v1/competitions/{NAME}/terms"]


@pytest.mark.parametrize(
    "text", ["[", "{}", '[{"target": "KORD"}]', '[{"target": "KORD", "metric": "x", "choice": 3}]']
)
def test_join_names_what_is_wrong_in_the_picks_file(command, server, place, picks_file, text):
    picks_file.write_text(text)
    result = command("player", "join", *place, "--picks", picks_file)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: picks")
    assert server.asked == []


def test_join_goes_on_with_the_same_picks_only(command, place, picks_file, tmp_path):
    other = Pick(target="KORD", metric="temp_high", choice=Choice.PAR)
    state = EntryState(url="http://c", competition=NAME, entry_id=NAME, picks=(other,))
    Home(tmp_path / "home").save(state)
    result = command("player", "join", *place, "--picks", picks_file)
    assert result.exit_code == 2
    assert "--picks: are others than those of your entry" in result.stderr


def test_a_wallet_needs_its_macaroon(command, place, picks_file):
    result = command("player", "join", *place, "--picks", picks_file, "--lnd-url", "https://127.0.0.1:1")
    assert result.exit_code == 2
    assert "--macaroon-file" in result.stderr


def test_terms_of_another_competition_are_refused(command, server, place, picks_file):
    other = NAME[:-1] + ("1" if NAME[-1] != "1" else "2")
    terms = TERMS.to_bytes().replace(NAME.encode(), other.encode())
    server.answers[f"GET /api/v1/competitions/{NAME}/terms"] = terms
    result = command("player", "join", *place, "--picks", picks_file)
    assert (result.exit_code, result.stderr) == (1, "Error: terms: are of another competition\n")


def test_an_invoice_is_taken_only_with_consent_in_words(command, tmp_path, coffee):
    result = command("player", "watch", NAME, "--home", tmp_path / "home", "--invoice", coffee[0])
    assert result.exit_code == 2
    assert "only after you hand over the payout preimage" in result.stderr
    assert "--i-give-the-preimage-first" in result.stderr


def test_watch_and_claim_without_an_entry_say_what_comes_first(command, tmp_path):
    for name in ("watch", "claim"):
        result = command("player", name, NAME, "--home", tmp_path / "home")
        assert result.exit_code == 2, result.stderr
        assert result.stderr.startswith("Error: competition: has no")


def test_verify_reads_signed_contracts_and_names_what_is_neither(command, tmp_path):
    data = json.loads((VECTORS / "dlctix" / "bound_anchor_n3k2.json").read_text())
    dlc = {"params": data["params"], "funding_outpoint": data["funding_outpoint"]}
    signed = {"signatures": data["signatures"], "dlc": dlc}
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(signed))
    good = command("player", "verify", path)
    assert (good.exit_code, "signatures verify" in good.stdout) == (0, True), good.stderr
    text = json.dumps(signed)
    first = next(v for v in _hex_values(signed["signatures"]) if len(v) >= 128)
    changed = first[:-2] + f"{int(first[-2:], 16) ^ 1:02x}"
    path.write_text(text.replace(first, changed, 1))
    assert command("player", "verify", path).exit_code == 1
    for bad in ("[]", "{}", "nonsense"):
        path.write_text(bad)
        assert command("player", "verify", path).exit_code == 2


def _hex_values(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _hex_values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _hex_values(inner)
