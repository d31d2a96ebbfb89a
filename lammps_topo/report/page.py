"""The report: one HTML page that needs nothing else, and a YAML file with the numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..errors import FileError
from ..estimate.result import Result
from ..store import Results, read_results, replace_file
from ..units import unit_style
from .figures import draw_figures
from .wording import (
    DOUBT,
    STATE,
    Fact,
    all_details,
    by_quantity,
    clean,
    composition,
    essentials,
    find,
    method_text,
    number,
    oxidation_text,
    parameters,
    provenance_facts,
    quantity_text,
    quantity_with_unit,
    run_facts,
    unit_text,
    value_text,
)

_SUFFIX = ".topo.h5"
_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_LEADS = {
    "conductivity": "Cepstral analysis, Einstein-Helfand and Green-Kubo estimate one and the same number from the same "
    "current, and should agree within their errors; Nernst-Einstein is what the ions would conduct if they moved "
    "independently of one another.",
    "haven_ratio": "Conductivity of independent ions (Nernst-Einstein) over the conductivity by cepstral analysis.",
    "mobility": "Of independent ions, from the diffusion coefficient: q D/(kB T).",
}
_METHOD_ORDER = ("cepstral", "einstein", "green-kubo", "nernst-einstein")


@dataclasses.dataclass(frozen=True)
class Table:
    """Results of one quantity side by side; a cell is a list of (number with error, details, whether to doubt it)."""

    title: str
    lead: str
    columns: list[str]
    rows: list[tuple[str, list[list[tuple[str, str, bool]]]]]


def write_report(file: Path, output: Path | None) -> list[Path]:
    """Write the page and the numbers of a results file; returns where they are.

    Parameters
    ----------
    file : ``NAME.topo.h5``
    output : the page; ``NAME.report.html`` beside ``file`` by default, or within the folder that is given. The numbers
        go beside it, to ``NAME.results.yaml`` (named after ``output`` if that is given).

    Raises
    ------
    FileError
        The results file cannot be read, or the report cannot be written.
    """
    file = Path(file)
    results = read_results(file)
    page = file.with_name(f"{_stem(file)}.report.html") if output is None else Path(output)
    if page.is_dir():
        page = page / f"{_stem(file)}.report.html"
    numbers = page.with_name(f"{_stem(page)}.results.yaml")
    if any(target.exists() and target.samefile(file) for target in (page, numbers)):
        raise FileError(f"the report cannot be written to '{page}': that is the results file itself")
    _replace(page, render(results, numbers.name))
    _replace(numbers, numbers_text(results))
    return [page, numbers]


def numbers_text(results: Results) -> str:
    """The list of results as YAML: the same entries as ``lammps-topo show --json``."""
    entries = [result.as_dict() for result in results.outcome.results]
    text: str = yaml.safe_dump(entries, allow_unicode=True, sort_keys=False)
    return text


def render(results: Results, numbers_file: str) -> str:
    """The page as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    outcome = results.outcome
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=_stem(results.path),
        composition=composition(results.record),
        summary=_summary(results),
        tables=_tables(outcome.results, results.record.frame),
        notes=outcome.notes,
        figures=[(drawing, Markup(drawing.svg)) for drawing in draw_figures(results)],
        numbers=[_number_row(result) for result in outcome.results],
        numbers_file=numbers_file,
        parameters=parameters(results),
        run=run_facts(results.record),
        provenance=provenance_facts(results),
        config=yaml.safe_dump(results.config.model_dump(mode="json"), allow_unicode=True, sort_keys=False),
        version=__version__,
    )


def _summary(results: Results) -> list[Fact]:
    """What system was measured, for how long, and in which state."""
    record, found = results.record, results.outcome.results
    units = unit_style(record.units)
    facts = [Fact("System", composition(record))]
    for quantity in STATE:
        result = find(found, quantity, "system")
        if result is not None:
            facts.append(Fact(quantity_text(quantity).capitalize(), quantity_with_unit(result), result.method))
    interval = number(record.interval * units.picosecond)
    facts.append(Fact("Samples", f"{record.samples}, {interval} {units.time_label} apart"))
    if record.oxidation:
        facts.append(Fact("Oxidation numbers", oxidation_text(record)))
    host = f" of {', '.join(record.host)}" if record.frame == "host" and record.host else ""
    facts.append(Fact("Frame of the currents", f"{record.frame}{host}"))
    facts.append(Fact("LAMMPS units", record.units + (" (all numbers are reduced)" if units.reduced else "")))
    return facts


def _tables(results: Sequence[Result], frame: str) -> list[Table]:
    tables = []
    for quantity, found in by_quantity(results).items():
        if quantity == "conductivity":
            order = {method: index for index, method in enumerate(_METHOD_ORDER)}
            found = sorted(found, key=lambda result: order.get(result.method, len(order)))
            rows, columns = (lambda result: method_text(result.method)), (lambda result: result.of)
        elif quantity == "diffusion":
            rows, columns = (lambda result: result.of), (lambda result: f"{result.details.get('frame', 'any')} frame")
        else:
            rows, columns = (lambda result: result.of), (lambda result: method_text(result.method))
        if quantity not in STATE:
            tables.append(_pivot(quantity, found, rows, columns, f"{frame} frame"))
    return tables


def _pivot(
    quantity: str,
    results: Sequence[Result],
    row_of: Callable[[Result], str],
    column_of: Callable[[Result], str],
    told: str,
) -> Table:
    """``told`` is a detail that the head of the page says already."""
    columns = list(dict.fromkeys(column_of(result) for result in results))
    rows: dict[str, list[list[tuple[str, str, bool]]]] = {}
    for result in results:
        cells = rows.setdefault(row_of(result), [[] for _ in columns])
        shown = ", ".join(part for part in essentials(result) if part not in (column_of(result), told))
        cells[columns.index(column_of(result))].append((quantity_with_unit(result), shown, DOUBT in shown))
    title = quantity_text(quantity)
    return Table(title[:1].upper() + title[1:], _LEADS.get(quantity, ""), columns, list(rows.items()))


def _number_row(result: Result) -> tuple[str, ...]:
    """Words as in the YAML file."""
    return (
        result.quantity,
        result.of,
        result.method,
        number(result.value, 7),
        number(result.error, 3),
        unit_text(result.unit),
        ", ".join(all_details(result)),
    )


def _printable(value: Any) -> Any:
    """Every string on its way into the page; what this package has marked as HTML stays."""
    if isinstance(value, Markup):
        return value
    return clean(value if isinstance(value, str) else value_text(value))


def _stem(path: Path) -> str:
    for suffix in (_SUFFIX, ".report.html", ".html", ".htm"):
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    return path.stem


def _replace(path: Path, text: str) -> None:
    """Put ``text`` in place at once: a file that exists is whole at any instant."""
    try:
        replace_file(path, text.encode())
    except FileError as error:
        raise FileError(f"the report '{path}' cannot be written: {error}") from None
