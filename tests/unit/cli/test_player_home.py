import os
import stat

import pytest

from coordinator.cli.player.home import EntryState, Home
from coordinator.player.closing import Sealing
from coordinator.player.play import Player
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.errors import InvalidInput

NAME = "01926f3a-0000-7000-8000-000000000001"


class NoWallet:
    async def close(self) -> None:
        pass


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def test_the_seed_is_made_once_for_its_owner_only(home):
    assert not home.has_seed
    first, again = home.keys(), home.keys()
    assert first.seed.reveal() == again.seed.reveal()
    assert stat.S_IMODE((home.directory / "seed").stat().st_mode) == 0o600
    assert Home(home.directory / "other").keys().seed.reveal() != first.seed.reveal()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_seed_that_others_can_read_is_refused(home, mode):
    home.keys()
    os.chmod(home.directory / "seed", mode)
    with pytest.raises(InvalidInput, match="can be read by others"):
        home.keys()


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31])
def test_a_seed_that_is_none_is_named_without_showing_it(home, text):
    home.keys()
    (home.directory / "seed").write_text(text)
    with pytest.raises(InvalidInput) as refused:
        home.keys()
    assert "seed" in refused.value.field
    assert not text or text not in str(refused.value)


def test_a_player_goes_on_from_what_was_kept_and_no_secret_is_in_it(home):
    keys = home.keys()
    player = Player("http://c", keys, NoWallet(), NAME)  # type: ignore[arg-type]
    player.terms_hash, player.entry_id, player.ticket_hash = bytes([1]) * 32, NAME, "ab" * 32
    player.invoice, player.contract, player.payout_request = "lnbcrt1x", "cd" * 32, "lnbcrt1y"
    player.entries_seen = {NAME: "ef" * 32}
    player.picks = (Pick(target="KORD", metric="temp_high", choice=Choice.PAR),)
    player.sealing = Sealing(2, {"a": 1}, {"b": 2}, "{}")
    state = EntryState(url="http://c", competition=NAME)
    state.take_from(player)
    home.save(state)
    again = Player("http://c", keys, NoWallet(), NAME)  # type: ignore[arg-type]
    home.entry(NAME).give_to(again)
    for name in (
        "terms_hash",
        "entry_id",
        "ticket_hash",
        "invoice",
        "contract",
        "entries_seen",
        "payout_request",
        "picks",
        "sealing",
    ):
        assert getattr(again, name) == getattr(player, name), name
    text = (home.directory / f"{NAME}.json").read_text()
    for secret in (keys.seed.reveal(), keys.secret.reveal(), keys.identity.reveal()):
        assert secret.hex() not in text


def test_a_competition_without_an_entry_and_a_broken_state_are_named(home):
    with pytest.raises(InvalidInput, match="has no entry"):
        home.entry(NAME)
    home.keys()
    (home.directory / f"{NAME}.json").write_text('{"url": 1}')
    with pytest.raises(InvalidInput):
        home.find(NAME)
