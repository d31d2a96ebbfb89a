"""Figures of the motion of single ions: velocity and force correlations, memory kernels, friction.

Their curves are named ``FIGURE/KIND/SPECIES``; any of them may be missing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..estimate.result import Curve, Result
from .drawing import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    Array,
    legend,
    line,
    logarithmic,
    name_axes,
    padded,
    panels,
    powers_in_label,
    relabelled,
    short_text,
)
from .painting import Scene, Series, draw_band, draw_mark, draw_measured, finite, paint_plainly
from .wording import find

Entries = list[tuple[object, str]]

#: As many species are drawn over one another; more get a row of panels each.
_TOGETHER = 2
#: Share of its largest value below which a curve that stays there is not shown on linear axes.
_GONE_IN_TIME, _GONE_IN_FREQUENCY, _GONE_IN_MEMORY = 0.02, 0.005, 0.05
#: The linear view of a kernel shows at least this share of its window.
_LEAST = 0.1
#: Decades below its largest value down to which a kernel is shown.
_DECADES = 4
_DASHED: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (4, 3))}
_NEGATIVE: dict[str, Any] = {"linewidth": 1.2, "linestyle": (0, (1, 1.2))}
_PART = (0, (5, 2, 1, 2))
_THIN: dict[str, Any] = {"linewidth": 0.8}


@dataclasses.dataclass(frozen=True)
class _Ion:
    """The curves of a species, by their kind."""

    name: str
    label: str
    colour: str
    kinds: dict[str, Series]


def _ions(scene: Scene) -> list[_Ion]:
    """Species in the order of the run, in the colours that they have in every figure."""
    species = list(scene.record.species)
    found: dict[str, dict[str, Curve]] = {}
    for curve in scene.curves:
        kind, separator, name = curve.name.partition("/")[2].partition("/")
        if separator:
            found.setdefault(name, {})[kind] = curve
    species += [name for name in found if name not in species]
    ions = []
    for index, name in enumerate(species):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        kinds = {
            kind: Series(name, curve, {}, (0, index), colour, marker, "-")
            for kind, curve in found.get(name, {}).items()
        }
        if kinds:
            ions.append(_Ion(name, next(iter(kinds.values())).curve.label, colour, kinds))
    return ions


def _with(ions: Iterable[_Ion], *kinds: str) -> list[_Ion]:
    """Those that have one of these curves."""
    return [ion for ion in ions if any(kind in ion.kinds for kind in kinds)]


def _rows(ions: list[_Ion]) -> list[list[_Ion]]:
    return [ions] if len(ions) <= _TOGETHER else [[ion] for ion in ions]


# ---- correlation functions and their spectra ------------------------------------------------------------------------


def _velocity(scene: Scene) -> Figure:
    return _time_and_frequency(scene, [_with(_ions(scene), "time", "frequency")])


def _force(scene: Scene) -> Figure:
    return _time_and_frequency(scene, _rows(_with(_ions(scene), "time", "frequency")))


def _time_and_frequency(scene: Scene, rows: list[list[_Ion]]) -> Figure:
    """Left the correlation functions, right their spectra."""
    ions = [ion for row in rows for ion in row]
    columns = [kind for kind in ("time", "frequency") if _with(ions, kind)]
    if not columns:
        return paint_plainly(scene)
    figure, axes = panels(len(rows), len(columns), height=_height(len(rows)))
    places = iter(axes)
    for row in rows:
        for kind in columns:
            gone = _GONE_IN_TIME if kind == "time" else _GONE_IN_FREQUENCY
            place, ends = next(places), [_reach(ion.kinds[kind].curve, gone) for ion in _with(row, kind)]
            _linear(place, row, kind, max(ends, default=1.0))
            if kind == "frequency":
                _overlay(place, row, "vdos", _THIN)
                _overlay(place, row, "predicted", _DASHED, INK)
            _title(place, row, rows)
    entries = _species_entries(ions)
    if "frequency" in columns:
        if _with(ions, "predicted"):
            entries.append((line(INK, **_legend_style(_DASHED)), "predicted by the memory kernel"))
        if _with(ions, "vdos"):
            entries.append((line(_one_colour(ions), **_legend_style(_THIN)), "vibrational density of states, scaled"))
    legend(figure, entries, columns=4 if len(entries) == len(ions) else 3)
    return figure


def _linear(axes: Axes, ions: list[_Ion], kind: str, end: float) -> None:
    """Curves of one kind up to ``end``; empty where there is none."""
    drawn = [ion.kinds[kind] for ion in _with(ions, kind)]
    if not drawn:
        axes.set_axis_off()
        return
    axes.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
    near = [dataclasses.replace(series, curve=_until(series.curve, end)) for series in drawn]
    for series in near:
        draw_measured(axes, series)
    axes.set_xlim(0.0, end)
    _fit_height(axes, np.concatenate([series.curve.y for series in near]))
    name_axes(axes, drawn[0].curve.x_label, drawn[0].curve.y_label)


def _overlay(axes: Axes, ions: list[_Ion], kind: str, style: dict[str, Any], colour: str | None = None) -> None:
    """What curves are compared with, within the limits that these have set."""
    end = axes.get_xlim()[1]
    for ion in _with(ions, kind) if axes.axison else ():
        x, y, _ = finite(_until(ion.kinds[kind].curve, end))
        axes.plot(x, y, color=colour or ion.colour, zorder=4, **style)


def _reach(curve: Curve, gone: float, *, least: float = 0.0) -> float:
    """Abscissa beyond which a curve stays below ``gone`` times its largest value, or twice its error."""
    x, y, error = finite(curve)
    size = np.abs(y)
    threshold = np.full(x.shape, gone * np.nanmax(size))
    if error is not None:
        threshold = np.maximum(threshold, 2 * np.nan_to_num(error))
    last, there = float(np.nanmax(x)), x[size > threshold]
    end = 1.15 * float(np.nanmax(there)) if there.size else last
    return min(last, max(end, least * last)) or 1.0


def _until(curve: Curve, end: float) -> Curve:
    """Its part up to ``end``: what is not shown need not be in the page."""
    near = curve.x <= end * (1 + 1e-9)
    error = None if curve.error is None else curve.error[near]
    return dataclasses.replace(curve, x=curve.x[near], y=curve.y[near], error=error)


def _fit_height(axes: Axes, values: Array) -> None:
    """Limits that hold all values, and zero."""
    values = values[np.isfinite(values)]
    if values.size:
        axes.set_ylim(padded(min(float(values.min()), 0.0), max(float(values.max()), 0.0)))


# ---- memory kernels -------------------------------------------------------------------------------------------------


def _memory(scene: Scene) -> Figure:
    """Left the decay on linear axes, right the tail on logarithmic ones."""
    ions = _with(_ions(scene), "kernel")
    if not ions:
        return paint_plainly(scene)
    rows = _rows(ions)
    figure, axes = panels(len(rows), 2, height=_height(len(rows)))
    negative = False
    for row, (near, tail) in zip(rows, zip(axes[::2], axes[1::2], strict=True), strict=True):
        # the shortest memory: another one may last as long as the run, where ions are bound
        _linear(
            near, row, "kernel", min(_reach(ion.kinds["kernel"].curve, _GONE_IN_MEMORY, least=_LEAST) for ion in row)
        )
        _overlay(near, row, "prony", _DASHED, INK)
        negative |= _tail(tail, row)
        for place in (near, tail):
            _title(place, row, rows)
    entries = _species_entries(ions)
    if _with(ions, "prony"):
        entries.append((line(INK, **_legend_style(_DASHED)), "Prony series"))
    if negative:
        entries.append((line(_one_colour(ions), **_legend_style(_NEGATIVE)), "Γ < 0"))
    legend(figure, entries)
    return figure


def _tail(axes: Axes, ions: list[_Ion]) -> bool:
    """|Γ| on logarithmic axes, down to where it is noise; whether a part of it is negative."""
    drawn, negative = [ion.kinds["kernel"] for ion in ions], False
    top = max(float(np.nanmax(np.abs(finite(series.curve)[1]))) for series in drawn)
    floors, times = [], []
    for series in drawn:
        x, y, error = finite(series.curve, log_x=True)
        size = np.abs(y)
        if not (np.isfinite(x) & (size > 0)).any():
            continue
        floors.append(_floor(size, error))
        times.append(x[np.isfinite(x)])
        noise = 0.0 if error is None else 2 * np.nan_to_num(error)
        axes.plot(x, size, color=series.colour, linewidth=0.6, alpha=0.6)
        axes.plot(x, np.where(y > noise, size, np.nan), color=series.colour, linewidth=1.6)
        axes.plot(x, np.where(y < -noise, size, np.nan), color=series.colour, **_NEGATIVE)
        negative |= bool((y < -noise).any())
        if error is not None:
            lower = np.maximum(size - error, 1e-9 * top)
            axes.fill_between(x, lower, size + error, color=series.colour, alpha=0.22, linewidth=0)
    for ion in _with(ions, "prony"):
        x, y, _ = finite(ion.kinds["prony"].curve, log_x=True, log_y=True)
        axes.plot(x, y, color=INK, zorder=4, **_DASHED)
    if times:
        shown = np.concatenate(times)
        axes.set_xlim(padded(float(shown.min()), float(shown.max()), log=True))
        axes.set_ylim(padded(np.clip(min(floors), top * 10.0**-_DECADES, top / 10), top, log=True))
        logarithmic(axes, x=True, y=True)
    label = drawn[0].curve.y_label
    name_axes(axes, drawn[0].curve.x_label, relabelled(label, lambda name: f"|{name}|"))
    return negative


def _floor(size: Array, error: Array | None) -> float:
    """What is smaller is noise: its error where it has decayed; without errors, the smallest values but a few."""
    sizes, half = size[size > 0], len(size) // 2
    if error is not None and np.isfinite(error[half:]).any():
        return 0.5 * max(float(np.nanmedian(error[half:])), float(sizes.min()))
    return float(np.quantile(sizes, 0.02))


# ---- friction -------------------------------------------------------------------------------------------------------


def _friction(scene: Scene) -> Figure:
    """A panel for each species: their frictions may be orders of magnitude apart."""
    ions = _with(_ions(scene), "running")
    if not ions:
        return paint_plainly(scene)
    columns = min(len(ions), _TOGETHER)
    rows = -(-len(ions) // columns)
    figure, axes = panels(rows, columns, height=_height(rows))
    marked = banded = False
    for place, ion in zip(axes, ions, strict=False):
        kernel, msd = _known(scene, ion, "kernel"), _known(scene, ion, "msd")
        if msd is not None and msd.error >= abs(msd.value):
            msd = None  # an ion that does not diffuse
        marked |= _running(place, ion, kernel, msd)
        _title(place, [ion], [[one] for one in ions])
        banded |= msd is not None
    for place in axes[len(ions) :]:
        place.set_axis_off()
    entries = _species_entries(ions)
    parts = [kind for kind in dict.fromkeys(kind for ion in ions for kind in ion.kinds) if kind != "running"]
    entries += [(line(_one_colour(ions), linestyle=_PART), f"part of the force: {part}") for part in parts]
    if marked:
        entries.append((line(_one_colour(ions), 0.0, marker="o", markersize=6.5), "γ, with its tail"))
    if banded:
        entries.append((line(_one_colour(ions), 0.9, linestyle=(0, (6, 3))), "kB T/D of the MSD, ± its error"))
    legend(figure, entries)
    return figure


def _running(axes: Axes, ion: _Ion, kernel: Result | None, msd: Result | None) -> bool:
    """The integral, and what the diffusion says it should lead to; whether γ is marked: it may be far off."""
    series, heights = ion.kinds["running"], [np.zeros(1)]
    for kind, part in ion.kinds.items():
        dashes = "-" if kind == "running" else _PART
        draw_measured(axes, dataclasses.replace(part, dashes=dashes), log_x=True)
        heights.append(_sure(part.curve))
    x, _, _ = finite(series.curve, log_x=True)
    span = float(np.ptp(np.concatenate(heights)))
    ends = [(result, _ends(result)) for result in (kernel, msd) if result is not None]
    near = [result for result, reach in ends if np.abs(reach).max() < 3 * span]
    heights += [reach for result, reach in ends if result in near]
    if msd is not None:
        draw_band(axes, msd, series.colour)
    times, marked = x[np.isfinite(x)], False
    if times.size:
        low, high = padded(float(times.min()), float(times.max()), log=True)
        if kernel is not None and kernel in near:
            marked = True
            draw_mark(axes, high, kernel, dataclasses.replace(series, marker="o"))
        axes.set_xlim(low, high)
        logarithmic(axes, x=True)
    _fit_height(axes, np.concatenate(heights))
    name_axes(axes, series.curve.x_label, powers_in_label(axes, series.curve.y_label))
    return marked


def _sure(curve: Curve) -> Array:
    """Values that are larger than noise."""
    _, y, error = finite(curve)
    if error is not None and (sure := error <= np.nanmedian(np.abs(y))).any():
        y = y[sure]
    return y[np.isfinite(y)]


def _ends(result: Result) -> Array:
    """Of its error bar."""
    error = result.error if np.isfinite(result.error) else 0.0
    return np.array([result.value - error, result.value + error])


def _known(scene: Scene, ion: _Ion, method: str) -> Result | None:
    found = find(scene.results.outcome.results, "friction", ion.name, method)
    return found if found is not None and np.isfinite(found.value) else None


# ---- what they share ------------------------------------------------------------------------------------------------


def _height(rows: int) -> float:
    return 3.7 if rows == 1 else 0.5 + 2.4 * rows


def _title(axes: Axes, row: Sequence[_Ion], rows: Sequence[Sequence[_Ion]]) -> None:
    """Above a panel the species that has it for itself."""
    if len(rows) > 1 and axes.axison:
        short_text(axes, row[0].label)


def _species_entries(ions: Iterable[_Ion]) -> Entries:
    return [(line(ion.colour), ion.label) for ion in ions]


def _one_colour(ions: Sequence[_Ion]) -> str:
    """For what the legend shows once for all species."""
    return ions[0].colour if len(ions) == 1 else FAINT


def _legend_style(style: dict[str, Any]) -> dict[str, Any]:
    return {("width" if key == "linewidth" else key): value for key, value in style.items()}


PAINTERS: dict[str, Callable[[Scene], Figure]] = {
    "velocity": _velocity,
    "force": _force,
    "memory": _memory,
    "friction": _friction,
}
