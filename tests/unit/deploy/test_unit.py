"""What the systemd unit promises, read from its text: this works where systemd is not installed."""

import re
from pathlib import Path

import pytest

from coordinator.cli.serving import EXIT_CUT_OFF, EXIT_ESCALATED, SERVER_SECONDS, STOP_SECONDS
from coordinator.engine.supervisor import END_SECONDS
from tests.harness.lives import ENVIRONMENT

UNIT = Path(__file__).parents[3] / "deploy/coordinator.service"
PROMISES = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "StateDirectory": "coordinator",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "LimitCORE": "0",
    "Restart": "always",
}


@pytest.fixture(scope="module")
def service() -> dict[str, list[str]]:
    """Values by name of the section [Service]."""
    section = UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("name", PROMISES)
def test_it_is_hardened(service: dict[str, list[str]], name: str) -> None:
    assert service[name] == [PROMISES[name]]


def test_no_secret_is_in_the_environment(service: dict[str, list[str]]) -> None:
    assert "EnvironmentFile" not in service
    settings = [value.partition("=") for value in service["Environment"] if value.startswith("COORDINATOR_")]
    assert len(settings) == 5
    for name, _, path in settings:
        assert not name.endswith(("PASSPHRASE", "PASSWORD"))
        assert path.startswith(("%d/", "%S/"))


def test_it_ends_as_the_coordinator_wants_to_end(service: dict[str, list[str]]) -> None:
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["KillMode"] == ["mixed"]
    assert service["SuccessExitStatus"] == [str(EXIT_CUT_OFF)]
    # A failure to systemd, so that it is seen; started again all the same.
    assert str(EXIT_ESCALATED) not in service["SuccessExitStatus"]
    assert int(service["TimeoutStopSec"][0].removesuffix("s")) > STOP_SECONDS + SERVER_SECONDS + END_SECONDS
    assert service["ExecStart"][0].split()[1:] == [
        *("run", "--settings", "/etc/coordinator/coordinator.toml", "--stop-unreadable"),
    ]


def test_memory_is_bounded_as_it_was_measured(service: dict[str, list[str]]) -> None:
    image = UNIT.with_name("Containerfile").read_text()
    for name, value in ENVIRONMENT.items():
        assert f"{name}={value}" in service["Environment"]
        assert re.search(rf"^ENV (?:.* \\\n)*.*\b{name}={value}\b", image, re.MULTILINE)
