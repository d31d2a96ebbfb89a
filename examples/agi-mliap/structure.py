#!/usr/bin/env python3
"""Structure and cage residence of Ag in AgI from LAMMPS dumps: first peaks of g(r), C_R(t) and its integral.

C_R(t) is the probability that the list of iodine neighbours of a silver ion (closer than a cut-off) is the same
at time t as at time 0: nobody has left, nobody has entered ([P], equations 10-14). tau_R is its integral from 0 to
10 ps. Errors come from the scatter of five parts of each dump (standard error of the mean).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PARTS = 5
LONGEST = 10.0
"""Upper limit of the integral of C_R, ps."""

BIN = 0.05
"""Of g(r), A."""

TYPES = {"Ag": 1, "I": 2}
PAIRS = (("Ag", "I"), ("Ag", "Ag"), ("I", "I"))


class Frames(NamedTuple):
    """A dump, sorted by id: edges of the box (3,) in A, types (N,), positions (T, N, 3) in A, ps between frames."""

    box: Array
    types: NDArray[np.int64]
    positions: Array
    interval: float


def read_dump(path: Path, timestep: float) -> Frames:
    """A text dump with columns id type x y z, sorted by id, of an orthogonal box that does not change."""
    lines = path.read_text().splitlines()
    n = int(lines[3])
    if lines[8].split()[2:] != ["id", "type", "x", "y", "z"]:
        raise ValueError(f"{path} has the columns {lines[8]!r}; id type x y z are wanted")
    count = len(lines) // (9 + n)
    box = np.array([line.split()[:2] for line in lines[5:8]], dtype=float)
    steps = [int(lines[k * (9 + n) + 1]) for k in range(count)]
    table = np.array([
        line.split() for k in range(count) for line in lines[k * (9 + n) + 9 : (k + 1) * (9 + n)]
    ], dtype=float).reshape(count, n, 5)  # fmt: skip
    return Frames(box[:, 1] - box[:, 0], table[0, :, 1].astype(int), table[:, :, 2:], timestep * (steps[1] - steps[0]))


def distances(frames: Frames, first: str, second: str) -> Iterator[Array]:
    """Distances (A) to nearest images, frame by frame, (N_first, N_second); those of an atom to itself are infinite."""
    one, two = (frames.types == TYPES[name] for name in (first, second))
    for positions in frames.positions:
        apart = positions[one][:, None] - positions[two][None]
        apart -= frames.box * np.round(apart / frames.box)
        found = np.sqrt((apart**2).sum(axis=-1))
        if first == second:
            np.fill_diagonal(found, np.inf)
        yield found


def radial(frames: Frames, first: str, second: str) -> tuple[Array, Array]:
    """r (A) and g(r) up to half the box."""
    edges = np.arange(0.0, frames.box.min() / 2, BIN)
    total, pairs = np.zeros(len(edges) - 1), 0.0
    for found in distances(frames, first, second):
        total += np.histogram(found, edges)[0]
        pairs += np.isfinite(found).sum()
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return (edges[1:] + edges[:-1]) / 2, total / pairs * frames.box.prod() / shells


def peak(r: Array, g: Array) -> tuple[float, float]:
    """Position (A) and height of the highest point, by a parabola through it and its neighbours."""
    k = int(g.argmax())
    a, b, c = np.polyfit(r[k - 1 : k + 2] - r[k], g[k - 1 : k + 2], 2)
    return float(r[k] - b / (2 * a)), float(c - b * b / (4 * a))


def neighbour_lists(frames: Frames, cutoff: float) -> NDArray[np.uint64]:
    """A number for the list of iodine neighbours of each silver ion, (T, N_Ag): equal where the lists are equal.

    It is a sum of random 64-bit numbers, one a neighbour, so different lists share one with a probability of 2^-64.
    """
    marks = np.random.default_rng(1).integers(0, 2**64, int((frames.types == TYPES["I"]).sum()), dtype=np.uint64)
    return np.stack([(found < cutoff) @ marks for found in distances(frames, "Ag", "I")])


def residence(lists: NDArray[np.uint64], longest: int) -> Array:
    """C_R at lags of 0 ... longest frames: the share of lists that are what they were."""
    return np.array([(lists[lag:] == lists[: len(lists) - lag]).mean() for lag in range(longest + 1)])


def residence_time(lists: NDArray[np.uint64], interval: float) -> float:
    """Integral of C_R from 0 to 10 ps by the trapezoidal rule, fs."""
    correlation = residence(lists, round(LONGEST / interval))
    return float(1000 * interval * (correlation.sum() - (correlation[0] + correlation[-1]) / 2))


def mean(values: list[float], digits: int) -> str:
    """Mean and its standard error, as text."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def parts(frames: Frames) -> list[Frames]:
    return [frames._replace(positions=part) for part in np.array_split(frames.positions, PARTS)]


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: structure.py agi-mliap.1.lammpstrj agi-mliap.2.lammpstrj",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "dumps", type=Path, nargs="+", help="text dumps of one system, columns id type x y z, sorted by id"
    )
    parser.add_argument("--timestep", type=float, default=0.001, help="ps (0.001)")
    parser.add_argument("--cutoff", type=float, nargs="+", default=[3.4, 3.6, 3.8, 4.0], help="of neighbours, A")
    args = parser.parse_args(argv)
    pieces = [part for path in args.dumps for part in parts(read_dump(path, args.timestep))]
    for pair in PAIRS:
        curves = [radial(part, *pair) for part in pieces]
        peaks = [peak(*curve) for curve in curves]
        r, g = curves[0][0], np.mean([g for _, g in curves], axis=0)
        top = int(g.argmax())
        least = top + int(g[top : top + round(2.0 / BIN)].argmin())
        print(
            f"g {'-'.join(pair):6s} first peak {mean([x for x, _ in peaks], 3)} A, "
            f"height {mean([y for _, y in peaks], 2)}, minimum {g[least]:.2f} at {r[least]:.2f} A"
        )
    for cutoff in args.cutoff:
        times = [residence_time(neighbour_lists(part, cutoff), part.interval) for part in pieces]
        print(f"tau_R, cut-off {cutoff:g} A: {mean(times, 0)} fs")


if __name__ == "__main__":
    main()
