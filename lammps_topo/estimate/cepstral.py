"""Cepstral analysis: the zero-frequency value of a spectral density from the logarithm of its periodogram.

Method and equations: physics.md section 3, [PGB] appendix B. The logarithm of the periodogram of flux 0, the
other fluxes eliminated, is that of the spectral density plus noise of known mean and variance; the Fourier
coefficients C_n of the logarithm beyond the first few are noise and are left out (Akaike's criterion).

The quoted error is the theoretical one at the order in use. It does not know that this order was chosen from
the same data, nor of what the coefficients left out would have changed. At a given, sufficient order it
covers the truth as it should; with Akaike's choice it does so in 55-65 % (one error) and 90-95 % (two) of
cases on spectra with one feature, and in far fewer where a dip or a peak at zero frequency is narrow
compared with f*. The average over all orders with Akaike's weights has the difference between them in its error,
and costs no more. ``zero_frequency`` has neither f* nor P*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from ..errors import EstimateError
from .spectrum import Spectrum, schur_dof, schur_spectrum, truncate

__all__ = ["CepstralEstimate", "automatic_cutoff", "cepstral"]

FEWEST = 5
"""Ordinates below which no cepstral analysis is attempted."""
PREFERRED = 64
"""Ordinates that the automatic f* keeps at least, where the spectrum has them."""
WHOLE = 0.95
"""An automatic f* above this fraction of the band takes all of it."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CepstralEstimate:
    """Zero-frequency spectral density of flux 0, the others eliminated, and all that led to it."""

    zero_frequency: float
    """S(0), flux² time; a conductivity is S(0)/(2 V kB T)."""
    error: float
    """Standard error of S(0), S(0) times the square root of ``log_variance``."""
    log_variance: float
    """Variance of ln S(0), psi'(nu-M+1) (4 P* - 2)/N, N twice the number of frequency steps in use.
    For an average: its mean over the orders, and the variance between them."""
    order: int
    """P*, the number of cepstral coefficients C_0 … C_(P*-1) in use."""
    order_choice: str
    """``"aic"`` (minimum of ``aic``), ``"average"`` (over all orders; P* is their mean), or ``"given"``."""
    cutoff: float
    """f*, the highest frequency in use, 1/time."""
    cutoff_origin: str
    """``"given"``, ``"automatic"``, or ``"nyquist"`` where the whole band of the sampling is in use."""
    frequencies: Array
    """Frequencies in use, 0 … f*, [K], 1/time."""
    log_spectrum: Array
    """ln of the periodogram of flux 0 with the others eliminated, its bias removed, [K]."""
    smooth: Array
    """Spectral density rebuilt from the P* coefficients, [K], flux² time."""
    coefficients: Array
    """C_n, n = 0 … K-1, [K]."""
    aic: Array
    """Akaike's criterion at orders 1, 2, …, [orders that were allowed]; its minimum is P*."""


def cepstral(
    spectrum: Spectrum,
    *,
    cutoff: float | None = None,
    order: int | None = None,
    maximum_order: int | None = None,
    average: bool = False,
) -> CepstralEstimate:
    """Cepstral estimate of S(0) of flux 0 of ``spectrum``, all other fluxes eliminated.

    ``cutoff`` is f* in 1/time (``automatic_cutoff`` without it; ``math.inf`` for the whole band), ``order``
    is P* (Akaike's choice without it, at most ``maximum_order``). With ``average`` ln S is the mean over all orders,
    with the weights exp(-aic(P)/2). Equations: physics.md section 3 and

        aic(P) = sum_(n>=P) C_n²/var C_n + 2 P,    var C_n = psi'(nu-M+1)/N, twice that for n = 0, N/2

    Ordinates with half the degrees of freedom (f = 0; the Nyquist frequency, where it is in use) are
    corrected for their own bias, psi((nu-M+1)/2) - ln(nu/2). Their larger variance changes var C_n by a
    fraction of order 1/N and is left out, as in [PGB]. Raises EstimateError for fewer than five ordinates,
    an order out of range, or a bad spectrum.
    """
    limit = automatic_cutoff(spectrum) if cutoff is None else cutoff
    if not limit > 0:
        raise EstimateError(f"the cut-off frequency must be positive, not {limit}")
    used = truncate(spectrum, limit)
    ordinates = used.frequency.size
    if ordinates < FEWEST:
        raise EstimateError(
            f"only {ordinates} ordinates lie below the cut-off frequency {limit:g}; {FEWEST} are needed"
        )
    dof = schur_dof(used)
    shape = np.where(used.halved, dof / 2, dof)
    expected = np.where(used.halved, used.dof / 2, used.dof)
    logarithm = np.log(schur_spectrum(used)) - (digamma(shape) - np.log(expected))
    steps = 2 * (ordinates - 1)
    coefficients = np.asarray(scipy.fft.dct(logarithm, type=1), dtype=np.float64) / steps
    variance = float(polygamma(1, dof))
    aic = _akaike(coefficients, variance / steps)[: _highest_order(ordinates, order, maximum_order)]
    weight = np.zeros(ordinates)  # of the orders
    if order is not None:
        weight[order - 1] = 1.0
    elif average:
        weight[: aic.size] = np.exp(-0.5 * (aic - aic.min()))
        weight /= weight.sum()
    else:
        weight[aic.argmin()] = 1.0
    kept = coefficients * np.cumsum(weight[::-1])[::-1]
    smooth = np.exp(np.asarray(scipy.fft.dct(kept, type=1), dtype=np.float64))
    each = variance * (4 * np.arange(1, ordinates + 1) - 2) / steps
    # at the full order nothing is left out: ln S(0) is the ordinate at f = 0 itself
    each[-1] = float(polygamma(1, dof / 2))
    terms = 2 * coefficients
    terms[0] /= 2
    away = np.cumsum(terms) - np.log(smooth[0])
    spread = float(weight @ (each + (away**2 if average and order is None else 0.0)))
    whole = 2 * (ordinates - 1) == used.segment
    return CepstralEstimate(
        zero_frequency=float(smooth[0]),
        error=float(smooth[0]) * math.sqrt(spread),
        log_variance=spread,
        order=round(float(weight @ np.arange(1, ordinates + 1))),
        order_choice="given" if order is not None else "average" if average else "aic",
        cutoff=float(used.frequency[-1]),
        cutoff_origin="nyquist" if whole else "automatic" if cutoff is None else "given",
        frequencies=used.frequency,
        log_spectrum=np.asarray(logarithm, dtype=np.float64),
        smooth=smooth,
        coefficients=coefficients,
        aic=aic,
    )


def _akaike(coefficients: Array, variance: float) -> Array:
    """Akaike's criterion at orders 1 … K from all K coefficients, one cumulative sum, [K]."""
    terms = coefficients**2 / variance
    terms[[0, -1]] /= 2
    left_out = np.append(np.cumsum(terms[::-1])[::-1][1:], 0.0)
    return np.asarray(left_out + 2 * np.arange(1, terms.size + 1), dtype=np.float64)


def _highest_order(ordinates: int, order: int | None, maximum_order: int | None) -> int:
    """Highest order Akaike's criterion may take; checks what the caller asked for."""
    highest = ordinates if maximum_order is None else min(maximum_order, ordinates)
    if highest < 1:
        raise EstimateError(f"maximum_order must be at least 1, not {maximum_order}")
    if order is not None and not 1 <= order <= ordinates:
        raise EstimateError(f"order must lie between 1 and {ordinates}, the ordinates in use, not {order}")
    return highest


def automatic_cutoff(spectrum: Spectrum) -> float:
    """The f* that ``cepstral`` takes by itself, 1/time: twice the frequency below which half the power lies.

    The power is that of flux 0 with the others eliminated. White noise keeps its whole band, an AR(1) of time
    tau gets 1/(pi tau), a resonance twice its frequency, so that its flanks are inside. At least 64 ordinates
    are kept where the spectrum has them; above 95 % of the band all of it is taken. The median needs no
    smoothing: it is a sum over many ordinates. Raises EstimateError for a bad spectrum.
    """
    density = schur_spectrum(spectrum)
    if density.size < FEWEST:
        raise EstimateError(f"the spectrum has only {density.size} ordinates; at least {FEWEST} are needed")
    power = np.cumsum(density) - 0.5 * density[0]
    half = int(np.searchsorted(power, 0.5 * power[-1]))
    last = max(2 * half, PREFERRED - 1)
    top = density.size - 1
    return float(spectrum.frequency[last if last < WHOLE * top else top])
