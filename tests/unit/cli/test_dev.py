import json
from pathlib import Path

import pytest

from coordinator.cli.dev.stack_file import StackFile
from coordinator.cli.stack import Child
from coordinator_core.errors import InvalidInput

READY = {
    "node": {"url": "http://127.0.0.1:11", "esplora": "http://127.0.0.1:12", "rpc_cookie_file": "/x/.cookie"},
    "lightning": {"url": "http://127.0.0.1:13", "control": "http://127.0.0.1:14", "macaroon_file": "/x/m"},
    "oracle": {"url": "http://127.0.0.1:15", "control": "http://127.0.0.1:15/control", "public_key": "02"},
    "relay": {"url": "ws://127.0.0.1:16"},
}


@pytest.fixture
def stack() -> StackFile:
    children = {name: Child(name, None, {"service": name, **ready}, Path()) for name, ready in READY.items()}  # type: ignore[arg-type]
    return StackFile.of(children, Path("/x/operator.token"))


def test_a_restart_keeps_every_port_that_terms_may_name(tmp_path, stack):
    stack.stopped().save(tmp_path)
    again = StackFile.load(tmp_path)
    expected = {"node": 11, "esplora": 12, "lightning": 13, "lightning_control": 14, "oracle": 15, "relay": 16}
    assert again.ports() == expected


def test_a_stopped_stack_gives_no_service(tmp_path, stack):
    stack.save(tmp_path)
    assert StackFile.load(tmp_path).service("node").url == "http://127.0.0.1:11"
    stack.stopped().save(tmp_path)
    with pytest.raises(InvalidInput):
        StackFile.load(tmp_path).service("node")
    assert StackFile.known(tmp_path / "elsewhere") is None


def test_dev_names_unknown_services_before_it_starts_any(command, tmp_path):
    result = command("dev", "--data-dir", tmp_path / "dev", "--services", "node,nod")
    assert result.exit_code == 2
    assert "nod is no service" in result.stderr
    assert not (tmp_path / "dev").exists()
    assert command("dev", "--data-dir", tmp_path / "dev", "--services", " ,").exit_code == 2


def test_mine_talks_to_the_node_of_the_stack_file(command, server, tmp_path):
    (tmp_path / ".cookie").write_text("user:secret")
    node = {"url": server.url, "rpc_cookie_file": str(tmp_path / ".cookie")}
    document = {"services": {"node": node}, "operator_token_file": "x"}
    (tmp_path / ".dev").mkdir()
    (tmp_path / ".dev" / "stack.json").write_text(json.dumps(document))
    server.answers["POST /"] = {"result": {"blocks": 153, "time": 1_792_685_880}, "error": None}
    result = command("mine", 2, "--until", "2026-10-22T19:18")
    assert (result.exit_code, result.stdout) == (0, "height 153, chain time 2026-10-22 16:18:00 UTC\n")
    calls = [(body["method"], body["params"]) for body in server.bodies("POST /")]
    assert calls == [("setmocktime", [1_792_696_680]), ("mine", [2]), ("getblockchaininfo", [])]
    server.answers["POST /"] = (500, {"result": None, "error": {"message": "time may not run ahead"}})
    refused = command("mine")
    assert (refused.exit_code, refused.stderr) == (1, "Error: node: time may not run ahead\n")


def test_mine_without_a_stack_says_what_to_start(command):
    result = command("mine")
    assert result.exit_code == 2
    assert "--data-dir" in result.stderr
