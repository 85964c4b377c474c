"""The gateway's enclaves, with keys and epochs, and its time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.keymeld import EnclaveKey
from coordinator_core.errors import VerificationFailed
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime
from tests.support.keymeld_answers import GATEWAY_TIME


async def test_enclaves_are_pinned_with_key_and_epoch(gateway: KeymeldGateway, pinned: list[EnclaveKey]) -> None:
    assert list(await gateway.enclaves()) == pinned


async def test_unhealthy_enclaves_are_left_out(gateway: KeymeldGateway, script: Any) -> None:
    script.enclave(1, SecretKey.generate().public_key.hex(), healthy=False)
    assert await gateway.enclaves() == ()


async def test_an_answer_about_another_enclave_is_refused(gateway: KeymeldGateway, keygen: Any, script: Any) -> None:
    script.enclave(7, keygen.enclaves[7].public_key.hex())
    script.answers["GET", "/api/v1/enclaves/1/public-key"] = script.answers["GET", "/api/v1/enclaves/7/public-key"]
    with pytest.raises(VerificationFailed, match="another enclave"):
        await gateway.enclaves()


async def test_a_gateway_that_refuses_its_enclaves(gateway: KeymeldGateway, script: Any, refuse: Any) -> None:
    script.on("GET", "/enclaves", refuse(404, "no such route", "not_found"))
    with pytest.raises(Rejected, match="no such route"):
        await gateway.enclaves()
    with pytest.raises(Rejected, match="no such route"):
        await gateway.gateway_time()
    script.on("GET", "/enclaves", script.listed(1))
    script.on("GET", "/enclaves/1/public-key", refuse(400, "no such enclave"))
    with pytest.raises(Rejected, match="no such enclave"):
        await gateway.enclaves()


async def test_time_is_the_gateways(gateway: KeymeldGateway, pinned: list[EnclaveKey], script: Any) -> None:
    assert await gateway.gateway_time() == GATEWAY_TIME
    assert await gateway.gateway_time() == GATEWAY_TIME
    assert len(script.seen) == 2


async def test_a_gateway_without_enclaves_has_no_time(gateway: KeymeldGateway, script: Any) -> None:
    script.on("GET", "/enclaves", script.listed())
    with pytest.raises(Unreachable, match="no enclave"):
        await gateway.gateway_time()


async def test_the_gateways_clock_is_read_again_after_a_minute(keygen: Any, script: Any) -> None:
    class Moving:
        time = 1_700_000_000

        def now(self) -> UnixTime:
            return UnixTime(self.time)

    clock = Moving()
    async with KeymeldGateway("http://gateway", clock, transport=httpx.MockTransport(script)) as client:
        assert await client.gateway_time() == GATEWAY_TIME
        clock.time += 60
        assert await client.gateway_time() == GATEWAY_TIME + 60
        reads = len(script.seen)
        clock.time += 1
        assert await client.gateway_time() == GATEWAY_TIME
        clock.time -= 1000
        assert await client.gateway_time() == GATEWAY_TIME
    assert len(script.seen) == reads + 4
