"""Scripts by their templates, and lists of transactions that are no package, in Bitcoin Core's words."""

from __future__ import annotations

import pytest

from coordinator.embedded.node import script as sc
from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.package import malformation
from coordinator.embedded.node.script import ScriptType
from coordinator_core.errors import InvalidInput

COMPRESSED, FULL = b"\x02" + b"\x11" * 32, b"\x04" + b"\x11" * 64


def pushed(*keys: bytes) -> bytes:
    return b"".join(bytes([len(key)]) + key for key in keys)


TEMPLATES = [
    (b"\xa9\x14" + bytes(20) + b"\x87", ScriptType.SCRIPTHASH),
    (b"\x76\xa9\x14" + bytes(20) + b"\x88\xac", ScriptType.PUBKEYHASH),
    (pushed(COMPRESSED) + b"\xac", ScriptType.PUBKEY),
    (pushed(FULL) + b"\xac", ScriptType.PUBKEY),
    (b"\x21\x05" + bytes(32) + b"\xac", ScriptType.NONSTANDARD),
    (b"\x00\x14" + bytes(20), ScriptType.WITNESS_V0_KEYHASH),
    (b"\x00\x20" + bytes(32), ScriptType.WITNESS_V0_SCRIPTHASH),
    (b"\x00\x15" + bytes(21), ScriptType.NONSTANDARD),
    (b"\x51\x20" + bytes(32), ScriptType.WITNESS_V1_TAPROOT),
    (sc.PAY_TO_ANCHOR, ScriptType.ANCHOR),
    (b"\x60\x02\x01\x02", ScriptType.WITNESS_UNKNOWN),
    (b"\x6a", ScriptType.NULLDATA),
    (b"\x6a\x4c\x03abc", ScriptType.NULLDATA),
    (b"\x6a\x76", ScriptType.NONSTANDARD),
    (b"\x6a\x05ab", ScriptType.NONSTANDARD),
    (b"\x51" + pushed(COMPRESSED, FULL) + b"\x52\xae", ScriptType.MULTISIG),
    (b"\x53" + pushed(COMPRESSED, COMPRESSED) + b"\x52\xae", ScriptType.NONSTANDARD),
    (b"\x51" + pushed(COMPRESSED) + b"\x52\xae", ScriptType.NONSTANDARD),
    (b"\x51" + pushed(b"\x02" + bytes(31)) + b"\x51\xae", ScriptType.NONSTANDARD),
    (b"\x51\x51\xae", ScriptType.NONSTANDARD),
    (b"", ScriptType.NONSTANDARD),
]


@pytest.mark.parametrize(("script", "kind"), TEMPLATES, ids=lambda value: getattr(value, "name", None))
def test_a_script_is_known_by_its_template(script: bytes, kind: ScriptType) -> None:
    assert sc.script_type(script) is kind


class TestPushes:
    @pytest.mark.parametrize("head", [b"\x03", b"\x4c\x03", b"\x4d\x03\x00", b"\x4e\x03\x00\x00\x00"])
    def test_each_form_holds_its_data(self, head: bytes) -> None:
        assert [op.data for op in sc.operations(head + b"abc")] == [b"abc"]

    @pytest.mark.parametrize("script", [b"\x03ab", b"\x4c", b"\x4c\x03ab", b"\x4d\x03", b"\x4e\x01\x00"])
    def test_one_that_reaches_past_the_end_is_said(self, script: bytes) -> None:
        with pytest.raises(InvalidInput, match="past the end"):
            list(sc.operations(script))
        assert not sc.is_push_only(script)

    @pytest.mark.parametrize(
        ("number", "pushed"), [(0, "00"), (1, "51"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000")]
    )
    def test_a_number_takes_its_least_form(self, number: int, pushed: str) -> None:
        assert sc.push_number(number).hex() == pushed

    def test_a_long_one_has_no_direct_form(self) -> None:
        assert sc.push(bytes(75))[:1] == b"\x4b"
        with pytest.raises(InvalidInput, match="direct push"):
            sc.push(bytes(76))


def spending(*coins: tuple[bytes, int], script: bytes = b"\x6a") -> Transaction:
    return Transaction.build([TxInput(OutPoint(txid, vout)) for txid, vout in coins], [TxOutput(1_000, script)])


class TestPackage:
    PARENT = spending((b"\x01" * 32, 0))
    CHILD = spending((PARENT.txid, 0))

    def test_a_child_after_its_parent_is_one(self) -> None:
        assert malformation([self.PARENT, self.CHILD]) is None

    @pytest.mark.parametrize(
        ("package", "words"),
        [
            ([spending((bytes([n]) * 32, 0)) for n in range(26)], "package-too-many-transactions"),
            ([spending((b"\x01" * 32, 0), script=bytes(101_000))], "package-too-large"),
            ([PARENT, PARENT], "package-contains-duplicates"),
            ([CHILD, PARENT], "package-not-sorted"),
            ([PARENT, spending((b"\x01" * 32, 0), (b"\x02" * 32, 0))], "conflict-in-package"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_none_is_said(self, package: list[Transaction], words: str) -> None:
        assert malformation(package) == words

    def test_25_are_not_too_many(self) -> None:
        assert malformation([spending((bytes([n]) * 32, 0)) for n in range(25)]) is None
