"""The type checker refuses what the typestates forbid: one deliberate mistake a line, each marked, nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAMPLE = """\
from typing import assert_never

from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    Completed,
    CollectingEntries,
    Created,
    FundingBroadcasted,
    FundingConfirmed,
    FundingReady,
    Opening,
)
from coordinator.domain.facts import HoldsRead, Keygen
from coordinator.domain.typestate import Step
from coordinator_core.units import Confirmations, Height


def transition_of_another_state(state: FundingConfirmed, read: HoldsRead) -> None:
    state.broadcast(read)  # reportAttributeAccessIssue


def transition_of_an_ended_state(state: Completed) -> None:
    state.give_up("r")  # reportAttributeAccessIssue


def wrong_evidence(state: FundingReady, keygen: Keygen) -> None:
    state.broadcast(keygen)  # reportArgumentType


def missing_evidence(state: AwaitingKeygen) -> None:
    state.keys_verified()  # reportCallIssue


def confirmations_for_a_height(state: FundingBroadcasted, depth: Confirmations) -> None:
    state.confirmed(depth)  # reportArgumentType


def wrong_next_state(state: Created) -> Step[FundingConfirmed]:
    return state.publish("h")  # reportReturnType


def forgotten_state(state: Opening) -> str:
    match state:
        case Created() | CollectingEntries():
            return "open"
        case _:
            assert_never(state)  # reportArgumentType


def changed_in_place(state: FundingReady) -> None:
    state.funding_txid = "x"  # reportAttributeAccessIssue


def data_of_another_state(state: CollectingEntries) -> tuple[str, ...]:
    return state.roster  # reportAttributeAccessIssue


def right(state: FundingReady, read: HoldsRead, height: Height) -> Step[FundingConfirmed]:
    return state.broadcast(read).state.confirmed(height)
"""


@pytest.mark.starts_processes("the type checker is a program")
def test_each_mistake_is_an_error_of_its_line_and_the_right_use_is_none(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(SAMPLE)
    settings = {"typeCheckingMode": "standard", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        pytest.skip(f"pyright cannot run here: {(done.stderr or done.stdout).strip()[:200]}")
    found = {(d["range"]["start"]["line"] + 1, d["rule"]) for d in report["generalDiagnostics"]}
    lines = enumerate(SAMPLE.splitlines(), start=1)
    marked = {(number, mark[1]) for number, line in lines if (mark := re.search(r"# (report\w+)$", line))}
    assert len(marked) == 9
    assert found == marked
