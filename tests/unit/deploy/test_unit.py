"""What the systemd unit promises, read from its text: this works where systemd is not installed."""

from pathlib import Path

import pytest

from coordinator.cli.serving import EXIT_CUT_OFF, EXIT_ESCALATED, SERVER_SECONDS, STOP_SECONDS
from coordinator.engine.supervisor import END_SECONDS

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
    for value in service["Environment"]:
        name, _, path = value.partition("=")
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
