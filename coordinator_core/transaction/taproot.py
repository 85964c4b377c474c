"""Taproot output keys, script trees and control blocks (BIP341), with rust-bitcoin's Huffman order."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import point_tweak_add, tagged_hash
from coordinator_core.transaction.script import pay_to_taproot
from coordinator_core.transaction.wire import length_prefixed

LEAF_VERSION_TAPSCRIPT: Final = 0xC0
_MAX_WEIGHT: Final = 0xFFFFFFFF
_TAPSCRIPT_VERSION_BYTE: Final = bytes((LEAF_VERSION_TAPSCRIPT,))


def leaf_hash(script: bytes) -> bytes:
    """TapLeaf hash of a tapscript (leaf version c0)."""
    return tagged_hash("TapLeaf", _TAPSCRIPT_VERSION_BYTE + length_prefixed(script))


def branch_hash(a: bytes, b: bytes) -> bytes:
    """TapBranch hash of two nodes, in any order."""
    return tagged_hash("TapBranch", a + b if a < b else b + a)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a script tree: a leaf has no children."""

    hash: bytes
    children: tuple[Node, Node] | None = None

    @classmethod
    def branch(cls, a: Node, b: Node) -> Node:
        """The parent of two nodes."""
        return cls(branch_hash(a.hash, b.hash), (a, b))

    def path_to(self, leaf: bytes) -> tuple[bytes, ...] | None:
        """Hashes beside the way from the leaf with this hash up to this node; None if it is not below."""
        if self.children is None:
            return () if self.hash == leaf else None
        a, b = self.children
        for child, sibling in ((a, b), (b, a)):
            below = child.path_to(leaf)
            if below is not None:
                return (*below, sibling.hash)
        return None


def huffman_tree(weighted_leaves: Sequence[tuple[int, bytes]]) -> Node:
    """The tree that rust-bitcoin builds of (weight, leaf hash) pairs.

    The two lightest nodes are merged until one is left; of equal weights the larger hash goes first.
    Weights are 32-bit and saturate. Raises InvalidInput for an empty list.
    """
    if not weighted_leaves:
        raise InvalidInput("leaves", "are empty", "give at least one leaf")
    # Negating the hash turns "larger hash first" into the heap's smallest first.
    heap = [(w, -int.from_bytes(leaf, "big"), i, Node(leaf)) for i, (w, leaf) in enumerate(weighted_leaves)]
    heapq.heapify(heap)
    # The third item keeps equal nodes comparable; which of them comes first changes nothing.
    for serial in range(len(heap), 2 * len(heap) - 1):
        weight_a, _, _, a = heapq.heappop(heap)
        weight_b, _, _, b = heapq.heappop(heap)
        parent = Node.branch(a, b)
        order = -int.from_bytes(parent.hash, "big")
        heapq.heappush(heap, (min(weight_a + weight_b, _MAX_WEIGHT), order, serial, parent))
    return heap[0][3]


@dataclass(frozen=True, slots=True)
class TaprootOutput:
    """An output key: `internal_key` (33 bytes, any parity) tweaked with the root of a script tree."""

    internal_key: bytes
    tree: Node
    output_key: bytes
    """33 bytes with parity."""

    @classmethod
    def build(cls, internal_key: bytes, tree: Node) -> TaprootOutput:
        """Tweak the even-y version of `internal_key` with the root. Raises InvalidInput for a bad key."""
        return cls(internal_key, tree, tweak_public_key(internal_key, tree.hash))

    @property
    def script_pubkey(self) -> bytes:
        """The 34-byte output script."""
        return pay_to_taproot(self.output_key[1:])

    def control_block(self, leaf: bytes) -> bytes:
        """Control block for the leaf with this hash. Raises InvalidInput if the tree has no such leaf."""
        path = self.tree.path_to(leaf)
        if path is None:
            raise InvalidInput("leaf", "is not in the script tree", "give the hash of one of its leaves")
        first = LEAF_VERSION_TAPSCRIPT | (self.output_key[0] & 1)
        return bytes((first,)) + self.internal_key[1:] + b"".join(path)


def tweak_public_key(internal_key: bytes, merkle_root: bytes) -> bytes:
    """Output key (33 bytes) of an internal key (33 bytes, parity dropped) and a root (empty: key path only)."""
    x_only = internal_key[1:]
    return point_tweak_add(b"\x02" + x_only, tagged_hash("TapTweak", x_only + merkle_root))
