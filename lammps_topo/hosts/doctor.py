"""``lammps-topo doctor``: what works on this machine, and why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .plugin_build import LIBRARY, SOURCES, find_compiler, installed_target, plugin_folder, shared_libpython

_PROBE = """units lj
atom_style atomic
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 single 1 1 1
mass 1 1.0
fix topo all topo 1 output {output}
run 1
"""

_IMPORT = """python probe here \"\"\"
import lammps_topo
def probe(*_): pass
\"\"\"
"""
_LOAD = """
import contextlib
with contextlib.suppress(ImportError):
    from mpi4py import MPI
from lammps import lammps
from lammps_topo.hosts.attach import plugin_loads
print(plugin_loads(lammps(cmdargs=["-screen", "none", "-log", "none"])))
"""


@dataclass(frozen=True)
class Check:
    what: str
    works: bool
    why: str
    is_door: bool = False


def examine() -> list[Check]:
    """All checks, the four doors last."""
    compiler, target, library = find_compiler(), installed_target(), shared_libpython()
    checks = [
        Check(
            "C++ compiler",
            compiler is not None,
            " ".join(compiler) if compiler else "none of $CXX, c++, g++, clang++ is found",
        ),
        Check(
            "LAMMPS wheel with headers",
            target is not None,
            f"version {target.version}"
            if target
            else "pip install 'lammps[mpi]' gives one; a LAMMPS of your own needs none",
        ),
        Check(
            "libpython that lmp can embed",
            library is not None,
            str(library)
            if library
            else f"{sys.executable} was built without a shared library (Debian: install libpython3-dev); "
            "'lammps-topo lmp -in …' works without it",
        ),
        _module("mpi4py", "runs on more than one rank", "pip install mpi4py"),
        _module("matplotlib", "lammps-topo report", "pip install 'lammps-topo[report]'"),
        _module("ase", "trajectories in other formats than LAMMPS dumps", "pip install 'lammps-topo[trajectories]'"),
    ]
    return [*checks, _native(), _invoke(), _attach(), _analyze()]


def _module(name: str, use: str, advice: str) -> Check:
    try:
        return Check(f"{name} ({use})", True, f"version {version(name)}")
    except PackageNotFoundError:
        return Check(f"{name} ({use})", False, advice)


def _native() -> Check:
    what = "door 1: fix ID group topo N [config.yaml] in lmp"
    lmp = shutil.which("lmp") or str(Path(sys.executable).parent / "lmp")
    if not (SOURCES / LIBRARY).is_file():
        return Check(what, False, "the shim is not built: run 'lammps-topo build-plugin'", is_door=True)
    if not Path(lmp).exists():
        return Check(what, False, "no program lmp in the PATH", is_door=True)
    folder = plugin_folder()
    with tempfile.TemporaryDirectory() as work:
        script = Path(work) / "in.probe"
        script.write_text(_PROBE.format(output=Path(work) / "probe.topo.h5"))
        environment = {**os.environ, "LAMMPS_PLUGIN_PATH": os.environ.get("LAMMPS_PLUGIN_PATH", folder)}
        try:
            run = subprocess.run(
                [lmp, "-in", str(script), "-log", "none"],
                capture_output=True, text=True, cwd=work, env=environment, timeout=120, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return Check(what, False, f"{lmp}: {error}", is_door=True)
        if run.returncode == 0 and (Path(work) / "probe.topo.h5").is_file():
            return Check(what, True, f"tried with {lmp}", is_door=True)
    text = (run.stdout + run.stderr).splitlines()
    reason = next((line for line in text if "ERROR" in line), text[-1] if text else "no output")
    return Check(what, False, f"{lmp}: {reason}", is_door=True)


def _invoke() -> Check:
    what = "door 2: fix ID group python/invoke N end_of_step topo"
    refused = ""
    for lmp in dict.fromkeys(filter(None, (shutil.which("lmp"), "/usr/bin/lmp"))):
        if not Path(lmp).exists():
            continue
        told = subprocess.run([lmp, "-h"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if "python/invoke" not in told.stdout:
            continue
        with tempfile.TemporaryDirectory() as work:
            script = Path(work) / "in.probe"
            script.write_text(_IMPORT)
            command = [lmp, "-in", str(script), "-log", "none"]
            run = subprocess.run(command, capture_output=True, text=True, cwd=work, check=False)
        if run.returncode == 0:
            return Check(what, True, f"tried with {lmp}", is_door=True)
        refused = f"{lmp} has python/invoke, but its Python cannot import lammps_topo: set PYTHONPATH"
    why = refused or "no lmp here has the PYTHON package (Debian's lammps, conda-forge's and most clusters' do)"
    return Check(what, False, why, is_door=True)


def _attach() -> Check:
    what = "door 3: lammps_topo.attach(lmp, config, every=N)"
    run = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=False)
    if run.returncode:
        reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
        return Check(what, False, f"{reason}; pip install 'lammps-topo[lammps]'", is_door=True)
    how = "with the shim" if run.stdout.strip().endswith("True") else "stepwise, without the shim"
    return Check(what, True, how, is_door=True)


def _analyze() -> Check:
    return Check(
        "door 4: lammps-topo analyze TRAJECTORY", True, "LAMMPS text dumps always, other formats with ase", is_door=True
    )
