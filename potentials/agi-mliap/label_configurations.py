#!/usr/bin/env python3
"""Label configurations by density functional theory: CP2K, one configuration after the other, resumable.

Every configuration of an extended XYZ file becomes a file `done/INDEX.xyz` of the folder, with energy (eV),
forces (eV/A) and stress (eV/A^3, ASE's sign: positive under tension). Those whose index can be divided by
--centres-every get `done/INDEX.wannier.xyz` too, from a second calculation: the atoms, then the centres of the
Wannier functions as species X, each beside its ion. A file appears when it is complete, by renaming: the
program may be killed at any time and started again, and several may share a folder. What fails is recorded in
`failed/`, its output kept in `running/`, and left out until --retry. The limit of time is CPU time, so a program
stopped by a signal and continued loses nothing.

With --collect the finished ones are gathered into two compressed files, OUTPUT.xyz.gz and
OUTPUT-wannier.xyz.gz, and OUTPUT-settings.json records how they were computed; nothing is computed then.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from numpy.typing import NDArray

Array = NDArray[np.float64]

GPA = units.GPa
"""eV/A^3 in a GPa, with CODATA 2014 as all of ASE's units."""

CENTRES = {"Ag": 5, "I": 4}
"""Doubly occupied Wannier functions an ion holds: 4d10 of Ag+, 5s2 5p6 of I-."""


class LabelError(Exception):
    """A configuration could not be labelled; the text says why."""


@dataclass(frozen=True)
class Settings:
    """Everything of the calculation that is not the configuration."""

    basis: str = "DZVP-MOLOPT-SR-GTH"
    basis_file: str = "BASIS_MOLOPT"
    potential: str = "GTH-PBE"
    potential_file: str = "GTH_POTENTIALS"
    cutoff: float = 240.0
    """Plane-wave cutoff of the finest grid, Ry."""
    relative_cutoff: float = 30.0
    """Cutoff a Gaussian of exponent 1 asks for, Ry."""
    eps_default: float = 1e-8
    eps_scf: float = 1e-5
    max_scf: int = 50
    mixing: float = 0.6
    """Broyden alpha."""
    k_point: float = 0.25
    """The one k point, as a fraction of each reciprocal vector. 1/4 is the mean-value point: Gamma alone leaves errors
    of 6-12 % in the forces and of 1 GPa in the stress of a 32-atom cell. Wannier centres are of Gamma."""
    localisation_steps: int = 500
    """Jacobi sweeps at most. About 90 are needed at 1600 K, 117 in a rattled cell."""
    localisation_eps: float = 1e-4


POTENTIALS = {"Ag": "q11", "I": "q7"}
"""Valence electrons of the pseudopotentials."""


def cp2k_input(atoms: Atoms, settings: Settings, task: str) -> str:
    """Input of CP2K for one configuration, lengths in A; task `label` (energy, forces, stress) or `centres`."""
    cell = "\n".join(f"      {name} {a:.8f} {b:.8f} {c:.8f}" for name, (a, b, c) in zip("ABC", atoms.cell, strict=True))
    coordinates = "\n".join(
        f"      {symbol} {x:.8f} {y:.8f} {z:.8f}"
        for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)
    )
    kinds = "".join(
        f"""
    &KIND {symbol}
      BASIS_SET {settings.basis}
      POTENTIAL {settings.potential}-{POTENTIALS[symbol]}
    &END KIND"""
        for symbol in sorted(set(atoms.get_chemical_symbols()))
    )
    if task == "centres":
        extra = f"""
    &LOCALIZE
      METHOD JACOBI
      EPS_LOCALIZATION {settings.localisation_eps:.1E}
      MAX_ITER {settings.localisation_steps}
      &PRINT
        &WANNIER_CENTERS
          IONS+CENTERS
          FILENAME =wannier.xyz
        &END WANNIER_CENTERS
      &END PRINT
    &END LOCALIZE"""
    elif settings.k_point:
        extra = f"""
    &KPOINTS
      SCHEME GENERAL
      UNITS B_VECTOR
      KPOINT {3 * f"{settings.k_point:g} "}1.0
      WAVEFUNCTIONS COMPLEX
    &END KPOINTS"""
    else:
        extra = ""
    return f"""&GLOBAL
  PROJECT agi
  RUN_TYPE {"ENERGY" if task == "centres" else "ENERGY_FORCE"}
  PRINT_LEVEL MEDIUM
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  STRESS_TENSOR {"NONE" if task == "centres" else "ANALYTICAL"}
  &PRINT
    &FORCES
    &END FORCES
    &STRESS_TENSOR
    &END STRESS_TENSOR
  &END PRINT
  &DFT
    BASIS_SET_FILE_NAME {settings.basis_file}
    POTENTIAL_FILE_NAME {settings.potential_file}
    &MGRID
      CUTOFF {settings.cutoff:g}
      REL_CUTOFF {settings.relative_cutoff:g}
    &END MGRID
    &QS
      EPS_DEFAULT {settings.eps_default:.1E}
    &END QS
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF {settings.eps_scf:.1E}
      MAX_SCF {settings.max_scf}
      &DIAGONALIZATION
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA {settings.mixing:g}
        NBUFFER 8
      &END MIXING
      &PRINT
        &RESTART OFF
        &END RESTART
      &END PRINT
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC{extra}
  &END DFT
  &SUBSYS
    &CELL
{cell}
      PERIODIC XYZ
    &END CELL
    &COORD
{coordinates}
    &END COORD{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""


def _block(text: str, start: str, rows: int, skip: int, columns: slice) -> Array:
    """Numbers of `rows` lines, the first one `skip` lines below the one that holds `start`."""
    lines = text.splitlines()
    at = next((k for k, line in enumerate(lines) if start in line), None)
    if at is None:
        raise LabelError(f"CP2K's output has no line with {start!r}")
    try:
        return np.array([line.split()[columns] for line in lines[at + skip : at + skip + rows]], dtype=float)
    except ValueError:
        raise LabelError(f"CP2K's output has something else than numbers below {start!r}") from None


def parse_output(text: str, atoms: Atoms) -> Atoms:
    """The configuration with energy (eV), forces (eV/A) and stress (eV/A^3) from CP2K's output.

    Raises `LabelError` where the self-consistent field did not converge or a number is missing.
    """
    converged = re.search(r"SCF run converged in +(\d+) steps", text)
    energy = re.search(r"ENERGY\| Total FORCE_EVAL .*?(-?\d+\.\d+)\s*$", text, re.MULTILINE)
    if converged is None:
        raise LabelError("the self-consistent field did not converge")
    if energy is None:
        raise LabelError("CP2K's output has no total energy")
    forces = _block(text, "ATOMIC FORCES in [a.u.]", len(atoms), 3, slice(3, 6)) * (units.Hartree / units.Bohr)
    stress = _block(text, "STRESS| Analytical stress tensor [GPa]", 3, 2, slice(2, 5)) * GPA
    if forces.shape != (len(atoms), 3) or not np.isfinite(forces).all() or not np.isfinite(stress).all():
        raise LabelError("CP2K's forces or stresses are not finite numbers")
    labelled: Atoms = atoms.copy()
    labelled.calc = SinglePointCalculator(
        labelled,
        energy=round(float(energy.group(1)) * units.Hartree, 6),
        forces=forces.round(5),
        # CP2K's stress tensor is the pressure tensor, positive under compression; ASE's is minus that
        stress=-(stress + stress.T).ravel()[[0, 4, 8, 5, 2, 1]].round(8) / 2,
    )
    labelled.info = {**atoms.info, "scf_steps": int(converged.group(1))}
    return labelled


def parse_centres(text: str, centres_text: str, atoms: Atoms) -> Atoms:
    """Ions and Wannier centres, each centre moved to the image beside its nearest ion.

    Taken are CP2K's output and the file it wrote. The array `ion` holds, for every row, the index of the ion it belongs
    to. `info["complete"]` is true where every Ag has five centres and every I four.

    Raises `LabelError` where the self-consistent field or the localisation did not converge.
    """
    if "SCF run converged in" not in text:
        raise LabelError("the self-consistent field did not converge")
    if not re.search(r"Localization +for spin +1 converged", text):
        raise LabelError("the localisation did not converge")
    frames = list(ase.io.read(StringIO(centres_text), ":", format="xyz")) if centres_text else []
    if not frames or len(frames[-1]) <= len(atoms):
        raise LabelError("CP2K wrote no Wannier centres")
    centres = frames[-1].positions[len(atoms) :]
    apart = find_mic((centres[:, None] - atoms.positions[None]).reshape(-1, 3), atoms.cell, pbc=True)
    nearest = apart[1].reshape(len(centres), len(atoms)).argmin(axis=1)
    beside = atoms.positions[nearest] + apart[0].reshape(len(centres), len(atoms), 3)[range(len(centres)), nearest]
    both: Atoms = atoms.copy()
    both.extend(Atoms(["X"] * len(centres), beside.round(4)))
    both.set_array("ion", np.concatenate([np.arange(len(atoms)), nearest]))
    held = np.bincount(nearest, minlength=len(atoms))
    complete = all(count == CENTRES.get(s) for count, s in zip(held, atoms.get_chemical_symbols(), strict=True))
    both.info = {**atoms.info, "complete": bool(complete)}
    return both


def run_cp2k(text: str, folder: Path, *, command: str, cpu_seconds: int, keep: int = -1) -> str:
    """Run CP2K on an input in a folder and return its output; `keep` is a file descriptor that it shall hold open."""
    (folder / "agi.inp").write_text(text)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    finished = subprocess.run(
        [*command.split(), "-i", "agi.inp", "-o", "agi.out"],
        cwd=folder,
        env={**os.environ, **one_thread},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=limit,
        pass_fds=(keep,) if keep >= 0 else (),
        check=False,
    )
    output = folder / "agi.out"
    written = output.read_text(errors="replace") if output.exists() else ""
    if finished.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise LabelError(f"ended by signal {-finished.returncode}, after {cpu_seconds} s of CPU time or from outside")
    if finished.returncode:
        raise LabelError(f"CP2K ended with status {finished.returncode}: {written[-500:]}{finished.stderr[-500:]}")
    return written


def write_atomically(path: Path, frames: Atoms | list[Atoms]) -> None:
    """Write extended XYZ so that the file is complete as soon as it is there."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        ase.io.write(part, frames, format="extxyz")
    os.replace(part.name, path)


@contextmanager
def claim(path: Path) -> Iterator[int]:
    """Hold a configuration for this program; yields the lock's file descriptor, -1 where another holds it.

    The lock goes with the last program that has the file open, so one whose parent was killed keeps it.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = True
    except BlockingIOError:
        mine = False
    try:
        yield descriptor if mine else -1
    finally:
        os.close(descriptor)


def compute(
    atoms: Atoms, settings: Settings, task: str, scratch: Path, *, command: str, cpu_seconds: int, keep: int = -1
) -> Atoms:
    """Compute the label or the centres of one configuration; `info` tells the CPU time (s) it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = run_cp2k(
        cp2k_input(atoms, settings, task), scratch, command=command, cpu_seconds=cpu_seconds, keep=keep
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if task == "label":
        result = parse_output(text, atoms)
    else:
        result = parse_centres(text, "".join(path.read_text() for path in scratch.glob("*wannier.xyz*")), atoms)
    result.info["cpu_seconds"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)
    return result


def label_all(
    configurations: list[Atoms],
    settings: Settings,
    folder: Path,
    *,
    command: str,
    centres_every: int,
    cpu_seconds: int,
    retry: bool,
) -> None:
    """Compute what is missing, in the order given, and report every calculation on standard output."""
    for name in ("done", "failed", "locks", "running"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    record_settings(folder / "settings.json", settings, command)
    for atoms in configurations:
        index = atoms.info["index"]
        tasks = [("label", f"{index:05d}")]
        if centres_every and index % centres_every == 0:
            tasks.append(("centres", f"{index:05d}.wannier"))
        for task, name in tasks:
            done, failed = folder / "done" / f"{name}.xyz", folder / "failed" / f"{name}.txt"
            with claim(folder / "locks" / name) as lock:
                if lock < 0 or done.exists() or (failed.exists() and not retry):
                    continue
                started = time.monotonic()
                scratch = folder / "running" / name
                shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
                scratch.mkdir()
                try:
                    result = compute(
                        atoms, settings, task, scratch, command=command, cpu_seconds=cpu_seconds, keep=lock
                    )  # fmt: skip
                except LabelError as error:
                    failed.write_text(f"{error}\n")
                    print(f"{name} failed: {str(error).splitlines()[0]}", flush=True)
                    continue
                write_atomically(done, result)
                failed.unlink(missing_ok=True)
                shutil.rmtree(scratch)
                seconds = time.monotonic() - started
                print(f"{name} done: {result.info['cpu_seconds']:.0f} s of CPU time in {seconds:.0f} s", flush=True)


def record_settings(path: Path, settings: Settings, command: str) -> None:
    """Write the settings and CP2K's version, or check that a folder in use has the same."""
    version = subprocess.run([*command.split(), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"CP2K version\s+(\S+)", version)
    record = {
        "code": f"CP2K {found.group(1) if found else 'of unknown version'}",
        "functional": "PBE",
        "scf": "diagonalisation, Broyden mixing of 8 vectors, atomic guess, no smearing",
        "stress": "analytical",
        "wannier_centres": "Gamma, JACOBI, Berry-phase spread, all occupied orbitals",
        "units": {"length": "A", "energy": "eV", "forces": "eV/A", "stress": "eV/A^3, positive under tension"},
        **dataclasses.asdict(settings),
    }
    if path.exists():
        if json.loads(path.read_text()) != record:
            raise LabelError(f"{path} holds other settings than asked for; take another folder")
        return
    path.write_text(json.dumps(record, indent=2) + "\n")


def collect(folder: Path, output: Path) -> tuple[int, int]:
    """Gather what is finished in OUTPUT.xyz.gz and OUTPUT-wannier.xyz.gz; returns how many of each."""
    counts = []
    for suffix, names in (
        ("", [p for p in (folder / "done").glob("*.xyz") if p.name.count(".") == 1]),
        ("-wannier", [p for p in (folder / "done").glob("*.wannier.xyz") if p.with_name(p.name[:5] + ".xyz").exists()]),
    ):
        text = "".join(path.read_text() for path in sorted(names))
        target = output.with_name(f"{output.name}{suffix}.xyz.gz")
        target.write_bytes(gzip.compress(text.encode(), mtime=0))
        counts.append(len(names))
    shutil.copyfile(folder / "settings.json", output.with_name(f"{output.name}-settings.json"))
    return counts[0], counts[1]


def read_configurations(path: Path) -> list[Atoms]:
    """Configurations of a (gzipped) extended XYZ file; those without an index are numbered from 0."""
    raw = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    configurations = list(ase.io.read(StringIO(raw), ":", format="extxyz"))
    for k, atoms in enumerate(configurations):
        atoms.info.setdefault("index", k)
    return configurations


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: label_configurations.py configurations.xyz.gz --folder labels\n"
        "         label_configurations.py --folder labels --collect agi-pbe",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("configurations", type=Path, nargs="?", help="extended XYZ, plain or .gz")
    parser.add_argument("--folder", type=Path, required=True, help="where the results are kept")
    parser.add_argument("--collect", type=Path, metavar="OUTPUT", help="gather what is finished, and end")
    parser.add_argument(
        "--centres-every",
        type=int,
        default=3,
        metavar="K",
        help="Wannier centres where K divides the index; 0: none (3)",
    )
    parser.add_argument("--first", type=int, default=None, metavar="N", help="only the first N configurations")
    parser.add_argument("--retry", action="store_true", help="try again what failed")
    parser.add_argument("--cpu-seconds", type=int, default=900, help="CPU time a configuration may take (900)")
    parser.add_argument("--cp2k", default="cp2k.psmp", help="command that runs CP2K (cp2k.psmp)")
    for field in dataclasses.fields(Settings):
        if not isinstance(field.default, str):
            parser.add_argument(
                "--" + field.name.replace("_", "-"), type=type(field.default), default=field.default,
                help=f"({field.default:g})",
            )  # fmt: skip
    args = parser.parse_args(argv)
    if args.collect:
        labelled, centres = collect(args.folder, args.collect)
        print(f"{labelled} configurations, {centres} of them with Wannier centres")
        return
    if args.configurations is None:
        parser.error("the file with the configurations is missing")
    if shutil.which(args.cp2k.split()[0]) is None:
        parser.error(f"there is no {args.cp2k.split()[0]}; on Debian: apt-get install cp2k cp2k-data")
    chosen = {f.name: getattr(args, f.name) for f in dataclasses.fields(Settings) if hasattr(args, f.name)}
    try:
        label_all(
            read_configurations(args.configurations)[: args.first],
            Settings(**chosen),
            args.folder,
            command=args.cp2k,
            centres_every=args.centres_every,
            cpu_seconds=args.cpu_seconds,
            retry=args.retry,
        )
    except LabelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
