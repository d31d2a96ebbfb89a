"""Commands on results files: show, report, estimate, merge, check."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, TopoError
from .options import needs_report_extra, set_option

#: Keys of the configuration that act on what has been measured.
_ESTIMATES = ("temperature", "volume", "spectral", "cepstral", "einstein", "gauge")
_INNER_ESTIMATES = ("msd.window", "correlations.prony")
_results_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@_results_file
@click.option("--json", "as_json", is_flag=True, help="A list of {quantity, of, method, value, error, unit, …}.")
@click.option("--provenance", is_flag=True, help="Where the file comes from and every parameter of the run.")
@click.option(
    "--only", multiple=True, metavar="WORD", help="Rows whose quantity, name or method holds WORD; repeatable."
)
def show(file: Path, as_json: bool, provenance: bool, only: Sequence[str]) -> None:
    """Print the numbers of a results file.

    \b
    Example:
      lammps-topo show agi.topo.h5
      lammps-topo show agi.topo.h5 --only diffusion --only spectral
      lammps-topo show agi.topo.h5 --json | jq '.[] | select(.quantity == "conductivity")'
    """
    from ..report.table import chosen, provenance_text, results_table
    from ..store import read_results

    results = read_results(file)
    if as_json:
        asked_for = chosen(results.outcome.results, only)
        click.echo(json.dumps([result.as_dict() for result in asked_for], indent=1, ensure_ascii=False))
        return
    click.echo(results_table(results, only))
    if provenance:
        click.echo(provenance_text(results))


@click.command()
@_results_file
@click.option("--output", "-o", type=click.Path(path_type=Path), help="HTML file; NAME.report.html by default.")
def report(file: Path, output: Path | None) -> None:
    """Write a self-contained HTML page with figures, and a YAML file with the numbers beside it.

    \b
    Example:
      lammps-topo report agi.topo.h5       agi.report.html, agi.results.yaml
    """
    with needs_report_extra():
        from ..report.page import write_report
    for path in write_report(file, output):
        click.echo(path)


@click.command()
@_results_file
@set_option
def estimate(file: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Estimate again from what a run has gathered, with other settings; the file is replaced.

    \b
    Example:
      lammps-topo estimate agi.topo.h5 --set cepstral.cutoff 8 --set temperature 750
    """
    from ..config import parse_config
    from ..estimate.summary import estimate as estimate_all
    from ..report.table import results_table
    from ..store import read_results, write_results

    results = read_results(file)
    overrides = _estimate_settings(settings)
    config = parse_config(json.dumps(results.given), overrides, source=f"the configuration in {file}")
    write_results(file, results.record, estimate_all(results.record, config), config, results.provenance)
    click.echo(results_table(read_results(file)))


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Results file.")
@set_option
def merge(files: Sequence[Path], output: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Add up independent runs of one system (replicas, partitions of LAMMPS): one results file, smaller error bars.

    Runs that do not belong together are refused, with the key that differs; so is a run that is given twice.

    \b
    Example:
      lammps-topo merge replica*/run.topo.h5 -o all.topo.h5
    """
    from ..merge import merge_files
    from ..report.table import results_table
    from ..store import read_results

    kept = merge_files(files, output, overrides=_estimate_settings(settings), agreeing=(*_ESTIMATES, *_INNER_ESTIMATES))
    if kept is not None:
        click.echo(f"an earlier {output} is kept as {kept}", err=True)
    click.echo(results_table(read_results(output)))
    click.echo(f"results file: {output}")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: Sequence[Path]) -> None:
    """Verify results and states: checksum, format, and that the contents agree; status 1 if one is bad.

    \b
    Example:
      lammps-topo check *.topo.h5 *.state*.h5
    """
    from ..report.wording import composition, one_line
    from ..state_file import is_state, verify_state
    from ..store import read_results

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


def _estimate_settings(settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What ``--set`` gives, where it acts on what has been measured."""
    from ..config import words_to_overrides

    overrides = words_to_overrides([word for pair in settings for word in pair])
    for key in overrides:
        if key.split(".")[0] not in _ESTIMATES and key not in _INNER_ESTIMATES:
            allowed = ", ".join((*_ESTIMATES, *_INNER_ESTIMATES))
            raise ConfigError(f"key '{key}' acts while a run is measured and cannot change now (allowed: {allowed})")
    return overrides
