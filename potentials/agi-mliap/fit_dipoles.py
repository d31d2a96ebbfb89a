#!/usr/bin/env python3
"""Fit the dipoles of Ag and I in AgI, as Wannier centres give them, to the positions of their neighbours.

Configurations whose split is `test` are used for nothing but the errors that are printed last. The model is written
as YAML; `lammps_topo.centres.dipole_model` says what it computes, `lammps_topo.hosts.model_charges` how a LAMMPS run
takes Born tensors from it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lammps_topo.centres.dipole_fit import DipoleData, DipoleErrors, dipole_errors, fit_dipoles
from lammps_topo.centres.dipole_model import RadialBasis
from lammps_topo.centres.snapshot import CentreSnapshot, ion_dipoles
from lammps_topo.hosts.centre_file import read_centres

SPECIES = ("Ag", "I")
CHARGES = np.array([1.0, -1.0])
HERE = Path(__file__).resolve().parent


def data_of(snapshot: CentreSnapshot) -> DipoleData:
    """Types as in LAMMPS: Ag is 1, I is 2."""
    types = np.array([SPECIES.index(name) + 1 for name in snapshot.species])
    return DipoleData(snapshot.positions, types, snapshot.cell, ion_dipoles(snapshot))


def told(errors: dict[str, DipoleErrors]) -> str:
    """Errors in a line."""
    return "; ".join(
        f"{name} {one.error:.3f} ± {one.uncertainty:.3f} of {one.size:.3f} D, {one.explained:.1%} explained"
        for name, one in errors.items()
    )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshots", type=Path, nargs="?", default=HERE / "agi-pbe-wannier.xyz.gz")
    parser.add_argument("--output", type=Path, default=HERE / "agi-dipoles.yaml", help="(agi-dipoles.yaml)")
    parser.add_argument("--cutoff", type=float, default=6.0, help="Å (6)")
    parser.add_argument("--functions", type=int, default=6, help="radial functions of each pair of species (6)")
    args = parser.parse_args(argv)

    # a centre that was assigned to a wrong ion is an error of 8 D and more
    snapshots = [one for one in read_centres(args.snapshots) if one.info.get("complete", True)]
    fitted = [data_of(one) for one in snapshots if one.info["split"] == "fit"]
    tested = [data_of(one) for one in snapshots if one.info["split"] == "test"]
    basis = RadialBasis(2.0, args.cutoff, args.functions)
    about = f"dipoles of AgI from {len(fitted)} configurations of {args.snapshots.name} (PBE, CP2K)"
    model, ridge = fit_dipoles(fitted, SPECIES, CHARGES, basis, about)
    model.save(args.output)
    coefficients = sum(part.size for part in (model.first, model.direct, model.field, model.along))
    print(f"{coefficients} coefficients; penalty {ridge:g} by cross-validation; rms errors of a component:")
    print(f"fitted ({len(fitted)} configurations): {told(dipole_errors(model, fitted))}")
    if tested:
        print(f"held out ({len(tested)} configurations): {told(dipole_errors(model, tested))}")
    begin = time.process_time()
    for one in fitted:
        model.predict(one.positions, one.types, one.cell)
    atoms = sum(len(one.types) for one in fitted)
    print(f"Born tensors take {1e6 * (time.process_time() - begin) / atoms:.0f} µs an atom")
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
