#!/usr/bin/env python3
"""The K3Cl loop by density functional theory: Wannier centres at 17 points, by CP2K, as k3cl.xyz.

Two K atoms go around each other on ellipses between another K and a Cl: B = (L/4 + 0.6 cos φ, 1.5 sin φ) and
C = (3L/4 - 0.6 cos φ, -1.5 sin φ), K at (0, 1.4), Cl at (0, -1.4), z = 0, in a cube of L = 10 A; φ = 0, 22.5 ... 360
degrees. PBE at Gamma. Every point begins with the density of the one before. A quarter of an hour of one core.

    apt-get install cp2k cp2k-data
    python wannier_centres.py            # points that are in the folder already are not computed again
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

LENGTH = 10.0
POINTS = 17
CENTRES = (3 * 9 + 7) // 2
"""Doubly occupied: 9 valence electrons of K, 7 of Cl."""
WORST_LOCALISATION = 3e-3
"""Gradient of the spread at which a localisation will do: the sum of the centres does not change any more."""
INPUT = """&GLOBAL
  PROJECT k3cl
  RUN_TYPE ENERGY
  PRINT_LEVEL MEDIUM
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    WFN_RESTART_FILE_NAME before.wfn
    &MGRID
      CUTOFF 240
      REL_CUTOFF 30
    &END MGRID
    &QS
      EPS_DEFAULT 1.0E-10
    &END QS
    &SCF
      SCF_GUESS {guess}
      EPS_SCF 1.0E-6
      MAX_SCF 100
      ADDED_MOS 2
      &DIAGONALIZATION
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.3
        NBUFFER 8
      &END MIXING
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    &LOCALIZE
      METHOD JACOBI
      EPS_LOCALIZATION 1.0E-6
      MAX_ITER 2000
      &PRINT
        &WANNIER_CENTERS
          IONS+CENTERS
          FILENAME =wannier.xyz
        &END WANNIER_CENTERS
      &END PRINT
    &END LOCALIZE
    &PRINT
      &MO
        EIGENVALUES
        OCCUPATION_NUMBERS
      &END MO
    &END PRINT
  &END DFT
  &SUBSYS
    &CELL
      ABC {length} {length} {length}
      PERIODIC XYZ
    &END CELL
    &COORD
{coordinates}
    &END COORD
    &KIND K
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q9
    &END KIND
    &KIND Cl
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q7
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""


def configuration(angle: float) -> Atoms:
    """K3Cl at an angle (degrees) of the loop: A, B, C, and Cl."""
    phi = np.radians(angle)
    x, y = 0.6 * np.cos(phi), 1.5 * np.sin(phi)
    positions = [[0, 1.4, 0], [LENGTH / 4 + x, y, 0], [3 * LENGTH / 4 - x, -y, 0], [0, -1.4, 0]]
    return Atoms("K3Cl", positions, cell=LENGTH * np.eye(3), pbc=True)


def compute(atoms: Atoms, folder: Path, command: str, before: Path | None) -> Atoms:
    """Atoms and Wannier centres (species X) of one configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    if before is not None:
        (folder / "before.wfn").write_bytes((before / "k3cl-RESTART.wfn").read_bytes())
    rows = zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)
    coordinates = "\n".join(f"      {symbol} {x:.8f} {y:.8f} {z:.8f}" for symbol, (x, y, z) in rows)
    text = INPUT.format(guess="ATOMIC" if before is None else "RESTART", length=f"{LENGTH:g}", coordinates=coordinates)
    (folder / "k3cl.inp").write_text(text)
    if not (folder / "done").exists():
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [*command.split(), "-i", "k3cl.inp", "-o", "k3cl.out"],
            cwd=folder, env={**os.environ, **one_thread}, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    output = (folder / "k3cl.out").read_text()
    # CP2K calls a localisation converged, too, that has come to the last sweep
    left = re.findall(r"Iteration: +\d+ +Tolerance: +(\S+)", output)
    if "SCF run converged in" not in output or not left or float(left[-1]) > WORST_LOCALISATION:
        sys.exit(f"no convergence: see {folder}/k3cl.out")
    (folder / "done").touch()
    (centres,) = folder.glob("*wannier.xyz*")
    last = list(ase.io.read(StringIO(centres.read_text()), ":", format="xyz"))[-1]
    if len(last) != len(atoms) + CENTRES:
        sys.exit(f"{folder} has {len(last) - len(atoms)} Wannier centres, not {CENTRES}")
    both = atoms.copy()
    both.extend(Atoms(["X"] * CENTRES, last.positions[len(atoms) :]))
    both.info["gap"] = float(re.findall(r"MO\| Band gap: .* (\S+) eV", output)[-1])
    return both


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("points"), help="where CP2K runs (points)")
    parser.add_argument("--output", type=Path, default=Path("k3cl.xyz"), help="extended XYZ (k3cl.xyz)")
    parser.add_argument("--cp2k", default="cp2k.psmp", help="command that runs CP2K (cp2k.psmp)")
    args = parser.parse_args()
    frames, before = [], None
    for point in range(POINTS):
        angle, folder = point * 360.0 / (POINTS - 1), args.folder / f"{point:02d}"
        both = compute(configuration(angle), folder, args.cp2k, before)
        both.info["angle"] = angle
        frames.append(both)
        before = folder
        print(f"{angle:5.1f} degrees done", flush=True)
    ase.io.write(args.output, frames, format="extxyz")


if __name__ == "__main__":
    main()
