"""One competition from a TOML file, played by three people at terminals: each step is a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from coordinator.cli.dev.funding import Wallet, fund_when_new, make_wallets
from coordinator.cli.dev.node import DevNode
from coordinator.cli.dev.stack_file import StackFile
from coordinator.cli.embedded import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HOUR = 3_600
CLOSES, STARTS, ENDS, SIGNS = 3 * HOUR, 11 * HOUR, 35 * HOUR, 36 * HOUR
PATIENCE = 40.0
ADDRESS = "bcrt1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqvg32hk"
PICKS = ("over", "par", "under")


class Terminal:
    """The command line as people run it, and the chain's clock."""

    def __init__(self, directory: Path, stack: StackFile) -> None:
        self.directory = directory
        self.stack = stack
        self.node = DevNode.of(stack)
        self.url = stack.service("coordinator").url

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "coordinator.cli.main", *(str(a) for a in arguments)]
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def finish(self, process: subprocess.Popen[str], code: int = 0) -> str:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"no end after {PATIENCE} s: {out}{err}") from None
        assert process.returncode == code, f"{process.returncode}: {out}{err}"
        return out

    def run(self, *arguments: object, code: int = 0) -> str:
        return self.finish(self.start(*arguments), code)

    def until(self, name: str, state: str, people: Sequence[subprocess.Popen[str]] = ()) -> None:
        deadline = time.monotonic() + PATIENCE
        while (seen := httpx.get(f"{self.url}/api/v1/competitions/{name}").json())["state"] != state:
            if time.monotonic() > deadline or any(person.poll() for person in people):
                raise AssertionError(f"{state} was awaited, not {seen}; {[told_so_far(person) for person in people]}")
            time.sleep(0.1)

    def let_time_reach(self, moment: int) -> None:
        date = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self.run("mine", "--until", date, "--data-dir", self.directory)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Stack(tmp_path / "stack") as stack:
        stack.start_services(seed="terminal")
        stack.start_coordinator()
        file = StackFile.of(stack.children, stack.directory / "coordinator" / "operator.token")
        file.save(stack.directory)
        fund_when_new(file)
        yield Terminal(stack.directory, file)


def told_so_far(process: subprocess.Popen[str]) -> tuple[int | None, str, str]:
    code = process.poll()
    process.kill()
    return code, *process.communicate()


def terms_file(terminal: Terminal, path: Path) -> tuple[Path, int]:
    _, now = terminal.node.tip()

    def date(offset: int) -> str:
        return datetime.fromtimestamp(now + offset, UTC).isoformat()

    services = terminal.stack.services
    path.write_text(
        f"""
        title = "Tomorrow at two airports"
        network = "regtest"
        targets = ["KORD", "KSAW"]
        metrics = ["temp_high", "temp_low", "wind_speed"]
        values_per_entry = 2
        entries_close = {date(CLOSES)}
        observation_start = {date(STARTS)}
        observation_end = {date(ENDS)}
        signing_date = {date(SIGNS)}
        entry_fee = 50000
        minimum_entries = 3
        maximum_entries = 3
        oracle_url = "{services["oracle"].url}"
        keymeld_gateway = "{services["keymeld"].url}"
        scoring = "fixed"
        closing = {{ sealing = 30, entries = 40, approvals = 30, signatures = 40, kickoff_grace = 60 }}
        """
    )
    return path, now


def test_a_competition_played_from_terminals_pays_its_winner(terminal: Terminal, tmp_path: Path):
    wallets = make_wallets(terminal.stack, tmp_path, 3)
    toml, now = terms_file(terminal, tmp_path / "terms.toml")
    place = ("--data-dir", terminal.directory)
    name = json.loads(terminal.run("competition", "create", toml, "--yes", "--json", *place))["id"]

    with ThreadPoolExecutor(3) as people:
        joined = list(people.map(lambda n: join(terminal, name, tmp_path, n, wallets[n]), range(3)))
    assert all("is held" in out for out in joined)

    watching = [terminal.start("player", "watch", name, *who(tmp_path, n), *paid_by(wallets[n])) for n in range(3)]
    terminal.let_time_reach(now + CLOSES)
    terminal.until(name, "funding_broadcasted", watching)
    terminal.run("mine", "--data-dir", terminal.directory)
    terminal.until(name, "awaiting_attestation", watching)
    terminal.let_time_reach(now + SIGNS + 1)
    terminal.until(name, "outcome_broadcasted", watching)
    terminal.run("mine", "--data-dir", terminal.directory)
    told = [terminal.finish(process) for process in watching]

    terminal.run("mine", *place)
    terminal.until(name, "completed")
    assert "completed, step 7 of 7" in terminal.run("competition", "show", name, *place)
    winners = [n for n in range(3) if "you are number 1" in told[n]]
    assert len(winners) == 1
    assert told[winners[0]].endswith("paid\n")
    assert sum(out.endswith("no prize this time\n") for out in told) == 2

    home = tmp_path / f"home{winners[0]}"
    assert "opens it" in terminal.run("player", "verify", home / f"{name}.kit.json", "--home", home)
    claim = ("player", "claim", name, "--to", ADDRESS, "--esplora", terminal.stack.services["node"].esplora, "--home")
    assert "its output was taken by" in terminal.run(*claim, home)  # by the close: the winner gave its key when paid
    terminal.run(*claim, tmp_path / f"home{(winners[0] + 1) % 3}", code=2)
    keeps_no_secret(home, name)
    promise_is_kept(terminal, home, name)


def join(terminal: Terminal, name: str, directory: Path, number: int, wallet: Wallet) -> str:
    picks = [
        {"target": "KORD", "metric": "temp_high", "choice": PICKS[number]},
        {"target": "KSAW", "metric": "wind_speed", "choice": "over"},
    ]
    file = directory / f"picks{number}.json"
    file.write_text(json.dumps(picks))
    arguments = ("player", "join", terminal.url, name, "--picks", file, "--yes", *who(directory, number))
    return terminal.run(*arguments, *paid_by(wallet))


def who(directory: Path, number: int) -> tuple[object, ...]:
    return ("--home", directory / f"home{number}")


def paid_by(wallet: Wallet) -> tuple[object, ...]:
    return ("--lnd-url", wallet.url, "--macaroon-file", wallet.macaroon_file)


def keeps_no_secret(home: Path, name: str) -> None:
    seed, preimage = ((home / file).read_text().strip() for file in ("seed", f"{name}.preimage"))
    for file in (f"{name}.json", f"{name}.kit.json", f"{name}.terms.json"):
        text = (home / file).read_text()
        assert seed not in text
        assert preimage not in text


def promise_is_kept(terminal: Terminal, home: Path, name: str) -> None:
    """The reservation receipt, judged by anyone who has the contract and a view of the chain."""
    files = ("--terms", home / f"{name}.terms.json", "--preimage-file", home / f"{name}.preimage")
    receipt = ("contract", "verify-receipt", home / f"{name}.json", *files)
    esplora = terminal.stack.services["node"].esplora
    kept = terminal.run(*receipt, "--esplora", esplora, "--contract", home / f"{name}.kit.json")
    assert kept.startswith("kept")
    assert terminal.run(*receipt, "--tip", 400_000, code=1).startswith("fraud")
