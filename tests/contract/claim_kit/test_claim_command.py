"""`coordinator claim` against the embedded node: nothing but the kit, the secrets, an attestation and Esplora."""

import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from coordinator.cli.address import script_pubkey
from coordinator_core.competition.terms import Network
from coordinator_core.errors import InvalidInput

pytest.importorskip("pbk")

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ADDRESS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")


def states(result):
    assert result.exit_code == 0, result.output
    return [step["state"] for step in json.loads(result.stdout)["steps"]]


def test_a_winner_is_paid_step_by_step(node, funded, files, claim_full):
    paths = files(funded, 1)
    attested = ("--attestation", funded.attestation(0).hex())
    assert states(claim_full(paths, node, *attested)) == ["sent", "waiting", "waiting"]
    assert states(claim_full(paths, node, *attested)) == ["in mempool", "waiting", "waiting"]
    node.mine(1)
    node.mine(142)
    waiting = json.loads(claim_full(paths, node, *attested).stdout)["steps"]
    assert [step["state"] for step in waiting] == ["confirmed", "waiting", "waiting"]
    assert waiting[1]["height"] == waiting[0]["height"] + 144 == node.call("getblockcount") + 2
    node.mine(1)
    assert states(claim_full(paths, node, *attested)) == ["confirmed", "sent", "waiting"]
    node.mine(1)
    node.mine(143)
    assert states(claim_full(paths, node, *attested)) == ["confirmed", "confirmed", "sent"]
    node.mine(1)
    done = json.loads(claim_full(paths, node, *attested).stdout)
    assert done["done"]
    paid = node.call("getrawtransaction", done["steps"][2]["txid"], True)["vout"]
    assert [out["scriptPubKey"]["hex"] for out in paid] == [ADDRESS_SCRIPT.hex()]
    assert 58_000 < round(paid[0]["value"] * 10**8) < done["value"] < 60_000

    # The player who was second in no ranking of this outcome, and the expiry, come too late.
    late = claim_full(files(funded, 2), node, "--expiry")
    assert states(late)[0] == "taken"


def test_at_expiry_everybody_takes_a_share(node, funded, files, claim_full):
    paths = files(funded, 2)
    expiry = funded.terms.contract.expiry
    assert states(claim_full(paths, node, "--expiry")) == ["waiting", "waiting", "waiting"]
    node.call("setmocktime", expiry + 1)
    node.mine(5)
    assert states(claim_full(paths, node, "--expiry")) == ["waiting", "waiting", "waiting"]  # median time counts
    node.mine(6)
    assert states(claim_full(paths, node, "--expiry")) == ["sent", "waiting", "waiting"]
    node.mine(144)
    assert states(claim_full(paths, node, "--expiry")) == ["confirmed", "sent", "waiting"]
    late = claim_full(paths, node, "--attestation", funded.attestation(5).hex())
    assert states(late) == ["taken", "waiting", "waiting"]


def test_without_a_server_the_transactions_are_printed(scene, files, claim_run):
    paths = files(scene, 0)
    result = claim_run(paths["kit"], "--attestation", scene.attestation(0).hex(), "--preimage-file", paths["preimage"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Outcome att0 pays this entry 90,087 sat on chain, before the last fee."
    assert "can be broadcast at once" in lines[1]
    assert "can be mined 144 blocks after the outcome transaction" in lines[3]
    assert lines[5] == "To go on to the end this is needed as well: entry key, destination."
    assert scene.tickets[0].reveal().hex() in lines[4]  # the split reveals the preimage on chain
    expiry = claim_run(paths["kit"], "--expiry")
    date = datetime.fromtimestamp(scene.terms.contract.expiry, UTC)
    assert f"waits until median time passes {date:%Y-%m-%d %H:%M} UTC" in expiry.stdout


def test_secrets_are_asked_for(scene, files, claim_run):
    paths = files(scene, 0)
    result = claim_run(
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
def test_one_line_says_what_is_wrong(scene, files, arguments, code, text, claim_run):
    result = claim_run(files(scene, 0)["kit"], *arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_secret_of_somebody_else_is_not_shown(scene, files, tmp_path, claim_run):
    paths = files(scene, 0)
    for name, value in (("secret", scene.roots[1]), ("preimage", scene.tickets[1])):
        paths[name].write_text(value.reveal().hex())
        result = claim_run(paths["kit"], "--expiry", f"--{name}-file", paths[name])
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


def test_the_oracle_is_asked_and_checked(scene, files, oracle, claim_run):
    answers, url = oracle
    path = f"/oracle/events/{scene.terms.oracle.event_ids[2]}"
    kit = files(scene, 0)["kit"]

    def ask(body):
        answers[path] = body
        return claim_run(kit, "--oracle", url)

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
