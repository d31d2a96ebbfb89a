#!/usr/bin/env python3
"""Compare Born tensors of the dipole model with finite differences of the polarisation in density functional theory.

One atom at a time is displaced by ±0.06 A along x, in a configuration that was not fitted, and CP2K computes the
Wannier centres of both. Half a minute of CPU time each; results are kept in the folder, so that it can be stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from label_configurations import Settings, compute, read_configurations, write_atomically

from lammps_topo.centres.dipole_model import load_dipole_model
from lammps_topo.centres.snapshot import CentreSnapshot, ion_dipoles
from lammps_topo.hosts.centre_file import read_centres

HERE = Path(__file__).resolve().parent
STEP = 0.06
"""Displacement, A."""


def displaced(index: int, atom: int, sign: int, folder: Path, command: str) -> CentreSnapshot:
    """Ions and centres with one atom displaced, from the folder if it was computed before."""
    done = folder / f"{index:05d}-{atom}{'+' if sign > 0 else '-'}.xyz"
    if not done.exists():
        configurations = read_configurations(HERE / "configurations.xyz.gz")
        atoms = next(one for one in configurations if one.info["index"] == index)
        atoms.positions[atom, 0] += sign * STEP
        scratch = folder / "running" / done.stem
        scratch.mkdir(parents=True, exist_ok=True)
        write_atomically(done, compute(atoms, Settings(), "centres", scratch, command=command, cpu_seconds=900))
    return read_centres(done)[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=int, default=15, help="configuration (15)")
    parser.add_argument("--atoms", type=int, nargs="+", default=[2, 22], help="rows of atoms, from 0 (2 22)")
    parser.add_argument("--folder", type=Path, default=Path("born"), help="where results are kept (born)")
    parser.add_argument("--model", type=Path, default=HERE / "agi-dipoles.yaml", help="(agi-dipoles.yaml)")
    parser.add_argument("--cp2k", default="cp2k.psmp", help="command that runs CP2K (cp2k.psmp)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    model = load_dipole_model(args.model)
    for atom in args.atoms:
        ahead, behind = (displaced(args.index, atom, sign, args.folder, args.cp2k) for sign in (1, -1))
        types = np.array([model.species.index(name) + 1 for name in ahead.species])
        found = (ion_dipoles(ahead) - ion_dipoles(behind)).sum(axis=0) / (2 * STEP)
        found[0] += model.charges[types[atom] - 1]
        middle = 0.5 * (ahead.positions + behind.positions)
        predicted = model.predict(middle, types, ahead.cell)[atom].reshape(3, 3)[:, 0]
        print(f"{ahead.species[atom]} {atom}: Z*_xx, yx, zx = {found.round(3)} e; the model {predicted.round(3)} e")


if __name__ == "__main__":
    main()
