"""The spectrum of a time series and its transport coefficient: one HTML page, or a picture."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import __version__
from ..errors import FileError
from ..estimate.result import Curve, Outcome, Result
from ..store import replace_file
from .drawing import COLOURS, FAINT, legend, line, logarithmic, name_axes, padded, panels, settings, svg
from .series_text import essentials
from .wording import STATE, all_details, clean, method_text, quantity_text, quantity_with_unit

PAGES = (".html", ".htm")
PICTURES = (".png", ".svg", ".pdf")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; padding: 2rem 1.2rem; max-width: 50rem; background: #fff; color: #222;
  font: 1rem/1.55 system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif; overflow-wrap: anywhere; }}
table {{ width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .4rem .9rem .4rem 0; border-bottom: 1px solid #d8d8d8; text-align: left; vertical-align: top; }}
th {{ font-weight: 500; }}
.how, footer {{ color: #666; font-size: .85rem; }}
.note {{ padding: .6rem 1rem; border-left: 4px solid #d55e00; background: #fdf3ec; }}
svg {{ width: 100%; height: auto; margin-top: 1rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
{rows}
</table>
{notes}
<figure style="margin: 0">{figure}</figure>
<p class="how">Periodogram (means over bins of frequency) and estimate of the spectrum; the band and ± are one standard
error. Above the low frequencies, with the result at f = 0; below everything.</p>
<p class="how">{details}</p>
<footer>Written by lammps_topo {version}.</footer>
</body>
</html>
"""


def write_series_report(path: Path, outcome: Outcome, name: str) -> None:
    """Write the page, or the picture alone if ``path`` ends in .png, .svg or .pdf. Raises FileError."""
    if path.suffix.lower() not in (*PAGES, *PICTURES):
        raise FileError(f"the report '{path}' must end in one of {', '.join((*PAGES, *PICTURES))}")
    try:
        if path.suffix.lower() in PICTURES:
            with settings():
                _figure(outcome).savefig(path, dpi=160)
        else:
            replace_file(path, _page(outcome, name).encode())
    except OSError as error:
        raise FileError(f"'{path}' cannot be written: {error.strerror or error}") from None


def _page(outcome: Outcome, name: str) -> str:
    with settings():
        figure = svg(_figure(outcome), "spectrum", f"Spectrum of {name}")
    result = _coefficient(outcome)
    return _PAGE.format(
        title=escape(clean(name)),
        rows="\n".join(_row(result) for result in outcome.results),
        notes="\n".join(f'<p class="note">{escape(clean(note))}</p>' for note in outcome.notes),
        figure=Markup(figure),
        details=escape(clean("; ".join(all_details(result)))),
        version=__version__,
    )


def _row(result: Result) -> str:
    of = "" if result.quantity in STATE else f" of {result.of}"
    how = ", ".join(part for part in (method_text(result.method), essentials(result)) if part)
    cells = [escape(clean(cell)) for cell in (quantity_text(result.quantity) + of, quantity_with_unit(result), how)]
    return f'<tr><th scope="row">{cells[0]}</th><td>{cells[1]}</td><td class="how">{cells[2]}</td></tr>'


def _coefficient(outcome: Outcome) -> Result:
    return next(result for result in outcome.results if result.quantity not in STATE)


def _figure(outcome: Outcome) -> Figure:
    """Above the low frequencies, linear, with the result at f = 0; below everything, logarithmic."""
    parts = {curve.name.rpartition("/")[2]: curve for curve in outcome.curves}
    periodogram, smooth = parts["periodogram"], parts["smooth"]
    result = _coefficient(outcome)
    figure, (low, whole) = panels(2, height=6.2)
    for axes, log in ((low, False), (whole, True)):
        _draw(axes, periodogram, log, color=FAINT, linewidth=0.7)
        _draw(axes, smooth, log, color=COLOURS[0], linewidth=2.0)
        if "lower" in parts:
            kept = (smooth.x > 0) | (not log)
            axes.fill_between(smooth.x[kept], parts["lower"].y[kept], parts["upper"].y[kept],
                              color=COLOURS[0], alpha=0.22, linewidth=0)  # fmt: skip
    error = [result.error] if np.isfinite(result.error) else None
    low.errorbar([0.0], [result.value], yerr=error, fmt="o", color=COLOURS[1], capsize=3.5, zorder=5, clip_on=False)
    end = _low_frequencies(smooth)
    shown = smooth.y[smooth.x <= end]
    low.set_xlim(-0.02 * end, end)
    low.set_ylim(0.0, 1.8 * max(float(shown.max()), result.value))
    positive = np.concatenate([curve.y[(curve.x > 0) & (curve.y > 0)] for curve in (periodogram, smooth)])
    frequencies = periodogram.x[periodogram.x > 0]
    whole.set_xlim(padded(float(frequencies[0]), float(frequencies[-1]), log=True))
    whole.set_ylim(padded(float(positive.min()), float(positive.max()), log=True))
    logarithmic(whole, x=True, y=True)
    for axes in (low, whole):
        name_axes(axes, smooth.x_label, smooth.y_label)
    entries = [
        (line(FAINT, 0.9), periodogram.label),
        (line(COLOURS[0]), smooth.label),
        (line(COLOURS[1], 0.0, marker="o"), quantity_with_unit(result)),
    ]
    legend(figure, entries, columns=3)
    return figure


def _draw(axes: Axes, curve: Curve, log: bool, **style: Any) -> None:
    kept = (curve.x > 0) & (curve.y > 0) if log else np.isfinite(curve.y)
    axes.plot(curve.x[kept], curve.y[kept], **style)


def _low_frequencies(smooth: Curve) -> float:
    """Twice the frequency below which half the power of the estimate lies."""
    power = np.cumsum(smooth.y[:-1] * np.diff(smooth.x))
    half = int(np.searchsorted(power, 0.5 * power[-1]))
    return float(min(2 * smooth.x[half + 1], smooth.x[-1]))
