"""What a method's estimates of one process amount to, and the table of all of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import yaml
from methods import Estimate

SIGMA95 = 1.959964
COLUMNS = ("process", "samples", "segments", "method", "n", "bias", "scatter", "quoted", "1σ", "2σ", "unresolved", "s")


@dataclass(frozen=True)
class Row:
    """Statistics over the estimates that a method calls resolved; ``everything`` has those over all."""

    process: str
    samples: int
    segments: int
    method: str
    realisations: int
    unresolved: float
    """Share of realisations that the method does not stand by, or gives no number for."""
    seconds: float
    """Median of an estimate, from the series to the number."""
    bias: float
    """Mean of ln S(0) minus the truth."""
    scatter: float
    """Standard deviation of ln S(0)."""
    quoted: float
    """Median of the quoted error of ln S(0)."""
    one: float
    """Share within one quoted error of the truth."""
    two: float
    """Share within two."""
    one_interval: tuple[float, float]
    """Wilson's 95 % interval of ``one``."""
    two_interval: tuple[float, float]
    """Wilson's 95 % interval of ``two``."""
    everything: dict[str, float]
    """bias, scatter, quoted, one and two over all finite estimates, resolved or not."""


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a share: J. Am. Stat. Assoc. 22, 209 (1927)."""
    if not trials:
        return (0.0, 1.0)
    square = SIGMA95**2
    share = hits / trials
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = SIGMA95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return (centre - half, centre + half)


def _moments(estimates: np.ndarray[Any, np.dtype[np.float64]], truth: float) -> dict[str, float]:
    """bias, scatter, quoted, one, two of (ln S, error) [R, 2]."""
    if not len(estimates):
        return dict.fromkeys(("bias", "scatter", "quoted", "one", "two"), math.nan)
    off = np.abs(estimates[:, 0] - truth) / estimates[:, 1]
    return {
        "bias": float(estimates[:, 0].mean() - truth),
        "scatter": float(estimates[:, 0].std(ddof=1)) if len(estimates) > 1 else math.nan,
        "quoted": float(np.median(estimates[:, 1])),
        "one": float((off < 1).mean()),
        "two": float((off < 2).mean()),
    }


def summarise(
    estimates: list[Estimate],
    seconds: list[float],
    truth: float,
    *,
    process: str,
    samples: int,
    segments: int,
    method: str,
) -> Row:
    """The row of one method, process and length; ``truth`` is ln S(0)."""
    numbers = np.array([(found.logarithm, found.error) for found in estimates])
    finite = np.isfinite(numbers).all(axis=1)
    resolved = finite & np.array([found.resolved for found in estimates])
    found = _moments(numbers[resolved], truth)
    count = int(resolved.sum())
    return Row(
        process=process,
        samples=samples,
        segments=segments,
        method=method,
        realisations=len(estimates),
        unresolved=1 - count / len(estimates),
        seconds=float(np.median(seconds)),
        one_interval=wilson(round(found["one"] * count) if count else 0, count),
        two_interval=wilson(round(found["two"] * count) if count else 0, count),
        everything=_moments(numbers[finite], truth),
        **found,
    )


def _cells(row: Row) -> tuple[str, ...]:
    def share(value: float, interval: tuple[float, float]) -> str:
        return f"{value:.2f} ({interval[0]:.2f}-{interval[1]:.2f})" if math.isfinite(value) else "-"

    def number(value: float, form: str) -> str:
        return format(value, form) if math.isfinite(value) else "-"

    return (
        row.process,
        f"{row.samples:.3g}",
        str(row.segments),
        row.method,
        str(row.realisations),
        number(row.bias, "+.3f"),
        number(row.scatter, ".3f"),
        number(row.quoted, ".3f"),
        share(row.one, row.one_interval),
        share(row.two, row.two_interval),
        f"{row.unresolved:.2f}",
        f"{row.seconds:.2g}",
    )


def markdown(rows: list[Row]) -> str:
    """The table as Markdown that is also readable as it stands."""
    cells = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def as_yaml(rows: list[Row], settings: dict[str, Any]) -> str:
    """Settings and unrounded rows."""
    plain = [
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(row).items()} for row in rows
    ]
    return str(yaml.safe_dump({"settings": settings, "rows": plain}, sort_keys=False, allow_unicode=True))
