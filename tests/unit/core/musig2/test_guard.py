"""The import-time guard refuses a library that keeps its structures in another layout."""

import pytest

from coordinator_core.errors import Misuse
from coordinator_core.musig2 import guard, layout, pairs
from coordinator_core.secp256k1 import generator_mul
from coordinator_core.secp256k1.points import parse_native


def test_the_pinned_library_passes() -> None:
    guard.run()


@pytest.mark.parametrize("name", ["_SESSION_MAGIC", "_CACHE_MAGIC"])
def test_a_changed_layout_refuses_to_import(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(layout, name, bytes.fromhex("01020304"))
    with pytest.raises(ImportError, match="unknown layout"):
        guard.run()


@pytest.mark.parametrize("name", ["PAIR_MAGIC", "EVEN_POINT"])
def test_a_changed_layout_of_pairs_refuses_to_import(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    changed = {"PAIR_MAGIC": bytes.fromhex("01020304"), "EVEN_POINT": parse_native(generator_mul(b"\x02" * 32))}
    monkeypatch.setattr(pairs, name, changed[name])
    with pytest.raises((ImportError, Misuse)):
        guard.run()


def test_another_order_of_the_fields_refuses_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    from coordinator_core.musig2 import session

    honest = layout.write_session

    def swapped(native, odd, adapted_x, coefficient, challenge, tweak_part) -> None:
        honest(native, odd, adapted_x, challenge, coefficient, tweak_part)

    monkeypatch.setattr(session, "write_session", swapped)
    with pytest.raises(ImportError, match="sessions"):
        guard.run()
