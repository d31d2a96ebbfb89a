"""What each figure shows and how it was obtained, in a few sentences with the numbers of this run."""

from __future__ import annotations

from collections.abc import Callable

from ..estimate.result import Result
from ..store import Results
from .wording import cutoff_text, essentials, one_line, origin_text, quantity_with_unit, value_text


def caption(figure: str, results: Results) -> str:
    """Caption of the figure of that name; empty for one that is not known."""
    write = _WRITERS.get(figure)
    return "" if write is None else one_line(write(results))


def _spectrum(results: Results) -> str:
    return (
        "Spectral density of the charge current over 2 V kB T: its value at zero frequency (point with error bar) is the "
        "conductivity. Thin: the periodogram, neighbouring ordinates averaged for display; thick: what the P* lowest "
        "cepstral coefficients make of it below f* (dotted). Above the low frequencies, below the whole on logarithmic "
        "axes. " + _each(results, "cepstral", _cepstral)
    )


def _cepstral(result: Result) -> str:
    details = result.details
    text = f"P* = {value_text(details.get('order'))} ({origin_text(details.get('order_origin', 'unknown'))})"
    if "cutoff" in details:
        text += f", f* = {cutoff_text(details)} ({origin_text(details.get('cutoff_origin', 'unknown'))})"
    if "ordinates" in details:
        text += f", {value_text(details['ordinates'])} ordinates"
    if "degrees_of_freedom" in details:
        text += f" of {value_text(details['degrees_of_freedom'])} degrees of freedom each"
    return text


def _cutoffs(results: Results) -> str:
    chosen = []
    for result in _conductivities(results, "cepstral"):
        if "cutoff" in result.details:
            origin = origin_text(result.details.get("cutoff_origin", "unknown"))
            chosen.append(f"{result.of}: f* = {cutoff_text(result.details)} ({origin})")
    return (
        "The cepstral conductivity at other choices of f*, each with the P* of Akaike's criterion; bars are one "
        "standard error. Where the points do not move with f*, its choice does not matter; where they do, the error "
        f"bar of the result (band) is too small. The dotted line is the choice. {'; '.join(chosen)}."
    )


def _segments(results: Results) -> str:
    lengths = ", ".join(f"{part.segments} × {part.length}" for part in results.record.periodograms)
    return (
        "The cepstral conductivity from periodograms averaged over segments of the run, at the same f*, against the "
        "length of a segment; the band is the result above. Segments too short to resolve the spectrum near zero "
        "frequency lie off it. " + (f"Segments × samples: {lengths}." if lengths else "")
    )


def _dipole(results: Results) -> str:
    return (
        "Mean square of the dipole that the current has displaced, with one-sigma bands from time batches: left "
        "on logarithmic axes, right the range of the fit. The slope is 6 V kB T σ. " + _each(results, "einstein", _fit)
    )


def _fit(result: Result) -> str:
    return ", ".join(part for part in essentials(result) if not part.endswith("frame"))


def _green_kubo(results: Results) -> str:
    return (
        "Integral of the autocorrelation ⟨J(t)·J(0)⟩ of the charge current from 0 to t, over 3 V kB T, with its "
        "one-sigma band. The point is the result, where it is read; the curve should be flat there and meet the "
        "cepstral result (dashed, band). "
        + _each(results, "green-kubo", _fit)
    )


def _correlation(results: Results) -> str:
    return (
        "Autocorrelation of the charge current over its value at t = 0, mean over time origins and Cartesian "
        "components, with its one-sigma band: what the Green-Kubo integral is taken over."
    )


def _msd(results: Results) -> str:
    return (
        "Mean square displacement, mean over the atoms of a species and over time origins, with one-sigma bands: left "
        "on logarithmic axes, right the range of the fits. The slope is 6 D. "
        + " ".join(
            f"{result.of}: D = {quantity_with_unit(result)} ({', '.join(essentials(result))})."
            for result in results.outcome.results
            if (result.quantity, result.method) == ("diffusion", "msd")
        )
    )


def _conductivities(results: Results, method: str) -> list[Result]:
    return [one for one in results.outcome.results if (one.quantity, one.method) == ("conductivity", method)]


def _each(results: Results, method: str, how: Callable[[Result], str]) -> str:
    return " ".join(
        f"{result.of}: σ = {quantity_with_unit(result)} ({how(result)})." for result in _conductivities(results, method)
    )


_WRITERS: dict[str, Callable[[Results], str]] = {
    "spectrum": _spectrum,
    "cutoffs": _cutoffs,
    "segments": _segments,
    "dipole": _dipole,
    "green-kubo": _green_kubo,
    "correlation": _correlation,
    "msd": _msd,
}
