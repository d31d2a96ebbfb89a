"""What each figure shows and how it was obtained, in a few sentences with the numbers of this run."""

from __future__ import annotations

from collections.abc import Callable

from ..estimate.result import Result
from ..store import Results
from .wording import cutoff_text, essentials, one_line, origin_text, quantity_with_unit, value_text


def caption(figure: str) -> str:
    """What the figure of that name shows; empty for one that is not known."""
    return _CAPTIONS.get(figure, "")


def details(figure: str, results: Results) -> list[str]:
    """The numbers that belong to it and how they were obtained, a line for each representation or species."""
    write = _DETAILS.get(figure)
    return [] if write is None else [unbroken(one_line(text)) for text in write(results)]


def unbroken(text: str) -> str:
    """No line ends within a number and its error."""
    return text.replace(" ± ", "\u00a0±\u00a0").replace(" × 10", "\u00a0×\u00a010")


_CAPTIONS = {
    "spectrum": (
        "Spectral density of the charge current over 2 V kB T: its value at zero frequency (point with error bar) is "
        "the conductivity. Thin: the periodogram, neighbouring ordinates averaged for display; thick: what the P* "
        "lowest cepstral coefficients make of it below f* (dotted). Above the low frequencies, below all on "
        "logarithmic axes."
    ),
    "cutoffs": (
        "The cepstral conductivity at other choices of f*, each with the P* of Akaike's criterion; bars are one "
        "standard error. Where the points do not move with f*, its choice (dotted) does not matter; where they do, "
        "the error bar of the result (band) is too small."
    ),
    "segments": (
        "The cepstral conductivity from periodograms averaged over segments of the run, at the same f*, against the "
        "length of a segment; the band is the result above. Segments too short to resolve the spectrum near zero "
        "frequency lie off it."
    ),
    "dipole": (
        "Mean square of the dipole that the current has displaced, with one-sigma bands from time batches: left on "
        "logarithmic axes, right the range of the fit. The slope is 6 V kB T σ."
    ),
    "green-kubo": (
        "Integral of the autocorrelation ⟨J(t)·J(0)⟩ of the charge current from 0 to t, over 3 V kB T, with its "
        "one-sigma band. The point is the result, where it is read (thick: the window it is the mean over); the curve "
        "should be flat there and meet the cepstral result (dashed, band)."
    ),
    "correlation": (
        "Autocorrelation of the charge current over its value at t = 0, mean over time origins and Cartesian "
        "components, with its one-sigma band: what the Green-Kubo integral is taken over."
    ),
    "msd": (
        "Mean square displacement, mean over the atoms of a species and over time origins, with one-sigma bands: left "
        "on logarithmic axes, right the range of the fits. The slope is 6 D."
    ),
}


def _spectrum(results: Results) -> list[str]:
    return _conductivities(results, "cepstral", _cepstral)


def _cepstral(result: Result) -> str:
    known = result.details
    text = f"P* = {value_text(known.get('order'))} ({origin_text(known.get('order_origin', 'unknown'))})"
    if "cutoff" in known:
        text += f", f* = {cutoff_text(known)} ({origin_text(known.get('cutoff_origin', 'unknown'))})"
    if "ordinates" in known:
        text += f", {value_text(known['ordinates'])} ordinates"
    if "degrees_of_freedom" in known:
        text += f" of {value_text(known['degrees_of_freedom'])} degrees of freedom each"
    return text


def _cutoffs(results: Results) -> list[str]:
    lines = []
    for result in results.outcome.results:
        if (result.quantity, result.method) == ("conductivity", "cepstral") and "cutoff" in result.details:
            origin = origin_text(result.details.get("cutoff_origin", "unknown"))
            lines.append(f"{result.of}: f* = {cutoff_text(result.details)} ({origin})")
    return lines


def _segments(results: Results) -> list[str]:
    lengths = ", ".join(f"{part.segments} × {part.length}" for part in results.record.periodograms)
    return [f"segments × samples: {lengths}"] if lengths else []


def _dipole(results: Results) -> list[str]:
    return _conductivities(results, "einstein", _without_frame)


def _green_kubo(results: Results) -> list[str]:
    return _conductivities(results, "green-kubo", _without_frame)


def _without_frame(result: Result) -> str:
    return ", ".join(part for part in essentials(result) if not part.endswith(" frame"))


def _msd(results: Results) -> list[str]:
    return [
        f"{result.of}: D = {quantity_with_unit(result)} ({', '.join(essentials(result))})"
        for result in results.outcome.results
        if (result.quantity, result.method) == ("diffusion", "msd")
    ]


def _conductivities(results: Results, method: str, how: Callable[[Result], str]) -> list[str]:
    """A line for each representation; one line for those that say the same."""
    lines: dict[str, list[str]] = {}
    for result in results.outcome.results:
        if (result.quantity, result.method) == ("conductivity", method):
            lines.setdefault(f"σ = {quantity_with_unit(result)} ({how(result)})", []).append(result.of)
    return [f"{' and '.join(names)}: {text}" for text, names in lines.items()]


_DETAILS: dict[str, Callable[[Results], list[str]]] = {
    "spectrum": _spectrum,
    "cutoffs": _cutoffs,
    "segments": _segments,
    "dipole": _dipole,
    "green-kubo": _green_kubo,
    "msd": _msd,
}
