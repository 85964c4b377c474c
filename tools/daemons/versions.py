"""What is built, from where, with which flags. A change of any of them makes another cache folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).parent

CORE_PACKAGE = "py-bitcoinkernel"
CORE_PACKAGE_VERSION = "0.1.0a5"
CORE_VERSION = "31.99.0"
"""Bitcoin Core's own name of the tree inside the package: its master branch between 31 and 32."""
CORE_SHA256 = "71b91eecac7a8b07248be04471c3bf98016b38bf823aefd28f7b31179940520d"
CORE_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    # Regtest blocks are small: an unoptimised build is fast enough and takes a third of the time to compile.
    "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
    "-DENABLE_WALLET=OFF",
    "-DBUILD_CLI=OFF",
    "-DWITH_ZMQ=ON",
    "-DENABLE_IPC=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=OFF",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DINSTALL_MAN=OFF",
    "-DWITH_USDT=OFF",
    "-DWITH_EMBEDDED_ASMAP=OFF",
)

LND_VERSION = "0.21.1-beta"
LND_TAGS = (
    "autopilotrpc",
    "chainrpc",
    "invoicesrpc",
    "neutrinorpc",
    "peersrpc",
    "routerrpc",
    "signrpc",
    "walletrpc",
    "watchtowerrpc",
    "wtclientrpc",
    # Weakens the stretching of the wallet password and nothing else: three nodes start in 2 s instead of 8 s.
    # It makes these binaries unfit for real money.
    "lowscrypt",
)
LND_LDFLAGS = "-s -w"
LND_COMMANDS = (
    "github.com/lightningnetwork/lnd/cmd/lnd",
    "github.com/lightningnetwork/lnd/cmd/lncli",
)


def core_key() -> str:
    """Name of bitcoind's cache folder."""
    return f"bitcoind-{CORE_VERSION}-{_digest(CORE_SHA256, *CORE_FLAGS)}"


def lnd_key() -> str:
    """Name of LND's cache folder: also every dependency's version counts."""
    pinned = [(HERE / name).read_text() for name in ("go.mod", "go.sum")]
    return f"lnd-{LND_VERSION}-{_digest(*LND_TAGS, LND_LDFLAGS, *pinned)}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
