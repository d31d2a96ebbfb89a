"""What several figures share: the curves that belong together, and how curves, bands and results are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..estimate.result import Curve, Result
from ..record import Record
from ..store import Results
from .drawing import COLOURS, INK, MARKERS, Array, legend, line, name_axes, padded, panels
from .wording import find

#: What the last part of a curve's name says it is, beside what its ``style`` says.
_PARTS = ("periodogram", "spectral", "cepstral", "fit")
#: What the spectra of other figures than that of the charge current end in at f = 0, and its symbol.
_QUANTITIES = {"heat": ("thermal_conductivity", "κ"), "viscosity": ("viscosity", "η")}
_DASHES = ("-", (0, (5, 2)), (0, (5, 2, 1, 2)))


@dataclasses.dataclass(frozen=True)
class Series:
    """Curves that belong together (a measured curve and its fit), and how they look."""

    of: str
    curve: Curve
    parts: dict[str, Curve]
    order: tuple[int, int]
    colour: str
    marker: str
    dashes: Any


class Scene:
    """Curves of one figure, put together by what they belong to."""

    def __init__(self, curves: Sequence[Curve], results: Results) -> None:
        self.curves, self.results = curves, results
        self.quantity, self.symbol = _QUANTITIES.get(curves[0].figure, ("conductivity", "σ"))
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

    def _series(self, name: str, parts: dict[str, Curve], index: int) -> Series:
        """The same colour for the same representation or species in every figure, other dashes for other frames."""
        record, dash = self.record, 0
        of = name.partition("/")[2]
        if of in record.representations:
            index = dash = record.representations.index(of)  # dashes too: the currents may be proportional
        for frame_index, frame in enumerate(record.msd.frames):
            species = of.removeprefix(f"{frame}/")
            if of.startswith(f"{frame}/") and species in record.species:
                index, dash = record.species.index(species), frame_index
        return Series(
            of=of,
            curve=parts.get("curve") or next(iter(parts.values())),
            parts=parts,
            order=(dash, index),
            colour=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            dashes=_DASHES[dash % len(_DASHES)],
        )

    def result(self, series: Series, method: str) -> Result | None:
        """The number by ``method`` that belongs to a series, if it is known: a conductivity but in some figures."""
        found = find(self.results.outcome.results, self.quantity, series.of, method)
        return found if found is not None and np.isfinite(found.value) else None

    def estimate(self, series: Series) -> Result | None:
        """The number from the spectrum; older files have the cepstral one only."""
        return self.result(series, "spectral") or self.result(series, "cepstral")


def draw_measured(axes: Axes, series: Series, *, log_x: bool = False, log_y: bool = False) -> None:
    """A curve with its band."""
    x, y, error = finite(series.curve, log_x=log_x, log_y=log_y)
    axes.plot(x, y, color=series.colour, linewidth=1.6, linestyle=series.dashes)
    if error is not None:
        lower = np.maximum(y - error, 1e-3 * y) if log_y else y - error
        axes.fill_between(x, lower, y + error, color=series.colour, alpha=0.22, linewidth=0)


def draw_points(axes: Axes, series: Series, *, log_x: bool = False) -> None:
    """Points with error bars, side by side where two series have the same."""
    x, y, error = finite(series.curve, log_x=log_x)
    extent = extent_of([series.curve], axis="x", log=True)
    if log_x and extent is not None:
        x = x * (extent[1] / extent[0]) ** (0.012 * series.order[0])
    axes.errorbar(x, y, yerr=error, color=series.colour, fmt=series.marker, markersize=4.5, capsize=2.5, linewidth=1.1,
                  markerfacecolor="white", markeredgewidth=1.2)  # fmt: skip


def draw_fits(axes: Axes, scene: Scene) -> bool:
    """Fitted straight lines within their windows; many points, for a line is none on logarithmic axes."""
    fits = [series.parts["fit"] for series in scene.series if "fit" in series.parts]
    for fit in fits:
        begin, end = float(fit.x.min()), float(fit.x.max())
        x = np.linspace(begin, end, 200) if begin <= 0 else np.geomspace(begin, end, 200)
        axes.plot(x, np.interp(x, fit.x, fit.y), color=INK, linewidth=1.3, linestyle=(0, (4, 2)), zorder=4)
    return bool(fits)


def draw_chosen(axes: Axes, scene: Scene) -> list[Series]:
    """Horizontal bands: the conductivity from the spectrum and its error; returns those that have one."""
    shown = []
    for series in scene.series:
        result = scene.estimate(series)
        if result is not None:
            draw_band(axes, result, series.colour)
            shown.append(series)
    return shown


def draw_band(axes: Axes, result: Result, colour: str) -> None:
    axes.axhline(result.value, color=colour, linewidth=0.9, linestyle=(0, (6, 3)), zorder=1)
    if np.isfinite(result.error):
        axes.axhspan(result.value - result.error, result.value + result.error, color=colour, alpha=0.13, linewidth=0)


def draw_mark(axes: Axes, x: float, result: Result, series: Series) -> None:
    """The result itself, as a point with its error bar."""
    axes.errorbar([x], [result.value], yerr=[result.error] if np.isfinite(result.error) else None, fmt="none",
                  ecolor=series.colour, capsize=3.5, elinewidth=1.6, zorder=5, clip_on=False)  # fmt: skip
    axes.add_line(Line2D([x], [result.value], zorder=5, clip_on=False, **mark_style(series)))


def mark_style(series: Series) -> dict[str, Any]:
    """The first filled, the next ones open and larger: equal results must not hide each other."""
    place = series.order[0]
    return {
        "color": series.colour, "marker": series.marker, "linewidth": 0.0, "markersize": 6.5 + 4.0 * place,
        "markerfacecolor": "none" if place else series.colour, "markeredgewidth": 1.4,
    }  # fmt: skip


def draw_vertical(axes: Axes, x: float, colour: str) -> None:
    axes.axvline(x, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)


def finite(curve: Curve, *, log_x: bool = False, log_y: bool = False) -> tuple[Array, Array, Array | None]:
    """x, y and error; what cannot be drawn is NaN."""
    x = np.where(np.isfinite(curve.x) & ((curve.x > 0) | (not log_x)), curve.x, np.nan)
    y = np.where(np.isfinite(curve.y) & ((curve.y > 0) | (not log_y)), curve.y, np.nan)
    error = None
    if curve.error is not None and (known := np.isfinite(curve.error) & (curve.error >= 0)).any():
        error = np.where(known, curve.error, np.nan)
    return x, y, error


def extent_of(curves: Iterable[Curve], *, axis: str = "y", log: bool = False) -> tuple[float, float] | None:
    """Smallest and largest value that can be shown, whatever the width of the bands; None if there is none."""
    values = np.concatenate([np.ravel(getattr(curve, axis)) for curve in curves] or [np.zeros(0)])
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    return (float(values.min()), float(values.max())) if values.size else None


def value_range(curves: Iterable[Curve], *, axis: str = "y", log: bool = False) -> tuple[float, float] | None:
    """Limits of an axis that hold all values, with a margin."""
    extent = extent_of(curves, axis=axis, log=log)
    return None if extent is None else padded(*extent, log=log)


def set_limits(axes: Axes, curves: Sequence[Curve], *, x_log: bool = False, y_log: bool = False) -> None:
    x, y = value_range(curves, axis="x", log=x_log), value_range(curves, log=y_log)
    if x is not None:
        axes.set_xlim(x if x_log else (0.0, x[1]))
    if y is not None:
        axes.set_ylim(y)


def entries_of(drawn: Iterable[Series]) -> list[tuple[object, str]]:
    return [(line(series.colour, linestyle=series.dashes), series.curve.label) for series in drawn]


def dots(scene: Scene) -> list[tuple[object, str]]:
    return [
        (line(one.colour, 0.0, marker=one.marker, markersize=5.5, markerfacecolor="white"), one.curve.label)
        for one in scene.series
    ]


def detail(result: Result, key: str) -> float | None:
    value = result.details.get(key)
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def paint_plainly(scene: Scene) -> Figure:
    """Curves of a kind that this module does not know."""
    figure, (axes,) = panels(height=3.6)
    for series in scene.series:
        if series.curve.style == "points":
            draw_points(axes, series)
        else:
            draw_measured(axes, series)
    draw_fits(axes, scene)
    name_axes(axes, scene.x_label, scene.y_label)
    legend(figure, entries_of(scene.series))
    return figure
