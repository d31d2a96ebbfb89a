"""Sizes of the charge currents of a results file, and how their spectra differ: from the flux series that it holds.

python currents.py nacl-coreshell.topo.h5 --bands 0-3 3-9 12-20 55-70     THz (1/time where units are reduced)
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from lammps_topo.estimate.current_spectrum import current_series, current_weights, representation_spectrum
from lammps_topo.store import read_results
from lammps_topo.units import unit_style


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bands", nargs="*", default=["0-3", "3-9", "12-20", "55-70"])
    given = parser.parse_args()
    record = read_results(given.file).record
    if record.series is None:
        parser.error(f"'{given.file}' holds no flux series (key 'series')")
    units, spectra = unit_style(record.units), {}
    for name in record.representations:
        current = np.concatenate(current_series(record.series, current_weights(record, name)))
        print(f"{name}: rms current {np.sqrt((current**2).sum(axis=1).mean()):.4g}, in charge × velocity of the run")
        if current.any():
            spectra[name] = representation_spectrum(record, name)
    for one, other in combinations(spectra, 2):
        frequency = spectra[one].frequency * units.terahertz
        for band in given.bands:
            low, high = map(float, band.split("-"))
            inside = (frequency > low) & (frequency <= high)
            powers = [float(spectra[name].matrix[inside, 0, 0].real.sum()) for name in (one, other)]
            if inside.any() and powers[1] > 0:
                print(f"{one} over {other}, {band} {units.frequency_label}: {powers[0] / powers[1]:.3g}")


if __name__ == "__main__":
    main()
