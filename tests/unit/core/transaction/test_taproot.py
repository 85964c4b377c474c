import hashlib

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import generator_mul, point_negate
from coordinator_core.transaction import (
    Node,
    OutPoint,
    TaprootOutput,
    Transaction,
    TxIn,
    TxOut,
    branch_hash,
    huffman_tree,
    leaf_hash,
    taproot_sighash,
    tweak_public_key,
)
from coordinator_core.transaction.presigned import PresignedForm, key_spend_sighash, leaf_spend_sighash
from coordinator_core.units import Sats


def leaf(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def climb(node_hash: bytes, path: tuple[bytes, ...]) -> bytes:
    for sibling in path:
        node_hash = branch_hash(node_hash, sibling)
    return node_hash


def test_bip341_output_key_vectors():
    # BIP341, scriptPubKey section of its wallet test vectors: without a script tree, with one leaf, with two.
    internal = bytes.fromhex("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    assert tweak_public_key(b"\x02" + internal, b"")[1:].hex() == (
        "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    )
    internal = bytes.fromhex("187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27")
    script = bytes.fromhex("20d85a959b0290bf19bb89ed43c916be835475d013da4b362117393e25a48229b8ac")
    assert leaf_hash(script).hex() == "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21"
    output = TaprootOutput.build(b"\x02" + internal, Node(leaf_hash(script)))
    assert output.script_pubkey.hex() == "5120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3"
    assert output.control_block(leaf_hash(script)).hex() == (
        "c1187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27"
    )


def test_the_parity_of_the_internal_key_does_not_matter():
    key = generator_mul(leaf("key"))
    assert tweak_public_key(key, leaf("root")) == tweak_public_key(point_negate(key), leaf("root"))


def test_equal_weights_merge_the_larger_hash_first():
    a, b, c = sorted((leaf("a"), leaf("b"), leaf("c")))
    assert huffman_tree([(1, a), (1, b), (1, c)]).hash == branch_hash(a, branch_hash(b, c))


def test_the_lightest_nodes_are_deepest():
    heavy, light, lighter = leaf("heavy"), leaf("light"), leaf("lighter")
    root = huffman_tree([(5, heavy), (2, light), (1, lighter)])
    assert [len(root.path_to(x)) for x in (heavy, light, lighter)] == [1, 2, 2]


def test_weights_saturate():
    leaves = [leaf(str(i)) for i in range(4)]
    limit = 0xFFFFFFFF
    first, second = sorted(leaves[:2], reverse=True)
    merged = branch_hash(first, second)
    # Both branches weigh the limit then, so hashes alone decide; without saturation the sum would be popped last.
    root = huffman_tree([(limit - 1, leaves[0]), (limit - 1, leaves[1]), (limit, leaves[2]), (limit, leaves[3])])
    order = sorted((merged, leaves[2], leaves[3]), reverse=True)
    assert root.hash == branch_hash(branch_hash(order[0], order[1]), order[2])


@pytest.mark.parametrize("count", [1, 2, 3, 9, 33])
def test_paths_lead_to_the_root(count):
    leaves = [leaf(str(i)) for i in range(count)]
    root = huffman_tree([(1, x) for x in leaves])
    for x in leaves:
        assert climb(x, root.path_to(x)) == root.hash
    assert root.path_to(leaf("elsewhere")) is None


def test_equal_leaves_do_not_confuse_the_tree():
    same = leaf("same")
    assert huffman_tree([(1, same), (1, same)]).hash == branch_hash(same, same)


def test_an_empty_tree_and_a_leaf_outside():
    with pytest.raises(InvalidInput, match="leaves"):
        huffman_tree([])
    with pytest.raises(InvalidInput, match="leaf"):
        TaprootOutput.build(generator_mul(leaf("key")), Node(leaf("a"))).control_block(leaf("b"))


def test_presigned_forms_equal_the_general_functions():
    key = generator_mul(leaf("key"))[1:]
    outpoint, outputs = OutPoint(leaf("txid"), 3), tuple(TxOut(Sats(v), bytes(v)) for v in (1, 22, 300))
    encoded = b"".join(o.serialize() for o in outputs)
    for sequence, lock_time in ((0, 0), (144, 0), (0xFFFFFFFE, 900_000)):
        form = PresignedForm(Sats(5_000), sequence, lock_time)
        transaction = form.transaction(outpoint, outputs)
        previous = [TxOut(Sats(5_000), b"\x51\x20" + key)]
        assert transaction == Transaction((TxIn(outpoint, sequence),), outputs, lock_time)
        assert form.txid(outpoint.serialize(), encoded, len(outputs)) == transaction.txid
        message = form.message(outpoint.serialize(), key, encoded)
        assert key_spend_sighash(message) == taproot_sighash(transaction, 0, previous)
        assert leaf_spend_sighash(message, leaf("x")) == taproot_sighash(transaction, 0, previous, leaf("x"))


def test_signature_hash_needs_every_previous_output():
    transaction = Transaction((TxIn(OutPoint(leaf("txid"), 3), 0),), ())
    with pytest.raises(InvalidInput, match="previous_outputs"):
        taproot_sighash(transaction, 0, [])
    with pytest.raises(InvalidInput, match="index"):
        taproot_sighash(transaction, 1, [TxOut(Sats(1), b"")])
