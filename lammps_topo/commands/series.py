"""Commands on time series and correlation functions that exist already: spectrum, kernel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from .options import needs_report_extra


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--species", help="Of a results file; the first one that is followed by default.")
@click.option(
    "--columns", help="Of a table: lag and ⟨v(t)·v(0)⟩, counted from 1; 1,2 (fix ave/correlate: 2,4) by default."
)
@click.option("--interval", type=float, help="Time between lags, where the table has no column of lags.")
@click.option("--timestep", type=float, help="Time of a step, where the lags are counted in steps.")
@click.option("--origin", type=float, default=0.0, help="Lag or step in the table that is lag 0 (compute vacf).")
@click.option("--units", default="metal", show_default=True, help="LAMMPS unit style of a table.")
@click.option("--mass", type=float, help="Mass of an atom, for a table.")
@click.option("--temperature", type=float, help="For a table; for a results file that measured in place of its own.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Γ(t) and its integral, as text.")
@click.option("--prony", type=click.IntRange(1, 8), help="Terms of the series for --gle and --gld.")
@click.option("--gle", type=click.Path(dir_okay=False, path_type=Path), help="Write a drift matrix for fix gle.")
@click.option("--gld", is_flag=True, help="Print a line for fix gld.")
def kernel(files: Sequence[Path], species: str | None, columns: str | None, interval: float | None,
           timestep: float | None, origin: float, units: str, mass: float | None, temperature: float | None,
           output: Path | None, prony: int | None,
           gle: Path | None, gld: bool) -> None:  # fmt: skip
    """Memory kernel of a results file, or of velocity correlation functions in tables (several are replicas).

    \b
    Example:
      lammps-topo kernel agi-gle.topo.h5 --species Ag --output kernel.txt --gle ag.gle --gld
      lammps-topo kernel vacf.*.txt --columns 1,5 --timestep 0.0005 --mass 107.87 --temperature 750
      lammps-topo analyze dump.lammpstrj --set correlations.window 4 …      from a trajectory
    """
    from ..kernels import kernel_of_files
    from ..report.kernel_text import describe, write_table

    table, name = kernel_of_files(
        files, species=species, columns=columns, interval=interval, timestep=timestep, origin=origin, units=units,
        mass=mass, temperature=temperature,
    )  # fmt: skip
    if gld and not table.temperature > 0:
        raise ConfigError("--gld needs the temperature of the thermostat: give --temperature")
    click.echo(describe(table, name))
    if output is not None:
        write_table(output, table, name)
        click.echo(f"written: {output}")
    if gle is not None:
        from ..estimate.prony import gle_matrix
        from ..store import replace_file

        series = table.prony(prony)
        replace_file(gle, gle_matrix(series, units=table.units.style).encode())
        click.echo(f"written: {gle}, {series.terms} terms, {series.residual:.2%} off the kernel")
    if gld:
        from ..estimate.prony import gld_command

        series = table.exponentials(prony)
        click.echo(f"# {series.terms} exponentials, {series.residual:.2%} off the kernel")
        click.echo(gld_command(series, mass=table.atom_mass, temperature=table.temperature, seed=1))


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quantity", "-q", required=True,
              type=click.Choice(["conductivity", "heat", "viscosity", "diffusion", "raw"]),
              help="What S(0) is turned into; raw: S(0) itself.")  # fmt: skip
@click.option("--columns", "-k", help="The flux, and after commas those to eliminate: c_flux (or flux) means c_flux[1] "
              "to [3]; or columns by name or number, three to a flux: 2-4,5-7.")  # fmt: skip
@click.option("--eliminate", "-j", multiple=True, help="Another flux to eliminate; may be repeated.")
@click.option("--units", help="LAMMPS unit style of series and options; a log of LAMMPS says it.")
@click.option("--temperature", "-T", type=float, help="By default the mean of a column Temp.")
@click.option("--volume", "-V", type=float, help="By default the mean of a column Volume.")
@click.option("--interval", type=float, help="Time between samples.")
@click.option("--timestep", type=float, help="Time of a step, where a column Step counts steps.")
@click.option("--runs", help="Runs of a log: 3, 2-4 or all; by default the longest.")
@click.option("--scale", type=float, default=1.0, help="Factor of the flux, such as a charge where it is a velocity.")
@click.option("--intensive", is_flag=True, help="The fluxes were divided by the volume.")
@click.option(
    "--remove-mean", is_flag=True, help="Subtract the mean of each flux, which is taken to be zero otherwise."
)
@click.option("--method", type=click.Choice(["spectral", "cepstral-average", "cepstral-aic"]),
              help="spectral by default; cepstral-aic with --cutoff or --order.")  # fmt: skip
@click.option("--cutoff", type=float, help="f* of cepstral-aic, 1/time of the units (metal: THz).")
@click.option("--order", type=click.IntRange(1), help="P* of cepstral-aic.")
@click.option(
    "--resample",
    type=click.IntRange(1),
    default=1,
    help="Means over so many samples; with cepstral-aic that is SporTran's f*.",
)
@click.option("--segments", type=click.IntRange(1), default=1, help="Cut the series into so many parts.")
@click.option("--json", "as_json", is_flag=True, help="A list of {quantity, of, method, value, error, unit, …}.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="Page with the spectrum (.html), or the figure alone (.png, .svg, .pdf).")  # fmt: skip
def spectrum(files: Sequence[Path], as_json: bool, report: Path | None, **options: Any) -> None:
    """Conductivity, thermal conductivity, viscosity or diffusion from time series that exist already.

    Text (.gz too), npy, npz, fix ave/time (mode scalar), logs of LAMMPS; several files are replicas.

    \b
    Example:
      lammps-topo spectrum J.dat -q conductivity -k c_J --units metal --timestep 0.001 -T 750 -V 3551
      lammps-topo spectrum NaCl.dat -q heat -k flux -j 'vcm[1]' --units metal --interval 0.005 -V 65013.3
      lammps-topo spectrum log.lammps -q viscosity -k Pxy,Pxz,Pyz --report viscosity.html
      lammps-topo spectrum flux.npy -q heat -k 1-3 --units real --interval 2 -T 300 -V 27000 --json
    """
    from ..report.series_text import describe_series
    from ..series import spectrum_of_files

    outcome = spectrum_of_files(files, **options)
    name = ", ".join(file.name for file in files)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in outcome.results], indent=1, ensure_ascii=False))
        for note in outcome.notes:
            click.echo(f"note: {note}", err=True)
    else:
        click.echo(describe_series(outcome, name))
    if report is not None:
        with needs_report_extra():
            from ..report.series_page import write_series_report
        write_series_report(report, outcome, name)
        click.echo(f"written: {report}", err=as_json)
