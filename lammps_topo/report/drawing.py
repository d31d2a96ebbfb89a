"""Matplotlib drawings as SVG text to be set into a page: text stays text, the same input gives the same bytes."""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from .wording import clean, power_of_ten

Array = NDArray[np.float64]

#: Colours that stay apart for colour-blind readers (Okabe, Ito), those dark enough for lines on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
INK = "#222222"
FAINT = "#8a8a8a"
#: Inches; the page shows a figure 700 pixels wide, a tenth of which is then an inch.
WIDTH = 7.0

_SETTINGS: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "path.simplify_threshold": 0.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "lammps_topo",
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_LABEL_LENGTH = 40


@contextmanager
def settings() -> Iterator[None]:
    """Within it everything is drawn in the one style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def panels(rows: int = 1, columns: int = 1, *, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def name_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(clean(x_label), parse_math=False)
    axes.set_ylabel(clean(y_label), parse_math=False)


def short_text(axes: Axes, text: str) -> None:
    """A name above a panel, taken literally."""
    axes.set_title(shortened(text), loc="left", fontsize=9.5, pad=4.0, parse_math=False)


def relabelled(label: str, change: Callable[[str], str], unit: Callable[[str], str] = str) -> str:
    """``Γ (N/m)`` with another name or unit; a label without a unit has its name changed."""
    name, separator, rest = label.rpartition(" (")
    if not separator or not rest.endswith(")"):
        return change(label)
    return f"{change(name)} ({unit(rest[:-1])})"


def powers_in_label(axes: Axes, label: str) -> str:
    """``label`` for the y axis with the power of ten that is taken out of its ticks: ``γ (10⁻¹² kg/s)``."""
    largest = max(abs(limit) for limit in axes.get_ylim())
    power = math.floor(math.log10(largest)) if 0 < largest < math.inf else 0
    scaled = relabelled(label, str, lambda unit: f"{power_of_ten(power)} {unit}")
    if -3 <= power < 4 or scaled == label:
        return label
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**power:g}".replace("-", "−")))
    return scaled


def legend(figure: Figure, entries: Sequence[tuple[Any, str]], *, columns: int = 4) -> None:
    """A legend above the axes, where it hides nothing, filled column by column; labels are taken literally."""
    if not entries:
        return
    columns = min(columns, len(entries))
    rows = -(-len(entries) // columns)
    blank = (Line2D([], [], linewidth=0.0), "")
    entries = [*entries, *([blank] * (rows * columns - len(entries)))]  # else matplotlib spreads them differently
    height = (0.19 * rows + 0.08) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0.0, 0.0, 1.0, 1.0 - height))
    drawn = figure.legend(
        [handle for handle, _ in entries], [str(index) for index in range(len(entries))],
        loc="upper left", bbox_to_anchor=(0.0, 1.0), ncol=columns,
        borderaxespad=0.2, borderpad=0.2, columnspacing=1.8, handlelength=2.2,
    )  # fmt: skip
    drawn.set_in_layout(False)
    for text, (_, label) in zip(drawn.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(shortened(label))


def shortened(label: str) -> str:
    label = clean(label)
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"


def line(colour: str, width: float = 1.8, **style: Any) -> Line2D:
    """A handle for the legend."""
    return Line2D([], [], color=colour, linewidth=width, **style)


def logarithmic(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Logarithmic axes with ticks 0.1, 1, 10, 10⁴, …; call it when everything is drawn."""
    for chosen, axis, limits, scale in (
        (x, axes.xaxis, axes.get_xlim, axes.set_xscale),
        (y, axes.yaxis, axes.get_ylim, axes.set_yscale),
    ):
        if not chosen:
            continue
        scale("log")
        low, high = limits()
        if 0 < low < high < math.inf:
            major, minor = _ticks(low, high)
            axis.set_major_locator(FixedLocator(major))
            axis.set_minor_locator(FixedLocator(minor) if minor else NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: _tick_text(value)))
            axis.set_minor_formatter(NullFormatter())


def _ticks(low: float, high: float) -> tuple[list[float], list[float]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = last - first
    width = math.log10(high / low)
    steps = range(1, 10) if width < 1 else (1, 2, 5) if width < 2 else (1,)
    stride = max(1, -(-decades // 8))
    major = [step * 10.0**power for power in range(first, last + 1, stride) for step in steps]
    minor = [step * 10.0**power for power in range(first, last + 1) for step in range(2, 10)] if stride == 1 else []
    if sum(low <= tick <= high for tick in major) < 2:
        major = [float(tick) for tick in np.linspace(low, high, 4)]
        minor = []
    return major, [tick for tick in minor if tick not in major]


def _tick_text(value: float) -> str:
    power = math.log10(value)
    if not -3 <= power < 4 and math.isclose(power, round(power), abs_tol=1e-9):
        return power_of_ten(round(power))
    return f"{value:g}"


def padded(low: float, high: float, *, log: bool = False, by: float = 0.06) -> tuple[float, float]:
    """Limits of an axis with a margin."""
    if log:
        margin = (high / low) ** by if high > low else 2.0
        return low / margin, high * margin
    width = (high - low) * by if high > low else max(abs(high), 1.0) * 0.1
    return low - width, high + width


def svg(figure: Figure, name: str, title: str) -> str:
    """The figure as an ``svg`` element for HTML; identifiers in it begin with ``name``: a page may hold several."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    used = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == _LINK and value.startswith("#"):
                used.add(value[1:])
            elif value.startswith("url(#"):
                used.add(value[5:-1])
    _tidy(root, name, used)
    root.attrib = {
        "xmlns": _SVG,
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": clean(title),
        "style": "stroke-linejoin: round; stroke-linecap: butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Plain names without namespaces; only identifiers that something refers to, made unique."""
    element.tag = element.tag.rpartition("}")[2]
    attributes = {}
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                attributes["id"] = f"{name}-{value}"
        elif key == _LINK:
            attributes["href"] = f"#{name}-{value[1:]}"
        else:
            attributes[key] = value.replace("url(#", f"url(#{name}-") if value.startswith("url(#") else value
    element.attrib = attributes
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _tidy(child, name, used)
