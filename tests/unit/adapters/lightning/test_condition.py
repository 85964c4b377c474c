"""What an operator may have set up wrongly is one clear sentence each."""

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.adapters.lightning import LndNode, versions
from coordinator.adapters.lightning.condition import LndExamination
from coordinator.adapters.lightning.rights import CALLS
from coordinator.ports.condition import Condition
from coordinator.ports.faults import Unreachable, Unsuitable

Play = Callable[..., LndNode]
Hand = Callable[..., dict[str, Any]]
Recorded = dict[str, dict[str, Any]]
DENIED = {"code": 3, "message": "permission denied", "details": []}
MAY_NOT_ASK = {"code": 2, "message": "permission denied", "details": []}


@pytest.fixture
def rights(by_hand: Hand) -> dict[str, Any]:
    return by_hand("POST", "/v1/macaroon/checkpermissions", {"valid": True})


async def examine(*answers: Any, play: Play, network: str = "regtest") -> Condition:
    return await LndExamination(play(*answers), network).condition()


async def test_a_node_that_is_as_it_has_to_be(play: Play, rights: dict[str, Any]) -> None:
    found = await examine("getinfo", rights, play=play)
    assert (found.problem, found.note, found.answers, found.is_ready) == ("", "", True, True)
    assert found.version.startswith("0.21.1")


async def test_another_network(play: Play, rights: dict[str, Any]) -> None:
    found = await examine("getinfo", rights, play=play, network="mainnet")
    assert found.problem == "LND is on regtest, the settings say mainnet: point both to one network"
    assert (found.answers, found.unsuitable) == (False, True)


async def test_a_node_behind_the_chain_answers_but_is_not_ready(
    play: Play, rights: dict[str, Any], recorded: Recorded, by_hand: Hand
) -> None:
    behind = by_hand("GET", "/v1/getinfo", recorded["getinfo"]["body"] | {"synced_to_chain": False})
    found = await examine(behind, rights, play=play)
    assert found.problem.startswith("LND is not in step with the chain, it is at block 117")
    assert found.answers
    assert not found.is_ready


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("wallet locked, unlock it to enable full RPC access", "the wallet is locked: unlock it (lncli unlock)"),
        ("wallet not created, create one to enable full RPC access", "the node has no wallet: make one (lncli create)"),
        ("waiting to start, RPC services not available", "the node is starting"),
        ("the RPC server is in the process of starting up, but not yet ready to accept calls", "the node is starting"),
    ],
)
async def test_a_node_that_starts(play: Play, by_hand: Hand, message: str, sentence: str) -> None:
    refused = by_hand("GET", "/v1/getinfo", {"code": 2, "message": message, "details": []}, status=500)
    found = await examine(refused, play=play)
    assert (found.problem, found.answers, found.unsuitable) == (sentence, False, False)
    with pytest.raises(Unreachable):
        await play(refused).info()


async def test_a_macaroon_of_another_node(play: Play, by_hand: Hand) -> None:
    text = "verification failed: signature mismatch after caveat verification"
    refused = by_hand("GET", "/v1/getinfo", {"code": 2, "message": text, "details": []}, status=500)
    found = await examine(refused, play=play)
    assert found.problem.startswith("the macaroon is not of this node")
    assert "bake-macaroon" in found.problem
    assert (found.answers, found.unsuitable) == (False, True)


async def test_a_macaroon_that_lacks_a_right(play: Play, by_hand: Hand) -> None:
    path = "/v1/macaroon/checkpermissions"
    denied, allowed = by_hand("POST", path, DENIED, status=400), by_hand("POST", path, {"valid": True})
    found = await examine("getinfo", denied, allowed, play=play)
    first = next(iter(CALLS))
    assert found.problem.startswith(f"the macaroon does not allow {first}: ")
    assert (found.answers, found.unsuitable) == (False, True)


async def test_a_macaroon_that_may_not_ask_is_taken_with_a_note(play: Play, by_hand: Hand) -> None:
    refused = by_hand("POST", "/v1/macaroon/checkpermissions", MAY_NOT_ASK, status=500)
    found = await examine("getinfo", refused, play=play)
    assert found.is_ready
    assert "cannot be asked" in found.note


async def test_an_answer_about_rights_that_says_nothing_is_not_taken_for_a_yes(play: Play, by_hand: Hand) -> None:
    path = "/v1/macaroon/checkpermissions"
    broken = by_hand("POST", path, {"code": 2, "message": "database closed", "details": []}, status=500)
    found = await examine("getinfo", broken, play=play)
    assert not found.answers
    assert "database closed" in found.problem
    found = await examine("getinfo", by_hand("POST", path, {"valid": False}), play=play)
    assert "does not allow" in found.problem


async def test_rights_are_asked_once(play: Play, rights: dict[str, Any], by_hand: Hand) -> None:
    refused = by_hand("POST", "/v1/macaroon/checkpermissions", DENIED, status=400)
    examination = LndExamination(play("getinfo", *[dict(rights) for _ in CALLS], refused), "regtest")
    for _ in range(2):
        assert (await examination.condition()).is_ready


async def test_a_broad_macaroon_that_forbids_a_call_says_how_to_get_one(play: Play, by_hand: Hand) -> None:
    refused = by_hand("GET", "/v1/getinfo", MAY_NOT_ASK, status=500)
    with pytest.raises(Unsuitable, match="does not allow this call: bake one with"):
        await play(refused).info()


@pytest.mark.parametrize(
    ("version", "numbers", "delta"),
    [
        ("0.21.1-beta commit=v0.21.1-beta", (0, 21, 1), 18),
        ("0.21.0-beta.rc1", (0, 21, 0), 18),
        ("0.20.3-beta commit=x", (0, 20, 3), 12),
        ("1.0.0", (1, 0, 0), 18),
        ("unknown", None, 18),
        ("", None, 18),
    ],
)
def test_what_differs_between_versions(version: str, numbers: tuple[int, int, int] | None, delta: int) -> None:
    assert versions.release(version) == numbers
    assert versions.cancel_delta(version) == delta
    note = versions.note(version)
    assert (note == "") == (numbers == (0, 21, 1))
    if note:
        assert f"LND {versions.TESTED} was" in note
        assert f"{delta} blocks" in note


async def test_one_broken_answer_about_rights_does_not_bar_the_start(play: Play, by_hand: Hand) -> None:
    path = "/v1/macaroon/checkpermissions"
    broken, allowed = by_hand("POST", path, {}, status=500), by_hand("POST", path, {"valid": True})
    assert (await examine("getinfo", broken, allowed, play=play)).is_ready
