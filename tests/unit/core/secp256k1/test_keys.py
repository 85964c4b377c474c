"""Secret keys: known answers, and that the secret neither leaks nor outlives wipe()."""

import copy
import os
import pickle

import pytest

from coordinator_core.errors import InvalidInput, Misuse
from coordinator_core.secp256k1 import (
    G,
    N,
    SecretKey,
    ecdh_x,
    generator_mul,
    lift_x,
    point_mul,
    point_negate,
    point_tweak_add,
    scalar_to_bytes,
    schnorr_sign,
    tagged_hash,
)
from coordinator_core.secp256k1.native import SecretMemory, ffi

ONE = scalar_to_bytes(1)
SEVEN = SecretKey.from_bytes(scalar_to_bytes(7))


def test_public_key_of_a_known_secret() -> None:
    assert SEVEN.public_key == generator_mul(scalar_to_bytes(7))
    assert SEVEN.x_only == SEVEN.public_key[1:]
    assert SEVEN.reveal() == scalar_to_bytes(7)


def test_generated_keys_differ() -> None:
    assert SecretKey.generate().public_key != SecretKey.generate().public_key


def test_scalar_arithmetic_follows_the_points() -> None:
    five = scalar_to_bytes(5)
    assert SEVEN.negated().public_key == point_negate(SEVEN.public_key)
    assert SEVEN.tweaked(five).public_key == point_tweak_add(SEVEN.public_key, five)
    assert SEVEN.multiplied(five).public_key == point_mul(SEVEN.public_key, five)
    assert SEVEN.plus(SecretKey.from_bytes(five)).reveal() == scalar_to_bytes(12)
    assert SEVEN.reveal() == scalar_to_bytes(7)


@pytest.mark.parametrize("root", [b"", b"\x11" * 32])
@pytest.mark.parametrize("secret", [SEVEN, SEVEN.negated()])
def test_taproot_secret_opens_the_output_key(secret: SecretKey, root: bytes) -> None:
    tweak = tagged_hash("TapTweak", secret.x_only + root)
    assert secret.taproot_tweaked(root).public_key == point_tweak_add(lift_x(secret.x_only), tweak)


@pytest.mark.parametrize("negate", [False, True])
def test_linear_combination(negate: bool) -> None:
    terms = [(SEVEN, scalar_to_bytes(3)), (SecretKey.from_bytes(scalar_to_bytes(5)), scalar_to_bytes(-2))]
    expected = 7 * 3 - 5 * 2
    assert SecretKey.linear_combination(terms, negate=negate).reveal() == scalar_to_bytes(
        -expected if negate else expected
    )
    assert SEVEN.reveal() == scalar_to_bytes(7)


def test_even_y() -> None:
    assert SEVEN.with_even_y().public_key == SEVEN.negated().with_even_y().public_key == lift_x(SEVEN.x_only)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (lambda: SecretKey.from_bytes(bytes(32)), "secret key"),
        (lambda: SecretKey.from_bytes(N.to_bytes(32, "big"), "entry key"), "entry key"),
        (lambda: SecretKey.from_bytes(b"\x01" * 31), "secret key"),
        (lambda: SecretKey.from_bytes(bytearray(33)), "secret key"),
        (lambda: SecretKey.from_bytes("01" * 16), "secret key"),  # type: ignore[arg-type]
        (lambda: SEVEN.tweaked(scalar_to_bytes(-7)), "tweak"),
        (lambda: SEVEN.tweaked(b"\xff" * 32), "tweak"),
        (lambda: SEVEN.multiplied(bytes(32)), "factor"),
        (lambda: SEVEN.plus(SEVEN.negated()), "other"),
        (lambda: SecretKey.linear_combination([]), "terms"),
        (lambda: SecretKey.linear_combination([(SEVEN, ONE), (SEVEN, scalar_to_bytes(-1))]), "terms"),
        (lambda: SecretKey.linear_combination([(SEVEN, bytes(32))]), "factor"),
        (lambda: SecretKey.linear_combination([(SEVEN, bytes(31))]), "factor"),
        (lambda: SEVEN.taproot_tweaked(bytes(31)), "merkle root"),
        (lambda: ecdh_x(bytes(33), SEVEN), "point"),
    ],
)
def test_refusals_name_the_field(operation, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        operation()
    assert refusal.value.field == field


def test_refusals_do_not_show_the_bytes() -> None:
    secret = b"\xff" * 32
    with pytest.raises(InvalidInput) as refusal:
        SecretKey.from_bytes(secret)
    assert "ff" * 4 not in str(refusal.value)
    assert "\\xff" not in str(refusal.value)


def test_accepts_a_bytearray_the_caller_can_wipe() -> None:
    assert SecretKey.from_bytes(bytearray(scalar_to_bytes(7))).public_key == SEVEN.public_key


def test_diffie_hellman_agrees_and_is_the_raw_x() -> None:
    other = SecretKey.generate()
    assert ecdh_x(other.public_key, SEVEN) == ecdh_x(SEVEN.public_key, other)
    assert ecdh_x(other.public_key, SEVEN) == point_mul(other.public_key, scalar_to_bytes(7))[1:]


@pytest.mark.parametrize("leak", [repr, str, lambda key: f"{key}", lambda key: f"{key!r}"])
def test_printing_shows_stars(leak) -> None:
    assert leak(SEVEN) == "***"


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps, hash])
def test_copies_are_refused(copying) -> None:
    with pytest.raises((Misuse, TypeError)):
        copying(SEVEN)


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_secret_memory_refuses_copies(copying) -> None:
    with pytest.raises(Misuse):
        copying(SecretMemory("unsigned char[32]"))


def test_comparison_is_refused() -> None:
    with pytest.raises(Misuse):
        _ = SecretKey.from_bytes(scalar_to_bytes(7)) == SEVEN


def test_wiping_overwrites_the_native_memory_and_the_keypair() -> None:
    key = SecretKey.generate()
    memory, keypair = key.pointer, key.keypair
    key.wipe()
    assert bytes(ffi.buffer(memory)) == bytes(32)
    assert bytes(ffi.buffer(keypair)) == bytes(96)
    for use in (key.reveal, lambda: key.pointer, lambda: key.keypair, lambda: schnorr_sign(bytes(32), key)):
        with pytest.raises(Misuse):
            use()


def test_collecting_a_key_wipes_it() -> None:
    key = SecretKey.generate()
    memory = key.pointer
    del key
    assert bytes(ffi.buffer(memory)) == bytes(32)


@pytest.mark.starts_processes("the rule is about what a fork inherits")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_signs_with_a_context_of_its_own() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if SEVEN.tweaked(bytes(32)).public_key == SEVEN.public_key else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_illegal_argument_is_reported_and_does_not_abort() -> None:
    from coordinator_core.secp256k1.native import ctx, lib, require

    with pytest.raises(Misuse, match="fe_is_zero"):
        require(lib.secp256k1_ec_pubkey_negate(ctx, ffi.new("secp256k1_pubkey *")), "negating nothing failed")
    assert point_negate(point_negate(G)) == G
