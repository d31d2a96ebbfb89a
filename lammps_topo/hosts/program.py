"""``lammps-topo lmp``: the program lmp inside this Python, for a Python that cannot be embedded into lmp."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import TopoError
from .plugin_build import plugin_folder


def run(arguments: Sequence[str]) -> NoReturn:
    """Run LAMMPS with the command line ``arguments`` of lmp, then leave the program.

    Raises TopoError when this Python has no ``lammps`` module.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["LAMMPS_PLUGIN_PATH"] = ":".join(filter(None, (plugin_folder(), os.environ.get("LAMMPS_PLUGIN_PATH"))))
    script, rest = _split(arguments)
    try:
        from mpi4py import MPI  # must come before lammps

        finalize = MPI.Finalize
    except ImportError:

        def finalize() -> None: ...

    try:
        from lammps import lammps
    except ImportError as error:
        raise TopoError(f"this Python has no lammps module: {error}") from None
    instance = lammps(cmdargs=rest)
    try:
        instance.file(script)
        status = 0
    except Exception:  # LAMMPS has printed its own message
        status = 1
    instance.close()
    finalize()
    sys.exit(status)


def _split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The input script, and the other arguments."""
    words = list(arguments)
    for flag in ("-in", "-i"):
        if flag in words[:-1]:
            place = words.index(flag)
            return words[place + 1], words[:place] + words[place + 2 :]
    raise TopoError("give the input script: lammps-topo lmp -in FILE [arguments of lmp]")
