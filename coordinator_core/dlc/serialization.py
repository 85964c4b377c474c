"""JSON of contract parameters, signatures and signed contracts, byte for byte as dlctix writes it (section 7).

Reading is stricter than dlctix: unknown or repeated fields, uncompressed points and names that are not canonical
are refused. What was read has the right shape; whether it makes a contract is decided by `validation`.
"""

from __future__ import annotations

from typing import Any, Final

from coordinator_core.dlc.outcomes import EXPIRY, Outcome, label, parse_outcome, parse_win_condition
from coordinator_core.dlc.parameters import (
    MAX_OUTCOMES,
    MAX_PLAYERS,
    ContractParameters,
    EventLockingConditions,
    Player,
)
from coordinator_core.dlc.signatures import ContractSignatures
from coordinator_core.dlc.strict_json import (
    dump,
    expect_boolean,
    expect_index,
    expect_integer,
    expect_list,
    expect_map,
    expect_object,
    join,
    load,
)
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import OutPoint, bytes_from_hex
from coordinator_core.units import MAX_MONEY, Blocks, FeeRate, Sats, sats

_U16, _U32, _U64 = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_PARAMETER_FIELDS: Final = (
    "market_maker",
    "players",
    "event",
    "outcome_payouts",
    "fee_rate",
    "funding_value",
    "relative_locktime_block_delta",
)
_SIGNATURE_FIELDS: Final = ("expiry_tx_signature", "outcome_tx_signatures", "split_tx_signatures")


def parameters_to_value(parameters: ContractParameters) -> dict[str, Any]:
    """Parameters as JSON values, in dlctix's order; anchor and outcome_bound_splits only when they are on."""
    value: dict[str, Any] = {
        "market_maker": {"pubkey": parameters.market_maker.hex()},
        "players": [
            {"pubkey": p.public_key.hex(), "ticket_hash": p.ticket_hash.hex(), "payout_hash": p.payout_hash.hex()}
            for p in parameters.players
        ],
        "event": {
            "locking_points": [point.hex() for point in parameters.event.locking_points],
            "expiry": parameters.event.expiry,
        },
        "outcome_payouts": {
            label(outcome): {str(player): weight for player, weight in weights.items()}
            for outcome, weights in parameters.outcome_payouts.items()
        },
        "fee_rate": parameters.fee_rate,
        "funding_value": parameters.funding_value,
        "relative_locktime_block_delta": parameters.relative_locktime_block_delta,
    }
    if parameters.anchor is not None:
        value["anchor"] = {"value": parameters.anchor}
    if parameters.outcome_bound_splits:
        value["outcome_bound_splits"] = True
    return value


def parameters_to_json(parameters: ContractParameters) -> str:
    """Parameters as the compact JSON that dlctix writes."""
    return dump(parameters_to_value(parameters))


def parameters_from_json(document: str | bytes) -> ContractParameters:
    """Read parameters. Raises InvalidInput naming the field."""
    return parameters_from_value(load(document, "parameters"))


def parameters_from_value(value: object, path: str = "") -> ContractParameters:
    """Read parameters from decoded JSON. Raises InvalidInput naming the field below `path`."""
    fields = expect_object(value, path, _PARAMETER_FIELDS, ("anchor", "outcome_bound_splits"))

    def at(name: str) -> str:
        return join(path, name)

    maker = expect_object(fields["market_maker"], at("market_maker"), ("pubkey",))
    players = expect_list(fields["players"], at("players"), MAX_PLAYERS)
    delta = expect_integer(fields["relative_locktime_block_delta"], at("relative_locktime_block_delta"), 0, _U16)
    bound = fields.get("outcome_bound_splits", False)
    return ContractParameters(
        market_maker=bytes_from_hex(maker["pubkey"], 33, at("market_maker.pubkey")),
        players=tuple(_player(p, f"{at('players')}[{i}]") for i, p in enumerate(players)),
        event=_event(fields["event"], at("event")),
        outcome_payouts=_payouts(fields["outcome_payouts"], at("outcome_payouts")),
        fee_rate=FeeRate(expect_integer(fields["fee_rate"], at("fee_rate"), 0, _U64)),
        funding_value=sats(fields["funding_value"], at("funding_value")),
        relative_locktime_block_delta=Blocks(delta),
        anchor=_anchor(fields.get("anchor"), at("anchor")),
        outcome_bound_splits=expect_boolean(bound, at("outcome_bound_splits")),
    )


def _player(value: object, path: str) -> Player:
    fields = expect_object(value, path, ("pubkey", "ticket_hash", "payout_hash"))
    return Player(
        public_key=bytes_from_hex(fields["pubkey"], 33, f"{path}.pubkey"),
        ticket_hash=bytes_from_hex(fields["ticket_hash"], 32, f"{path}.ticket_hash"),
        payout_hash=bytes_from_hex(fields["payout_hash"], 32, f"{path}.payout_hash"),
    )


def _event(value: object, path: str) -> EventLockingConditions:
    fields = expect_object(value, path, ("locking_points",), ("expiry",))
    points = expect_list(fields["locking_points"], f"{path}.locking_points", MAX_OUTCOMES)
    expiry = fields.get("expiry")
    return EventLockingConditions(
        tuple(bytes_from_hex(point, 33, f"{path}.locking_points[{i}]") for i, point in enumerate(points)),
        None if expiry is None else expect_integer(expiry, f"{path}.expiry", 0, _U32),
    )


def _payouts(value: object, path: str) -> dict[Outcome, dict[int, int]]:
    outcomes = expect_map(value, path)
    if len(outcomes) > MAX_OUTCOMES + 1:
        raise InvalidInput(path, f"has {len(outcomes)} outcomes", f"at most {MAX_OUTCOMES} and the expiry")
    return {parse_outcome(name, path): _weights(w, f"{path}.{name}") for name, w in outcomes.items()}


def _weights(value: object, path: str) -> dict[int, int]:
    weights = expect_map(value, path)
    return {
        expect_index(player, path, MAX_PLAYERS - 1): expect_integer(weight, f"{path}.{player}", 0, _U64)
        for player, weight in weights.items()
    }


def _anchor(value: object, path: str) -> Sats | None:
    if value is None:
        return None
    fields = expect_object(value, path, ("value",))
    return Sats(expect_integer(fields["value"], f"{path}.value", 0, MAX_MONEY))


def signatures_to_value(signatures: ContractSignatures) -> dict[str, Any]:
    """Signatures as JSON values, in dlctix's order."""
    expiry = signatures.by_outcome.get(EXPIRY)
    return {
        "expiry_tx_signature": None if expiry is None else expiry.hex(),
        "outcome_tx_signatures": {str(o): s.hex() for o, s in signatures.by_outcome.items() if o != EXPIRY},
        "split_tx_signatures": {label(w): s.hex() for w, s in signatures.by_win_condition.items()},
    }


def signatures_to_json(signatures: ContractSignatures) -> str:
    """Signatures as the compact JSON that dlctix writes."""
    return dump(signatures_to_value(signatures))


def signatures_from_json(document: str | bytes) -> ContractSignatures:
    """Read signatures, unverified. Raises InvalidInput naming the field."""
    return signatures_from_value(load(document, "signatures"))


def signatures_from_value(value: object, path: str = "") -> ContractSignatures:
    """Read signatures from decoded JSON, unverified. Raises InvalidInput naming the field below `path`."""
    fields = expect_object(value, path, _SIGNATURE_FIELDS[1:], _SIGNATURE_FIELDS[:1])
    expiry_path, outcome_path, split_path = (join(path, name) for name in _SIGNATURE_FIELDS)
    by_outcome = {
        Outcome(expect_index(index, outcome_path, MAX_OUTCOMES)): bytes_from_hex(s, 65, f"{outcome_path}.{index}")
        for index, s in expect_map(fields["outcome_tx_signatures"], outcome_path).items()
    }
    expiry = fields.get("expiry_tx_signature")
    if expiry is not None:
        by_outcome[EXPIRY] = bytes_from_hex(expiry, 64, expiry_path)
    by_win_condition = {
        parse_win_condition(name, split_path): bytes_from_hex(s, 64, f"{split_path}.{name}")
        for name, s in expect_map(fields["split_tx_signatures"], split_path).items()
    }
    return ContractSignatures(by_outcome, by_win_condition)


def signed_contract_to_value(
    parameters: ContractParameters, outpoint: OutPoint, signatures: ContractSignatures
) -> dict[str, Any]:
    """dlctix's SignedContract as JSON values."""
    return {
        "signatures": signatures_to_value(signatures),
        "dlc": {"params": parameters_to_value(parameters), "funding_outpoint": str(outpoint)},
    }


def signed_contract_to_json(parameters: ContractParameters, outpoint: OutPoint, signatures: ContractSignatures) -> str:
    """dlctix's SignedContract as the compact JSON that it writes."""
    return dump(signed_contract_to_value(parameters, outpoint, signatures))


def signed_contract_parts(document: str | bytes) -> tuple[ContractParameters, OutPoint, ContractSignatures]:
    """Read the parts of a SignedContract: nothing is built or verified here. Raises InvalidInput."""
    return signed_contract_parts_from_value(load(document, "signed contract"))


def signed_contract_parts_from_value(
    value: object, path: str = ""
) -> tuple[ContractParameters, OutPoint, ContractSignatures]:
    """`signed_contract_parts` of decoded JSON."""
    fields = expect_object(value, path, ("signatures", "dlc"))
    contract_path = join(path, "dlc")
    contract = expect_object(fields["dlc"], contract_path, ("params", "funding_outpoint"))
    return (
        parameters_from_value(contract["params"], f"{contract_path}.params"),
        OutPoint.parse(contract["funding_outpoint"], f"{contract_path}.funding_outpoint"),
        signatures_from_value(fields["signatures"], join(path, "signatures")),
    )
