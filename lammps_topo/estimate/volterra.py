"""The Volterra equation between a velocity correlation function and its memory kernel, solved both ways.

One Cartesian component, C(t) = <v(t) v(0)>/<v²>, K = Gamma/m, physics.md section 5:

    C'(t) = -int_0^t K(t-s) C(s) ds,    G(t) = int_0^t K,    1 - C(t) = int_0^t G(s) C(t-s) ds

The last equation is solved for the integrated kernel G, whose limit is friction over mass: it needs no
forces, and differences of G give K.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from ..errors import EstimateError
from .tagged import FEWEST_LAGS

__all__ = ["force_from_kernel", "integrated_kernel", "kernel_from_integral"]

Array = NDArray[np.float64]


def integrated_kernel(correlation: ArrayLike, interval: float, response: ArrayLike | None = None) -> Array:
    """G = int_0^t K at interval/2, 3 interval/2, …, [..., L-1], 1/time, from C at lags 0, interval, …, [..., L].

    ``correlation`` is divided by its value at lag 0. ``response`` [..., L] replaces the left-hand side 1 - C:
    for a part p of the force -int_0^t <v(0) F_p(t')> dt'/(m <v²>) gives the part's kernel G_p, and the G_p
    of all parts add up to G. Product rule with G at half steps (midpoint), C between the lags by a cubic
    spline that is flat at lag 0; the leading error of the midpoint rule, h²/24 (K(t) - K(0) C(t)), is then
    put on the left-hand side and the equation solved again, twice: fourth order in the interval. The triangular
    Toeplitz system is solved by the reciprocal of a power series.
    """
    values = np.asarray(correlation, dtype=np.float64)
    if values.ndim < 1 or values.shape[-1] < FEWEST_LAGS or not interval > 0:
        raise EstimateError(f"a memory kernel needs {FEWEST_LAGS} lags or more, and a positive interval between them")
    normal = values / values[..., :1]
    left = 1 - normal[..., 1:] if response is None else np.asarray(response, dtype=np.float64)[..., 1:]
    steps = np.arange(values.shape[-1])
    spline = CubicSpline(steps, normal, axis=-1, bc_type=((1, np.zeros(normal.shape[:-1])), "not-a-knot"))
    inverse = _reciprocal(spline(steps[:-1] + 0.5))
    integral = _convolve(inverse, left) / interval
    for anchored in (False, True):  # the first solution does not begin at 0 where K has a kink
        kernel = _slopes(integral, anchored=anchored) / interval
        at_left = np.concatenate((kernel[..., 1:], 2 * kernel[..., -1:] - kernel[..., -2:-1]), axis=-1)
        excess = interval**2 / 24 * (at_left - kernel[..., :1] * normal[..., 1:])
        integral = _convolve(inverse, left - excess) / interval
    return integral


def kernel_from_integral(integral: ArrayLike, interval: float) -> Array:
    """K at lags 0, interval, …, [..., N], 1/time², from G at half steps, [..., N].

    Differences of G of fourth order; the first two and the last lag by polynomials through G(0) = 0 and the
    nearest values (not by symmetry: the kernels of models have a kink at 0).
    """
    return _slopes(np.asarray(integral, dtype=np.float64), anchored=True) / interval


def force_from_kernel(kernel: ArrayLike, integral: ArrayLike, interval: float) -> Array:
    """phi = <a(t) a(0)>/<v²> that a kernel K [..., N] implies, at the same lags, [..., N], 1/time².

    ``integral`` [..., N]: G at half steps. [P eq. 20] in time: phi(t) = K(t) - int_0^t G(t-s) phi(s) ds, by the
    trapezoidal rule with its first correction at the ends, fourth order.
    """
    memory, halves = np.asarray(kernel, dtype=np.float64), np.asarray(integral, dtype=np.float64)
    initial = memory[..., :1]
    kink = (4 * memory[..., 1:2] - 3 * initial - memory[..., 2:3]) / (2 * interval)
    points = np.concatenate((np.zeros_like(initial), halves), axis=-1)
    where = np.concatenate(((0.0,), np.arange(halves.shape[-1]) + 0.5))
    whole = CubicSpline(where, points, axis=-1)(np.arange(halves.shape[-1]))
    ends = interval**2 / 12
    left = interval * whole
    left[..., :1] += 1 + ends * initial
    right = memory * (1 + ends * initial) + (0.5 * interval * initial - ends * kink) * whole
    return _convolve(_reciprocal(left), right)


def _slopes(values: Array, *, anchored: bool) -> Array:
    """Slopes at 0, 1, … of values [..., N] at 1/2, 3/2, …; ``anchored`` at 0 they are also 0 at 0."""
    slopes = np.empty_like(values)
    slopes[..., 2:-1] = 27 * (values[..., 2:-1] - values[..., 1:-2]) - (values[..., 3:] - values[..., :-3])
    slopes[..., 2:-1] /= 24
    slopes[..., 0] = values[..., :4] @ _slope_weights(4, 0.0, anchored=anchored)
    slopes[..., 1] = values[..., :4] @ _slope_weights(4, 1.0, anchored=anchored)
    slopes[..., -1] = values[..., -1] - values[..., -2]
    return slopes


def _slope_weights(points: int, at: float, *, anchored: bool) -> Array:
    """Weights of the first values at 1/2, 3/2, … that give the slope at ``at`` of a polynomial through them."""
    powers = np.arange(points) + int(anchored)
    rise = powers * at ** np.maximum(powers - 1, 0)
    return np.asarray(np.linalg.solve(((np.arange(points) + 0.5)[:, None] ** powers).T, rise), dtype=np.float64)


def _reciprocal(series: Array) -> Array:
    """Coefficients [..., N] of 1/(sum_n series_n z^n), by Newton's iteration."""
    inverse = 1 / series[..., :1]
    while inverse.shape[-1] < series.shape[-1]:
        number = min(2 * inverse.shape[-1], series.shape[-1])
        length = scipy.fft.next_fast_len(3 * number, real=True)
        known = scipy.fft.rfft(inverse, length)
        better = known * (2 - scipy.fft.rfft(series[..., :number], length) * known)
        inverse = scipy.fft.irfft(better, length)[..., :number]
    return np.asarray(inverse)


def _convolve(one: Array, other: Array) -> Array:
    """sum_k one_k other_(n-k), [..., N]."""
    number = one.shape[-1]
    length = scipy.fft.next_fast_len(2 * number, real=True)
    product = scipy.fft.rfft(one, length) * scipy.fft.rfft(other, length)
    return np.asarray(scipy.fft.irfft(product, length)[..., :number])
