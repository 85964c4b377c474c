"""Oracle and keymeld say what they can do before a ticket is sold; a key that changes freezes new money."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from msgspec.structs import replace as changed

from coordinator.engine.alarms import of_attention
from coordinator.engine.money.handshake import UNKNOWN, Handshake
from coordinator.engine.new_money import NewMoney, NewMoneyPaused
from coordinator.engine.submit import Conflict
from coordinator.ports.alerts import AlertName
from coordinator.ports.clock import MOST_SKEW
from coordinator.ports.faults import Unreachable
from coordinator.ports.keymeld import Capabilities, EnclaveKey, SessionLimits
from coordinator.ports.oracle import OracleSource, SourceMetric
from coordinator_core.errors import Fault
from coordinator_core.units import Seconds, UnixTime
from tests.support import lanes as b

TERMS = b.terms_with()
LIMITS = SessionLimits(200, 100, 100, Seconds(86_400))
KEY = b"\x02" * 33
OTHER = b"\x03" * 33
THIRD = b"\x02" + b"\x05" * 32
CAN = Capabilities("0.10.5", (), LIMITS)


@dataclass
class Gateway:
    clock: Any
    away: bool = False
    ahead: int = 0
    can: Capabilities = CAN
    keys: list[EnclaveKey] = field(default_factory=lambda: [EnclaveKey(1, KEY, 1, True, False)])

    async def capabilities(self) -> Capabilities:
        if self.away:
            raise Unreachable("keymeld", "no answer", fault=Fault.SIGNER)
        return self.can

    async def enclaves(self) -> tuple[EnclaveKey, ...]:
        return tuple(self.keys)

    async def gateway_time(self) -> UnixTime:
        return UnixTime(self.clock.now() + self.ahead)


@dataclass
class Oracle:
    key: bytes = bytes.fromhex(TERMS.oracle.public_key)
    metrics: tuple[SourceMetric, ...] = tuple(SourceMetric(metric, True) for metric in TERMS.observation.metrics)
    source: str = TERMS.observation.source.id

    async def public_key(self) -> bytes:
        return self.key

    async def sources(self) -> tuple[OracleSource, ...]:
        return (OracleSource(self.source, self.metrics, ()),)


@pytest.fixture
def met(desk: Any, house: Any) -> Any:
    desk.bench.services = replace(desk.bench.services, oracle=Oracle(), keymeld=Gateway(house.clock))
    return desk.again()


def reasons(met: Any) -> list[str]:
    return [f"{pause.dependency} {pause.reason}" for pause in met.office.handshake.lacking(TERMS)]


async def read(met: Any) -> Handshake:
    await met.office.handshake.read(await met.bench.services.store.acted_on("accept-key"))
    return met.office.handshake


async def test_what_nobody_has_said_sells_no_ticket(met: Any) -> None:
    assert reasons(met) == [f"oracle {UNKNOWN}", f"keymeld {UNKNOWN}"]
    met.bench.services.keymeld.away = True
    await read(met)
    assert reasons(met) == [f"keymeld {UNKNOWN}"]
    with pytest.raises(NewMoneyPaused, match="keymeld has not said yet"):
        NewMoney(None, able=met.office.handshake.lacking).price(TERMS)
    met.bench.services.keymeld.away = False
    await read(met)
    assert reasons(met) == []


async def test_what_was_said_stays_with_its_age_while_nobody_answers(met: Any, house: Any) -> None:
    await read(met)
    said = met.office.handshake.keymeld
    met.bench.services.keymeld.away = True
    house.clock.seconds += 600
    await read(met)
    assert met.office.handshake.keymeld == said
    assert met.office.handshake.oracle.at == said.at + 600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"can": Capabilities("0.3", (), None)}, "keymeld (0.3) does not speak the protocol"),
        ({"can": Capabilities("x", ("user_authentication", "z"), LIMITS)}, "does not have user_authentication"),
        ({"can": Capabilities("x", (), changed(LIMITS, subsets=3))}, "at most 3 sets of signers"),
        ({"can": Capabilities("x", (), changed(LIMITS, signing_sessions=2))}, "signing sessions"),
        ({"can": Capabilities("x", (), changed(LIMITS, batch_items=99))}, "at most 99 items in a batch"),
        ({"can": Capabilities("x", (), changed(LIMITS, seconds=60))}, "at most 60 seconds for a session"),
        ({"ahead": MOST_SKEW + 1}, "keymeld is 61 s ahead of our clock"),
        ({"ahead": -600}, "keymeld is 600 s behind our clock"),
    ],
)  # fmt: skip
async def test_a_gateway_that_cannot_play_these_terms_is_named(met: Any, changes: dict[str, Any], words: str) -> None:
    for name, value in changes.items():
        setattr(met.bench.services.keymeld, name, value)
    await read(met)
    [reason] = reasons(met)
    assert words in reason


async def test_a_feature_that_no_competition_needs_may_be_absent(met: Any) -> None:
    met.bench.services.keymeld.can = Capabilities("x", ("enclave_isolation",), LIMITS)
    met.bench.services.keymeld.ahead = MOST_SKEW
    await read(met)
    assert reasons(met) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": OTHER}, "oracle has another key than the terms name"),
        ({"source": "another"}, f"oracle does not serve the source {TERMS.observation.source.id}"),
        ({"metrics": ()}, "oracle does not serve rain_amt, temp_high"),
    ],
)
async def test_an_oracle_that_cannot_judge_these_terms_is_named(met: Any, changes: dict[str, Any], words: str) -> None:
    for name, value in changes.items():
        setattr(met.bench.services.oracle, name, value)
    await read(met)
    assert any(words in reason for reason in reasons(met))


class TestKeys:
    async def test_the_first_key_counts_for_every_later_run(self, met: Any) -> None:
        await read(met)
        later = met.again()
        await read(later)
        assert (later.office.handshake.changed, later.freezer.frozen) == ({}, None)
        met.bench.services.oracle.key = OTHER
        await read(later)
        assert later.office.handshake.changed == {"oracle": OTHER.hex()}
        assert "the key of oracle is not the one" in later.freezer.frozen.reason
        [alert] = of_attention(later.office.needs())
        assert (alert.name, alert.subject) == (AlertName.KEY_CHANGED, "oracle")

    async def test_an_enclave_with_another_key_in_the_same_epoch(self, met: Any) -> None:
        await read(met)
        met.bench.services.keymeld.keys = [EnclaveKey(1, OTHER, 1, True, False)]
        await read(met)
        assert met.office.handshake.changed == {"enclave 1/1": OTHER.hex()}
        assert met.freezer.frozen is not None

    async def test_a_restarted_enclave_has_a_new_key_in_a_new_epoch(self, met: Any) -> None:
        await read(met)
        met.bench.services.keymeld.keys = [EnclaveKey(1, OTHER, 2, True, False)]
        await read(met)
        assert (met.office.handshake.changed, met.freezer.frozen) == ({}, None)

    async def test_an_operator_accepts_a_key_once_for_ever(self, met: Any, house: Any) -> None:
        await read(met)
        met.bench.services.oracle.key = OTHER
        await read(met)
        [need] = met.office.needs()
        assert f'accept-key "oracle" {OTHER.hex()}' in need.fix
        await met.office.accept_key(met.by(reason="they told us at their office"), "oracle", OTHER.hex())
        await met.freezer.unfreeze(met.by())
        await read(met)
        assert (met.office.handshake.changed, met.freezer.frozen, met.office.needs()) == ({}, None, ())
        assert await house.rows("SELECT act, subject FROM audit WHERE act = 'accept-key'") == [
            ("accept-key", f"oracle={OTHER.hex()}")
        ]
        with pytest.raises(Conflict, match="has the key that it had at first"):
            await met.office.accept_key(met.by("2"), "oracle", OTHER.hex())

    async def test_a_key_that_changed_again_since_the_operator_saw_it_is_not_accepted(
        self, met: Any, house: Any
    ) -> None:
        await read(met)
        met.bench.services.oracle.key = OTHER
        await read(met)
        met.bench.services.oracle.key = THIRD
        await read(met)
        with pytest.raises(Conflict, match=f"is {OTHER.hex()}, but the key of oracle is {THIRD.hex()} now"):
            await met.office.accept_key(met.by(), "oracle", OTHER.hex())
        assert met.office.handshake.changed == {"oracle": THIRD.hex()}
        assert await house.rows("SELECT act FROM audit WHERE act = 'accept-key'") == []

    async def test_an_answer_given_again_accepts_no_key_that_came_since(self, met: Any) -> None:
        await read(met)
        met.bench.services.oracle.key = OTHER
        await read(met)
        answer = await met.office.accept_key(met.by(), "oracle", OTHER.hex())
        met.bench.services.oracle.key = THIRD
        await read(met)
        assert await met.office.accept_key(met.by(), "oracle", OTHER.hex()) == answer
        assert met.office.handshake.changed == {"oracle": THIRD.hex()}

    async def test_a_key_that_comes_back_needs_nobody(self, met: Any) -> None:
        await read(met)
        met.bench.services.oracle.key = OTHER
        await read(met)
        met.bench.services.oracle.key = bytes.fromhex(TERMS.oracle.public_key)
        await read(met)
        assert met.office.handshake.changed == {}
        # What it froze stays frozen until an operator has looked.
        assert met.freezer.frozen is not None
