"""Compares the adapter with its peers.

    python bench/run.py                      measure all rows; write .cache/bench/bench.json, docs/performance.md, .svg
    python bench/run.py --quick              compare the ratios to the floor with bench/baseline.json, in two minutes
    python bench/run.py --quick --accept     write the measured ratios to the baseline
    python bench/run.py --rows 1k,start      measure only these rows again; text-* means all rows with this prefix
    python bench/run.py --rust PATH          also measure a Rust adapter that was built elsewhere; or PATH=VERSION

Needs gcc. The peers are installed into .cache/bench. The report names each peer that cannot be installed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from compare import baseline, capped, dev_start, emulators, fastapi, idle, invocations, plot, proxies, report, starts
from compare.builds import adapter
from compare.cores import ONE, TWO, name_on
from compare.peers import PEERS, MissingPeer, name_rust_binary
from compare.places import CACHE, REPOSITORY
from compare.samples import Row, say
from compare.workloads import ALL, QUICK_ON_ONE_CORE, workloads

# The subjects of quick mode: the adapter, and the subjects with which it is compared.
_QUICK_SUBJECTS = ("adapter", "floor", "aiohttp", "bare-python")
ROUNDS, QUICK_ROUNDS = 7, 5
RESULTS = CACHE / "bench.json"


def _measurements(*, quick: bool) -> dict[str, Callable[[], Row]]:
    """Return a function that measures each row, by the row's name, in the order of the report."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    only = _QUICK_SUBJECTS[:2] if quick else ALL
    few = _QUICK_SUBJECTS if quick else None
    found: dict[str, Callable[[], Row]] = {}
    for workload in workloads():
        for cores in (TWO, ONE):
            if not quick or (workload.quick and (cores == TWO or workload.name in QUICK_ON_ONE_CORE)):
                measure = partial(invocations.measure, workload, cores=cores)
                found[name_on(workload.name, cores)] = partial(measure, rounds=rounds, quick=quick, only=only)
    for start in starts.START_ROWS:
        if not quick or start.quick:
            found[start.name] = partial(starts.measure, start, quick=quick, only=few)
    for proxy in proxies.PROXY_ROWS:
        if not quick or proxy.quick:
            found[proxy.name] = partial(proxies.measure, proxy, rounds=rounds, quick=quick, only=few)
    found[dev_start.NAME] = partial(dev_start.measure, samples=5 if quick else 15)
    if not quick:
        found["fastapi"] = partial(fastapi.measure, rounds=rounds)
        found |= {row.name: partial(capped.measure, row, rounds=2) for row in capped.CAPPED_ROWS}
        found |= {row.name: partial(idle.measure, row, rounds=2) for row in idle.IDLE_ROWS}
        found |= {row.name: partial(emulators.measure, row, rounds=rounds) for row in emulators.EMULATOR_ROWS}
    return found


def _measured(name: str, measure: Callable[[], Row]) -> list[Row]:
    """Return the row, or an empty list if a candidate failed. The run continues with the other rows."""
    try:
        return [measure()]
    except RuntimeError as error:
        say(f"{name} is left out: {error}")
        return []


def _peers(rows: Iterable[Row]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of the peers in ``rows``, and the reasons why some of them are missing.

    Other peers are not built for this.
    """
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    named = {name for row in rows for name in (*row.samples, *row.missing)}
    for name in [name for name in PEERS if name in named]:
        try:
            versions[name] = PEERS[name]().version
        except MissingPeer as error:
            missing[name] = str(error)
    return versions, missing


def _keep(row: Row) -> None:
    """Store the row for the report, so that it is not lost if the run ends early."""
    kept = report.rows_of(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}
    kept[row.name] = row
    RESULTS.write_text(json.dumps(report.as_json(kept.values(), *_peers(kept.values())), indent=1) + "\n")


def _write_report(order: list[str]) -> None:
    """Write the documents from all stored rows."""
    results = json.loads(RESULTS.read_text())
    results["rows"].sort(key=lambda row: order.index(row["name"]))
    docs = REPOSITORY / "docs"
    (docs / "performance.md").write_text(report.as_markdown(results))
    for name, picture in plot.pictures(report.rows_of(results)).items():
        (docs / name).write_text(picture)
    say(f"written: {RESULTS}, docs/performance.md and its pictures")


def _guard(rows: list[Row], *, accept: bool) -> None:
    """Print the quick report. Make the ratios the baseline if ``accept`` is True."""
    by_name = {row.name: row for row in rows}
    for name, ratio in baseline.ratios(by_name).items():
        sys.stdout.write(f"{name}: {ratio:.2f}\n")
    if accept:
        baseline.write(by_name)
        return
    for regression in baseline.regressions(by_name):
        sys.stdout.write(f"WARNING: {regression}\n")


def _chosen(rows: str | None, known: list[str]) -> list[str]:
    """Return the names of the rows to measure. A name with ``*`` at its end stands for all names with this prefix."""
    if rows is None:
        return known
    chosen = []
    for name in rows.split(","):
        chosen += [each for each in known if each.startswith(name[:-1])] if name.endswith("*") else [name]
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the adapter with its peers.")
    parser.add_argument("--quick", action="store_true", help="measure only the ratios in the baseline")
    parser.add_argument("--accept", action="store_true", help="with --quick: make the ratios the baseline")
    parser.add_argument("--rows", help="measure only these rows, separated by commas, anew")
    parser.add_argument("--rust", metavar="PATH[=VERSION]", help="a Rust adapter that was built elsewhere")
    given = parser.parse_args()
    if given.rust:
        name_rust_binary(given.rust)
    CACHE.mkdir(parents=True, exist_ok=True)
    # SIGTERM raises SystemExit, so that all started processes are ended.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    adapter()
    measurements = _measurements(quick=given.quick)
    chosen = _chosen(given.rows, list(measurements))
    if unknown := [name for name in chosen if name not in measurements]:
        parser.error(f"--rows: {', '.join(unknown)}: there are {', '.join(measurements)}")
    if not (given.quick or given.rows):
        RESULTS.unlink(missing_ok=True)
    rows: list[Row] = []
    for name in chosen:
        rows += _measured(name, measurements[name])
        if rows and not given.quick:
            _keep(rows[-1])
    if given.quick:
        _guard(rows, accept=given.accept)
    else:
        _write_report(list(measurements))
    return 0


if __name__ == "__main__":
    sys.exit(main())
