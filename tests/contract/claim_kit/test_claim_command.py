"""`coordinator claim` against the embedded node: nothing but the kit, the secrets, an attestation and Esplora."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from click.testing import CliRunner

from coordinator.cli.address import script_pubkey
from coordinator.cli.claim import claim
from coordinator_core.competition.terms import Network
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import OutPoint

pytest.importorskip("pbk")

NOW = 1_790_000_000
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ADDRESS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")


class Node:
    """JSON-RPC to an embedded node process."""

    def __init__(self, ready):
        self.esplora = ready["esplora"]
        user, _, password = Path(ready["rpc_cookie_file"]).read_text().strip().partition(":")
        self._client = httpx.Client(base_url=ready["url"], auth=(user, password), timeout=60)

    def call(self, method, *params):
        answer = self._client.post("/", json={"id": 1, "method": method, "params": params}).json()
        assert answer["error"] is None, answer
        return answer["result"]

    def mine(self, count):
        self.call("generatetoaddress", count, "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry")

    def close(self):
        self._client.close()


@pytest.fixture
def node(tmp_path):
    command = [sys.executable, "-m", "coordinator.embedded.node", "--data-dir", str(tmp_path / "node")]
    options = ["--genesis-time", str(NOW), "--frozen", "--exit-with-parent"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    node = Node(json.loads(process.stdout.readline()))
    yield node
    node.close()
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture
def funded(node, scene_on):
    """The scene on an outpoint that the chain holds."""
    unplaced = scene_on(OutPoint(bytes(32), 0))
    output = unplaced.signed.contract.funding_output
    address = taproot_address(output.script_pubkey)
    txid = node.call("faucet", address, output.value)
    txid = txid if isinstance(txid, str) else txid["txid"]
    node.mine(1)
    outputs = node.call("getrawtransaction", txid, True)["vout"]
    vout = next(o["n"] for o in outputs if o["scriptPubKey"]["hex"] == output.script_pubkey.hex())
    return scene_on(OutPoint(bytes.fromhex(txid)[::-1], vout))


def taproot_address(script):
    from embit.networks import NETWORKS
    from embit.script import Script

    return Script(script).address(NETWORKS["regtest"])


@pytest.fixture
def files(tmp_path):
    def write(scene, player):
        paths = {name: tmp_path / name for name in ("kit", "preimage", "secret")}
        paths["kit"].write_text(scene.kit(player).to_json())
        paths["preimage"].write_text(scene.tickets[player].reveal().hex() + "\n")
        paths["secret"].write_text(scene.roots[player].reveal().hex())
        return paths

    return write


def run(*arguments, **options):
    return CliRunner().invoke(claim, [str(argument) for argument in arguments], **options)


def full(paths, node, *rest):
    return run(
        paths["kit"],
        "--preimage-file",
        paths["preimage"],
        "--secret-file",
        paths["secret"],
        "--to",
        ADDRESS,
        "--esplora",
        node.esplora,
        "--broadcast",
        "--json",
        *rest,
    )


def states(result):
    assert result.exit_code == 0, result.output
    return [step["state"] for step in json.loads(result.stdout)["steps"]]


def test_a_winner_is_paid_step_by_step(node, funded, files):
    paths = files(funded, 1)
    attested = ("--attestation", funded.attestation(0).hex())
    assert states(full(paths, node, *attested)) == ["sent", "waiting", "waiting"]
    assert states(full(paths, node, *attested)) == ["in mempool", "waiting", "waiting"]
    node.mine(1)
    node.mine(142)
    waiting = json.loads(full(paths, node, *attested).stdout)["steps"]
    assert [step["state"] for step in waiting] == ["confirmed", "waiting", "waiting"]
    assert waiting[1]["height"] == waiting[0]["height"] + 144 == node.call("getblockcount") + 2
    node.mine(1)
    assert states(full(paths, node, *attested)) == ["confirmed", "sent", "waiting"]
    node.mine(1)
    node.mine(143)
    assert states(full(paths, node, *attested)) == ["confirmed", "confirmed", "sent"]
    node.mine(1)
    done = json.loads(full(paths, node, *attested).stdout)
    assert done["done"]
    paid = node.call("getrawtransaction", done["steps"][2]["txid"], True)["vout"]
    assert [out["scriptPubKey"]["hex"] for out in paid] == [ADDRESS_SCRIPT.hex()]
    assert 58_000 < round(paid[0]["value"] * 10**8) < done["value"] < 60_000

    # The player who was second in no ranking of this outcome, and the expiry, come too late.
    late = full(files(funded, 2), node, "--expiry")
    assert states(late)[0] == "taken"


def test_at_expiry_everybody_takes_a_share(node, funded, files):
    paths = files(funded, 2)
    expiry = funded.terms.contract.expiry
    assert states(full(paths, node, "--expiry")) == ["waiting", "waiting", "waiting"]
    node.call("setmocktime", expiry + 1)
    node.mine(5)
    assert states(full(paths, node, "--expiry")) == ["waiting", "waiting", "waiting"]  # median time counts
    node.mine(6)
    assert states(full(paths, node, "--expiry")) == ["sent", "waiting", "waiting"]
    node.mine(144)
    assert states(full(paths, node, "--expiry")) == ["confirmed", "sent", "waiting"]
    late = full(paths, node, "--attestation", funded.attestation(5).hex())
    assert states(late) == ["taken", "waiting", "waiting"]


def test_without_a_server_the_transactions_are_printed(scene, files):
    paths = files(scene, 0)
    result = run(paths["kit"], "--attestation", scene.attestation(0).hex(), "--preimage-file", paths["preimage"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Outcome att0 pays this entry 90,087 sat on chain, before the last fee."
    assert "can be broadcast at once" in lines[1]
    assert "can be mined 144 blocks after the outcome transaction" in lines[3]
    assert lines[5] == "To go on to the end this is needed as well: entry key, destination."
    assert scene.tickets[0].reveal().hex() in lines[4]  # the split reveals the preimage on chain
    expiry = run(paths["kit"], "--expiry")
    date = datetime.fromtimestamp(scene.terms.contract.expiry, UTC)
    assert f"waits until median time passes {date:%Y-%m-%d %H:%M} UTC" in expiry.stdout


def test_secrets_are_asked_for(scene, files):
    paths = files(scene, 0)
    result = run(
        paths["kit"],
        "--attestation",
        scene.attestation(0).hex(),
        "--preimage-file",
        "-",
        "--json",
        input=scene.tickets[0].reveal().hex() + "\n",
    )
    assert result.exit_code == 0, result.output
    assert [step["step"] for step in json.loads(result.stdout)["steps"]] == ["outcome", "split"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--attestation", "00" * 32], 1, "is not a scalar"),
        (["--attestation", "zz"], 2, "--attestation"),
        (["--attestation", "00" * 32, "--expiry"], 2, "excludes"),
        (["--expiry", "--broadcast"], 2, "needs a server"),
        (["--expiry", "--to", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"], 2, "no address of regtest"),
        (["--expiry", "--to", ADDRESS, "--fee-rate", "NaN"], 2, "--fee-rate"),
        (["--expiry", "--to", ADDRESS, "--fee-rate", "0.09"], 2, "--fee-rate"),
        (["--expiry", "--secret-file", "/nonexistent"], 2, "cannot be read"),
        (["--expiry", "--esplora", "http://127.0.0.1:1"], 1, "esplora"),
        (["--oracle", "http://127.0.0.1:1"], 1, "oracle"),
    ],
)
def test_one_line_says_what_is_wrong(scene, files, arguments, code, text):
    result = run(files(scene, 0)["kit"], *arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_secret_of_somebody_else_is_not_shown(scene, files, tmp_path):
    paths = files(scene, 0)
    for name, value in (("secret", scene.roots[1]), ("preimage", scene.tickets[1])):
        paths[name].write_text(value.reveal().hex())
        result = run(paths["kit"], "--expiry", f"--{name}-file", paths[name])
        assert result.exit_code == 2
        assert value.reveal().hex() not in result.output


@pytest.fixture
def oracle():
    """Serves one event's answer at the address that noaa-oracle uses."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield answers, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_oracle_is_asked_and_checked(scene, files, oracle):
    answers, url = oracle
    path = f"/oracle/events/{scene.terms.oracle.event_ids[2]}"
    kit = files(scene, 0)["kit"]

    def ask(body):
        answers[path] = body
        return run(kit, "--oracle", url)

    good = ask(json.dumps({"id": "x", "attestation": scene.attestation(0).hex(), "more": [1]}).encode())
    assert good.exit_code == 0
    assert good.stdout.startswith("Outcome att0")
    assert "has not attested" in ask(b'{"attestation":null}').stderr
    for body in (b"{}", b"x", b'{"attestation":"00"}', None):
        assert ask(body).exit_code == 1
    forged = ask(json.dumps({"attestation": "11" * 32}).encode())
    assert forged.exit_code == 1
    assert "opens 0 locking points" in forged.stderr


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Network.REGTEST),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081", Network.REGTEST),
        ("bcrt1Qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Network.REGTEST),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", Network.SIGNET),
        ("tb1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqkgkkf5", Network.SIGNET),
        ("", Network.MAINNET),
        ("é", Network.MAINNET),
    ],
)
def test_addresses_of_other_networks_and_typos_are_refused(address, network):
    with pytest.raises(InvalidInput):
        script_pubkey(address, network, "--to")


def test_addresses_in_capitals_are_read():
    assert script_pubkey(ADDRESS.upper(), Network.REGTEST, "--to") == ADDRESS_SCRIPT
    assert script_pubkey("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", Network.MAINNET, "--to")[:2] == b"\x76\xa9"
