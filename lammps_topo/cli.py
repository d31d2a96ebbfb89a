"""The command ``lammps-topo``."""

from __future__ import annotations

import os
from typing import Any

import click

from . import __version__
from .commands.programs import build_plugin, doctor, lmp, plugin_path
from .commands.results import check, estimate, merge, report, show
from .commands.series import kernel, spectrum
from .commands.trajectories import analyze, centres, loop
from .errors import TopoError


class _Group(click.Group):
    """Our own errors end as one sentence and exit status 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TopoError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lammps-topo")
def main() -> None:
    """Ionic charge transport from LAMMPS runs: results, reports, trajectories.

    \b
    Example:
      mpirun -np 2 lmp -in in.agi          a run with 'fix topo all topo 4 agi.yaml'
      lammps-topo show agi.topo.h5         its numbers
      lammps-topo report agi.topo.h5       a page with figures
    """


for command in (
    show, report, estimate, merge, check, analyze, loop, centres, kernel, spectrum, build_plugin, plugin_path, doctor,
    lmp,
):  # fmt: skip
    main.add_command(command)

if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    main()
