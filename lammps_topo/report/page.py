"""The report: one HTML page that needs nothing else, and a YAML file with the numbers."""

from __future__ import annotations

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
from .charges import TITLE as CHARGES_TITLE
from .charges import answer, verdicts
from .figures import draw_figures
from .page_tables import CHARGES, tables
from .wording import (
    STATE,
    Fact,
    all_details,
    clean,
    composition,
    find,
    number,
    oxidation_text,
    parameters,
    provenance_facts,
    quantity_text,
    quantity_with_unit,
    run_facts,
    told_once,
    unit_text,
    value_text,
)

_SUFFIX = ".topo.h5"
_TEMPLATE = Path(__file__).with_name("page.html.jinja")


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
        tables=tables([one for one in outcome.results if one.quantity not in CHARGES], results.record.frame),
        charge_tables=tables([one for one in outcome.results if one.quantity in CHARGES], results.record.frame),
        notes=told_once(outcome.notes),
        charges_title=CHARGES_TITLE,
        answer=answer(outcome.results, results.record),
        charges=verdicts(outcome.results, results.record),
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
