"""How the process of a coordinator ends: told to, told twice, told while it starts, unable to listen, beyond repair."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from coordinator.cli.embedded import Stack
from coordinator.cli.serving import EXIT_DRAINED, EXIT_ESCALATED, SERVER_SECONDS, STOP_SECONDS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("shutdown")]
PATIENCE = 120
LIMIT = STOP_SECONDS + SERVER_SECONDS


class House:
    """Services, and coordinators one after the other on the same data."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = stack.write_settings(stack.url("oracle"))
        self.log = stack.directory / "words.log"

    @property
    def database(self) -> Path:
        return self.stack.directory / "coordinator" / "coordinator.db"

    @contextmanager
    def coordinator(self) -> Iterator[subprocess.Popen[str]]:
        """One that was started and may not have said anything."""
        command = [sys.executable, "-m", "coordinator.cli.main", "run", "--settings", str(self.settings)]
        environment = {**os.environ, "COORDINATOR_PASSPHRASE": "regtest only"}
        with (
            self.log.open("w") as errors,
            subprocess.Popen(
                [*command, "--ready-line"], stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def ask(self, path: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=PATIENCE)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database)) as connection:
            found = connection.execute(query).fetchall()
            connection.commit()
            return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Stack(tmp_path_factory.mktemp("shutdown")) as stack:
        stack.start_services()
        yield House(stack)


def served(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert '"coordinator"' in process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_drains_and_closes_the_database(house: House, number: signal.Signals) -> None:
    with house.coordinator() as process:
        served(process)
        assert house.ask("/livez")[0] == 200
        with closing(socket.create_connection(("127.0.0.1", house.stack.port))) as kept_alive:
            kept_alive.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert kept_alive.recv(4_096).startswith(b"HTTP/1.1 200")
            told = time.monotonic()
            process.send_signal(number)
            assert process.wait(PATIENCE) == EXIT_DRAINED
        assert time.monotonic() - told < LIMIT
    assert not house.database.with_name("coordinator.db-wal").exists()
    words = house.log.read_text()
    assert '"drained": true' in words
    assert "Traceback" not in words


def test_told_while_it_starts_it_ends_at_once_and_starts_again(house: House) -> None:
    with house.coordinator() as process:
        # The line that names the settings is the last one before the services are asked.
        while "http://" not in house.log.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert process.wait(PATIENCE) in (EXIT_DRAINED, -signal.SIGTERM)
        assert time.monotonic() - told < LIMIT
        assert process.stdout is not None
        assert process.stdout.read() == ""
    with house.coordinator() as process:
        served(process)
        assert house.ask("/livez")[0] == 200


def test_a_port_that_is_taken_is_said_in_one_sentence(house: House) -> None:
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", house.stack.port))
        other.listen()
        with house.coordinator() as process:
            assert process.wait(PATIENCE) == 1
    last = house.log.read_text().strip().splitlines()[-1]
    assert last.startswith("coordinator: ")
    assert "web.port" in last
    assert "in use" in last


def test_a_loop_that_cannot_live_ends_the_process_and_the_next_start_goes_on(house: House) -> None:
    with house.coordinator() as process:
        served(process)
        house.rows("ALTER TABLE timer RENAME TO timer_away")
        assert process.wait(PATIENCE) == EXIT_ESCALATED
    assert "the process has to end" in house.log.read_text()
    house.rows("ALTER TABLE timer_away RENAME TO timer")
    with house.coordinator() as process:
        served(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == EXIT_DRAINED


def test_without_keymeld_and_oracle_it_starts_and_says_what_is_away(house: House) -> None:
    for name in ("keymeld", "oracle"):
        house.stack.children[name].stop()
    with house.coordinator() as process:
        served(process)
        status, body = house.ask("/api/v1/status")
        assert status == 200
        assert {one["dependency"] for one in json.loads(body)["away"]} == {"keymeld", "oracle"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == EXIT_DRAINED


def test_with_a_node_of_another_network_it_refuses_in_one_sentence(house: House) -> None:
    settings = house.settings.read_text()
    house.settings.write_text(settings.replace('network = "regtest"', 'network = "signet"'))
    try:
        with house.coordinator() as process:
            assert process.wait(PATIENCE) == 1
    finally:
        house.settings.write_text(settings)
    said = house.log.read_text().strip().splitlines()[-1]
    assert said.startswith("coordinator: ")
    assert "signet" in said
