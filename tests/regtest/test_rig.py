"""The rig itself: it ends what it started, also when it is killed; time and estimates go where tests send them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.daemons.locate import Daemons
from tools.regtest import Bitcoind, Rig
from tools.regtest.ports import free_port

ROOT = Path(__file__).parents[2]
DAY = 86_400
PATIENCE = 60
KILLED = """
import json, sys, time
from pathlib import Path
from tools.daemons.locate import daemons
from tools.regtest import Rig
with Rig(daemons(), Path(sys.argv[1]), channels=()) as rig:
    print(json.dumps([rig.chain.pid, rig.chain.rpc_port]), flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_daemons_end_with_a_rig_that_was_killed(real_daemons: Daemons, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid, _ = json.loads(process.stdout.readline())
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline, "bitcoind outlived its rig"


def test_a_port_is_given_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 for port in ports)


def test_time_goes_forwards_for_all(real_rig: Rig) -> None:
    moment = real_rig.chain.time + 30 * DAY
    height = real_rig.pass_until(moment)
    tip = real_rig.chain.call("getblockheader", real_rig.chain.call("getbestblockhash"))
    assert tip["time"] == moment
    for node in real_rig.nodes.values():
        info = node.get("/v1/getinfo")
        assert (info["block_height"], info["synced_to_chain"]) == (height, True)
    with pytest.raises(ValueError, match="forwards only"):
        real_rig.chain.set_time(moment - 1)


def test_bitcoind_restarts_and_is_killed_on_a_chain_that_lies_ahead(real_daemons: Daemons, tmp_path: Path) -> None:
    with Rig(real_daemons, tmp_path, channels=()) as rig:
        rig.pass_until(rig.chain.time + 3 * DAY)
        before = rig.chain.height
        for how in (Bitcoind.stop, Bitcoind.kill):
            assert rig.restart_chain(how=how) == before + 1
            before += 1
        assert rig.chain.time >= time.time() + 2 * DAY


def test_a_node_that_was_killed_is_payable_again(real_rig: Rig) -> None:
    coordinator, alice = real_rig["coordinator"], real_rig["alice"]
    coordinator.kill()
    assert not coordinator.is_running
    real_rig.rejoin(coordinator)
    assert alice.can_pay(coordinator.pubkey)
    assert coordinator.can_pay(alice.pubkey)


def test_estimates_are_what_was_paid(real_daemons: Daemons, tmp_path: Path) -> None:
    with Rig(real_daemons, tmp_path, channels=()) as rig:
        assert "feerate" not in rig.chain.call("estimatesmartfee", 6)
        rig.teach_fees(20)
        assert 0.000_18 <= rig.chain.call("estimatesmartfee", 6)["feerate"] <= 0.000_21
