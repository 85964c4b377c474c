"""`./dev bench`: what contracts cost here and in dlctix 0.2.2 in the same run, and whether the targets are met;
`./dev bench SECTION` measures another part (`chain`, `engine`, `scale`, `timers`), with options of its own, and
`./dev bench all` one after the other.

Prints a table, then one line of JSON. Every measurement is a process of its own on one thread. Times are processor
time, which other work on the machine disturbs less than the wall clock; of the repetitions the quickest time and the
largest memory count. dlctix signs for its market maker alone, we sign for everyone; "checked" is our signing when it
also verifies what it signed, which otherwise is left to the verification beside it.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench import chain_bench, dlc_bench, engine_bench, scale_bench, timers_bench
from tests.peers.dlctix_peer import DlctixPeer, PeerUnavailable, build_peers, cargo_version

SHAPES = ((3, 1), (10, 3), (20, 2), (25, 1), (20, 3))
PEER_VERSION = "0.2.2"
STEPS = ("build", "sign", "verify")
TARGETS = {
    (20, 3): {"build": 0.3, "sign": 0.1, "verify": 0.2, "memory": 0.5},
    (20, 2): {"build": 0.6, "sign": 0.1, "verify": 0.2},
}
"""Largest ratio to dlctix. Other shapes: never slower, or quicker than NEGLIGIBLE_MS."""
NEGLIGIBLE_MS = 5.0

Row = dict[str, Any]
ALL = "all"
SECTIONS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "chain": chain_bench.main,
    "engine": engine_bench.main,
    "scale": scale_bench.main,
    "timers": timers_bench.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --strict give 1 if a target is missed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == [ALL]:
        return max([main([]), *(measure([]) for measure in SECTIONS.values())])
    if given and given[0] in SECTIONS:
        return SECTIONS[given[0]](given[1:])
    return _contracts(_options(given))


def _contracts(options: argparse.Namespace) -> int:
    peer, reason = _peer()
    rows = [_measure(players, places, peer, options.repeat) for players, places in options.shapes or SHAPES]
    report = {"versions": _versions(peer), "dlctix": reason or PEER_VERSION, "rows": rows}
    print(_table(report))
    print(json.dumps(report))
    missed = any(not verdict["met"] for row in rows for verdict in row["targets"].values())
    return int(missed and options.strict)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description="Time and memory of contracts, here and in dlctix."
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements of each shape (default 3)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a target is missed")
    parser.add_argument("shapes", nargs="*", type=_shape, metavar="N,K", help="players and places (default: five)")
    return parser.parse_args(arguments)


def _shape(text: str) -> tuple[int, int]:
    players, _, places = text.partition(",")
    return int(players), int(places)


def _peer() -> tuple[DlctixPeer | None, str | None]:
    try:
        return build_peers()[PEER_VERSION], None
    except PeerUnavailable as reason:
        return None, f"not measured: {reason}"


def _versions(peer: DlctixPeer | None) -> dict[str, str]:
    ours = {"python": platform.python_version(), "btclib-secp256k1": version("btclib-secp256k1")}
    return ours if peer is None else ours | {"dlctix": peer.version, "cargo": cargo_version().removeprefix("cargo ")}


def _measure(players: int, places: int, peer: DlctixPeer | None, repeat: int) -> Row:
    print(f"measuring {players},{places}", file=sys.stderr)
    ours: list[Row] = []
    theirs: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        nonces = Path(directory) / "nonces.json"
        request = b""
        if peer is not None:
            request = json.dumps(dlc_bench.peer_request(players, places)).encode()
            nonces.write_bytes(peer.run(["nonces"], request))
        for _ in range(repeat):
            # Alternating, so that whatever else the machine does falls on both.
            ours.append(dlc_bench.row(players, places))
            if peer is not None:
                theirs.append(json.loads(peer.run(["bench", str(nonces)], request)))
    row: Row = {"players": players, "places": places, "ours": _best(ours), "dlctix": _best(theirs) if theirs else None}
    row["targets"] = _judge((players, places), row["ours"], row["dlctix"]) if theirs else {}
    return row


def _best(measurements: Sequence[Row]) -> Row:
    first = measurements[0]
    fields = [field for field in first if field.endswith("_ms")]
    times = {field: round(min(m[field] for m in measurements), 2) for field in fields}
    peaks = [m["peak_mib"] for m in measurements if m["peak_mib"] is not None]
    return first | times | {"peak_mib": round(max(peaks), 1) if peaks else None}


def _judge(shape: tuple[int, int], ours: Row, theirs: Row) -> dict[str, Row]:
    targets = TARGETS.get(shape, dict.fromkeys(STEPS, 1.0))
    judged: dict[str, Row] = {}
    for name, limit in targets.items():
        field = "peak_mib" if name == "memory" else f"{name}_ms"
        if theirs[field] is None:
            continue
        ratio = ours[field] / theirs[field]
        negligible = shape not in TARGETS and ours[field] < NEGLIGIBLE_MS
        judged[name] = {"ratio": round(ratio, 3), "at_most": limit, "met": ratio <= limit or negligible}
    return judged


def _table(report: Row) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        versions,
        f"dlctix {report['dlctix']}",
        "",
        "milliseconds of processor time, MiB; ratio to dlctix (target)",
        "",
    ]
    lines.append(_columns("n,k", "signatures", (*STEPS, "memory"), "checked"))
    lines.extend(map(_line, report["rows"]))
    return "\n".join(lines)


def _line(row: Row) -> str:
    shape = f"{row['players']},{row['places']}"
    cells = [_cell(row, name) for name in (*STEPS, "memory")]
    return _columns(shape, row["ours"]["signatures"], cells, f"{row['ours']['checked_sign_ms']:.1f}")


def _columns(shape: str, signatures: object, cells: Sequence[str], checked: str) -> str:
    return f"{shape:<6}{signatures:>10}" + "".join(f"{cell:>33}" for cell in cells) + f"{checked:>10}"


def _cell(row: Row, name: str) -> str:
    field = "peak_mib" if name == "memory" else f"{name}_ms"
    ours = f"{row['ours'][field]:.1f}"
    if row["dlctix"] is None or row["dlctix"][field] is None:
        return ours
    theirs, verdict = row["dlctix"][field], row["targets"].get(name)
    ratio = f"{row['ours'][field] / theirs:.3f}"
    target = "" if verdict is None else f" ({verdict['at_most']:g} {'met' if verdict['met'] else 'MISSED'})"
    return f"{ours} / {theirs:.1f} = {ratio}{target}"


if __name__ == "__main__":
    sys.exit(main())
