"""lammps_topo: ionic charge transport while LAMMPS runs.

>>> session = lammps_topo.attach(lmp, "agi.yaml", every=4)  # doctest: +SKIP
>>> session.run(200000)  # doctest: +SKIP
>>> session.results().outcome.results  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hosts.attach import attach
    from .hosts.python_invoke import invoke
    from .kernels import kernel_of_files
    from .loops import loop_of_file
    from .series import spectrum_of_files
    from .store import read_results

__version__ = "0.1.0"
__all__ = ["attach", "invoke", "kernel_of_files", "loop_of_file", "read_results", "spectrum_of_files"]

_HOMES = {
    "attach": ".hosts.attach",
    "invoke": ".hosts.python_invoke",
    "kernel_of_files": ".kernels",
    "loop_of_file": ".loops",
    "read_results": ".store",
    "spectrum_of_files": ".series",
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``lmp`` asks this package only for the folder of the shim, and should start at once."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
