"""Macaroons: they grant what they name and nothing else, and only at their own node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.embedded.lightning.errors import LndError
from coordinator.embedded.lightning.macaroon import (
    ALL_PERMISSIONS,
    COORDINATOR_PERMISSIONS,
    MacaroonBakery,
)

BAKERY = MacaroonBakery(bytes(32))


@given(st.frozensets(st.sampled_from(sorted(ALL_PERMISSIONS)), min_size=1))
def test_grants_exactly_what_it_names(granted: frozenset[tuple[str, str]]) -> None:
    macaroon = BAKERY.bake(granted).hex()
    for permission in ALL_PERMISSIONS:
        if permission in granted:
            BAKERY.check([macaroon], permission)
        else:
            with pytest.raises(LndError, match="permission denied"):
                BAKERY.check([macaroon], permission)


def test_the_coordinator_cannot_bake() -> None:
    macaroon = BAKERY.bake(COORDINATOR_PERMISSIONS).hex()
    with pytest.raises(LndError, match="permission denied"):
        BAKERY.check([macaroon], ("macaroon", "generate"))


def test_a_single_call_is_granted_alone() -> None:
    macaroon = BAKERY.bake({("uri", "/lnrpc.Lightning/GetInfo")}).hex()
    BAKERY.check([macaroon], ("info", "read"), "/lnrpc.Lightning/GetInfo")
    for method in ("", "/lnrpc.Lightning/GetRecoveryInfo"):
        with pytest.raises(LndError, match="permission denied"):
            BAKERY.check([macaroon], ("info", "read"), method)


def test_a_root_key_of_its_own_signs_otherwise() -> None:
    macaroon = BAKERY.bake({("info", "read")}, 7)
    BAKERY.check([macaroon.hex()], ("info", "read"))
    with pytest.raises(LndError, match="signature mismatch"):
        BAKERY.check([macaroon.replace(b"\x12\x017", b"\x12\x010").hex()], ("info", "read"))


def test_another_nodes_macaroon_is_refused() -> None:
    with pytest.raises(LndError, match="signature mismatch"):
        BAKERY.check([MacaroonBakery(b"\1" * 32).bake(ALL_PERMISSIONS).hex()], ("info", "read"))


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    macaroon = bytearray(BAKERY.bake({("info", "read")}))
    place = data.draw(st.integers(0, len(macaroon) - 1).filter(lambda item: macaroon[item : item + 1] != b""))
    macaroon[place] ^= data.draw(st.integers(1, 255))
    changed = bytes(macaroon)
    try:
        BAKERY.check([changed.hex()], ("info", "read"))
    except LndError:
        return
    # only the location, which no signature covers, may differ
    assert b"lnd" not in changed


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda item: b"\2" + item))
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LndError):
        BAKERY.check([data.hex()], ("info", "read"))


@pytest.mark.parametrize("headers", [[], ["00", "00"], ["zz"], ["000"]])
def test_bad_headers_are_refused(headers: list[str]) -> None:
    with pytest.raises(LndError):
        BAKERY.check(headers, ("info", "read"))
