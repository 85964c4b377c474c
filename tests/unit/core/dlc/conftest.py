import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractParameters,
    ContractSignatures,
    EventLockingConditions,
    Outcome,
    Player,
    SigningSlot,
    assemble,
    parameters_from_json,
    signatures_from_value,
)
from coordinator_core.dlc.outcomes import parse_outcome, parse_win_condition
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import N, SecretKey, generator_mul, schnorr_sign
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Blocks, FeeRate, Sats

VECTORS = Path(__file__).parents[3] / "vectors" / "dlctix"
SIGNED = ("n3k1", "n3k2", "n5k1-delta8", "bound_n3k2", "bound_anchor_n3k2")
UNBOUND_RANKED = "n3k2"


@dataclass(frozen=True)
class Vector:
    name: str
    data: dict[str, Any]
    parameters: ContractParameters
    contract: Contract

    @property
    def signatures(self) -> ContractSignatures:
        return signatures_from_value(self.data["signatures"])

    @property
    def market_maker_key(self) -> SecretKey:
        return SecretKey.from_bytes(bytes.fromhex(self.data["mm_seckey"]))

    @property
    def player_keys(self) -> list[SecretKey]:
        return [SecretKey.from_bytes(bytes.fromhex(key)) for key in self.data["player_seckeys"]]

    def preimage(self, kind: str, player: int) -> bytes:
        return bytes.fromhex(self.data[f"{kind}_preimages"][player])

    @property
    def attestations(self) -> list[bytes]:
        return [bytes.fromhex(secret) for secret in self.data["attestation_secrets"]]


def _load_vector(name: str) -> Vector:
    data = json.loads((VECTORS / f"{name}.json").read_text())
    parameters = parameters_from_json(data["params_json_string"])
    outpoint = OutPoint.parse(data["funding_outpoint"])
    contract = Contract.build(parameters, outpoint, foreign=name == UNBOUND_RANKED)
    return Vector(name, data, parameters, contract)


def _slot_from_label(text: str) -> SigningSlot:
    return parse_win_condition(text, "label") if ":" in text else parse_outcome(text, "label")


def _rfc6979_sign(key: SecretKey):
    """dlctix's deterministic signer: BIP340 with aux = RFC6979(secret key, SHA256(message))."""

    def sign(message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        reduced = (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
        k, v = bytes(32), b"\x01" * 32
        for separator in (b"\x00", b"\x01"):
            k = hmac.digest(k, v + separator + key.reveal() + reduced, "sha256")
            v = hmac.digest(k, v, "sha256")
        return schnorr_sign(message, key, hmac.digest(k, v, "sha256"))

    return sign


def _secret(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _point(text: str) -> bytes:
    return generator_mul(_secret(text))


def _make_parameters(players: int = 3, places: int = 1, **changes: Any) -> ContractParameters:
    """Every ranking of `places` out of `players`, and an expiry that pays all alike; bound splits and an anchor."""
    rankings = list(itertools.permutations(range(players), places))
    weights = [5, 3, 2, 1][:places]
    payouts = {Outcome(i): dict(zip(ranking, weights, strict=True)) for i, ranking in enumerate(rankings)}
    payouts[EXPIRY] = dict.fromkeys(range(players), 1)
    fields: dict[str, Any] = {
        "market_maker": _point("market maker"),
        "players": tuple(
            Player(
                _point(f"player {i}"),
                hashlib.sha256(_secret(f"ticket {i}")).digest(),
                hashlib.sha256(_secret(f"payout {i}")).digest(),
            )
            for i in range(players)
        ),
        "event": EventLockingConditions(tuple(_point(f"outcome {i}") for i in range(len(rankings))), 900_000),
        "outcome_payouts": payouts,
        "fee_rate": FeeRate(2_500),
        "funding_value": Sats(1_000_000),
        "relative_locktime_block_delta": Blocks(144),
        "anchor": Sats(240),
        "outcome_bound_splits": True,
    }
    return ContractParameters(**(fields | changes))


@dataclass(frozen=True)
class Helpers:
    """Functions for tests, because test modules cannot import each other."""

    outpoint = OutPoint(b"\x5a" * 32, 1)
    load_vector = staticmethod(_load_vector)
    slot = staticmethod(_slot_from_label)
    make_parameters = staticmethod(_make_parameters)
    deterministic_signer = staticmethod(_rfc6979_sign)
    preimage = staticmethod(_secret)

    @staticmethod
    def keys(players: int) -> list[SecretKey]:
        """Secrets of the market maker and of the players, as make_parameters() names them."""
        names = ["market maker", *(f"player {i}" for i in range(players))]
        return [SecretKey.from_bytes(_secret(name)) for name in names]

    @staticmethod
    def sign(contract: Contract) -> ContractSignatures:
        """Every signature of a contract made by make_parameters()."""
        keys = Helpers.keys(len(contract.parameters.players))
        return assemble(contract, SoloSigner(keys).sign(contract.signing_items()))


@pytest.fixture(scope="session")
def helpers() -> type[Helpers]:
    return Helpers


@pytest.fixture(scope="session", params=[*SIGNED, "compat-0.1.0"])
def vector(request: pytest.FixtureRequest) -> Vector:
    return _load_vector(request.param)


@pytest.fixture(scope="session", params=SIGNED)
def signed_vector(request: pytest.FixtureRequest) -> Vector:
    return _load_vector(request.param)


@pytest.fixture(scope="session")
def bound_anchor() -> Vector:
    return _load_vector("bound_anchor_n3k2")


@pytest.fixture(scope="session")
def plain() -> Vector:
    return _load_vector("n3k1")
