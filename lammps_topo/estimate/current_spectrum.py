"""Spectra of the charge currents of a record: of the whole series where it was kept, else of averaged segments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import PeriodogramRecord, Record, SeriesRecord
from ..representation import species_weights
from .spectrum import Spectrum, cross_periodogram

_COMPONENTS = 3
#: Share of the samples that segments must hold; as long as they do, longer ones are better.
_ENOUGH = 0.75
_MOST_PARTS = 16
#: Degrees of freedom for each flux that is eliminated: its loss of statistics is a tenth, of the error a twentieth.
_DOF = 10
_SHORTEST = 1024


def representation_weights(record: Record, representation: str) -> NDArray[np.float64]:
    """Rows (S, F): the charge current of each species in a representation as combination of the basis fluxes."""
    return species_weights(representation, record.species, record.charges_of(representation), record.flux_names)


def current_weights(record: Record, representation: str) -> NDArray[np.float64]:
    """Row (F,): the total charge current of a representation as combination of the basis fluxes."""
    return np.asarray(representation_weights(record, representation).sum(axis=0))


def current_is_zero(record: Record, representation: str) -> bool:
    """Whether the charge current is zero at all samples, as of neutral molecules that move as a whole."""
    weights = current_weights(record, representation)
    if record.series is not None:
        return not any(part.any() for part in current_series(record.series, weights))
    return bool(record.periodograms) and not any((weights @ one.sums @ weights).any() for one in record.periodograms)


def current_series(series: SeriesRecord, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The flux ``weights``·(basis fluxes), (T_i, 3) for each stretch of the run without gaps.

    With rows of weights (R, F), as many fluxes: (T_i, R, 3).
    """
    current = np.einsum("...f,tfc->t...c", weights, series.flux)
    return [part for part in np.split(current, series.stretches[1:]) if len(part)]


def representation_spectrum(record: Record, representation: str, segments: PeriodogramRecord | None = None) -> Spectrum:
    """Spectrum (one flux) of the charge current; from ``segments`` if given, else from the best that the record has.

    Raises EstimateError when there is too little data.
    """
    return flux_spectrum(record, current_weights(record, representation)[None], segments)


def flux_spectrum(record: Record, weights: NDArray[np.float64], segments: PeriodogramRecord | None = None) -> Spectrum:
    """Spectrum of the R fluxes ``weights``·(basis fluxes), (R, F); ``segments`` as above.

    A flux that is eliminated costs a degree of freedom: with several fluxes there are ``_DOF`` for each but the first
    at least, from as many segments, as long as these have ``_SHORTEST`` samples. Raises EstimateError when there is too
    little data.
    """
    wanted = _DOF * (len(weights) - 1)
    if segments is None and record.series is not None:
        return series_spectrum(current_series(record.series, weights), record.interval, wanted)
    if segments is None:
        if not record.periodograms:
            raise EstimateError("the run is shorter than the shortest segment, and its flux series is not kept")
        used = max(part.length * part.segments for part in record.periodograms)
        whole = [part for part in record.periodograms if part.length * part.segments >= _ENOUGH * used]
        many = [part for part in whole if _COMPONENTS * part.segments >= wanted]
        segments = max(many or [min(whole, key=lambda part: part.length)], key=lambda part: part.length)
    dof = _COMPONENTS * segments.segments
    return Spectrum(
        frequency=np.arange(len(segments.sums)) / (segments.length * record.interval),
        matrix=(weights @ segments.sums @ weights.T) * (record.interval / (segments.length * dof)),
        dof=float(dof),
        interval=record.interval,
        segment=segments.length,
    )


def flux_covariance(record: Record, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance at equal times of the R fluxes ``weights``·(basis fluxes), (R, R), in any unit: no transform needed.

    Raises EstimateError when there is too little data.
    """
    if record.series is None:
        if not record.periodograms:
            raise EstimateError("the run is shorter than the shortest segment, and its flux series is not kept")
        return np.asarray(weights @ record.periodograms[0].sums[1:].real.sum(axis=0) @ weights.T)
    # combined first: what cancels does so sample by sample
    fluxes = np.concatenate(current_series(record.series, weights) or [np.zeros((1, len(weights), 3))])
    away = fluxes - fluxes.mean(axis=0)
    return np.asarray(np.tensordot(away, away, axes=([0, 2], [0, 2])))


def series_spectrum(stretches: list[NDArray[np.float64]], interval: float, wanted: int = 0) -> Spectrum:
    """Average over all stretches (T_i, M, C), M fluxes: the gaps of a run, and the replicas of a merged one.

    One segment if there is one stretch, one a stretch if all are equally long; else segments of :func:`common_segment`;
    each in parts, if need be, for the ``wanted`` degrees of freedom.
    """
    length = common_segment(np.array([len(part) for part in stretches], dtype=np.int64))
    segments = sum(len(part) // length for part in stretches)
    parts = math.ceil(wanted / (segments * stretches[0].shape[2]))
    if parts > 1:
        length = max(length // parts, min(_SHORTEST, length)) // 2 * 2
    return averaged_spectrum(stretches, interval, length)


def averaged_spectrum(stretches: Sequence[NDArray[np.float64]], interval: float, length: int) -> Spectrum:
    """Cross-periodogram matrix averaged over all segments of ``length`` samples in the stretches (T_i, M, C)."""
    spectra = [cross_periodogram(part, interval, segment=length) for part in stretches if len(part) >= length]
    dof = sum(spectrum.dof for spectrum in spectra)
    matrix = spectra[0].matrix
    if len(spectra) > 1:
        matrix = np.asarray(sum(spectrum.matrix * (spectrum.dof / dof) for spectrum in spectra))
    return replace(spectra[0], matrix=matrix, dof=dof)


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
