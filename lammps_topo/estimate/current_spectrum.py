"""Spectra of the charge currents of a record: of the whole series where it was kept, else of averaged segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import PeriodogramRecord, Record, SeriesRecord
from ..representation import representation_weights
from .spectrum import Spectrum, cross_periodogram

_COMPONENTS = 3
#: Share of the samples that segments must hold; as long as they do, longer ones are better.
_ENOUGH = 0.75
_MOST_PARTS = 16


def current_weights(record: Record, representation: str) -> NDArray[np.float64]:
    """Row (F,): the total charge current of a representation as combination of the basis fluxes."""
    rows = representation_weights(representation, record.species, record.oxidation, len(record.flux_names))
    return np.asarray(rows.sum(axis=0))


def current_series(series: SeriesRecord, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The flux ``weights``·(basis fluxes), (T_i, 3) for each stretch of the run without gaps."""
    current = np.einsum("f,tfc->tc", weights, series.flux)
    return [part for part in np.split(current, series.stretches[1:]) if len(part)]


def representation_spectrum(record: Record, representation: str, segments: PeriodogramRecord | None = None) -> Spectrum:
    """Spectrum (one flux) of the charge current; from ``segments`` if given, else from the best that the record has.

    Raises EstimateError when there is too little data.
    """
    weights = current_weights(record, representation)
    if segments is None and record.series is not None:
        return _series_spectrum(current_series(record.series, weights), record.interval)
    if segments is None:
        if not record.periodograms:
            raise EstimateError("the run is shorter than the shortest segment, and its flux series is not kept")
        used = max(part.length * part.segments for part in record.periodograms)
        whole = [part for part in record.periodograms if part.length * part.segments >= _ENOUGH * used]
        segments = max(whole, key=lambda part: part.length)
    dof = _COMPONENTS * segments.segments
    density = np.einsum("a,kab,b->k", weights, segments.sums, weights).real
    return Spectrum(
        frequency=np.arange(len(density)) / (segments.length * record.interval),
        matrix=(density * (record.interval / (segments.length * dof))).astype(np.complex128)[:, None, None],
        dof=float(dof),
        interval=record.interval,
        segment=segments.length,
    )


def _series_spectrum(stretches: list[NDArray[np.float64]], interval: float) -> Spectrum:
    """Average over all stretches: the gaps of a run, and the replicas of a merged one.

    One segment if there is one stretch, one a stretch if all are equally long; else segments of :func:`common_segment`.
    """
    length = common_segment(np.array([len(part) for part in stretches], dtype=np.int64))
    spectra = [
        cross_periodogram(part[:, None, :], interval, segment=length) for part in stretches if len(part) >= length
    ]
    dof = sum(spectrum.dof for spectrum in spectra)
    return Spectrum(
        frequency=spectra[0].frequency,
        matrix=np.asarray(sum(spectrum.matrix * (spectrum.dof / dof) for spectrum in spectra)),
        dof=dof,
        interval=interval,
        segment=length,
    )


def common_segment(lengths: NDArray[np.int64]) -> int:
    """The longest even number of samples whose whole segments hold three quarters of all samples.

    Candidates are the lengths of stretches and their parts, where that share has its maxima; the best of them if none
    reaches three quarters. Raises EstimateError if no stretch has two samples.
    """
    values, numbers = np.unique(lengths, return_counts=True)
    candidates = np.unique(values[:, None] // np.arange(1, _MOST_PARTS + 1) // 2 * 2)[::-1]
    best, most = 0, 0
    for length in candidates[candidates >= 2].tolist():
        used = int((values // length * length) @ numbers)
        if used > most:
            best, most = length, used
        if used >= _ENOUGH * lengths.sum():
            break
    if not best:
        raise EstimateError("the flux series has fewer than two samples")
    return best
