"""A signed contract of three players and two places, its oracle, and the kit of each player."""

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from click.testing import CliRunner

from coordinator.cli.claim import claim
from coordinator_core.claim_kit import ClaimKit
from coordinator_core.competition.contract import contract_parameters
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc import Contract, SignedContract, assemble
from coordinator_core.musig2 import SoloSigner
from coordinator_core.oracle.locking import challenge, locking_points
from coordinator_core.oracle.outcomes import messages
from coordinator_core.oracle.statement import EventStatement, SignedStatement, parse_statement, statement_digest
from coordinator_core.secp256k1 import N, SecretKey, schnorr_sign, sha256
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "terms.json").read_text())
ORACLE, NONCE, MARKET_MAKER = (SecretKey.from_bytes(sha256(name)) for name in (b"oracle", b"nonce", b"mm"))
PLAYERS = 3
NOW = 1_790_000_000
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ADDRESS_SCRIPT = bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6")
ATTEMPT = 2
PICKS = [
    Pick(target=t, metric=m, choice=Choice.OVER)
    for t, m in (("KORD", "temp_high"), ("KORD", "rain_amt"), ("KSAW", "rain_amt"))
]


@dataclass(frozen=True)
class Scene:
    terms: Terms
    ids: tuple[UUID, ...]
    roots: tuple[Secret, ...]
    tickets: tuple[Secret, ...]
    signed: SignedContract
    statement: SignedStatement

    def kit(self, player: int) -> ClaimKit:
        return ClaimKit.build(self.terms, self.ids[player], ATTEMPT, self.signed, self.statement)

    def attestation(self, outcome: int) -> bytes:
        message = list(messages(PLAYERS, self.terms.places))[outcome]
        e = int.from_bytes(challenge(ORACLE.public_key, NONCE.public_key, message), "big")
        k, d = (int.from_bytes(key.with_even_y().reveal(), "big") for key in (NONCE, ORACLE))
        return ((k + e * d) % N).to_bytes(32, "big")


def make_terms() -> Terms:
    document = copy.deepcopy(VECTOR["terms"])
    document["oracle"]["public_key"] = ORACLE.public_key.hex()
    return convert_strict(document, Terms, "terms")


def sign_statement(statement: EventStatement, key: SecretKey = ORACLE) -> str:
    return schnorr_sign(statement_digest(statement), key, bytes(32)).hex()


def make_statement(terms: Terms, ids: tuple[UUID, ...]) -> SignedStatement:
    observed = terms.observation
    document = {
        "event_id": str(terms.oracle.event_ids[ATTEMPT]),
        "signing_date": observed.signing_date,
        "expiry": observed.signing_date + 86_400,
        "nonce_point": NONCE.public_key.hex(),
        "outcomes": {"kind": "ranking", "number_of_places_win": terms.places, "entry_ids": [str(i) for i in ids]},
        "terms": {
            "kind": "observation",
            "source": observed.source.id,
            "start_observation_date": observed.window.start,
            "end_observation_date": observed.window.end,
            "targets": list(observed.targets),
            "scoring_fields": [metric.id for metric in observed.metrics],
            "number_of_values_per_entry": observed.values_per_entry,
            "scoring_rules": "fixed",
            "lines": [],
        },
    }
    unsigned = parse_statement(json.dumps({"statement": document, "signature": "00" * 64}).encode())
    return SignedStatement(statement=unsigned.statement, signature=sign_statement(unsigned.statement))


@cache
def make_scene(outpoint: OutPoint) -> Scene:
    terms = make_terms()
    ids = tuple(UUID(f"01926f3a-0000-7000-8000-{i + 1:012x}") for i in range(PLAYERS))
    roots = tuple(Secret(sha256(b"root %d" % i)) for i in range(PLAYERS))
    tickets = tuple(Secret(sha256(b"ticket %d" % i)) for i in range(PLAYERS))
    entries = [
        sign_entry(
            SecretKey.from_bytes(sha256(b"identity %d" % i)),
            roots[i],
            terms_hash=terms.hash,
            entry_id=ids[i],
            ticket_hash=sha256(tickets[i].reveal()),
            picks=PICKS,
            created_at=VECTOR["created"]["time"],
        )
        for i in range(PLAYERS)
    ]
    parameters = contract_parameters(
        terms,
        entries,
        attempt=ATTEMPT,
        market_maker=MARKET_MAKER.public_key,
        locking_points=locking_points(ORACLE.public_key, NONCE.public_key, PLAYERS, terms.places),
        fee_rate=1_001,
    )
    contract = Contract.build(parameters, outpoint)
    keys = [MARKET_MAKER, *(entry_key(roots[i], ids[i], ATTEMPT) for i in range(PLAYERS))]
    signatures = assemble(contract, SoloSigner(keys).sign(list(contract.signing_items())))
    signed = SignedContract.verified(contract, signatures)
    return Scene(terms, ids, roots, tickets, signed, make_statement(terms, ids))


@pytest.fixture
def scene_on():
    """The scene on a given funding outpoint."""
    return make_scene


@pytest.fixture
def scene() -> Scene:
    return make_scene(OutPoint(bytes([0x5A]) * 32, 1))


@pytest.fixture
def sign_statement_with():
    return sign_statement


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


@pytest.fixture
def claim_run():
    """`coordinator claim` with these arguments."""
    return run


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


full.address, full.script = ADDRESS, ADDRESS_SCRIPT


@pytest.fixture
def claim_full():
    """`coordinator claim --broadcast` with all that a player has."""
    return full
