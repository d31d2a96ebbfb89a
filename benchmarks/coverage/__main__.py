"""Bias, scatter and coverage of estimators of S(0): ours and others', on identical data known exactly.

    python benchmarks/coverage                                  three processes, 1e4 samples: a minute
    python benchmarks/coverage --processes all --lengths 1000,10000,100000,1000000 --realisations 300 --output table
    python benchmarks/coverage --methods cepstral-aic,cepstral-aic:20,sportran:20   (NAME:f*, f* in THz)
    python benchmarks/coverage --data ordinates --methods cepstral-aic --realisations 2000   no series: fast
    python benchmarks/coverage --segments 10 --lengths 100000 --methods spectral     (from series: what a segment's
                                            finite length changes is not in ordinates, but ``spectral`` takes it away)

A realisation is a stationary series of three components, sampled every fs, drawn from the process's exact filters. Its
numbers follow from --seed, the process, the length and the realisation alone. The peers (SporTran, STACIE) get virtual
environments of their own in --peers. SporTran's f* is the process's own, one that its user would take by eye; ours
choose theirs, STACIE needs none; STACIE is left out where fluxes are to be eliminated. Bias and scatter are those of
ln S(0); coverage and its Wilson 95 % interval count |ln S(0) - truth| < 1 or 2 errors; all of them over the estimates
that a method calls resolved.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from methods import METHODS, Estimate
from peers import PEERS, Worker, interpreter
from table import Row, as_yaml, markdown, summarise
from threadpoolctl import threadpool_limits

from lammps_topo.errors import EstimateError
from lammps_topo.estimate.spectrum import Spectrum, cross_periodogram
from lammps_topo.synthetic_spectra import catalogue

COMPONENTS = 3
BATCH_BYTES = 50e6
"""Series that are held, and handed to the peers, at once."""

Found = tuple[Estimate, float]


class Job(NamedTuple):
    """Realisations first … last - 1 of a process, for all methods."""

    process: str
    samples: int
    segments: int
    first: int
    last: int
    methods: tuple[str, ...]
    seed: int
    data: str
    peers: Path


_workers: dict[str, Worker] = {}


def work(job: Job) -> dict[str, list[Found]]:
    """Estimates and their seconds, by method."""
    with threadpool_limits(1):
        found = _own(job) if job.data == "ordinates" else _own_and_peers(job)
    return found


def _split(method: str) -> tuple[str, float | None]:
    """Name and f* of NAME:f*."""
    name, _, cutoff = method.partition(":")
    return name, float(cutoff) if cutoff else None


def _generators(job: Job) -> Iterator[np.random.Generator]:
    for realisation in range(job.first, job.last):
        yield np.random.default_rng((job.seed, zlib.crc32(job.process.encode()), job.samples, realisation))


def _segment(job: Job) -> int:
    return job.samples // job.segments // 2 * 2


def _own(job: Job) -> dict[str, list[Found]]:
    """Our methods on periodograms drawn without series."""
    process = catalogue()[job.process]
    found = defaultdict(list)
    for rng in _generators(job):
        spectrum = process.periodogram(_segment(job), segments=job.segments, components=COMPONENTS, rng=rng)
        for method in job.methods:
            found[method].append(_one(method, spectrum))
    return found


def _own_and_peers(job: Job) -> dict[str, list[Found]]:
    """All methods on series."""
    process = catalogue()[job.process]
    batch = np.stack([process.sample(job.samples, components=COMPONENTS, rng=rng) for rng in _generators(job)])
    found = defaultdict(list)
    own = [method for method in job.methods if _split(method)[0] in METHODS]
    if own:
        for series in batch:
            start = time.perf_counter()
            spectrum = cross_periodogram(series, process.interval, segment=_segment(job))
            transform = time.perf_counter() - start
            for method in own:
                estimate, seconds = _one(method, spectrum)
                found[method].append((estimate, seconds + transform))
    others = [method for method in job.methods if method not in own]
    if others:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "series.npy"
            np.save(file, batch)
            for method in others:
                name, cutoff = _split(method)
                if name not in _workers:
                    _workers[name] = Worker(name, job.peers)
                found[method] = _workers[name].estimate(
                    file=str(file),
                    interval=process.interval,
                    segments=job.segments,
                    cutoff=process.cutoff if cutoff is None else cutoff,
                )
    return found


def _one(method: str, spectrum: Spectrum) -> Found:
    name, cutoff = _split(method)
    start = time.perf_counter()
    try:
        estimate = METHODS[name](spectrum, cutoff)
    except EstimateError:
        estimate = Estimate(math.nan, math.nan, False)
    return estimate, time.perf_counter() - start


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """All the work, in batches that fit the memory and keep all processes busy."""
    for process in options.processes:
        several = catalogue()[process].count
        # a peer that cannot eliminate fluxes is left out where there are some
        able = [name for name in (*METHODS, *PEERS) if several == 1 or name in METHODS or PEERS[name].several_fluxes]
        methods = tuple(method for method in options.methods if _split(method)[0] in able)
        for samples in options.lengths:
            size = max(1, int(BATCH_BYTES / (8 * samples * several * COMPONENTS)))
            size = min(size, max(1, math.ceil(options.realisations / (4 * options.jobs))))
            for first in range(0, options.realisations, size):
                last = min(first + size, options.realisations)
                yield Job(
                    process, samples, options.segments, first, last, methods, options.seed, options.data, options.peers
                )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--processes", default="ar1-50,dip,two", help=f"'all' or some of {', '.join(catalogue())}")
    add(
        "--methods", default=",".join((*METHODS, *PEERS)), help=f"{', '.join((*METHODS, *PEERS))}, each with :f* or not"
    )
    add("--lengths", default="10000", help="samples of a series")
    add("--segments", type=int, default=1, help="segments that a series is split into (SporTran takes it whole)")
    add("--realisations", type=int, default=40)
    add("--data", choices=("series", "ordinates"), default="series", help="ordinates: drawn directly, ours only")
    add("--jobs", type=int, default=2, help="processes")
    add("--seed", type=int, default=1)
    add("--peers", type=Path, default=Path(__file__).resolve().parents[1] / ".peers", help="their environments")
    add("--output", type=Path, help="writes OUTPUT.yaml and OUTPUT.md, as far as it has come, after each length")
    options = parser.parse_args()
    options.processes = list(catalogue()) if options.processes == "all" else options.processes.split(",")
    options.methods = options.methods.split(",")
    if unknown := [name for name in options.processes if name not in catalogue()]:
        parser.error(f"unknown processes {', '.join(unknown)}; there are {', '.join(catalogue())}")
    names = [_split(method)[0] for method in options.methods]
    if unknown := [name for name in names if name not in METHODS and name not in PEERS]:
        parser.error(f"unknown methods {', '.join(unknown)}; there are {', '.join((*METHODS, *PEERS))}")
    options.lengths = [int(float(length)) for length in options.lengths.split(",")]
    if options.segments < 1 or min(options.lengths) < 10 * options.segments or options.realisations < 2:
        parser.error("segments of at least ten samples and two realisations are needed")
    if options.data == "ordinates":
        options.methods = [method for method, name in zip(options.methods, names, strict=True) if name in METHODS]
    for name in PEERS:
        if name in names and options.data == "series":
            interpreter(name, options.peers)
    return options


def rows_of(case: tuple[str, int], found: dict[str, list[Found]], options: argparse.Namespace) -> list[Row]:
    """One row a method, in the order asked for."""
    process, samples = case
    return [
        summarise(
            [estimate for estimate, _ in found[method]],
            [seconds for _, seconds in found[method]],
            math.log(catalogue()[process].zero_frequency),
            process=process,
            samples=samples,
            segments=options.segments,
            method=method,
        )
        for method in options.methods
        if method in found
    ]


def main() -> None:
    options = parse()
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "peers", "jobs")}
    every = list(jobs(options))
    rows: list[Row] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        answers = zip(every, pool.map(work, every), strict=True)
        for case, batches in groupby(answers, key=lambda pair: (pair[0].process, pair[0].samples)):
            found: dict[str, list[Found]] = defaultdict(list)
            for _, answer in batches:
                for method, estimates in answer.items():
                    found[method] += estimates
            rows += rows_of(case, found, options)
            print(f"done: {case[0]}, {case[1]} samples", file=sys.stderr, flush=True)
            if options.output:  # what there is so far: the whole takes long
                options.output.with_suffix(".yaml").write_text(as_yaml(rows, settings))
                options.output.with_suffix(".md").write_text(markdown(rows))
    print(markdown(rows), end="")


if __name__ == "__main__":
    main()
