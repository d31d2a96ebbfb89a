"""STACIE 1.3.0, run by an interpreter of its own: one line of JSON a batch in, one out (``peers.py``).

ExpPolyModel([0, 2]), the model its documentation gives for a spectrum that is even and smooth at zero; all else at the
defaults, which it recommends. Segments and components are its independent sequences.
"""

import json
import sys
import time
import warnings

import numpy as np
from stacie import ExpPolyModel, compute_spectrum, estimate_acint

warnings.simplefilter("ignore")

for line in sys.stdin:
    batch = json.loads(line)
    results = []
    for series in np.load(batch["file"], mmap_mode="r"):  # [samples, 1, components]
        start = time.perf_counter()
        try:
            length = len(series) // batch["segments"]
            parts = np.array(series[: batch["segments"] * length, 0]).reshape(batch["segments"], length, -1)
            sequences = np.ascontiguousarray(parts.swapaxes(1, 2).reshape(-1, length))
            spectrum = compute_spectrum(sequences, timestep=batch["interval"])
            found = estimate_acint(spectrum, ExpPolyModel([0, 2]))
            logarithm, error = np.log(2 * found.acint), found.acint_std / found.acint
        except (ValueError, ZeroDivisionError, IndexError, FloatingPointError, np.linalg.LinAlgError):
            logarithm = error = float("nan")
        results.append([float(logarithm), float(error), bool(np.isfinite(error)), time.perf_counter() - start])
    print(json.dumps(results), flush=True)
