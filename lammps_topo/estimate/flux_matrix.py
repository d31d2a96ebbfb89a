"""The matrix S(0) of combinations of the basis fluxes of a record, and which of them are independent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..record import Record
from .current_spectrum import current_weights, flux_covariance, flux_spectrum
from .onsager import Onsager, dependence, onsager
from .spectrum import DEPENDENT

Array = NDArray[np.float64]

_EQUAL = 1e-6
"""Relative difference of two currents that is rounding."""


def flux_matrix(record: Record, weights: Array, *, ordered: int | None = None) -> Onsager:
    """Of the R fluxes ``weights``·(basis fluxes), (R, F), in this order; see :func:`onsager`, :func:`dependence`.

    With ``ordered``, all are in one unit, and behind so many of them come the most independent ones first: see
    :func:`independent`. Those that follow from the ones before do not count when the spectrum is cut into segments: a
    single independent flux has the S(0) of its best spectrum. Raises EstimateError as ``onsager`` and ``flux_spectrum``
    do.
    """
    covariance = flux_covariance(record, weights)
    if ordered is None:
        expression, kept = dependence(covariance)
    else:
        expression, kept = independent(covariance, first=ordered)
    return replace(onsager(flux_spectrum(record, weights[kept] if kept else weights)), expression=expression)


def independent(covariance: Array, *, first: int = 0) -> tuple[Array, list[int]]:
    """As ``dependence`` of fluxes in one unit, but the ``first`` ones, the most independent fluxes first.

    The others may follow from them with large factors, as the motion of something light follows from that of all ions,
    of which little is left beside that of the other ions: less than rounding lets see.
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    unit = np.where(deviation > 0, deviation, 1.0)
    left, order = covariance / np.outer(unit, unit), list[int]()
    while len(order) < len(left):
        share = np.diag(left).copy()
        share[order] = -1.0
        best = len(order) if len(order) < first else int(share.argmax())
        order.append(best)
        if share[best] > DEPENDENT:
            left = left - np.outer(left[:, best], left[best]) / share[best]
    expression, kept = dependence(covariance[np.ix_(order, order)], alike=True)
    back = np.empty_like(expression)
    back[order] = expression
    return back, [order[place] for place in kept]


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
