"""Commands on atoms in files: trajectories, closed paths, snapshots with electronic centres."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError
from .options import needs_report_extra, set_option


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


@click.command()
@click.argument("trajectory", type=click.Path(dir_okay=False))
@click.option("--config", "-c", type=click.Path(dir_okay=False), help="YAML configuration, as for fix topo.")
@click.option("--output", "-o", help="Results file; TRAJECTORY.topo.h5 by default.")
@set_option
def analyze(trajectory: str, config: str | None, output: str | None, settings: Sequence[tuple[str, str]]) -> None:
    """Measure a trajectory that exists: a LAMMPS text dump (gz too), or what ASE reads.

    \b
    Example:
      lammps-topo analyze dump.lammpstrj.gz --config agi.yaml \\
          --set trajectory.units metal --set trajectory.timestep 0.0005
    """
    from ..config import load_config, words_to_overrides
    from ..hosts.replay import analyze as analyze_trajectory
    from ..report.table import results_table
    from ..store import read_results

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


@click.command()
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
    from ..estimate.loop_results import loop_outcome
    from ..loops import loop_of_file
    from ..report.loop_text import describe_additivity, describe_loop
    from ..topology.additivity import compare_loops
    from ..units import unit_style

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
        with needs_report_extra():
            from ..report.loop_figure import draw_loops
        draw_loops(plot, loops, names)
        click.echo(f"written: {plot}", err=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--valence", multiple=True, required=True, metavar="SPECIES=e",
              help="Charge of an ion without its centres, as in Ag=11; for each species.")  # fmt: skip
@click.option("--weight", type=float, default=-2.0, show_default=True, help="Charge of a centre; -1 with spin.")
@click.option("--symbol", default="X", show_default=True, help="What centres are called in the file.")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only such snapshots, as in kind=md-750, or index=0:1000 for numbers.",
)
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
    from ..centres.analysis import analyse_centres
    from ..hosts.centre_file import read_centres
    from ..report.centres_text import describe_centres, polarisation_table

    charges = {name: _number("--valence", name, value) for name, value in _pairs("--valence", valence)}
    snapshots = read_centres(file, symbol=symbol, where=dict(_pairs("--where", where)))
    analysis = analyse_centres(snapshots, charges, weight=weight)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in analysis.outcome.results], indent=1, ensure_ascii=False))
    else:
        click.echo(describe_centres(analysis, file.name))
    if figure is not None:
        with needs_report_extra():
            from ..report.centres_figure import draw_centres
        draw_centres(figure, analysis)
        click.echo(f"written: {figure}", err=as_json)
    if polarisation is not None:
        from ..store import replace_file

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
