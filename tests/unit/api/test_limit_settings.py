"""Limits come from the settings: a variable sets one even where the file has no such section."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.api.admission import Limits
from coordinator.config.settings import LimitSettings, load_settings
from coordinator_core.errors import InvalidInput

FILE = """
network = "regtest"
data_dir = "data"
bitcoin = { rpc_url = "http://127.0.0.1:1" }
lightning = { url = "http://127.0.0.1:2", macaroon_file = "m" }
keymeld = { url = "http://127.0.0.1:3" }
oracle = { url = "http://127.0.0.1:4" }
"""


def test_a_variable_sets_a_limit_without_a_section_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "coordinator.toml"
    path.write_text(FILE)
    assert load_settings(path, {}).limits == LimitSettings()
    settings = load_settings(path, {"COORDINATOR_LIMITS_PLAYER_BURST": "7", "COORDINATOR_WEB_PORT": "81"})
    assert (settings.limits.player_burst, settings.web.port) == (7, 81)
    with pytest.raises(InvalidInput, match="unknown field `nothing`"):
        load_settings(path, {"COORDINATOR_LIMITS_NOTHING": "7"})


def test_the_defaults_of_settings_and_of_the_limits_are_the_same() -> None:
    settings, limits = LimitSettings(), Limits()
    assert (settings.address_per_second, settings.address_burst) == (limits.address.per_second, limits.address.burst)
    assert (settings.player_per_second, settings.player_burst) == (limits.player.per_second, limits.player.burst)
    assert settings.tracked == limits.tracked
    assert settings.trusted_proxies == limits.trusted_proxies
