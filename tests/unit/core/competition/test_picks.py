from hashlib import sha256
from uuid import UUID

import pytest

from coordinator_core.competition.picks import Choice, Pick, check_picks, commit, verify_opening
from coordinator_core.errors import InvalidInput, VerificationFailed

ENTRY = UUID("01926f3a-0000-7000-8000-000000000001")
SALT = bytes(range(32))


def pick(target, metric, choice="over"):
    return Pick(target=target, metric=metric, choice=Choice(choice))


PICKS = [pick("KSAW", "temp_high"), pick("KORD", "temp_high", "par"), pick("KORD", "rain_amt", "under")]


def test_the_commitment_by_hand():
    canonical = (
        b'[{"choice":"under","metric":"rain_amt","target":"KORD"},'
        b'{"choice":"par","metric":"temp_high","target":"KORD"},'
        b'{"choice":"over","metric":"temp_high","target":"KSAW"}]'
    )
    assert commit(ENTRY, SALT, PICKS) == sha256(b"coordinator/picks/v1" + ENTRY.bytes + SALT + canonical).digest()
    assert commit(ENTRY, SALT, PICKS[::-1]) == commit(ENTRY, SALT, PICKS)


def test_an_opening_must_be_what_was_committed_to(terms):
    commitment = commit(ENTRY, SALT, PICKS)
    opened = verify_opening(commitment, ENTRY, SALT, PICKS, terms.observation)
    assert [p.target for p in opened] == ["KORD", "KORD", "KSAW"]
    other = [*PICKS[:2], pick("KORD", "rain_amt", "over")]
    for entry, salt, picks in (
        (ENTRY, SALT, other),
        (ENTRY, SALT[::-1], PICKS),
        (UUID(int=1), SALT, PICKS),
    ):
        with pytest.raises(VerificationFailed):
            verify_opening(commitment, entry, salt, picks, terms.observation)
    with pytest.raises(InvalidInput, match="salt"):
        verify_opening(commitment, ENTRY, SALT[:31], PICKS, terms.observation)


@pytest.mark.parametrize(
    ("picks", "field"),
    [
        (PICKS[:2], "picks"),
        ([*PICKS, pick("KSAW", "rain_amt")], "picks"),
        ([*PICKS[:2], PICKS[0]], "picks[2]"),
        ([*PICKS[:2], pick("KAAA", "rain_amt")], "picks[2]"),
        ([*PICKS[:2], pick("KORD", "humidity")], "picks[2]"),
    ],
)
def test_picks_fit_the_terms(terms, picks, field):
    with pytest.raises(InvalidInput) as caught:
        check_picks(picks, terms.observation)
    assert caught.value.field == field
