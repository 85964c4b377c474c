"""`coordinator lightning bake-macaroon`: the least macaroon, readable by its owner alone, never over another file."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coordinator.adapters.lightning.rights import CALLS
from coordinator.cli.main import main

ADMIN = b"\x02admin"
MADE = b"\x02made"


class Lnd(BaseHTTPRequestHandler):
    """Bakes for whoever shows the administrator's macaroon."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        may = self.headers["Grpc-Metadata-macaroon"] == ADMIN.hex()
        self.asked.append({"path": self.path, **body})
        answer = {"macaroon": MADE.hex()} if may else {"code": 2, "message": "permission denied", "details": []}
        data = json.dumps(answer).encode()
        self.send_response(200 if may else 500)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def lnd() -> Iterator[HTTPServer]:
    handler = type("Asked", (Lnd,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path, lnd: HTTPServer) -> Path:
    path = tmp_path / "coordinator.toml"
    path.write_text(
        f"""
network = "regtest"
data_dir = "{tmp_path}"
[bitcoin]
rpc_url = "http://127.0.0.1:1"
user = "u"
[lightning]
url = "http://127.0.0.1:{lnd.server_address[1]}"
macaroon_file = "{tmp_path}/coordinator.macaroon"
[keymeld]
url = "http://127.0.0.1:1"
[oracle]
url = "http://127.0.0.1:1"
"""
    )
    (tmp_path / "admin.macaroon").write_bytes(ADMIN)
    return path


def bake(settings: Path, *more: str, admin: str = "admin.macaroon") -> Result:
    options = ["--settings", str(settings), "--admin-macaroon", str(settings.parent / admin)]
    return CliRunner().invoke(main, ["lightning", "bake-macaroon", *options, *more])


def test_the_least_macaroon_for_its_owner_alone(settings: Path, lnd: HTTPServer) -> None:
    result = bake(settings)
    assert result.exit_code == 0, result.output
    made = settings.parent / "coordinator.macaroon"
    assert made.read_bytes() == MADE
    assert made.stat().st_mode & 0o077 == 0
    (asked,) = lnd.RequestHandlerClass.asked  # type: ignore[attr-defined]
    assert asked["path"] == "/v1/macaroon"
    assert asked["permissions"] == [{"entity": "uri", "action": call} for call in CALLS]
    assert asked["root_key_id"] == "7071"
    assert MADE.hex() not in result.output


def test_another_root_key(settings: Path, lnd: HTTPServer) -> None:
    assert bake(settings, "--root-key-id", "12").exit_code == 0
    assert lnd.RequestHandlerClass.asked[0]["root_key_id"] == "12"  # type: ignore[attr-defined]


def test_a_file_that_is_there_stays(settings: Path) -> None:
    made = settings.parent / "coordinator.macaroon"
    made.write_bytes(b"mine")
    result = bake(settings)
    assert result.exit_code == 2
    assert "--force" in result.output
    assert made.read_bytes() == b"mine"
    assert bake(settings, "--force").exit_code == 0
    assert made.read_bytes() == MADE


def test_a_macaroon_that_may_not_bake(settings: Path) -> None:
    (settings.parent / "weak.macaroon").write_bytes(b"\x02weak")
    result = bake(settings, admin="weak.macaroon")
    assert result.exit_code == 1
    assert "does not allow this call" in result.output
    assert not (settings.parent / "coordinator.macaroon").exists()


def test_no_such_admin_macaroon(settings: Path) -> None:
    result = bake(settings, admin="nowhere")
    assert result.exit_code == 2
    assert "--admin-macaroon" in result.output
