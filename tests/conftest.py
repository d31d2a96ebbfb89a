"""Shared: how tests run LAMMPS, as users do, in programs of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lammps_topo.hosts.plugin_build import shared_libpython

REPOSITORY = Path(__file__).resolve().parents[1]
DEBIAN = REPOSITORY / ".venv-debian"
_TIMEOUT = 180
# a Python without a shared library cannot be embedded into lmp; there LAMMPS runs inside Python
PROGRAM = ["lmp"] if shared_libpython() else [sys.executable, "-m", "lammps_topo.cli", "lmp"]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


def environment(**extra: str) -> dict[str, str]:
    """A user's environment with the virtual environment's programs first in the PATH."""
    programs = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **extra}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def lmp() -> Run:
    """Run ``lmp -in script`` in a folder, on some ranks; the script is text."""
    if shutil.which("lmp", path=environment()["PATH"]) is None:
        pytest.skip("no lmp")

    def run(
        script: str, folder: Path, *, ranks: int = 1, check: bool = True, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        (folder / "in.test").write_text(script)
        launcher = ["mpirun", "-np", str(ranks)] if ranks > 1 else []
        finished = subprocess.run(
            [*launcher, *PROGRAM, "-in", "in.test", "-log", "log.test"],
            cwd=folder, env=environment(**extra), capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if check:
            assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
        return finished

    return run


@pytest.fixture(scope="session")
def topo_command() -> Run:
    """Run ``lammps-topo`` with arguments in a folder."""

    def run(*arguments: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", "lammps_topo.cli", *arguments],
            cwd=folder, env=environment(), capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if check:
            assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished

    return run


@pytest.fixture(scope="session")
def debian_lmp() -> Run:
    """Run Debian's own LAMMPS (python/invoke, OpenMPI), whose Python finds this package in ``.venv-debian``."""
    program = Path("/usr/bin/lmp")
    packages = list(DEBIAN.glob("lib/python3*/site-packages"))
    if not program.exists() or not packages:
        if os.environ.get("CI"):  # there it is installed: a door that goes untested must not pass for a tested one
            pytest.fail("Debian's lammps or .venv-debian is missing")
        pytest.skip("needs Debian's lammps and 'make debian'")

    def run(script: str, folder: Path, *, ranks: int = 1, check: bool = True) -> subprocess.CompletedProcess[str]:
        (folder / "in.test").write_text(script)
        clean = {
            "HOME": os.environ.get("HOME", "/"),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{REPOSITORY}:{packages[0]}",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_mpi_yield_when_idle": "1",
        }
        launcher = ["mpirun.openmpi", "-np", str(ranks)] if ranks > 1 else []
        finished = subprocess.run(
            [*launcher, str(program), "-in", "in.test", "-log", "log.test"],
            cwd=folder, env=clean, capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if check:
            assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
        return finished

    return run
