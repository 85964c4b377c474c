"""Lies about one thing: what a manifest grants, what a contract's parameters say."""

from __future__ import annotations

from typing import Any

from coordinator_core.keymeld.manifest import SessionManifest
from coordinator_core.keymeld.plan import fresh_id
from coordinator_core.secp256k1 import generator_mul


def another_quota(manifest: SessionManifest) -> dict[str, Any]:
    return {"max_signing_sessions": (manifest.max_signing_sessions or 0) + 1}


def no_quota(_: SessionManifest) -> dict[str, Any]:
    return {"max_signing_sessions": None}


def fewer_subsets(manifest: SessionManifest) -> dict[str, Any]:
    return {"subset_definitions": manifest.subset_definitions[:-1]}


def an_extra_subset(manifest: SessionManifest) -> dict[str, Any]:
    first = manifest.subset_definitions[0]
    again = type(first)(fresh_id(), first.participants)
    return {"subset_definitions": (*manifest.subset_definitions, again)}


def another_slot_key(manifest: SessionManifest) -> dict[str, Any]:
    user = next(u for u in manifest.users if u != manifest.coordinator_user_id)
    return {"participant_verifiers": {**manifest.participant_verifiers, user: generator_mul((7).to_bytes(32, "big"))}}


def another_timeout(manifest: SessionManifest) -> dict[str, Any]:
    return {"timeout_secs": manifest.timeout_secs - 1}


def another_payout_hash(document: dict[str, Any]) -> None:
    document["parameters"]["players"][0]["payout_hash"] = "22" * 32


def exchanged_players(document: dict[str, Any]) -> None:
    document["parameters"]["players"].reverse()


def another_locking_point(document: dict[str, Any]) -> None:
    document["parameters"]["event"]["locking_points"].reverse()


def another_delta(document: dict[str, Any]) -> None:
    document["parameters"]["relative_locktime_block_delta"] += 1


def another_market_maker(document: dict[str, Any]) -> None:
    document["parameters"]["market_maker"]["pubkey"] = generator_mul((13).to_bytes(32, "big")).hex()


def less_money(document: dict[str, Any]) -> None:
    document["parameters"]["funding_value"] -= 1_000
