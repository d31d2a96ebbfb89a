"""How often the comparison of two currents is right, and what it takes (``estimate.gauge``).

    python benchmarks/gauge.py                       bounded differences of six kinds, and ones that diffuse: 3 minutes
    python benchmarks/gauge.py --realisations 200    as in the README: a quarter of an hour

A current a forgets in 0.1 ps, and b differs from it by the time derivative of a displacement that is bounded and
forgets in 0.5 ps, so that they conduct alike; or by a tenth of its conductivity that diffuses besides, or by a factor
of 0.95, so that they do not. Length of the run in units of those 0.5 ps. Columns: verdicts, and how often the
difference of the conductivities is within one and two of its errors.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from collections import Counter

import numpy as np
from threadpoolctl import threadpool_limits

from lammps_topo.estimate.gauge import Comparison, compare, sine_amplitudes
from lammps_topo.synthetic_displacements import BOUNDED, bounded, walk

INTERVAL, CURRENT, SLOW = 0.01, 0.1, 0.5
LEVEL, TOLERANCE = 0.95, 0.05
DIFFERENT = {"a tenth diffuses": -0.1, "factor 0.95": 1 - 0.95**2}
"""σ_a − σ_b in units of σ_a."""


def compared(kind: str, samples: int, rng: np.random.Generator) -> tuple[Comparison, float]:
    """What is found of one realisation, and the seconds that it took."""
    one = walk(samples, CURRENT, interval=INTERVAL, rng=rng)[:, 0]
    other = one
    if kind == "factor 0.95":
        other = 0.95 * one
    elif kind in DIFFERENT:
        other = one + math.sqrt(0.1) * walk(samples, CURRENT, interval=INTERVAL, rng=rng)[:, 0]
    shape = "relaxation" if kind in DIFFERENT else kind
    other = other + bounded(shape, samples, one, time=SLOW, interval=INTERVAL, rng=rng)
    begin = time.process_time()
    sines = sine_amplitudes([np.stack((one, other), axis=1)], INTERVAL)
    found = compare(sines, size=1.0, level=LEVEL, tolerance=TOLERANCE)
    return found, time.process_time() - begin


def row(kind: str, length: float, realisations: int) -> str:
    samples = round(length * SLOW / INTERVAL)
    rng = np.random.default_rng([zlib.crc32(kind.encode()), samples])
    results = [compared(kind, samples, rng) for _ in range(realisations)]
    verdicts = Counter(one.verdict for one, _ in results)
    away = np.array([(one.difference - DIFFERENT.get(kind, 0.0)) / one.error for one, _ in results])
    shares = [verdicts[name] / realisations for name in ("equivalent", "different", "cannot tell yet")]
    shares += [float(np.mean(np.abs(away) < errors)) for errors in (1, 2)]
    cost = 1e3 * float(np.median([seconds for _, seconds in results]))
    return f"| {kind} | {length:g} | {' | '.join(f'{share:.3f}' for share in shares)} | {cost:.0f} |"


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--realisations", type=int, default=50)
    parser.add_argument("--lengths", default="20,30,200,800", help="of the run, in 0.5 ps")
    parser.add_argument("--kinds", default=",".join((*BOUNDED, *DIFFERENT)))
    given = parser.parse_args()
    print("| difference | T/τ | equivalent | different | cannot tell yet | within 1 error | within 2 | ms |")
    print("|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for kind in given.kinds.split(","):
            for length in given.lengths.split(","):
                print(row(kind, float(length), given.realisations), flush=True)


if __name__ == "__main__":
    main()
