import pytest

from coordinator_core.competition.payouts import attested_weights, equal_weights, payouts_at, ranked_weights
from coordinator_core.errors import InvalidInput


def test_every_outcome_in_order_with_refund_all_last():
    assert list(attested_weights(3, (60, 40))) == [
        {0: 60, 1: 40},
        {0: 60, 2: 40},
        {0: 40, 1: 60},
        {1: 60, 2: 40},
        {0: 40, 2: 60},
        {1: 40, 2: 60},
        {0: 1, 1: 1, 2: 1},
    ]
    assert equal_weights(2) == {0: 1, 1: 1}
    assert list(ranked_weights((2, 0), (60, 40))) == [0, 2]
    with pytest.raises(InvalidInput):
        ranked_weights((0,), (60, 40))


def test_lightning_payouts(terms):
    first, second = payouts_at(terms, 3, 4)
    assert (first.player, first.place, first.gross, first.net) == (2, 1, 90_000, 89_540)
    assert (second.player, second.place, second.gross, second.net) == (0, 2, 60_000, 59_690)
    refund = [(p.player, p.place, p.gross, p.net) for p in payouts_at(terms, 3, 6)]
    assert refund == [(i, None, 50_000, 50_000) for i in range(3)]
    assert payouts_at(terms, 3, None) == payouts_at(terms, 3, 6)
    with pytest.raises(InvalidInput):
        payouts_at(terms, 3, 7)
