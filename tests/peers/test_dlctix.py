"""Contracts of the published crate dlctix, 0.0.7 and 0.2.2: same transactions and sighashes, signatures both ways."""

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractParameters,
    EventLockingConditions,
    Outcome,
    Player,
    assemble,
    label,
    parameters_to_value,
    signatures_from_value,
    signatures_to_value,
    verify_signatures,
)
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.transaction import OutPoint, Transaction
from coordinator_core.units import Blocks, FeeRate, Sats
from tests.peers.dlctix_peer import VERSIONS, DlctixPeer, PeerRefused, PeerUnavailable, build_peers

pytestmark = pytest.mark.peer

WEIGHTS = (50, 30, 20)


def secret(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Case:
    """A contract that pays every ranking of `places` out of `players`."""

    name: str
    players: int
    places: int = 1
    delta: int = 144
    fee_rate: int = 2_500
    funding: int = 1_000_000
    anchor: int | None = None
    bound: bool = False
    expiry: int | None = 900_000
    versions: tuple[str, ...] = VERSIONS
    foreign: bool = False

    def parameters(self) -> ContractParameters:
        rankings = list(itertools.permutations(range(self.players), self.places))
        payouts: dict[Outcome, dict[int, int]] = {}
        for number, ranking in enumerate(rankings):
            payouts[Outcome(number)] = dict(zip(ranking, WEIGHTS, strict=False))
        if self.expiry is not None:
            payouts[EXPIRY] = dict.fromkeys(range(self.players), 1)
        return ContractParameters(
            market_maker=generator_mul(secret(f"{self.name} market maker")),
            players=tuple(
                Player(
                    generator_mul(secret(f"{self.name} player {i}")),
                    hashlib.sha256(self.ticket(i)).digest(),
                    secret(f"{self.name} payout hash {i}"),
                )
                for i in range(self.players)
            ),
            event=EventLockingConditions(
                tuple(generator_mul(secret(f"{self.name} outcome {i}")) for i in range(len(rankings))), self.expiry
            ),
            outcome_payouts=payouts,
            fee_rate=FeeRate(self.fee_rate),
            funding_value=Sats(self.funding),
            relative_locktime_block_delta=Blocks(self.delta),
            anchor=None if self.anchor is None else Sats(self.anchor),
            outcome_bound_splits=self.bound,
        )

    def ticket(self, player: int) -> bytes:
        return secret(f"{self.name} ticket {player}")

    def secret_keys(self) -> list[bytes]:
        players = (f"{self.name} player {i}" for i in range(self.players))
        return [secret(f"{self.name} market maker"), *map(secret, players)]


NEWER = ("0.2.2",)
CASES = (
    Case("one winner of three", 3),
    Case("shortest delay, cheapest fee", 5, delta=1, fee_rate=1),
    Case("longest delay", 4, delta=0x7FFF, fee_rate=12_500),
    Case("no expiry", 6, expiry=None),
    Case("single player", 1),
    Case("unbound ranking", 3, 2, versions=("0.0.7",), foreign=True),
    Case("anchor", 5, anchor=240, versions=NEWER),
    Case("bound", 4, 2, bound=True, versions=NEWER),
    Case("bound, anchor, three places", 5, 3, bound=True, anchor=1_000, versions=NEWER),
    Case("outcome numbers of two bytes", 12, 2, bound=True, anchor=240, versions=NEWER),
)


@pytest.fixture(scope="session")
def peers() -> dict[str, DlctixPeer]:
    try:
        return build_peers()
    except PeerUnavailable as reason:
        pytest.skip(f"not compared with dlctix: {reason}")


COMPARISONS = [pytest.param(case, version, id=f"{version}, {case.name}") for case in CASES for version in case.versions]


def request_for(case: Case, contract: Contract, signatures: dict[str, Any]) -> dict[str, Any]:
    return {
        "params": parameters_to_value(contract.parameters),
        "funding_outpoint": str(contract.outpoint),
        "secret_keys": [key.hex() for key in case.secret_keys()],
        "ticket_preimages": [case.ticket(i).hex() for i in range(case.players)],
        "seed": secret(f"{case.name} nonces").hex(),
        "signatures": signatures,
    }


def build_and_sign(case: Case) -> tuple[Contract, dict[str, Any]]:
    outpoint = OutPoint(secret(f"{case.name} funding"), 3)
    contract = Contract.build(case.parameters(), outpoint, foreign=case.foreign)
    keys = [SecretKey.from_bytes(key) for key in case.secret_keys()]
    raw = SoloSigner(keys).sign(contract.signing_items())
    return contract, signatures_to_value(assemble(contract, raw))


def described(tx: Transaction) -> dict[str, str]:
    return {"tx": tx.serialize().hex(), "txid": tx.txid[::-1].hex()}


@pytest.mark.parametrize(("case", "version"), COMPARISONS)
def test_both_build_the_same_and_accept_each_others_signatures(case: Case, version: str, peers):
    contract, ours = build_and_sign(case)
    theirs = peers[version].contract(request_for(case, contract, ours))

    assert theirs["version"] == version
    output = contract.funding_output
    assert theirs["funding_output"] == {"script_pubkey": output.script_pubkey.hex(), "value": output.value}
    outcomes, wins = contract.outcomes, list(contract.parameters.win_conditions())
    assert theirs["outcome_txs"] == {label(o): described(contract.outcome_transaction(o)) for o in outcomes}
    assert theirs["split_txs"] == {label(o): described(contract.split_transaction(o)) for o in outcomes}
    assert theirs["outcome_sighashes"] == {label(o): contract.item(o).message.hex() for o in outcomes}
    assert theirs["split_sighashes"] == {label(w): contract.item(w).message.hex() for w in wins}

    assert theirs["verdict"] == "accepted"
    assert theirs["signatures"] != ours
    verify_signatures(contract, signatures_from_value(theirs["signatures"]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["outcome_tx_signatures", "split_tx_signatures"])
def test_the_peer_refuses_a_signature_of_another_slot(version: str, kind: str, peers):
    case = CASES[0]
    contract, ours = build_and_sign(case)
    first, second, *_ = ours[kind]
    ours[kind][second] = ours[kind][first]
    verdict = peers[version].contract(request_for(case, contract, ours))["verdict"]
    assert verdict != "accepted"


def test_the_peer_refuses_what_we_refuse_for_new_contracts(peers):
    case = next(case for case in CASES if case.foreign)
    contract, ours = build_and_sign(case)
    with pytest.raises(PeerRefused, match="UnboundSharedWinners"):
        peers["0.2.2"].contract(request_for(case, contract, ours))
