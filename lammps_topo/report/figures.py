"""The figures of the report, one for each ``Curve.figure``; every axis with its unit, every curve with its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..estimate.result import Curve, Result
from ..record import Record
from ..store import Results
from .captions import caption, details
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
    settings,
    svg,
)
from .wording import find, quantity_text

#: Figures in the order of the page; others follow.
_ORDER = ("spectrum", "cutoffs", "segments", "dipole", "green-kubo", "correlation", "msd")
_TITLES = {
    "spectrum": "Spectrum of the charge current",
    "cutoffs": "Does the conductivity depend on f*?",
    "segments": "Does it depend on the length of a segment?",
    "dipole": "Einstein-Helfand: displaced dipole",
    "green-kubo": "Green-Kubo: running integral",
    "correlation": "Autocorrelation of the charge current",
    "msd": "Mean square displacements",
}
#: What the last part of a curve's name says it is, beside what its ``style`` says.
_PARTS = ("periodogram", "cepstral", "fit")
_DASHES = ("-", (0, (5, 2)), (0, (5, 2, 1, 2)))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes
    ----------
    name : the ``figure`` of its curves
    title, caption : plain text
    details : lines of plain text: the numbers that belong to the figure
    svg : an ``svg`` element
    """

    name: str
    title: str
    caption: str
    details: list[str]
    svg: str


def draw_figures(results: Results) -> list[Drawing]:
    """All figures for which the file has curves."""
    groups: dict[str, list[Curve]] = {}
    for curve in results.outcome.curves:
        if _drawable(curve):
            groups.setdefault(curve.figure, []).append(curve)
    first = [name for name in _ORDER if name in groups]
    drawings = []
    with settings():
        for index, name in enumerate([*first, *(name for name in groups if name not in first)]):
            title = _TITLES.get(name, quantity_text(name.replace("-", " ")))
            figure = _PAINTERS.get(name, _other)(_Scene(groups[name], results))
            text = svg(figure, f"figure{index}", title)
            drawings.append(Drawing(name, title, caption(name), details(name, results), text))
    return drawings


def _drawable(curve: Curve) -> bool:
    return bool((np.isfinite(curve.x) & np.isfinite(curve.y)).any())


@dataclasses.dataclass(frozen=True)
class _Series:
    """Curves that belong together (a measured curve and its fit), and how they look."""

    of: str
    curve: Curve
    parts: dict[str, Curve]
    order: tuple[int, int]
    colour: str
    marker: str
    dashes: Any


class _Scene:
    """Curves of one figure, put together by what they belong to."""

    def __init__(self, curves: Sequence[Curve], results: Results) -> None:
        self.results = results
        self.record: Record = results.record
        self.x_label, self.y_label = curves[0].x_label, curves[0].y_label
        groups: dict[str, dict[str, Curve]] = {}
        names = {curve.name for curve in curves}
        for curve in curves:
            stem, _, last = curve.name.rpartition("/")
            belongs = last in _PARTS and (curve.style == "fit" or last != "fit" or stem in names)
            groups.setdefault(stem if belongs else curve.name, {})[last if belongs else "curve"] = curve
        series = [self._series(name, parts, index) for index, (name, parts) in enumerate(groups.items())]
        self.series = sorted(series, key=lambda one: one.order)

    def _series(self, name: str, parts: dict[str, Curve], index: int) -> _Series:
        """The same colour for the same representation or species in every figure, other dashes for other frames."""
        record, dash = self.record, 0
        of = name.partition("/")[2]
        if of in record.representations:
            index = dash = record.representations.index(of)  # dashes too: the currents may be proportional
        for frame_index, frame in enumerate(record.msd.frames):
            species = of.removeprefix(f"{frame}/")
            if of.startswith(f"{frame}/") and species in record.species:
                index, dash = record.species.index(species), frame_index
        return _Series(
            of=of,
            curve=parts.get("curve") or next(iter(parts.values())),
            parts=parts,
            order=(dash, index),
            colour=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            dashes=_DASHES[dash % len(_DASHES)],
        )

    def result(self, series: _Series, method: str) -> Result | None:
        """The conductivity by ``method`` that belongs to a series, if it is known."""
        found = find(self.results.outcome.results, "conductivity", series.of, method)
        return found if found is not None and np.isfinite(found.value) else None


# ---- what is drawn in several figures -------------------------------------------------------------------------------


def _measured(axes: Axes, series: _Series, *, log_x: bool = False, log_y: bool = False) -> None:
    """A curve with its band."""
    x, y, error = _finite(series.curve, log_x=log_x, log_y=log_y)
    axes.plot(x, y, color=series.colour, linewidth=1.6, linestyle=series.dashes)
    if error is not None:
        lower = np.maximum(y - error, 1e-3 * y) if log_y else y - error
        axes.fill_between(x, lower, y + error, color=series.colour, alpha=0.22, linewidth=0)


def _points(axes: Axes, series: _Series, *, log_x: bool = False) -> None:
    """Points with error bars, side by side where two series have the same."""
    x, y, error = _finite(series.curve, log_x=log_x)
    extent = _extent([series.curve], axis="x", log=True)
    if log_x and extent is not None:
        x = x * (extent[1] / extent[0]) ** (0.012 * series.order[0])
    axes.errorbar(x, y, yerr=error, color=series.colour, fmt=series.marker, markersize=4.5, capsize=2.5, linewidth=1.1,
                  markerfacecolor="white", markeredgewidth=1.2)  # fmt: skip


def _fits(axes: Axes, scene: _Scene) -> bool:
    """Fitted straight lines within their windows; many points, for a line is none on logarithmic axes."""
    fits = [series.parts["fit"] for series in scene.series if "fit" in series.parts]
    for fit in fits:
        begin, end = float(fit.x.min()), float(fit.x.max())
        x = np.linspace(begin, end, 200) if begin <= 0 else np.geomspace(begin, end, 200)
        axes.plot(x, np.interp(x, fit.x, fit.y), color=INK, linewidth=1.3, linestyle=(0, (4, 2)), zorder=4)
    return bool(fits)


def _chosen(axes: Axes, scene: _Scene, method: str = "cepstral") -> list[_Series]:
    """Horizontal bands: the conductivity by another method and its error; returns those that have one."""
    shown = []
    for series in scene.series:
        result = scene.result(series, method)
        if result is not None:
            _band(axes, result, series.colour)
            shown.append(series)
    return shown


def _band(axes: Axes, result: Result, colour: str) -> None:
    axes.axhline(result.value, color=colour, linewidth=0.9, linestyle=(0, (6, 3)), zorder=1)
    if np.isfinite(result.error):
        axes.axhspan(result.value - result.error, result.value + result.error, color=colour, alpha=0.13, linewidth=0)


def _mark(axes: Axes, x: float, result: Result, series: _Series) -> None:
    """The result itself, as a point with its error bar."""
    axes.errorbar([x], [result.value], yerr=[result.error] if np.isfinite(result.error) else None, fmt="none",
                  ecolor=series.colour, capsize=3.5, elinewidth=1.6, zorder=5, clip_on=False)  # fmt: skip
    axes.add_line(Line2D([x], [result.value], zorder=5, clip_on=False, **_mark_style(series)))


def _mark_style(series: _Series) -> dict[str, Any]:
    """The first filled, the next ones open and larger: equal results must not hide each other."""
    place = series.order[0]
    return {
        "color": series.colour, "marker": series.marker, "linewidth": 0.0, "markersize": 6.5 + 4.0 * place,
        "markerfacecolor": "none" if place else series.colour, "markeredgewidth": 1.4,
    }  # fmt: skip


def _vertical(axes: Axes, x: float, colour: str) -> None:
    axes.axvline(x, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)


def _finite(curve: Curve, *, log_x: bool = False, log_y: bool = False) -> tuple[Array, Array, Array | None]:
    """x, y and error; what cannot be drawn is NaN."""
    x = np.where(np.isfinite(curve.x) & ((curve.x > 0) | (not log_x)), curve.x, np.nan)
    y = np.where(np.isfinite(curve.y) & ((curve.y > 0) | (not log_y)), curve.y, np.nan)
    error = None
    if curve.error is not None and (known := np.isfinite(curve.error) & (curve.error >= 0)).any():
        error = np.where(known, curve.error, np.nan)
    return x, y, error


def _extent(curves: Iterable[Curve], *, axis: str = "y", log: bool = False) -> tuple[float, float] | None:
    """Smallest and largest value that can be shown, whatever the width of the bands; None if there is none."""
    values = np.concatenate([np.ravel(getattr(curve, axis)) for curve in curves] or [np.zeros(0)])
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    return (float(values.min()), float(values.max())) if values.size else None


def _range(curves: Iterable[Curve], *, axis: str = "y", log: bool = False) -> tuple[float, float] | None:
    """Limits of an axis that hold all values, with a margin."""
    extent = _extent(curves, axis=axis, log=log)
    return None if extent is None else padded(*extent, log=log)


def _limit(axes: Axes, curves: Sequence[Curve], *, x_log: bool = False, y_log: bool = False) -> None:
    x, y = _range(curves, axis="x", log=x_log), _range(curves, log=y_log)
    if x is not None:
        axes.set_xlim(x if x_log else (0.0, x[1]))
    if y is not None:
        axes.set_ylim(y)


def _entries(drawn: Iterable[_Series]) -> list[tuple[object, str]]:
    return [(line(series.colour, linestyle=series.dashes), series.curve.label) for series in drawn]


def _dots(scene: _Scene) -> list[tuple[object, str]]:
    return [
        (line(one.colour, 0.0, marker=one.marker, markersize=5.5, markerfacecolor="white"), one.curve.label)
        for one in scene.series
    ]


# ---- the figures ----------------------------------------------------------------------------------------------------


def _spectrum(scene: _Scene) -> Figure:
    """Above the low frequencies, linear, with σ at f = 0; below everything, logarithmic."""
    figure, (low, whole) = panels(2, height=6.2)
    entries: list[tuple[object, str]] = []
    tops, cutoffs = [], []
    for series in scene.series:
        for part, width, alpha, order in (("periodogram", 0.7, 0.45, 2), ("cepstral", 2.4, 1.0, 3)):
            curve = series.parts.get(part)
            if curve is None:
                continue
            style: dict[str, Any] = {"color": series.colour, "linewidth": width, "alpha": alpha}
            style["linestyle"] = series.dashes if part == "cepstral" else "-"
            for axes, log in ((low, False), (whole, True)):
                x, y, _ = _finite(curve, log_x=log, log_y=log)
                axes.plot(x, y, zorder=order, **style)
            entries.append((Line2D([], [], **style), curve.label))
            extent = _extent([curve])
            if part == "cepstral" and extent is not None:
                tops.append(extent[1])
        result = scene.result(series, "cepstral")
        if result is not None:
            _mark(low, 0.0, result, series)
            tops.append(result.value + (result.error if np.isfinite(result.error) else 0.0))
            entries.append((Line2D([], [], **_mark_style(series)), f"{series.of}, σ"))
            cutoff = _detail(result, "cutoff")
            if cutoff is not None:
                cutoffs.append(cutoff)
                for axes in (low, whole):
                    _vertical(axes, cutoff, series.colour)
    curves = [curve for series in scene.series for curve in series.parts.values()]
    x_extent, y_extent = _extent(curves, axis="x", log=True), _extent(curves, log=True)
    if x_extent is not None and y_extent is not None:
        end = min(1.25 * max(cutoffs, default=np.inf), x_extent[1])
        low.set_xlim(-0.02 * end, end)
        low.set_ylim(0.0, 1.8 * max([top for top in tops if top > 0], default=y_extent[1]))
        whole.set_xlim(padded(*x_extent, log=True))
        whole.set_ylim(padded(*y_extent, log=True))
        logarithmic(whole, x=True, y=True)
    if cutoffs:
        entries.append((line(FAINT, 1.1, linestyle=(0, (1, 2))), "f*"))
    for axes in (low, whole):
        name_axes(axes, scene.x_label, scene.y_label)
    legend(figure, entries, columns=len(scene.series) + 1)
    return figure


def _cutoffs(scene: _Scene) -> Figure:
    figure, (axes,) = panels(height=3.8)
    shown = _chosen(axes, scene)
    for series in scene.series:
        _points(axes, series, log_x=True)
        result = scene.result(series, "cepstral")
        cutoff = None if result is None else _detail(result, "cutoff")
        if cutoff is not None:
            _vertical(axes, cutoff, series.colour)
    return _finished_points(figure, axes, scene, shown, "chosen f*")


def _segments(scene: _Scene) -> Figure:
    figure, (axes,) = panels(height=3.6)
    shown = _chosen(axes, scene)
    for series in scene.series:
        _points(axes, series, log_x=True)
    return _finished_points(figure, axes, scene, shown, "")


def _finished_points(figure: Figure, axes: Axes, scene: _Scene, shown: list[_Series], vertical: str) -> Figure:
    name_axes(axes, scene.x_label, scene.y_label)
    curves = [series.curve for series in scene.series]
    limits = _range(curves, axis="x", log=True)
    if limits is not None:
        axes.set_xlim(limits)
        logarithmic(axes, x=True)
    entries = _dots(scene)
    if shown:
        entries.append((line(FAINT, 0.9, linestyle=(0, (6, 3))), "the result, ± its error"))
    if shown and vertical:
        entries.append((line(FAINT, 1.1, linestyle=(0, (1, 2))), vertical))
    legend(figure, entries)
    return figure


def _displacements(scene: _Scene) -> Figure:
    """Logarithmic for the course from ballistic to diffusive, linear for the line that is fitted."""
    figure, (whole, linear) = panels(1, 2, height=3.7)
    curves = [series.curve for series in scene.series]
    for axes, log in ((whole, True), (linear, False)):
        for series in scene.series:
            _measured(axes, series, log_x=log, log_y=log)
        fitted = _fits(axes, scene)
        name_axes(axes, scene.x_label, scene.y_label)
    _limit(whole, curves, x_log=True, y_log=True)
    _guide(whole, curves)
    logarithmic(whole, x=True, y=True)
    ends = [float(series.parts["fit"].x.max()) for series in scene.series if "fit" in series.parts]
    until = 1.6 * max(ends, default=np.inf)
    near = [dataclasses.replace(curve, x=curve.x[curve.x <= until], y=curve.y[curve.x <= until]) for curve in curves]
    _limit(linear, near)
    linear.set_ylim(bottom=0.0)
    entries = _entries(scene.series)
    if fitted:
        entries.append((line(INK, 1.3, linestyle=(0, (4, 2))), "linear fit, in its window"))
    entries.append((line(FAINT, 0.9), "∝ time"))
    legend(figure, entries, columns=3)
    return figure


def _guide(axes: Axes, curves: Sequence[Curve]) -> None:
    """A line of slope one above the end of the highest curve."""
    ends = [(x[-1], y[-1]) for x, y, _ in (_finite(curve, log_y=True) for curve in curves) if np.isfinite(y[-1])]
    if not ends:
        return
    x, y = max(ends, key=lambda end: end[1])
    y *= 0.4
    axes.plot([x / 10, x], [y / 10, y], color=FAINT, linewidth=0.9, zorder=1)


def _green_kubo(scene: _Scene) -> Figure:
    figure, (axes,) = panels(height=3.8)
    shown = _chosen(axes, scene)
    for series in scene.series:
        _measured(axes, series, log_x=True)
        result = scene.result(series, "green-kubo")
        if result is not None:
            _read(axes, result, series)
    name_axes(axes, scene.x_label, scene.y_label)
    curves = [series.curve for series in scene.series]
    limits = _range(curves, axis="x", log=True)
    if limits is not None:
        axes.set_xlim(limits)
        logarithmic(axes, x=True)
    entries = _entries(scene.series)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    entries.append((line(INK, 0.0, marker="o", markersize=6.5), "result"))
    if shown:
        entries.append((line(FAINT, 0.9, linestyle=(0, (6, 3))), "cepstral, ± its error"))
    legend(figure, entries)
    return figure


def _read(axes: Axes, result: Result, series: _Series) -> None:
    """The result where it is read: at a time, or as the mean over a window."""
    begin, end = _detail(result, "window_begin"), _detail(result, "window_end")
    if begin is not None and end is not None and 0 < begin < end:
        axes.plot([begin, end], [result.value] * 2, color=series.colour, linewidth=3.2, zorder=5)
        _mark(axes, float(np.sqrt(begin * end)), result, series)
    elif (cut := _detail(result, "cut")) is not None:
        _mark(axes, cut, result, series)


def _detail(result: Result, key: str) -> float | None:
    value = result.details.get(key)
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _correlation(scene: _Scene) -> Figure:
    figure, (axes,) = panels(height=3.4)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    for series in scene.series:
        _measured(axes, series)
    name_axes(axes, scene.x_label, scene.y_label)
    found = [result for series in scene.series if (result := scene.result(series, "green-kubo")) is not None]
    ends = [end for result in found for key in ("cut", "window_end") if (end := _detail(result, key)) is not None]
    _limit(axes, [series.curve for series in scene.series])
    if ends:
        axes.set_xlim(0.0, min(axes.get_xlim()[1], 3 * max(ends)))
    legend(figure, _entries(scene.series))
    return figure


def _other(scene: _Scene) -> Figure:
    """Curves of a kind that this module does not know."""
    figure, (axes,) = panels(height=3.6)
    for series in scene.series:
        if series.curve.style == "points":
            _points(axes, series)
        else:
            _measured(axes, series)
    _fits(axes, scene)
    name_axes(axes, scene.x_label, scene.y_label)
    legend(figure, _entries(scene.series))
    return figure


_PAINTERS: dict[str, Callable[[_Scene], Figure]] = {
    "spectrum": _spectrum,
    "cutoffs": _cutoffs,
    "segments": _segments,
    "dipole": _displacements,
    "msd": _displacements,
    "green-kubo": _green_kubo,
    "correlation": _correlation,
}
