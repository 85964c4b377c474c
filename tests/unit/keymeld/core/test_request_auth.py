from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator_core.errors import InvalidInput, InvalidSignature, Refused
from coordinator_core.keymeld.request_auth import session_scope, user_scope
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

KEY = SecretKey.from_bytes(b"\x11" * 32)
SESSION = "01890a5d-ac96-774b-bcce-b302099a8057"
USER = "01890a5d-ac96-774b-bcce-b302099a8001"
AT = UnixTime(1_700_000_000)


def test_a_header_is_for_one_scope_one_user_and_one_key() -> None:
    header = user_scope(SESSION, USER).header(KEY, AT)
    user_scope(SESSION, USER).verify(header, KEY.public_key)
    for scope in (user_scope(USER, USER), user_scope(SESSION, SESSION), session_scope(SESSION)):
        with pytest.raises(InvalidSignature):
            scope.verify(header, KEY.public_key)
    with pytest.raises(InvalidSignature):
        user_scope(SESSION, USER).verify(header, SecretKey.generate().public_key)


def test_time_and_nonce_are_signed() -> None:
    header = session_scope(SESSION).header(KEY, AT)
    for changed in (
        header.replace(str(AT), str(AT + 1)),
        header.replace("v1:1700000000:", "v1:1700000000:")[:-2] + "00",
    ):
        if changed != header:
            with pytest.raises(InvalidSignature):
                session_scope(SESSION).verify(changed, KEY.public_key)


def test_every_header_is_fresh() -> None:
    scope = session_scope(SESSION)
    proofs = {scope.verify(scope.header(KEY, AT), KEY.public_key).replay_key for _ in range(5)}
    assert len(proofs) == 5


@pytest.mark.parametrize(("age", "fine"), [(0, True), (300, True), (301, False), (-30, True), (-31, False)])
def test_window(age: int, fine: bool) -> None:
    scope = session_scope(SESSION)
    proof = scope.verify(scope.header(KEY, AT), KEY.public_key)
    if fine:
        proof.check_age(UnixTime(AT + age))
    else:
        with pytest.raises(Refused):
            proof.check_age(UnixTime(AT + age))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v2:1:" + "00" * 16 + ":" + "00" * 64,
        "v1:01:" + "00" * 16 + ":" + "00" * 64,
        "v1:1:" + "0A" * 16 + ":" + "00" * 64,
        "v1:1:" + "00" * 15 + ":" + "00" * 64,
        "v1:1:" + "00" * 16 + ":" + "00" * 63,
        "v1:9999999999999999999:" + "00" * 16 + ":" + "00" * 64,
        "v1:1:" + "00" * 16 + ":" + "00" * 64 + "\n",
    ],
)
def test_other_shapes_are_refused(header: str) -> None:
    with pytest.raises(InvalidInput):
        session_scope(SESSION).verify(header, KEY.public_key)


@given(st.text(max_size=260))
def test_hostile_headers_get_a_typed_error(header: str) -> None:
    with pytest.raises((InvalidInput, InvalidSignature)):
        session_scope(SESSION).verify(header, KEY.public_key)
