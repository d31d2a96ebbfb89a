"""From stretches of several fluxes to S(0): the averaged spectrum, the estimator, and what of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, EstimateError
from .cepstral import cepstral
from .current_spectrum import averaged_spectrum, common_segment
from .result import thinned
from .spectrum import Spectrum, schur_dof, schur_spectrum, truncate
from .zero_frequency import zero_frequency

METHODS = ("spectral", "cepstral-average", "cepstral-aic")

Array = NDArray[np.float64]

_GROWTH = 1.02
"""Width of the bins in which a periodogram is shown."""


@dataclass(frozen=True)
class Estimated:
    """S(0) of flux 0, the others eliminated, by any of the methods; flux² time."""

    method: str
    value: float
    error: float
    log_error: float
    resolved: bool
    reasons: tuple[str, ...]
    frequencies: Array
    smooth: Array
    band: tuple[Array, Array] | None = None
    details: dict[str, Any] = field(default_factory=dict)


def estimated(
    spectrum: Spectrum, method: str | None = None, *, cutoff: float | None = None, order: int | None = None
) -> Estimated:
    """S(0) by ``method``, ``spectral`` by default.

    ``cutoff`` is the highest frequency in use (f*, 1/time), ``order`` P* of ``cepstral-aic``, for which they stand
    if no method is given.

    Raises ConfigError for options that do not fit, EstimateError as the estimators do.
    """
    if method is None:
        method = "spectral" if cutoff is None and order is None else "cepstral-aic"
    if method not in METHODS:
        raise ConfigError(f"--method {method} is not known (allowed: {', '.join(METHODS)})")
    if order is not None and method != "cepstral-aic":
        raise ConfigError(f"--order is for --method cepstral-aic; {method} has no order to choose")
    if method != "spectral":
        found = cepstral(spectrum, cutoff=cutoff, order=order, average=method == "cepstral-average")
        return Estimated(
            method, found.zero_frequency, found.error, found.log_variance**0.5, True, (), found.frequencies,
            found.smooth,
            details={
                "order": found.order, "order_origin": found.order_choice,
                "cutoff": found.cutoff, "cutoff_origin": found.cutoff_origin, "ordinates": len(found.frequencies),
            },
        )  # fmt: skip
    best = zero_frequency(spectrum, cutoff=cutoff)
    return Estimated(
        method, best.value, best.error, best.log_error, best.resolved, best.reasons, best.frequencies, best.smooth,
        (best.lower, best.upper),
        details={
            "knee": best.knee, "cutoff": max(best.cutoffs), "cutoff_origin": best.cutoff_origin,
            "bins": len(best.frequencies) - 1,
        },
    )  # fmt: skip


def mean_spectrum(
    stretches: Sequence[Array], interval: float, segments: int = 1, *, mean_removed: bool = False
) -> Spectrum:
    """Cross-periodogram matrix averaged over stretches (T_i, M, C) and the segments in them.

    Each stretch is one segment if all are equally long, else segments hold three quarters of all samples at least;
    ``segments`` cuts each of these into so many parts. Where the mean was removed, nothing is known at f = 0, and the
    ordinate beside it stands in its place. Raises EstimateError for stretches that are too short.
    """
    length = common_segment(np.array([len(part) for part in stretches], dtype=np.int64)) // segments // 2 * 2
    if length < 2:
        raise EstimateError(f"--segments {segments}: a segment would have fewer than two samples")
    with np.errstate(over="ignore", invalid="ignore"):
        spectrum = averaged_spectrum(stretches, interval, length)
    if not np.isfinite(spectrum.matrix).all():
        raise EstimateError("the series holds numbers that are too large to be squared")
    if mean_removed:
        spectrum.matrix[0] = spectrum.matrix[1].real
    return spectrum


def shown_periodogram(spectrum: Spectrum, limit: float | None = None) -> tuple[Array, Array]:
    """Frequencies and unbiased periodogram of flux 0, others eliminated; means over bins that widen with frequency."""
    used = spectrum if limit is None else truncate(spectrum, limit)
    density = schur_spectrum(used) * (used.dof / schur_dof(used))
    index, edges = 1, [0, 1]
    while index < len(density):
        index = min(max(index + 1, int(index * _GROWTH)), len(density))
        edges.append(index)
    starts = np.array(edges[:-1])
    counts = np.diff(edges)
    return (
        np.asarray(np.add.reduceat(used.frequency, starts) / counts),
        np.asarray(np.add.reduceat(density, starts) / counts),
    )


def shown_smooth(found: Estimated) -> tuple[Array, Array, Array | None, Array | None]:
    """Frequencies, estimate and its band, at no more points than a figure shows."""
    shown = thinned(len(found.frequencies))
    lower, upper = (None, None) if found.band is None else (curve[shown] for curve in found.band)
    return found.frequencies[shown], found.smooth[shown], lower, upper
