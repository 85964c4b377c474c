"""A serialized block is believed as far as its hash binds it, and no further."""

import inspect
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.adapters.bitcoin import CoreNode, EsploraNode
from coordinator.adapters.bitcoin.raw_block import HEADER_BYTES, merkle_root, read_block, target_of
from coordinator.ports.bitcoin import Network, Outpoint
from coordinator_core.errors import CoreError, InvalidInput, VerificationFailed
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import Sats
from tests.support.blocks import coinbase, mined

GENESIS = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc388"
    "8a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c01010000000100000000000000000000000000000000000000000000000000000000"
    "00000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e"
    "6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a6"
    "7130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
GENESIS_HASH = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"


def spend(number: int, witness: bool = True) -> Transaction:
    inputs = tuple(
        TxIn(OutPoint(bytes([number]) * 32, vout), 7, (b"\x01" * 64,) if witness else ()) for vout in (0, 300)
    )
    return Transaction(inputs, (TxOut(Sats(9), b"\x51\x20" + b"\x02" * 32),) * 2)


def block(count: int = 3, *, witness: bool = True) -> tuple[str, bytes]:
    others = [spend(number + 1, witness) for number in range(count)]
    return mined([coinbase(7, *others, committing=witness), *others])


def test_the_first_block_of_all() -> None:
    found = read_block(bytes.fromhex(GENESIS), GENESIS_HASH, Network.MAINNET)
    [only] = found.transactions
    assert (found.previous_hash, found.time) == ("", 1_231_006_505)
    assert only.txid == "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    assert only.spends == ()


@pytest.mark.parametrize("witness", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 300])
def test_what_a_block_holds(count: int, witness: bool) -> None:
    others = [spend(number % 250 + 1, witness) for number in range(min(count, 250))]
    others += [
        Transaction(other.inputs[:1], other.outputs, lock_time=9) for other in others[: count - 250] if count > 250
    ]
    first = coinbase(7, *others, committing=witness)
    block_hash, raw = mined([first, *others], previous="ab" * 32)
    found = read_block(raw, block_hash, Network.REGTEST)
    assert found.previous_hash == "ab" * 32
    assert [t.txid for t in found.transactions] == [t.txid[::-1].hex() for t in (first, *others)]
    assert [t.spends for t in found.transactions[1:]] == [
        tuple(Outpoint(i.previous_output.txid.hex(), i.previous_output.vout) for i in other.inputs) for other in others
    ]


@given(st.data())
def test_no_other_bytes_pass_under_the_hash(data: st.DataObject) -> None:
    """Cut, lengthened, or with one byte changed, wherever it is: in header, amounts, scripts or witnesses."""
    block_hash, raw = block()
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = data.draw(
        st.sampled_from(
            [raw[:at], raw + raw[-1:], raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]]
        )
    )
    with pytest.raises(CoreError):
        read_block(changed, block_hash, Network.REGTEST)


@given(st.binary(max_size=300))
def test_hostile_bytes_get_a_typed_error(data: bytes) -> None:
    with pytest.raises(CoreError):
        read_block(data, "00" * 32, Network.REGTEST)
    block_hash, raw = block(1)
    with pytest.raises(CoreError):
        read_block(raw[:HEADER_BYTES] + data, block_hash, Network.REGTEST)


def test_a_block_under_another_hash() -> None:
    (block_hash, _), (_, other) = block(1), block(2)
    with pytest.raises(VerificationFailed, match="another block"):
        read_block(other, block_hash, Network.REGTEST)


def test_transactions_that_are_not_the_headers() -> None:
    block_hash, raw = mined([coinbase(7)], root=bytes(32))
    with pytest.raises(VerificationFailed, match="not those of the header"):
        read_block(raw, block_hash, Network.REGTEST)


def test_a_list_that_ends_in_a_copy_of_its_end_has_the_root_of_the_shorter_one() -> None:
    """CVE-2012-2459: three transactions, or those three and the last one again."""
    others = [spend(1, witness=False), spend(2, witness=False)]
    first = coinbase(7, committing=False)
    root = merkle_root([t.txid for t in (first, *others)])
    block_hash, raw = mined([first, *others, others[-1]], root=root)
    with pytest.raises(VerificationFailed, match="twice"):
        read_block(raw, block_hash, Network.REGTEST)


@pytest.mark.parametrize("transactions", [[], [spend(1, witness=False)], [spend(1, witness=False), coinbase(7)]])
def test_a_block_begins_with_a_coinbase(transactions: list[Transaction]) -> None:
    """CVE-2017-12842: rows of the merkle tree that read as transactions have the root of those below them."""
    block_hash, raw = mined(transactions)
    with pytest.raises(InvalidInput, match=r"coinbase|no transaction"):
        read_block(raw, block_hash, Network.REGTEST)


def test_witnesses_that_the_coinbase_does_not_commit_to() -> None:
    other = spend(1)
    block_hash, raw = mined([coinbase(7, committing=False), other])
    with pytest.raises(VerificationFailed, match="nothing commits"):
        read_block(raw, block_hash, Network.REGTEST)
    block_hash, raw = mined([coinbase(7, other), other.with_witness(0, (b"\x02" * 64,))])
    with pytest.raises(VerificationFailed, match="witnesses are not"):
        read_block(raw, block_hash, Network.REGTEST)


@pytest.mark.parametrize("network", [Network.MAINNET, Network.SIGNET, Network.TESTNET4])
def test_a_network_asks_for_its_least_work(network: Network) -> None:
    block_hash, raw = block()
    with pytest.raises(VerificationFailed, match="too little work"):
        read_block(raw, block_hash, network)


@pytest.mark.parametrize("what", [CoreNode, EsploraNode, read_block])
def test_nobody_falls_back_to_the_network_that_asks_for_no_work(what: Callable[..., object]) -> None:
    assert inspect.signature(what).parameters["network"].default is inspect.Parameter.empty


@pytest.mark.parametrize("bits", [0x1F000001, 0x207FFFFF + 1, 0xFF7FFFFF, 0x01800000, 0])
def test_a_header_has_to_reach_the_target_it_names(bits: int) -> None:
    block_hash, raw = mined([coinbase(7)], bits=bits)
    with pytest.raises(VerificationFailed, match="too little work"):
        read_block(raw, block_hash, Network.REGTEST)


@pytest.mark.parametrize(
    ("bits", "target"),
    [(0x1D00FFFF, 0xFFFF << 208), (0x207FFFFF, 0x7FFFFF << 232), (0x03123456, 0x123456), (0x02123456, 0x1234), (0, 0)],
)
def test_targets(bits: int, target: int) -> None:
    assert target_of(bits) == target


def test_more_bytes_than_a_block_can_have() -> None:
    block_hash, raw = block()
    with pytest.raises(InvalidInput, match="too many"):
        read_block(raw + bytes(4_000_001), block_hash, Network.REGTEST)
