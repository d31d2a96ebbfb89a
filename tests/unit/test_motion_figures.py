"""Figures and tables of velocity and force correlations, memory kernels and friction, of results made by hand."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from lammps_topo.config import Config, parse_config
from lammps_topo.estimate.result import Curve, Outcome, Result
from lammps_topo.record import CorrelationRecord, DisplacementRecord, Record
from lammps_topo.report.figures import Drawing, draw_figures
from lammps_topo.report.motion_figures import PAINTERS
from lammps_topo.report.page import render
from lammps_topo.report.table import provenance_text, results_table
from lammps_topo.store import Results, read_results, write_results
from lammps_topo.synthetic import embedding

HOSTILE = "<script>alert('1')</script> & \"$\\frac{\""
FIGURES = ("velocity", "force", "memory", "friction")
KINDS = {
    "velocity": ("time", "frequency"),
    "force": ("time", "frequency", "predicted", "vdos"),
    "memory": ("kernel", "prony"),
    "friction": ("running",),
}
MODEL = embedding(exponentials=[(8.0, 1.0)], oscillations=[(136.0, 90.0, 10.0, 15.0)])


def _record(species: tuple[str, ...], units: str, correlations: CorrelationRecord | None = None) -> Record:
    ones = np.ones((1, 1, len(species), 3, 4))
    return Record(
        units=units, interval=0.002, every=4, timestep=0.0005, species=species,
        population=np.full(len(species), 54), mean_charge=np.zeros(len(species)), oxidation={}, representations=(),
        frame="barycentric", host=(), samples=40001, flux_names=tuple(f"number/{name}" for name in species),
        duration=80.0, first_step=0, last_step=160000,
        temperature=742.0, temperature_error=1.3, degrees_of_freedom=321.0, volume=3551.12,
        msd=DisplacementRecord(species, ("barycentric",), (ones,), (np.ones((1, 4)),), 16, 256),
        dipole=None, periodograms=(), series=None, correlations=correlations,
    )  # fmt: skip


def _curves(species: tuple[str, ...], units: str = "metal", *, error: bool = True) -> list[Curve]:
    lags, interval = 200, 0.01
    time, frequency = np.arange(lags) * interval, np.linspace(0.0, 50.0, lags)
    t, f, si = ("τ", "1/τ", ("reduced", "reduced")) if units == "lj" else ("ps", "THz", ("N/m", "kg/s"))
    scale = 1.0 if units == "lj" else 0.18
    velocity, force = MODEL.correlation(interval, lags), MODEL.force_correlation(interval, lags)
    spectrum = 0.3 / (1 + (frequency / 3) ** 4)
    values: dict[str, tuple[Any, Any, str, str]] = {
        "velocity/time": (time, velocity, f"time ({t})", "⟨v(t)·v(0)⟩/⟨v²⟩"),
        "velocity/frequency": (frequency, spectrum, f"frequency ({f})", f"VDOS ({t})"),
        "force/time": (time, force / force[0], f"time ({t})", "⟨F(t)·F(0)⟩/⟨F²⟩"),
        "force/frequency": (frequency, spectrum, f"frequency ({f})", f"spectrum ({t})"),
        "force/predicted": (frequency, 1.01 * spectrum, f"frequency ({f})", f"spectrum ({t})"),
        "force/vdos": (frequency, spectrum, f"frequency ({f})", f"spectrum ({t})"),
        "memory/kernel": (time, scale * MODEL.kernel(time), f"time ({t})", f"Γ(t) ({si[0]})"),
        "memory/prony": (time, scale * MODEL.kernel(time), f"time ({t})", f"Γ(t) ({si[0]})"),
        "friction/running": (time, 1e-12 * scale * MODEL.integral(time), f"time ({t})", f"∫Γ dt ({si[1]})"),
    }
    return [
        Curve(f"{figure}/{kind}/{name}", figure, f"{name}, {kind}" if style == "fit" else name, x, y, x_label, y_label,
              0.02 * abs(y).max() * np.ones(lags) if error and style == "line" else None, style)
        for name in species
        for figure, kinds in KINDS.items()
        for kind in kinds
        for style in ("fit" if kind in ("predicted", "prony") else "line",)
        for x, y, x_label, y_label in (values[f"{figure}/{kind}"],)
    ]  # fmt: skip


def _results(species: tuple[str, ...] = ("Ag", "I"), units: str = "metal") -> list[Result]:
    unit = {"ps": "ps"} if units != "lj" else {"ps": "τ"}
    kg, nm, m2 = ("reduced",) * 3 if units == "lj" else ("kg/s", "N/m", "m^2/s")
    how = {"window": 5.0, "window_unit": unit["ps"], "groups": 10, "frame": "host"}
    results = []
    for name in species:
        tail = {"tail_share": 0.0312, "tail_time": 1.3, "tail_time_unit": unit["ps"]}
        results += [
            Result("friction", name, "msd", 3.24e-12, 2e-13, kg, {"frame": "host"}),
            Result("friction", name, "kernel", 3.28e-12, 1e-13, kg, {**tail, **how}),
            Result("friction", name, "vacf", 3.11e-12, 3e-13, kg, how),
            Result("initial_kernel", name, "kernel", 25.8, 0.2, nm, how),
            Result("initial_kernel", name, "force", 25.7, 0.1, nm, how),
            Result("memory_time", name, "kernel", 0.127, 0.004, unit["ps"], how),
            Result("diffusion", name, "msd", 3.15e-9, 2e-10, m2, {"frame": "host", "groups": 6}),
            Result("diffusion", name, "vacf", 3.25e-9, 3e-10, m2, how),
            Result("equipartition", name, "vacf", 1.003, 0.004, "1"),
            Result("force_integral", name, "facf", 6e-4, 9e-4, "1", how),
            Result("gle_deviation", name, "prony", 0.012, math.nan, "1", {"terms": 4, "residual": 0.018}),
        ]
        for method, zero, low in (("vacf", 0.202, -0.111), ("facf", 0.087, -0.33)):
            results.append(Result("zero_crossing", name, method, zero, 0.002, unit["ps"]))
            results.append(Result("minimum", name, method, low, 0.003, "1"))
            results.append(Result("minimum_time", name, method, 1.6 * zero, 0.004, unit["ps"]))
    return results


def _read(
    folder: Path, curves: list[Curve], results: list[Result], species: tuple[str, ...] = ("Ag", "I"),
    units: str = "metal", record: Record | None = None, config: Config | None = None,
) -> Results:  # fmt: skip
    path = folder / "agi.topo.h5"
    outcome = Outcome(tuple(results), tuple(curves), ())
    write_results(path, record or _record(species, units), outcome, config or Config(), {})
    return read_results(path)


def _texts(markup: str) -> list[str]:
    """Texts of a page or drawing as a reader sees them, with ordinary spaces."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(markup)
    parser.close()
    return [" ".join(text.split()) for text in found if text.strip()]


def _draw(results: Results) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in draw_figures(results)}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _read(tmp_path_factory.mktemp("motion"), _curves(("Ag", "I")), _results())


@pytest.fixture(scope="module")
def drawings(results: Results) -> dict[str, Drawing]:
    return _draw(results)


# ---- figures --------------------------------------------------------------------------------------------------------


def test_the_four_figures_have_titles_captions_and_numbers(drawings: dict[str, Drawing]) -> None:
    assert tuple(drawings) == FIGURES == tuple(PAINTERS)
    assert all(drawing.title and drawing.caption and len(drawing.details) == 2 for drawing in drawings.values())
    lines = {name: drawing.details[0].replace("\u00a0", " ") for name, drawing in drawings.items()}
    assert lines["velocity"].startswith(
        "Ag: zero at 0.2020 ± 0.0020 ps, minimum −0.1110 ± 0.0030 at 0.3232 ± 0.0040 ps"
    )
    assert "∫C_F dt/∫|C_F| dt = (6.0 ± 9.0) × 10⁻⁴" in lines["force"]
    assert (
        "Γ(0) = 25.80 ± 0.20 N/m, from the forces 25.70 ± 0.10 N/m, memory time 0.1270 ± 0.0040 ps" in lines["memory"]
    )
    assert "Prony series of 4 terms, C_v deviates by 0.012 at most" in lines["memory"]
    assert "γ = (3.28 ± 0.10) × 10⁻¹² kg/s (window 5 ps, 3.1 % from the tail beyond, error from 10" in lines["friction"]
    assert "kB T/D = (3.24 ± 0.20) × 10⁻¹² kg/s (mean square displacement)" in lines["friction"]


def test_every_axis_has_its_unit(drawings: dict[str, Drawing]) -> None:
    assert {"time (ps)", "⟨v(t)·v(0)⟩/⟨v²⟩", "frequency (THz)", "VDOS (ps)"} <= set(_texts(drawings["velocity"].svg))
    assert {"time (ps)", "⟨F(t)·F(0)⟩/⟨F²⟩", "frequency (THz)", "spectrum (ps)"} <= set(_texts(drawings["force"].svg))
    assert {"Γ(t) (N/m)", "|Γ(t)| (N/m)"} <= set(_texts(drawings["memory"].svg))
    assert _texts(drawings["memory"].svg).count("time (ps)") == 2
    assert _texts(drawings["friction"].svg).count("∫Γ dt (10⁻¹² kg/s)") == 2


def test_legends_name_species_and_what_they_are_compared_with(drawings: dict[str, Drawing]) -> None:
    assert {"Ag", "I"} <= set(_texts(drawings["velocity"].svg))
    force = set(_texts(drawings["force"].svg))
    assert {"Ag", "I", "predicted by the memory kernel", "vibrational density of states, scaled"} <= force
    assert {"Ag", "I", "Prony series", "Γ < 0"} <= set(_texts(drawings["memory"].svg))
    assert {"γ, with its tail", "kB T/D of the MSD, ± its error"} <= set(_texts(drawings["friction"].svg))


def test_reduced_units(tmp_path: Path) -> None:
    drawn = _draw(_read(tmp_path, _curves(("A",), "lj"), _results(("A",), "lj"), ("A",), "lj"))
    assert {"time (τ)", "frequency (1/τ)", "VDOS (τ)"} <= set(_texts(drawn["velocity"].svg))
    assert {"Γ(t) (reduced)", "|Γ(t)| (reduced)"} <= set(_texts(drawn["memory"].svg))
    assert "∫Γ dt (10⁻¹¹ reduced)" in _texts(drawn["friction"].svg)


def test_five_species_have_rows_of_their_own_and_need_no_errors(tmp_path: Path) -> None:
    species = ("Li", "Na", "K", "Rb", "Cs")
    drawn = _draw(_read(tmp_path, _curves(species, error=False), _results(species), species))
    assert _texts(drawn["velocity"].svg).count("VDOS (ps)") == 1
    assert _texts(drawn["memory"].svg).count("|Γ(t)| (N/m)") == 5
    assert _texts(drawn["friction"].svg).count("time (ps)") == 5
    assert _texts(drawn["force"].svg).count("Rb") == 3  # two panels and the legend


@pytest.mark.parametrize("missing", [f"{figure}/{kind}" for figure, kinds in KINDS.items() for kind in kinds])
def test_a_curve_that_is_missing_breaks_nothing(tmp_path: Path, missing: str) -> None:
    everything = [curve for curve in _curves(("Ag", "I")) if curve.figure == missing.partition("/")[0]]
    for gone in (f"{missing}/Ag", missing):  # of one species, of all
        curves = [curve for curve in everything if not curve.name.startswith(gone)]
        drawn = _draw(_read(tmp_path, curves, []))
        assert set(drawn) == {curve.figure for curve in curves}
        assert all(drawing.details == [] for drawing in drawn.values())


def test_curves_of_an_unknown_kind_are_drawn_plainly(tmp_path: Path) -> None:
    x = np.arange(1.0, 9.0)
    curves = [Curve(f"{figure}/Ag", figure, "Ag", x, x, "time (ps)", "some (unit)") for figure in FIGURES]
    drawn = _draw(_read(tmp_path, curves, []))
    assert all("some (unit)" in _texts(drawn[figure].svg) for figure in FIGURES)


@pytest.mark.parametrize("points", [1, 5])
@pytest.mark.parametrize("values", ["zero", "negative", "noise", "gaps"])
def test_curves_with_little_in_them(tmp_path: Path, points: int, values: str) -> None:
    curves = []
    for curve in _curves(("Ag",)):
        x, y = curve.x[:points], curve.y[:points]
        changed = {"zero": 0 * y, "negative": -abs(y) - 1e-30, "noise": y, "gaps": np.where(x > 0, np.nan, y)}[values]
        error = None if values == "zero" else np.where(x > 0, 100.0 * abs(y).max(), np.nan)
        curves.append(dataclasses.replace(curve, x=x, y=changed, error=error))
    assert tuple(_draw(_read(tmp_path, curves, _results(("Ag",)), ("Ag",)))) == FIGURES


def test_a_diffusion_that_is_not_known_is_not_drawn_as_friction(tmp_path: Path) -> None:
    unknown = [
        dataclasses.replace(result, error=9e-12) if result.method == "msd" and result.quantity == "friction" else result
        for result in _results(("Ag",))
    ]
    drawn = _draw(_read(tmp_path, _curves(("Ag",)), unknown, ("Ag",)))
    assert "kB T/D of the MSD, ± its error" not in _texts(drawn["friction"].svg)
    assert "γ, with its tail" in _texts(drawn["friction"].svg)


def test_limits_are_those_of_the_curve_not_of_the_noise_at_its_end(tmp_path: Path) -> None:
    """The running integral wanders off with an error as large: its axis still ends near the result."""
    curve = _curves(("Ag",))[-1]
    late = curve.x > 1.5
    wild = dataclasses.replace(
        curve, y=np.where(late, 400 * curve.y.max(), curve.y), error=np.where(late, 500 * curve.y.max(), 0.0)
    )
    drawn = [_draw(_read(tmp_path, [one], [], ("Ag",)))["friction"].svg for one in (curve, wild)]
    assert _texts(drawn[1]) == _texts(drawn[0])


def test_a_friction_far_from_the_integral_is_not_marked(tmp_path: Path) -> None:
    results = [Result("friction", "Ag", "kernel", 3.28e-9, 1e-10, "kg/s")]
    drawn = _draw(_read(tmp_path, _curves(("Ag",)), results, ("Ag",)))["friction"]
    assert "γ, with its tail" not in _texts(drawn.svg)
    assert "∫Γ dt (10⁻¹² kg/s)" in _texts(drawn.svg)


def test_parts_of_the_force_have_curves_of_their_own(tmp_path: Path) -> None:
    curves = _curves(("Ag", "I"))
    running = next(curve for curve in curves if curve.name == "friction/running/Ag")
    curves.append(dataclasses.replace(running, name="friction/d2_coul/Ag", label="Ag, d2_coul", y=0.4 * running.y))
    drawn = _draw(_read(tmp_path, curves, _results()))
    assert "part of the force: d2_coul" in _texts(drawn["friction"].svg)
    assert _texts(drawn["friction"].svg).count("time (ps)") == 2


def test_a_tail_that_was_not_found_is_said(tmp_path: Path) -> None:
    tail = {"tail_share": 0.01, "tail_time": math.nan, "tail_time_unit": "ps"}
    read = _read(tmp_path, [], [Result("friction", "Ag", "kernel", 3.28e-12, 1e-13, "kg/s", dict(tail))])
    assert results_table(read).splitlines()[-1].endswith("kernel  no tail beyond found")


def test_names_are_never_markup(tmp_path: Path) -> None:
    species = (HOSTILE, "_$I^", "a/b/fit")
    read = _read(tmp_path, _curves(species), _results(species), species)
    page = render(read, "agi.results.yaml")
    assert "<script" not in page
    texts = " ".join(_texts(page))
    assert texts.count("<script>alert('1')</script>") > 20
    figures = page.split("<figure>")[1:]
    assert len(figures) == 4
    assert all({"_$I^", "a/b/fit"} <= set(_texts(figure)) for figure in figures)


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_the_page_puts_beside_one_another_what_belongs_together(results: Results) -> None:
    page = render(results, "agi.results.yaml").partition("<h2>Figures</h2>")[0]
    tables = {table.partition("</h3>")[0]: _texts(table) for table in page.partition("<h3>")[2].split("<h3>")}
    assert tables["Friction"][2:5] == ["memory kernel", "mean square displacement", "velocity autocorrelation"]
    assert "window 5 ps, 3.1 % from the tail beyond, error from 10 groups, host frame" in tables["Friction"]
    assert tables["Diffusion"][1:3] == ["mean square displacement, host frame", "velocity autocorrelation, host frame"]
    assert tables["Memory kernel"][2:5] == ["Γ(0), memory kernel", "Γ(0), mean square force", "memory time"]
    correlations = tables["Autocorrelation functions"]
    assert correlations[2:5] == ["first zero", "minimum", "time of the minimum"]
    assert correlations[correlations.index("I, force") + 2] == "−0.3300 ± 0.0030"
    assert {"1.0030 ± 0.0040", "(6.0 ± 9.0) × 10⁻⁴", "0.012 ± ?", "4 terms, residual 0.018"} <= set(tables["Checks"])
    assert not {"Memory time", "Minimum", "Equipartition"} & set(tables)


def test_the_terminal_has_the_same_numbers(results: Results) -> None:
    text = results_table(results)
    titles = [line for line in text.splitlines()[1:] if line and not line.startswith(" ")]
    assert titles[:4] == ["diffusion", "friction", "memory kernel at t = 0", "memory time"]
    row = next(line for line in text.splitlines() if "(3.28 ± 0.10) × 10⁻¹² kg/s" in line)
    assert re.split(r" {2,}", row.strip())[2:] == [
        "kernel", "window 5 ps, 3.1 % from the tail beyond, error from 10 groups, host frame",
    ]  # fmt: skip
    assert "tail time 1.3 ps" in provenance_text(results)


def test_what_was_chosen_for_the_correlations_is_said(tmp_path: Path) -> None:
    kept = CorrelationRecord(
        groups=("Ag", "I"), pairs=("vv", "ff"), sums=np.ones((2, 2, 2, 16)), counts=np.ones((2, 16)), batch=64,
        every=8, followed=np.array([54, 20]), mass=np.array([107.9, 126.9]), mass_spread=np.zeros(2), frame="host",
        force="total",
    )  # fmt: skip
    config = parse_config("correlations: {lags: 16}")
    read = _read(tmp_path, [], _results(), record=_record(("Ag", "I"), "metal", kept), config=config)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in provenance_text(read).splitlines() if line}
    assert lines["correlations.lags"] == "16 [given]"
    assert lines["correlations.window"] == "16 lags [default: by the key 'lags']"
    assert lines["correlations.pairs"].startswith("vv, ff [")
    assert lines["correlations.frame"].startswith("host [")
    assert lines["correlations.atoms"].startswith("Ag: 54, I: 20 [")
    assert lines["correlations.prony"].startswith("Ag: 4; I: 4 [")
    assert "vv, ff (force: total) of 54 Ag, 20 I, 16 lags, origins every 8 samples, host frame" in provenance_text(read)
