"""The command ``lammps-topo``."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from . import __version__
from .errors import ConfigError, TopoError


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


#: Keys of the configuration that act on what has been measured.
_ESTIMATES = ("temperature", "volume", "spectral", "cepstral", "einstein", "gauge")
_INNER_ESTIMATES = ("msd.window", "correlations.prony")
_results_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
_set = click.option(
    "--set", "settings", nargs=2, multiple=True, metavar="KEY VALUE",
    help="Set a configuration key, e.g. --set cepstral.cutoff 10; may be repeated.",
)  # fmt: skip


@main.command()
@_results_file
@click.option("--json", "as_json", is_flag=True, help="A list of {quantity, of, method, value, error, unit, …}.")
@click.option("--provenance", is_flag=True, help="Where the file comes from and every parameter of the run.")
def show(file: Path, as_json: bool, provenance: bool) -> None:
    """Print the numbers of a results file.

    \b
    Example:
      lammps-topo show agi.topo.h5
      lammps-topo show agi.topo.h5 --json | jq '.[] | select(.quantity == "conductivity")'
    """
    from .report.table import provenance_text, results_table
    from .store import read_results

    results = read_results(file)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results.outcome.results], indent=1, ensure_ascii=False))
        return
    click.echo(results_table(results))
    if provenance:
        click.echo(provenance_text(results))


@main.command()
@_results_file
@click.option("--output", "-o", type=click.Path(path_type=Path), help="HTML file; NAME.report.html by default.")
def report(file: Path, output: Path | None) -> None:
    """Write a self-contained HTML page with figures, and a YAML file with the numbers beside it.

    \b
    Example:
      lammps-topo report agi.topo.h5       agi.report.html, agi.results.yaml
    """
    try:
        from .report.page import write_report
    except ImportError as error:
        raise click.ClickException(f"{error}; install the extra: pip install 'lammps-topo[report]'") from None
    for path in write_report(file, output):
        click.echo(path)


@main.command()
@click.argument("trajectory", type=click.Path(dir_okay=False))
@click.option("--config", "-c", type=click.Path(dir_okay=False), help="YAML configuration, as for fix topo.")
@click.option("--output", "-o", help="Results file; TRAJECTORY.topo.h5 by default.")
@_set
def analyze(trajectory: str, config: str | None, output: str | None, settings: Sequence[tuple[str, str]]) -> None:
    """Measure a trajectory that exists: a LAMMPS text dump (gz too), or what ASE reads.

    \b
    Example:
      lammps-topo analyze dump.lammpstrj.gz --config agi.yaml \\
          --set trajectory.units metal --set trajectory.timestep 0.0005
    """
    from .config import load_config, words_to_overrides
    from .hosts.replay import analyze as analyze_trajectory
    from .report.table import results_table
    from .store import read_results

    overrides = words_to_overrides([word for pair in settings for word in pair])
    if output:
        overrides["output"] = output
    stem = Path(config).stem if config else None
    with click.progressbar(length=0, label="frames", file=sys.stderr, show_pos=True, show_eta=False) as bar:

        def progress(read: int) -> None:
            bar.length = read
            bar.update(read - bar.pos)

        measurement = analyze_trajectory(
            trajectory, load_config(config, overrides, source="the command line"), name=stem, progress=progress
        )
    for notice in measurement.notices:
        click.echo(notice, err=True)
    click.echo(results_table(read_results(measurement.path)))
    click.echo(f"results file: {measurement.path}")


@main.command()
@_results_file
@_set
def estimate(file: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Estimate again from what a run has gathered, with other settings; the file is replaced.

    \b
    Example:
      lammps-topo estimate agi.topo.h5 --set cepstral.cutoff 8 --set temperature 750
    """
    from .config import parse_config
    from .estimate.summary import estimate as estimate_all
    from .report.table import results_table
    from .store import read_results, write_results

    results = read_results(file)
    overrides = _estimate_settings(settings)
    config = parse_config(json.dumps(results.given), overrides, source=f"the configuration in {file}")
    write_results(file, results.record, estimate_all(results.record, config), config, results.provenance)
    click.echo(results_table(read_results(file)))


def _estimate_settings(settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What ``--set`` gives, where it acts on what has been measured."""
    from .config import words_to_overrides

    overrides = words_to_overrides([word for pair in settings for word in pair])
    for key in overrides:
        if key.split(".")[0] not in _ESTIMATES and key not in _INNER_ESTIMATES:
            allowed = ", ".join((*_ESTIMATES, *_INNER_ESTIMATES))
            raise ConfigError(f"key '{key}' acts while a run is measured and cannot change now (allowed: {allowed})")
    return overrides


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Results file.")
@_set
def merge(files: Sequence[Path], output: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Add up independent runs of one system (replicas, partitions of LAMMPS): one results file, smaller error bars.

    Runs that do not belong together are refused, with the key that differs; so is a run that is given twice.

    \b
    Example:
      lammps-topo merge replica*/run.topo.h5 -o all.topo.h5
    """
    from .merge import merge_files
    from .report.table import results_table
    from .store import read_results

    kept = merge_files(files, output, overrides=_estimate_settings(settings), agreeing=(*_ESTIMATES, *_INNER_ESTIMATES))
    if kept is not None:
        click.echo(f"an earlier {output} is kept as {kept}", err=True)
    click.echo(results_table(read_results(output)))
    click.echo(f"results file: {output}")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: Sequence[Path]) -> None:
    """Verify results and states: checksum, format, and that the contents agree; status 1 if one is bad.

    \b
    Example:
      lammps-topo check *.topo.h5 *.state*.h5
    """
    from .report.wording import composition, one_line
    from .state_file import is_state, verify_state
    from .store import read_results

    bad = False
    for file in files:
        try:
            if is_state(file):
                state = verify_state(file)
                click.echo(one_line(f"ok: '{file}': state of {state['samples']} samples until step {state['step']}"))
                continue
            results = read_results(file)
        except TopoError as error:
            bad = True
            click.echo(one_line(f"bad: {error}"))
            continue
        record = results.record
        runs = f", {len(record.replicas)} runs" if record.replicas else ""
        click.echo(one_line(
            f"ok: '{file}': {composition(record)}; {record.samples} samples{runs}, steps {record.first_step} to "
            f"{record.last_step}; format version {results.format_version}, sha256 {results.sha256[:16]}…"
        ))  # fmt: skip
    sys.exit(1 if bad else 0)


@main.command()
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
    from .kernels import kernel_of_files
    from .report.kernel_text import describe, write_table

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
        from .estimate.prony import gle_matrix
        from .store import replace_file

        series = table.prony(prony)
        replace_file(gle, gle_matrix(series, units=table.units.style).encode())
        click.echo(f"written: {gle}, {series.terms} terms, {series.residual:.2%} off the kernel")
    if gld:
        from .estimate.prony import gld_command

        series = table.exponentials(prony)
        click.echo(f"# {series.terms} exponentials, {series.residual:.2%} off the kernel")
        click.echo(gld_command(series, mass=table.atom_mass, temperature=table.temperature, seed=1))


@main.command()
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
    from .report.series_text import describe_series
    from .series import spectrum_of_files

    outcome = spectrum_of_files(files, **options)
    name = ", ".join(file.name for file in files)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in outcome.results], indent=1, ensure_ascii=False))
        for note in outcome.notes:
            click.echo(f"note: {note}", err=True)
    else:
        click.echo(describe_series(outcome, name))
    if report is not None:
        try:
            from .report.series_page import write_series_report
        except ImportError as error:
            raise click.ClickException(f"{error}; install the extra: pip install 'lammps-topo[report]'") from None
        write_series_report(report, outcome, name)
        click.echo(f"written: {report}", err=as_json)


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--valence", multiple=True, required=True, metavar="SPECIES=e",
              help="Charge of an ion without its centres, as in Ag=11; for each species.")  # fmt: skip
@click.option("--weight", type=float, default=-2.0, show_default=True, help="Charge of a centre; -1 with spin.")
@click.option("--symbol", default="X", show_default=True, help="What centres are called in the file.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only such snapshots, as in kind=md-750.")
@click.option("--json", "as_json", is_flag=True, help="A list of {quantity, of, method, value, error, unit, …}.")
@click.option("--figure", type=click.Path(dir_okay=False, path_type=Path), help="Picture: .png, .svg or .pdf.")
@click.option("--polarisation", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the dipole of the cell, snapshot by snapshot, as text.")  # fmt: skip
def centres(file: Path, valence: Sequence[str], weight: float, symbol: str, where: Sequence[str], as_json: bool,
            figure: Path | None, polarisation: Path | None) -> None:  # fmt: skip
    """Ion dipoles, tetrahedra and polarisation of snapshots with electronic (Wannier) centres.

    A file that ASE reads, such as extended XYZ (.gz too). A column 'ion' says whose a centre is; without it the
    nearest ion's.

    \b
    Example:
      lammps-topo centres agi-pbe-wannier.xyz.gz --valence Ag=11 --valence I=7 --where kind=md-750 --figure centres.png
    """
    from .centres.analysis import analyse_centres
    from .hosts.centre_file import read_centres
    from .report.centres_text import describe_centres, polarisation_table

    charges = {name: _number("--valence", name, value) for name, value in _pairs("--valence", valence)}
    snapshots = read_centres(file, symbol=symbol, where=dict(_pairs("--where", where)))
    analysis = analyse_centres(snapshots, charges, weight=weight)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in analysis.outcome.results], indent=1, ensure_ascii=False))
    else:
        click.echo(describe_centres(analysis, file.name))
    if figure is not None:
        try:
            from .report.centres_figure import draw_centres
        except ImportError as error:
            raise click.ClickException(f"{error}; install the extra: pip install 'lammps-topo[report]'") from None
        draw_centres(figure, analysis)
        click.echo(f"written: {figure}", err=as_json)
    if polarisation is not None:
        from .store import replace_file

        replace_file(polarisation, polarisation_table(snapshots, charges, weight).encode())
        click.echo(f"written: {polarisation}", err=as_json)


def _pairs(option: str, words: Sequence[str]) -> list[tuple[str, str]]:
    """``KEY=VALUE`` taken apart."""
    for word in words:
        if not all(word.partition("=")):
            raise ConfigError(f"{option} {word}: expected KEY=VALUE")
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _number(option: str, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{option} {name}={text}: '{text}' is not a number") from None


def _by_species(option: str) -> Callable[[click.Context, click.Parameter, Sequence[str]], dict[str, float]]:
    """``K=+1`` as a number by species."""

    def parsed(_: click.Context, __: click.Parameter, words: Sequence[str]) -> dict[str, float]:
        found = {}
        for word in words:
            name, text = word.split("=", 1) if "=" in word else (word, "")
            try:
                found[name] = float(text)
            except ValueError:
                raise ConfigError(f"{option} {word}: expected SPECIES=NUMBER, as in {option} K=+1") from None
            if not name or not math.isfinite(found[name]):
                raise ConfigError(f"{option} {word}: expected SPECIES=NUMBER, as in {option} K=+1")
        return found

    return parsed


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--config", "-c", type=click.Path(dir_okay=False), help="YAML with species, representations, path.")
@click.option("--charge", "charges", multiple=True, metavar="SPECIES=Z", callback=_by_species("--charge"),
              help="Charge of the atoms of a species, such as of a core; may be repeated.")  # fmt: skip
@click.option("--centre", "centres", multiple=True, metavar="SPECIES=Z", callback=_by_species("--centre"),
              help="Electronic centres, not told apart: matched from point to point.")  # fmt: skip
@click.option("--oxidation", multiple=True, metavar="SPECIES=N", callback=_by_species("--oxidation"),
              help="Oxidation states, for what they predict; may be repeated.")  # fmt: skip
@click.option("--born", metavar="NAME", help="Tensors Z*: an array of nine numbers an atom, in a file that ASE reads.")
@click.option("--tolerance", type=click.FloatRange(0, 0.1, min_open=True), help="How far the ends may be apart, in "
              "cube roots of the volume (0.001).")  # fmt: skip
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Δμ along the path (.png, .svg, .pdf).")
@click.option("--json", "as_json", is_flag=True, help="A list of {path, quantity, of, value, verdict, …}.")
def loop(paths: Sequence[Path], plot: Path | None, as_json: bool, **options: Any) -> None:
    """Topological charges of closed paths: frames that ASE reads, LAMMPS dumps, results measured with the key 'path'.

    Q = Δμ/(e × cell vector) along the path, the windings of every atom, what oxidation states predict of it, and what
    is pumped beyond. Several paths of one system: whether the charges of atoms add up.

    \b
    Example:
      lammps-topo loop k3cl.xyz --charge K=9 --charge Cl=7 --centre X=-2 --oxidation K=1 --oxidation Cl=-1
      lammps-topo loop h3plus.topo.h5 --plot h3plus.png
      lammps-topo loop dump.lammpstrj --config melt.yaml --json
    """
    from .estimate.loop_results import loop_outcome
    from .loops import loop_of_file
    from .report.loop_text import describe_additivity, describe_loop
    from .topology.additivity import compare_loops
    from .units import unit_style

    loops, names = [loop_of_file(path, **options) for path in paths], [str(path) for path in paths]
    together = compare_loops(loops, names) if len(loops) > 1 else []
    if as_json:
        entries = [
            {"path": name, **result.as_dict()}
            for one, name in zip(loops, names, strict=True)
            for result in loop_outcome(one, unit_style("metal")).results
        ]
        entries += [{"path": "all", "quantity": "additivity", **dataclasses.asdict(one)} for one in together]
        click.echo(json.dumps(entries, indent=1, ensure_ascii=False))
    else:
        texts = [describe_loop(one, name) for one, name in zip(loops, names, strict=True)]
        click.echo("\n\n".join([*texts, *([describe_additivity(together)] if together else [])]))
    if plot is not None:
        try:
            from .report.loop_figure import draw_loops
        except ImportError as error:
            raise click.ClickException(f"{error}; install the extra: pip install 'lammps-topo[report]'") from None
        draw_loops(plot, loops, names)
        click.echo(f"written: {plot}", err=as_json)


@main.command("build-plugin")
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
    from .hosts import plugin_build

    folder = output or plugin_build.SOURCES
    try:
        if include is None:
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


@main.command()
def doctor() -> None:
    """Say what works on this machine, what does not, and why.

    \b
    Example:
      lammps-topo doctor
    """
    from .hosts.doctor import examine

    checks = examine()
    for check in checks:
        click.echo(f"{'yes' if check.works else 'no ':3}  {check.what}")
        click.echo(f"     {check.why}")
    sys.exit(0 if any(check.works for check in checks if check.is_door) else 1)


@main.command("plugin-path")
def plugin_path() -> None:
    """Print the folder of the shim, for LAMMPS_PLUGIN_PATH of an lmp that does not find it by itself."""
    from .hosts.plugin_build import plugin_folder

    click.echo(plugin_folder())


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lmp(arguments: Sequence[str]) -> NoReturn:
    """Run LAMMPS inside this Python, with the arguments of lmp: where libpython cannot be embedded.

    \b
    Example:
      mpirun -np 2 lammps-topo lmp -in in.agi
    """
    from .hosts.program import run

    run(list(arguments))


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    main()
