"""The figures of the report, one for each ``Curve.figure``; every axis with its unit, every curve with its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..estimate.result import Curve, Result
from ..store import Results
from . import motion_figures
from .captions import caption, details
from .drawing import COLOURS, FAINT, INK, legend, line, logarithmic, name_axes, padded, panels, settings, svg
from .painting import (
    Scene,
    Series,
    detail,
    dots,
    draw_chosen,
    draw_fits,
    draw_mark,
    draw_measured,
    draw_points,
    draw_vertical,
    entries_of,
    extent_of,
    finite,
    mark_style,
    paint_plainly,
    set_limits,
    value_range,
)
from .wording import quantity_text

#: Figures in the order of the page; others follow.
_ORDER = (
    *("gauge", "gauge-growth"),
    *("spectrum", "cutoffs", "segments", "dipole", "green-kubo", "correlation", "frequency"),
    *("heat", "viscosity", "msd"),
    *("velocity", "force", "memory", "friction"),
)
_TITLES = {
    "spectrum": "Spectrum of the charge current",
    "cutoffs": "Does the conductivity depend on the frequencies in use?",
    "segments": "Does it depend on the length of a segment?",
    "dipole": "Einstein-Helfand: displaced dipole",
    "green-kubo": "Green-Kubo: running integral",
    "correlation": "Autocorrelation of the charge current",
    "frequency": "Conductivity against frequency",
    "heat": "Spectrum of the energy flux: thermal conductivity",
    "viscosity": "Spectrum of the pressure tensor: viscosity",
    "msd": "Mean square displacements",
    "velocity": "Velocity autocorrelation and vibrational density of states",
    "force": "Force autocorrelation and its spectrum",
    "memory": "Memory kernel: its decay and its tail",
    "friction": "Friction: integral of the memory kernel",
    "gauge": "Currents by different charges, and their differences",
    "gauge-growth": "Displaced dipoles by different charges: do they drift apart?",
    "loop": "Dipole displaced along the loop",
}


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
            figure = _PAINTERS.get(name, paint_plainly)(Scene(groups[name], results))
            text = svg(figure, f"figure{index}", title)
            drawings.append(Drawing(name, title, caption(name), details(name, results), text))
    return drawings


def _drawable(curve: Curve) -> bool:
    return bool((np.isfinite(curve.x) & np.isfinite(curve.y)).any())


#: Parts of a spectrum: width, opacity, order.
_SPECTRA = (("periodogram", 0.7, 0.45, 2), ("spectral", 2.0, 1.0, 3), ("cepstral", 2.4, 1.0, 3))

# ---- the figures ----------------------------------------------------------------------------------------------------


def _spectrum(scene: Scene) -> Figure:
    """Above the low frequencies, linear, with the result at f = 0; below everything, logarithmic."""
    figure, (low, whole) = panels(2, height=6.2)
    entries: list[tuple[object, str]] = []
    tops, cutoffs = [], []
    for series in scene.series:
        for part, width, alpha, order in _SPECTRA:
            curve = series.parts.get(part)
            if curve is None:
                continue
            style: dict[str, Any] = {"color": series.colour, "linewidth": width, "alpha": alpha}
            style["linestyle"] = "-" if part == "periodogram" else series.dashes
            for axes, log in ((low, False), (whole, True)):
                x, y, error = finite(curve, log_x=log, log_y=log)
                axes.plot(x, y, zorder=order, **style)
                if error is not None:
                    lower = np.maximum(y - error, 1e-3 * y) if log else y - error
                    axes.fill_between(x, lower, y + error, color=series.colour, alpha=0.22, linewidth=0)
            entries.append((Line2D([], [], **style), curve.label))
            extent = extent_of([curve])
            if part != "periodogram" and extent is not None:
                tops.append(extent[1])
        result = scene.estimate(series)
        if result is not None:
            draw_mark(low, 0.0, result, series)
            tops.append(result.value + (result.error if np.isfinite(result.error) else 0.0))
            entries.append((Line2D([], [], **mark_style(series)), f"{series.of}, {scene.symbol}"))
            cutoff = _highest(result)
            if cutoff is not None:
                cutoffs.append(cutoff)
                for axes in (low, whole):
                    draw_vertical(axes, cutoff, series.colour)
    curves = [curve for series in scene.series for curve in series.parts.values()]
    x_extent, y_extent = extent_of(curves, axis="x", log=True), extent_of(curves, log=True)
    if x_extent is not None and y_extent is not None:
        end = min(1.25 * max(cutoffs, default=np.inf), x_extent[1])
        low.set_xlim(-0.02 * end, end)
        low.set_ylim(0.0, 1.8 * max([top for top in tops if top > 0], default=y_extent[1]))
        whole.set_xlim(padded(*x_extent, log=True))
        whole.set_ylim(padded(*y_extent, log=True))
        logarithmic(whole, x=True, y=True)
    if cutoffs:
        entries.append((line(FAINT, 1.1, linestyle=(0, (1, 2))), "highest frequency in use"))
    for axes in (low, whole):
        name_axes(axes, scene.x_label, scene.y_label)
    legend(figure, entries, columns=len(scene.series) + 1)
    return figure


def _highest(result: Result) -> float | None:
    """Highest frequency in use; f* of a cepstral estimate."""
    return detail(result, "highest") or detail(result, "cutoff")


def _cutoffs(scene: Scene) -> Figure:
    figure, (axes,) = panels(height=3.8)
    shown = draw_chosen(axes, scene)
    for series in scene.series:
        draw_points(axes, series, log_x=True)
        result = scene.estimate(series)
        cutoff = None if result is None else _highest(result)
        if cutoff is not None:
            draw_vertical(axes, cutoff, series.colour)
    return _finished_points(figure, axes, scene, shown, "that in use")


def _segments(scene: Scene) -> Figure:
    figure, (axes,) = panels(height=3.6)
    shown = draw_chosen(axes, scene)
    for series in scene.series:
        draw_points(axes, series, log_x=True)
    return _finished_points(figure, axes, scene, shown, "")


def _finished_points(figure: Figure, axes: Axes, scene: Scene, shown: list[Series], vertical: str) -> Figure:
    name_axes(axes, scene.x_label, scene.y_label)
    curves = [series.curve for series in scene.series]
    limits = value_range(curves, axis="x", log=True)
    if limits is not None:
        axes.set_xlim(limits)
        logarithmic(axes, x=True)
    entries = dots(scene)
    if shown:
        entries.append((line(FAINT, 0.9, linestyle=(0, (6, 3))), "the result, ± its error"))
    if shown and vertical:
        entries.append((line(FAINT, 1.1, linestyle=(0, (1, 2))), vertical))
    legend(figure, entries)
    return figure


def _displacements(scene: Scene) -> Figure:
    """Logarithmic for the course from ballistic to diffusive, linear for the line that is fitted."""
    figure, (whole, linear) = panels(1, 2, height=3.7)
    curves = [series.curve for series in scene.series]
    for axes, log in ((whole, True), (linear, False)):
        for series in scene.series:
            draw_measured(axes, series, log_x=log, log_y=log)
        fitted = draw_fits(axes, scene)
        name_axes(axes, scene.x_label, scene.y_label)
    set_limits(whole, curves, x_log=True, y_log=True)
    _guide(whole, curves)
    logarithmic(whole, x=True, y=True)
    ends = [float(series.parts["fit"].x.max()) for series in scene.series if "fit" in series.parts]
    until = 1.6 * max(ends, default=np.inf)
    near = [dataclasses.replace(curve, x=curve.x[curve.x <= until], y=curve.y[curve.x <= until]) for curve in curves]
    set_limits(linear, near)
    linear.set_ylim(bottom=0.0)
    entries = entries_of(scene.series)
    if fitted:
        entries.append((line(INK, 1.3, linestyle=(0, (4, 2))), "linear fit, in its window"))
    entries.append((line(FAINT, 0.9), "∝ time"))
    legend(figure, entries, columns=3)
    return figure


def _guide(axes: Axes, curves: Sequence[Curve]) -> None:
    """A line of slope one above the end of the highest curve."""
    ends = [(x[-1], y[-1]) for x, y, _ in (finite(curve, log_y=True) for curve in curves) if np.isfinite(y[-1])]
    if not ends:
        return
    x, y = max(ends, key=lambda end: end[1])
    y *= 0.4
    axes.plot([x / 10, x], [y / 10, y], color=FAINT, linewidth=0.9, zorder=1)


def _green_kubo(scene: Scene) -> Figure:
    figure, (axes,) = panels(height=3.8)
    shown = draw_chosen(axes, scene)
    for series in scene.series:
        draw_measured(axes, series, log_x=True)
        result = scene.result(series, "green-kubo")
        if result is not None:
            _read(axes, result, series)
    name_axes(axes, scene.x_label, scene.y_label)
    curves = [series.curve for series in scene.series]
    limits = value_range(curves, axis="x", log=True)
    if limits is not None:
        axes.set_xlim(limits)
        logarithmic(axes, x=True)
    entries = entries_of(scene.series)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    entries.append((line(INK, 0.0, marker="o", markersize=6.5), "result"))
    if shown:
        entries.append((line(FAINT, 0.9, linestyle=(0, (6, 3))), "from the spectrum, ± its error"))
    legend(figure, entries)
    return figure


def _read(axes: Axes, result: Result, series: Series) -> None:
    """The result where it is read: at a time, or as the mean over a window."""
    begin, end = detail(result, "window_begin"), detail(result, "window_end")
    if begin is not None and end is not None and 0 < begin < end:
        axes.plot([begin, end], [result.value] * 2, color=series.colour, linewidth=3.2, zorder=5)
        draw_mark(axes, float(np.sqrt(begin * end)), result, series)
    elif (cut := detail(result, "cut")) is not None:
        draw_mark(axes, cut, result, series)


def _correlation(scene: Scene) -> Figure:
    figure, (axes,) = panels(height=3.4)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    for series in scene.series:
        draw_measured(axes, series)
    name_axes(axes, scene.x_label, scene.y_label)
    found = [result for series in scene.series if (result := scene.result(series, "green-kubo")) is not None]
    ends = [end for result in found for key in ("cut", "window_end") if (end := detail(result, key)) is not None]
    set_limits(axes, [series.curve for series in scene.series])
    if ends:
        axes.set_xlim(0.0, min(axes.get_xlim()[1], 3 * max(ends)))
    legend(figure, entries_of(scene.series))
    return figure


def _frequency(scene: Scene) -> Figure:
    figure, (axes,) = panels(height=3.6)
    for series in scene.series:
        draw_measured(axes, series, log_x=True, log_y=True)
    name_axes(axes, scene.x_label, scene.y_label)
    set_limits(axes, [series.curve for series in scene.series], x_log=True, y_log=True)
    logarithmic(axes, x=True, y=True)
    legend(figure, entries_of(scene.series))
    return figure


def _gauge(scene: Scene) -> Figure:
    """Currents in full, differences dashed."""
    figure, (axes,) = panels(height=4.2)
    entries: list[tuple[object, str]] = []
    for index, curve in enumerate(scene.curves):
        style: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "linewidth": 1.6}
        style["linestyle"] = (0, (4, 2)) if curve.style == "difference" else "-"
        x, y, error = finite(curve, log_x=True, log_y=True)
        axes.plot(x, y, **style)
        if error is not None:
            axes.fill_between(
                x, np.maximum(y - error, 0.1 * y), y + error, color=style["color"], alpha=0.2, linewidth=0
            )
        entries.append((Line2D([], [], **style), curve.label))
    name_axes(axes, scene.x_label, scene.y_label)
    set_limits(axes, scene.curves, x_log=True, y_log=True)
    logarithmic(axes, x=True, y=True)
    legend(figure, entries, columns=3)
    return figure


_PAINTERS: dict[str, Callable[[Scene], Figure]] = {
    "spectrum": _spectrum,
    "frequency": _frequency,
    "gauge": _gauge,
    "gauge-growth": _displacements,
    "heat": _spectrum,
    "viscosity": _spectrum,
    "cutoffs": _cutoffs,
    "segments": _segments,
    "dipole": _displacements,
    "msd": _displacements,
    "green-kubo": _green_kubo,
    "correlation": _correlation,
    **motion_figures.PAINTERS,
}
