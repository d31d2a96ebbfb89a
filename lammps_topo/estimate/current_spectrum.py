"""Spectra of the charge currents of a record: of the whole series where it was kept, else of averaged segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import PeriodogramRecord, Record, SeriesRecord
from ..representation import representation_weights
from .spectrum import Spectrum, cross_periodogram

_COMPONENTS = 3


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
        segments = max(record.periodograms, key=lambda part: part.length)
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
    """One segment if the run has no gap; else segments so short that three quarters of the samples are used."""
    lengths = np.array([len(part) for part in stretches], dtype=np.int64)
    length = int(lengths.max(initial=0)) // 2 * 2
    if length < 2:
        raise EstimateError("the flux series has fewer than two samples")
    while (lengths // length * length).sum() < 0.75 * lengths.sum() and length >= 4:
        length = length // 4 * 2
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
