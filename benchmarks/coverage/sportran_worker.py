"""SporTran 1.0.0rc4, run by an interpreter of its own: one line of JSON a batch in, one out (``peers.py``).

As its manual does: the whole series, resampled at f* (moving average, then every n-th sample), AIC's P*.

Where AIC takes P* = 1 (white noise), this release's ``dct_filter_tau`` returns 2 c_0 for c_0, so that its S(0) is
squared, in units of flux² fs. The catalogue's white noise has S = 1 in these: what shows is twice the scatter.
"""

import json
import os
import sys
import time

import numpy as np
import sportran as st

answers = sys.stdout
sys.stdout = open(os.devnull, "w")  # noqa: SIM115 — it writes its log there, as long as it runs

for line in sys.stdin:
    batch = json.loads(line)
    results = []
    for series in np.load(batch["file"], mmap_mode="r"):  # [samples, fluxes, components]
        start = time.perf_counter()
        try:
            # its order: [fluxes, samples, components], without the first axis for one flux
            fluxes = np.moveaxis(np.array(series), 1, 0)
            current = st.GenericCurrent(
                fluxes if len(fluxes) > 1 else fluxes[0], DT_FS=1e3 * batch["interval"], KAPPA_SCALE=1.0
            )
            skip = round(current.Nyquist_f_THz / batch["cutoff"])
            if skip > 1:
                current = current.resample(TSKIP=skip, verbose=False)
            current.cepstral_analysis()
            # KAPPA_SCALE S(0)/2, S two-sided per fs
            logarithm, error = np.log(2e-3 * current.kappa), current.kappa_std / current.kappa
        except (ValueError, ZeroDivisionError, IndexError, FloatingPointError):
            logarithm = error = float("nan")
        results.append([float(logarithm), float(error), bool(np.isfinite(error)), time.perf_counter() - start])
    print(json.dumps(results), file=answers, flush=True)
