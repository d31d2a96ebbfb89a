"""The matrix S(0) of combinations of the basis fluxes of a record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..record import Record
from .current_spectrum import current_weights, flux_covariance, flux_spectrum
from .onsager import Onsager, dependence, onsager

_EQUAL = 1e-6
"""Relative difference of two currents that is rounding."""


def flux_matrix(record: Record, weights: NDArray[np.float64], *, alike: bool = False) -> Onsager:
    """Of the R fluxes ``weights``·(basis fluxes), (R, F), in this order; see :func:`onsager`, :func:`dependence`.

    Those that follow from the ones before do not count when the spectrum is cut into segments: a single independent
    flux has the S(0) of its best spectrum. Raises EstimateError as ``onsager`` and ``flux_spectrum`` do.
    """
    expression, kept = dependence(flux_covariance(record, weights), alike=alike)
    return replace(onsager(flux_spectrum(record, weights[kept] if kept else weights)), expression=expression)


def distinct_representations(record: Record) -> list[str]:
    """Representations with a current of their own; fixed charges may have that of the oxidation numbers, or none.

    Raises EstimateError where there is no spectrum.
    """
    if not record.representations:
        return []
    currents = np.stack([current_weights(record, name) for name in record.representations])
    expression, _ = dependence(flux_covariance(record, currents))
    found: list[int] = []
    for place, row in enumerate(expression):
        if row.any() and not any(np.allclose(row, expression[other], rtol=0.0, atol=_EQUAL) for other in found):
            found.append(place)
    return [record.representations[place] for place in found]
