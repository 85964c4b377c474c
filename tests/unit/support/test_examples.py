import pytest

from tests.support.examples import SWITCH, sweep


@pytest.mark.parametrize(("asked", "few"), [(400, 133), (150, 50), (100, 50), (60, 50), (20, 20)])
def test_a_sweep_is_whole_where_all_is_asked_for(monkeypatch: pytest.MonkeyPatch, asked: int, few: int) -> None:
    monkeypatch.setenv(SWITCH, "all")
    assert sweep(asked) == asked
    monkeypatch.delenv(SWITCH)
    assert sweep(asked) == few
