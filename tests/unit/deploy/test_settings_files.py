"""The settings beside the unit and the image are read by the coordinator's own reader."""

import re
from pathlib import Path

import pytest

from coordinator.config.settings import SECRETS, load_settings

DEPLOY = Path(__file__).parents[3] / "deploy"


def environment_of_the_unit() -> dict[str, str]:
    lines = re.findall(r"^Environment=(\w+)=(.+)$", (DEPLOY / "coordinator.service").read_text(), re.MULTILINE)
    places = {"%d": "/run/credentials/coordinator.service", "%S": "/var/lib"}
    return {name: re.sub("%[dS]", lambda found: places[found[0]], value) for name, value in lines}


def test_the_unit_and_its_settings_agree() -> None:
    environment = environment_of_the_unit()
    settings = load_settings(DEPLOY / "coordinator.toml", environment)
    assert settings.data_dir == "/var/lib/coordinator"
    assert settings.lightning.macaroon_file == "/run/credentials/coordinator.service/macaroon"
    assert settings.lightning.certificate_file == "/run/credentials/coordinator.service/lnd.cert"
    assert {f"COORDINATOR_{name}_FILE" for name in SECRETS} <= environment.keys()


def test_every_credential_is_used_and_no_other() -> None:
    unit = (DEPLOY / "coordinator.service").read_text()
    loaded = set(re.findall(r"^LoadCredential=([^:]+):", unit, re.MULTILINE))
    assert loaded == set(re.findall(r"%d/(\S+)", unit))
    assert len(loaded) == 4


def test_the_settings_of_the_image() -> None:
    settings = load_settings(DEPLOY / "container.toml", {})
    image = (DEPLOY / "Containerfile").read_text()
    assert f'VOLUME ["{settings.data_dir}"]' in image
    assert f"EXPOSE {settings.web.port}\n" in image
    assert settings.web.host == "0.0.0.0"  # noqa: S104  (what the file says)


@pytest.mark.parametrize("name", ["coordinator.toml", "container.toml"])
def test_examples_are_no_mainnet_and_hold_no_secret(name: str) -> None:
    settings = load_settings(DEPLOY / name, {})
    assert settings.network == "signet"
    assert settings.web.public_url.startswith("https://")
    assert "password" not in (DEPLOY / name).read_text()
