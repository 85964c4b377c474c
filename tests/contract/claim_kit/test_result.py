"""A player's prize by the oracle's word: silence counts as the expiry only once the contract has expired."""

import pytest

from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.result import due_by_oracle
from coordinator_core.errors import Fault
from coordinator_core.oracle.attestation import UnknownAttestation


class Oracle:
    """Answers with an attestation, with None, or with an error."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def attestation(self, event_id):
        self.asked.append(event_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


SILENT = (None, NoAnswer("oracle", "is away"), ServerRefused("oracle", 500, "", "broken", Fault.ORACLE))


@pytest.mark.parametrize("answer", SILENT)
async def test_before_the_expiry_nothing_is_due_without_an_attestation(scene, answer):
    kit = scene.kit(0)
    with pytest.raises((NoAnswer, ServerRefused)):
        await due_by_oracle(kit, Oracle(answer), kit.terms.contract.expiry - 1)


@pytest.mark.parametrize("answer", SILENT)
async def test_after_the_expiry_an_oracle_that_is_gone_leaves_equal_shares(scene, answer):
    kits = [scene.kit(player) for player in range(len(scene.ids))]
    dues = [await due_by_oracle(kit, Oracle(answer), kit.terms.contract.expiry) for kit in kits]
    assert len({due.net for due in dues}) == 1
    assert dues[0].net > 0


async def test_an_attestation_decides_whatever_the_clock_says(scene):
    kit = scene.kit(0)
    oracle = Oracle(scene.attestation(0))
    for now in (0, kit.terms.contract.expiry + 1):
        due = await due_by_oracle(kit, oracle, now)
        assert due.net > (await due_by_oracle(kit, Oracle(None), kit.terms.contract.expiry)).net
    assert set(oracle.asked) == {str(kit.terms.oracle.event_ids[kit.attempt])}


async def test_a_scalar_that_opens_no_outcome_is_no_silence(scene):
    kit = scene.kit(0)
    with pytest.raises(UnknownAttestation):
        await due_by_oracle(kit, Oracle(bytes(31) + b"\x07"), kit.terms.contract.expiry)
