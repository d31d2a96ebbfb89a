"""The report of results made by hand: every number is there, nothing that comes from a file is taken for markup."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from lammps_topo.config import Config, parse_config
from lammps_topo.errors import FileError
from lammps_topo.estimate.result import Curve, Outcome, Result
from lammps_topo.record import DisplacementRecord, PeriodogramRecord, Record
from lammps_topo.report.figures import Drawing, draw_figures
from lammps_topo.report.page import render, write_report
from lammps_topo.report.table import chosen, provenance_text, results_table, with_error
from lammps_topo.report.wording import number, quantity_with_unit, told_once
from lammps_topo.store import Results, read_results, write_results

HOSTILE = "<script>alert('1')</script> & \"$\\frac{\""
ESCAPE = "\x1b[31mred\u202e\x00"
VOID = {"meta", "br", "hr", "img", "link", "input"}
SIGMA = "conductivity (S/m)"
AXES = {
    "spectrum": ("frequency (THz)", "S(f)/(2 V kB T) (S/m)"),
    "cutoffs": ("f* (THz)", SIGMA),
    "segments": ("length of a segment (ps)", SIGMA),
    "dipole": ("time (ps)", "⟨|Δμ|²⟩ (e² Å²)"),
    "green-kubo": ("time (ps)", "running conductivity (S/m)"),
    "correlation": ("time (ps)", "⟨J(t)·J(0)⟩/⟨J²⟩"),
    "msd": ("time (ps)", "MSD (Å²)"),
    "cage": ("time (ps)", "cage correlation"),
}
PANELS = {"spectrum": 2, "dipole": 2, "msd": 2}


def _record(species: tuple[str, ...] = ("Ag", "I"), **changes: Any) -> Record:
    lags = 4
    displacements = DisplacementRecord(
        groups=species,
        frames=("barycentric", "host"),
        sums=(np.ones((2, 2, len(species), 3, lags)),),
        counts=(np.ones((2, lags)),),
        stride=16,
        batch=256,
    )
    fluxes = tuple(f"{kind}/{name}" for kind in ("number", "atomic") for name in species)
    values: dict[str, Any] = {
        "units": "metal", "interval": 0.002, "every": 4, "timestep": 0.0005, "species": species,
        "population": np.full(len(species), 54), "mean_charge": np.linspace(0.6, -0.6, len(species)),
        "oxidation": dict(zip(species, (1.0, -1.0), strict=False)), "representations": ("oxidation", "atomic"),
        "frame": "barycentric", "host": (), "flux_names": fluxes,
        "samples": 40001, "duration": 80.0, "first_step": 0, "last_step": 160000,
        "temperature": 742.0, "temperature_error": 1.3,
        "degrees_of_freedom": 321.0, "volume": 3551.12, "msd": displacements, "dipole": None,
        "periodograms": (PeriodogramRecord(64, 39, np.ones((33, len(fluxes), len(fluxes)), dtype=np.complex128)),),
        "series": None,
    }  # fmt: skip
    return Record(**{**values, **changes})


def _results() -> list[Result]:
    spectral = {"resolved": True, "highest": 4.1, "highest_unit": "THz", "highest_origin": "automatic"}
    chosen = {"order": 5, "order_origin": "aic", "cutoff": 3.6, "cutoff_origin": "automatic", "cutoff_unit": "THz"}
    cut = {"cut": 0.7, "cut_unit": "ps"}
    window = {"window_begin": 2.0, "window_end": 8.0, "window_unit": "ps", "window_rule": "longest", "groups": 6}
    results = [
        Result("temperature", "system", "measured", 742.0, 1.3, "K", {"degrees_of_freedom": 321.0}),
        Result("volume", "system", "measured", 3551.12, 0.0, "Å^3"),
        Result("duration", "system", "measured", 80.0, 0.0, "ps", {"samples": 40001, "interval": 0.002}),
    ]
    for scale, name in ((1.0, "oxidation"), (0.36, "atomic")):
        results += [
            Result("conductivity", name, "spectral", 222.11 * scale, 24.7 * scale, "S/m", dict(spectral)),
            Result("conductivity", name, "cepstral", 222.11 * scale, 24.7 * scale, "S/m", {**chosen, "frame": "bary"}),
            Result("conductivity", name, "einstein", 203.4 * scale, math.nan, "S/m", dict(window)),
            Result("conductivity", name, "green-kubo", 194.2 * scale, 35.1 * scale, "S/m", dict(cut)),
            Result("conductivity", name, "nernst-einstein", math.nan, math.nan, "S/m"),
        ]
    for frame in ("barycentric", "host"):
        results.append(Result("diffusion", "Ag", "msd", 2.66e-9, 2e-10, "m^2/s", {**window, "frame": frame}))
    results += [
        Result("haven_ratio", "oxidation", "nernst-einstein/spectral", 0.467, 0.062, "1"),
        Result("cage_time", "Ag", "neighbours", 127.0, 3.0, "fs", {"levels": [1, 2], "rule": "given"}),
    ]
    return results


def _curves() -> list[Curve]:
    x = np.linspace(0.0, 10.0, 50)
    y = np.where(x == 3 * x[1], np.nan, 3 * x + 1)
    curves = []

    def add(name: str, figure: str, label: str, style: str = "line", *, error: bool = False) -> None:
        labels = AXES[figure]
        curves.append(Curve(name, figure, label, x[1:], y[1:], *labels, 0.3 * y[1:] if error else None, style))

    for name in ("oxidation", "atomic"):
        add(f"spectrum/{name}/periodogram", "spectrum", f"{name}, periodogram")
        add(f"spectrum/{name}/spectral", "spectrum", f"{name}, spectral", error=True)
        add(f"cutoffs/{name}", "cutoffs", name, "points", error=True)
        add(f"segments/{name}", "segments", name, "points", error=True)
        add(f"dipole/{name}", "dipole", name, error=True)
        add(f"dipole/{name}/fit", "dipole", f"{name}, fit", "fit")
        add(f"green-kubo/{name}", "green-kubo", name, error=True)
        add(f"correlation/{name}", "correlation", name, error=True)
    for frame in ("barycentric", "host"):
        add(f"msd/{frame}/Ag", "msd", f"Ag, {frame}", error=True)
        add(f"msd/{frame}/Ag/fit", "msd", f"Ag, {frame}, fit", "fit")
    add("cage/Ag", "cage", "Ag")
    return curves


def _write(
    folder: Path, record: Record | None = None, results: list[Result] | None = None, curves: list[Curve] | None = None,
    notes: tuple[str, ...] = (), config: Config | None = None, provenance: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    outcome = Outcome(
        tuple(_results() if results is None else results), tuple(_curves() if curves is None else curves), notes
    )
    path = folder / "agi.topo.h5"
    write_results(path, record or _record(), outcome, config or Config(), provenance or {"door": "test"})
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return _write(tmp_path, notes=("the run is short",))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return read_results(_write(tmp_path_factory.mktemp("report"), notes=("the run is short",)))


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return render(results, "agi.results.yaml")


@pytest.fixture(scope="module")
def drawings(results: Results) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in draw_figures(results)}


class _Page(HTMLParser):
    """Checks that every element is closed where it must be; gathers text, tags and identifiers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.references: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        assert not any(name.startswith("on") for name in names)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data"):
                self.addresses.append(value or "")
            self.references.update(re.findall(r"url\(#([^)]*)\)", value or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        """All text, with ordinary spaces."""
        return " ".join(" ".join(self.text).split())


def _page(file: Path) -> _Page:
    return _Page(write_report(file, None)[0].read_text(encoding="utf-8"))


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (79.1234, 8.91, "79.1 ± 8.9"),
        (79.1234, 0.0996, "79.12 ± 0.10"),
        (1602.3, 27.4, "1602 ± 27"),
        (12341.0, 678.0, "12340 ± 680"),
        (750.0, 996.0, "(0.8 ± 1.0) × 10³"),
        (3.1456e-9, 6.2e-11, "(3.146 ± 0.062) × 10⁻⁹"),
        (-1.04e-9, 2e-10, "(−1.04 ± 0.20) × 10⁻⁹"),
        (-0.4, 0.31, "−0.40 ± 0.31"),
        (-0.0004, 0.31, "0.00 ± 0.31"),
        (0.0, 12.0, "0 ± 12"),
        (0.3, 1e300, "(0.0 ± 1.0) × 10³⁰⁰"),
        (1e-300, 2e-301, "(1.00 ± 0.20) × 10⁻³⁰⁰"),
        (5e-324, 5e-324, "(4.9 ± 4.9) × 10⁻³²⁴"),
        (1.0, 1e-18, "1 ± (1 × 10⁻¹⁸)"),
        (3551.12, 0.0, "3551.12"),
        (1.5e-7, 0.0, "1.5 × 10⁻⁷"),
        (79.1234, math.nan, "79.12 ± ?"),
        (79.1234, -1.0, "79.12 ± ?"),
        (3.1456e-9, math.nan, "(3.146 ± ?) × 10⁻⁹"),
        (79.1234, math.inf, "79.12 ± ∞"),
        (math.nan, 1.0, "unknown"),
        (math.nan, math.nan, "unknown"),
        (-math.inf, 1.0, "−∞"),
    ],
)
def test_number_with_error(value: float, error: float, text: str) -> None:
    assert with_error(value, error) == text


@pytest.mark.parametrize("error", [1e-12, 3e-7, 0.0123, 0.99, 1.0, 7.77, 95.0, 4321.0, 1e8])
@pytest.mark.parametrize("value", [0.0, 1e-10, -3.3e-4, 0.5, 99.97, -12345.678, 4.2e7])
def test_what_is_printed_is_the_number_within_a_tenth_of_its_error(value: float, error: float) -> None:
    shown, uncertainty = _read(with_error(value, error))
    assert shown == pytest.approx(value, abs=0.1 * error, rel=1e-11)
    assert uncertainty == pytest.approx(error, rel=0.051)


def _read(text: str) -> tuple[float, float]:
    """Value and error as a reader understands them."""
    text = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--"))
    body, _, exponent = text[1:].partition(") × 10") if text.endswith(tuple("0123456789")) else (text, "", "")
    if not exponent:
        body = text
    parts = [part.strip("()").partition(" × 10") for part in body.split(" ± ")]
    value, error = (float(digits) * 10.0 ** int(power or 0) * 10.0 ** int(exponent or 0) for digits, _, power in parts)
    return value, error


# ---- the table ------------------------------------------------------------------------------------------------------


def test_the_table_has_every_number_in_its_group(results: Results) -> None:
    lines = results_table(results).splitlines()
    assert lines[0] == "agi.topo.h5: 54 Ag, 54 I"
    titles = [line for line in lines[1:] if line and not line.startswith((" ", "note:"))]
    assert titles == ["state", "conductivity", "diffusion", "Haven ratio", "cage time"]
    for result in results.outcome.results:
        assert any(quantity_with_unit(result) in line and result.method in line for line in lines)
    assert "  oxidation    222 ± 25 S/m" in "\n".join(lines)
    assert lines[-1] == "note: the run is short"


def test_the_table_can_be_asked_for_some_rows(results: Results) -> None:
    lines = results_table(results, only=["Diffusion", "haven"]).splitlines()
    assert [line for line in lines[1:] if line and not line.startswith(" ")] == ["diffusion", "Haven ratio"]
    assert results_table(results, only=["nothing"]).endswith("no results for nothing")
    assert [one.quantity for one in chosen(results.outcome.results, ["haven_ratio"])] == ["haven_ratio"]


def test_notes_that_differ_in_a_name_only_are_told_once() -> None:
    notes = ["σ of 'a' is 8 % wrong", "the run is short", "σ of 'b' is 8 % wrong", "σ of 'b' is 9 % wrong"]
    assert told_once(notes) == ["σ of 'a', 'b' is 8 % wrong", "the run is short", "σ of 'b' is 9 % wrong"]


def test_columns_of_the_table_line_up(results: Results) -> None:
    rows = [line for line in results_table(results).splitlines() if line.startswith("  ")]
    methods = [result.method for result in _results()]
    starts = {next(row.index(f"  {method}") for method in methods if f"  {method}" in row) for row in rows}
    assert len(starts) == 1


def test_the_table_says_what_a_number_is_worth(results: Results) -> None:
    table = results_table(results)
    assert "P* = 5 (Akaike's criterion), f* = 3.6 THz (chosen from the data), bary frame" in table
    assert "fit 2–8 ps (no plateau found), error from 6 groups" in table
    assert "cut at 0.7 ps" in table
    assert "levels 1, 2, rule given" in table


def test_text_from_a_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    species = (ESCAPE.replace("\x00", ""), "I")
    results = [dataclasses.replace(_results()[3], of=species[0])]
    path = _write(tmp_path, _record(species), results, [], notes=("one\ntwo \x1b[2J",))
    read = read_results(path)
    for text in (results_table(read), provenance_text(read)):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "note: one two �[2J" in results_table(read)


def test_provenance_has_every_parameter_and_whether_it_was_given(tmp_path: Path) -> None:
    config = parse_config(json.dumps({"cepstral": {"cutoff": 8.0}, "species": {"Ag": {"type": 1}, "I": {"type": 2}}}))
    text = provenance_text(read_results(_write(tmp_path, config=config, provenance={"lammps": "20250722", "ranks": 4})))
    lines = [line.split() for line in text.splitlines()]
    keys = {line[0]: line for line in lines if line}
    for section, content in config.model_dump().items():
        inner = content if isinstance(content, dict) and content else {"": None}
        for key in inner:
            assert any(name.startswith(f"{section}.{key}".rstrip(".")) for name in keys)
    assert keys["cepstral.cutoff"][1:] == ["8", "[given]"]
    assert keys["msd.lags"][1:] == ["256", "[default]"]
    assert keys["species.Ag.type"][1:] == ["1", "[given]"]
    assert keys["temperature"][1:4] == ["742.0", "±", "1.3"]
    assert "no plateau found" in next(line for line in text.splitlines() if line.startswith("  einstein.window"))
    assert "20250722" in text
    assert "format version" in text


# ---- the page -------------------------------------------------------------------------------------------------------


def test_the_report_is_a_page_and_a_list_of_numbers(file: Path) -> None:
    page, numbers = write_report(file, None)
    assert (page.name, numbers.name) == ("agi.report.html", "agi.results.yaml")
    entries = yaml.safe_load(numbers.read_text(encoding="utf-8"))
    results = read_results(file).outcome.results
    assert entries == [result.as_dict() for result in results]
    assert entries == json.loads(json.dumps(entries))
    assert entries[-3]["value"] == 2.66e-9
    again = [Result.from_dict(entry) for entry in entries]
    assert [repr(result) for result in again] == [repr(result) for result in results]
    assert {item.name for item in file.parent.iterdir()} == {file.name, page.name, numbers.name}


def test_the_page_has_every_number_and_note(results: Results, html: str) -> None:
    page = _Page(html)
    for result in results.outcome.results:
        assert quantity_with_unit(result) in page.words
        assert number(result.value, 7) in page.words
        assert result.method in page.words
    assert "the run is short" in page.words
    assert "54 Ag, 54 I" in page.words
    for text in ("742.0 ± 1.3 K", "3551.12 Å³", "80 ps", "no plateau found", "P* = 5", "door test", "format version 2"):
        assert text in page.words
    for key in Config().model_dump():
        assert key in page.words
    assert "lags: 256" in page.words


def test_the_page_is_well_formed_and_needs_nothing_else(results: Results, html: str) -> None:
    page = _Page(html)
    assert page.tags["svg"] == page.tags["figure"] == len(AXES)
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert len(page.ids) == len(set(page.ids))
    assert page.references <= set(page.ids)
    assert all(address.startswith("#") and address[1:] in page.ids for address in page.addresses)
    assert html.startswith("<!DOCTYPE html>")
    assert set(re.findall(r"https?://[^\"'\s<]*", html)) == {"http://www.w3.org/2000/svg"}
    assert str(results.path.parent) not in html


def test_what_comes_from_a_file_is_never_markup(tmp_path: Path) -> None:
    species = (HOSTILE, "_$I^")
    record = _record(species, oxidation={HOSTILE: 1.0, "_$I^": -1.0})
    x = np.arange(1.0, 9.0)
    results = [Result(HOSTILE, HOSTILE, HOSTILE, 1.0, 0.1, HOSTILE, {HOSTILE: HOSTILE, "cutoff": HOSTILE})]
    results.append(Result("diffusion", HOSTILE, "msd", 1.0, 0.1, HOSTILE, {"frame": HOSTILE, "window_begin": HOSTILE}))
    curves = [
        Curve("msd/barycentric/a", "msd", HOSTILE, x, x, HOSTILE, HOSTILE, 0.1 * x),
        Curve("msd/barycentric/b", "msd", "_$I^", x, x, HOSTILE, HOSTILE),
        Curve(f"{HOSTILE}/a", HOSTILE, HOSTILE, x, x, HOSTILE, HOSTILE),
    ]
    path = _write(tmp_path, record, results, curves, (HOSTILE, "\ud7ff\x0b"), provenance={HOSTILE: HOSTILE})
    text = write_report(path, None)[0].read_text(encoding="utf-8")
    page = _Page(text)
    assert page.tags["script"] == 0
    assert page.tags["svg"] == 2
    assert page.words.count("<script>alert('1')</script>") > 20
    assert "_$I^" in page.words
    assert "<script" not in text
    assert "\x0b" not in text


def test_results_without_conductivity_or_curves_or_anything(tmp_path: Path) -> None:
    diffusion = [result for result in _results() if result.quantity != "conductivity"]
    record = _record(representations=(), oxidation={}, periodograms=(), mean_charge=np.full(2, np.nan))
    path = _write(tmp_path, record, diffusion, [])
    page = _page(path)
    assert page.tags["svg"] == 0
    assert "(2.66 ± 0.20) × 10⁻⁹ m²/s" in page.words
    assert not any(line.startswith("conductivity") for line in results_table(read_results(path)).splitlines())
    record = dataclasses.replace(record, temperature=math.nan, volume=math.nan, degrees_of_freedom=math.nan)
    path = _write(tmp_path, record, [], [])
    assert "There are no results in this file." in _page(path).words
    assert results_table(read_results(path)).endswith("no results")
    assert "temperature unknown" in " ".join(provenance_text(read_results(path)).split())


def test_curves_that_cannot_be_drawn_are_left_out(tmp_path: Path) -> None:
    x = np.arange(8.0)
    unknown, nothing = np.full(8, np.nan), np.zeros(0)
    curves = [
        Curve("msd/barycentric/Ag", "msd", "Ag", x, unknown, *AXES["msd"], unknown),
        Curve("dipole/oxidation", "dipole", "oxidation", nothing, nothing, *AXES["dipole"]),
        Curve("green-kubo/oxidation", "green-kubo", "oxidation", x, -x, *AXES["green-kubo"], unknown),
        Curve("spectrum/oxidation/cepstral", "spectrum", "oxidation", x[:1], x[:1], *AXES["spectrum"]),
        Curve("segments/oxidation", "segments", "oxidation", x[1:2], x[1:2], *AXES["segments"], unknown[:1], "points"),
        Curve("cutoffs/oxidation", "cutoffs", "oxidation", x, np.where(x < 4, np.inf, x), *AXES["cutoffs"]),
    ]
    drawings = draw_figures(read_results(_write(tmp_path, curves=curves)))
    assert [drawing.name for drawing in drawings] == ["spectrum", "cutoffs", "segments", "green-kubo"]


def test_reduced_units_are_said(tmp_path: Path) -> None:
    results = [Result("conductivity", "oxidation", "cepstral", 0.51, 0.02, "reduced")]
    page = _page(_write(tmp_path, _record(units="lj"), results, []))
    assert "0.510 ± 0.020 reduced" in page.words
    assert "lj (all numbers are reduced)" in page.words


# ---- figures --------------------------------------------------------------------------------------------------------


def test_every_axis_has_a_unit(drawings: dict[str, Drawing]) -> None:
    assert list(drawings) == list(AXES)
    for name, labels in AXES.items():
        texts = _texts(drawings[name].svg)
        for label in labels:
            assert texts[label] == PANELS.get(name, 1)


def _texts(svg: str) -> Counter[str]:
    """Texts of a drawing: those within text elements, as matplotlib writes one each."""
    return Counter(" ".join(part.split()) for part in _Page(svg).text)


def test_legends_captions_and_titles_of_figures(drawings: dict[str, Drawing]) -> None:
    assert {"oxidation, periodogram", "atomic, spectral", "oxidation, σ", "highest frequency in use"} <= set(
        _texts(drawings["spectrum"].svg)
    )
    assert {"Ag, barycentric", "Ag, host", "linear fit, in its window"} <= set(_texts(drawings["msd"].svg))
    assert {"oxidation", "from the spectrum, ± its error"} <= set(_texts(drawings["green-kubo"].svg))
    spectral, cepstral = (drawings["spectrum"].details[place] for place in (0, 2))
    assert "σ = 222\u00a0±\u00a025 S/m (up to 4.1 THz (chosen from the data))" in spectral
    assert "σ = 222\u00a0±\u00a025 S/m (P* = 5 (Akaike's criterion), f* = 3.6 THz" in cepstral
    assert drawings["segments"].details == ["segments × samples: 39 × 64"]
    assert all(drawing.title and (drawing.caption or drawing.name == "cage") for drawing in drawings.values())


def test_the_page_is_the_same_every_time_whatever_the_users_style(results: Results, html: str) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 25, "axes.grid": False, "svg.fonttype": "path"}):
        assert render(results, "agi.results.yaml") == html
        assert matplotlib.rcParams["font.size"] == 25


# ---- files ----------------------------------------------------------------------------------------------------------


def test_output_may_be_a_file_or_a_folder(tmp_path: Path) -> None:
    file, folder = _write(tmp_path, curves=[]), tmp_path / "report"
    folder.mkdir()
    assert [path.name for path in write_report(file, folder)] == ["agi.report.html", "agi.results.yaml"]
    assert write_report(file, folder / "x.html") == [folder / "x.html", folder / "x.results.yaml"]
    assert write_report(file, folder / "y.report.html") == [folder / "y.report.html", folder / "y.results.yaml"]


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    file = _write(tmp_path, curves=[])
    with pytest.raises(FileError, match=r"report 'nowhere.*' cannot be written: No such file or directory"):
        write_report(file, Path("nowhere") / "x.html")
    with pytest.raises(FileError, match="that is the results file itself"):
        write_report(file, file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert isinstance(read_results(file), Results)
