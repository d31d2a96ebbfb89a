"""What each figure shows and how it was obtained, in a few sentences with the numbers of this run."""

from __future__ import annotations

from collections.abc import Callable

from ..estimate.result import Result
from ..store import Results
from .wording import (
    cutoff_text,
    essentials,
    highest_text,
    method_text,
    number,
    one_line,
    origin_text,
    quantity_with_unit,
    value_text,
)


def caption(figure: str) -> str:
    """What the figure of that name shows; empty for one that is not known."""
    return _CAPTIONS.get(figure, "")


def details(figure: str, results: Results) -> list[str]:
    """The numbers that belong to it and how they were obtained, a line for each representation or species."""
    write = _DETAILS.get(figure)
    return [] if write is None else [unbroken(one_line(text)) for text in write(results)]


def unbroken(text: str) -> str:
    """No line ends within a number and its error."""
    return text.replace(" ± ", "\u00a0±\u00a0").replace(" × 10", "\u00a0×\u00a010").replace("kB T", "kB\u00a0T")


_CAPTIONS = {
    "gauge": (
        "Spectral densities of the currents of all representations over 2 V kB T, and of their differences (dashed), "
        "with one-sigma bands, from sines over the whole run, to which the ends of the run add nothing. Where two "
        "currents differ by the time derivative of something bounded, that of the difference falls like the square "
        "of the frequency; where it ends in a plateau, they conduct differently."
    ),
    "gauge-growth": (
        "Mean square difference of the dipoles that two currents have displaced, with one-sigma bands: left on "
        "logarithmic axes, right the range of the fit. Where it stays bounded, both conductivities are the same; where "
        "it grows linearly, the current a − b conducts by itself."
    ),
    "loop": (
        "Dipole displaced from the first point of the path on, in units of charge times cell vector, along each of "
        "them. At the end of a closed path it is the topological charge, a whole number where the charges follow from "
        "the electrons. What the windings of the atoms do not account for is pumped."
    ),
    "spectrum": (
        "Spectral density of the charge current over 2 V kB T: its value at zero frequency (point with error bar) is "
        "the conductivity. Thin: the periodogram, neighbouring ordinates averaged for display; thick: the estimate of "
        "the spectral density up to the highest frequency in use (dotted), with its one-sigma band. Above the low "
        "frequencies, below all on logarithmic axes."
    ),
    "cutoffs": (
        "The conductivity from the spectrum up to other frequencies; bars are one standard error. The result (band) is "
        "a mean over two of them that follow from the data (dotted: the higher one), and its error has their "
        "difference in it. Points to the left use less of the data; they should scatter about the band."
    ),
    "segments": (
        "The conductivity from periodograms averaged over segments of the run, against the "
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
        "should be flat there and meet the result from the spectrum (dashed, band)."
    ),
    "correlation": (
        "Autocorrelation of the charge current over its value at t = 0, mean over time origins and Cartesian "
        "components, with its one-sigma band: what the Green-Kubo integral is taken over."
    ),
    "frequency": (
        "Real part of the conductivity, the spectral density of the charge current over 2 V kB T, with its one-sigma "
        "band: the estimate of the spectral density at low frequencies, means over neighbouring ordinates beyond."
    ),
    "heat": (
        "Spectral density of the energy flux over 2 V kB T², in a mixture with the particle fluxes eliminated: its "
        "value at zero frequency (point with error bar) is the thermal conductivity. Thin: the periodogram, "
        "neighbouring ordinates averaged for display; thick: the estimate up to the highest frequency in use "
        "(dotted), with its one-sigma band."
    ),
    "viscosity": (
        "Spectral density of V times an independent component of the pressure tensor over 2 V kB T, mean of five: its "
        "value at zero frequency (point with error bar) is the viscosity. Lines as above."
    ),
    "msd": (
        "Mean square displacement, mean over the atoms of a species and over time origins, with one-sigma bands: left "
        "on logarithmic axes, right the range of the fits. The slope is 6 D."
    ),
    "velocity": (
        "Velocity autocorrelation C_v(t) = ⟨v(t)·v(0)⟩/⟨v²⟩, mean over the atoms of a species and over time origins, "
        "and its cosine transform 2 ∫ C_v(t) cos(2π f t) dt, the vibrational density of states, with one-sigma bands. "
        "Before the transform C_v is tapered to zero towards the end of its window (cos²). At zero frequency the "
        "transform is 2 m D/(kB T): an ion that stays on its site has none."
    ),
    "force": (
        "Autocorrelation C_F(t) = ⟨F(t)·F(0)⟩/⟨F²⟩ of the force on an ion, with its one-sigma band, and its spectrum. "
        "The integral of C_F vanishes for an ion that nothing restrains, and so does the spectrum at zero frequency. "
        "Dashed: the spectrum that follows from the memory kernel, which is made of velocities only; where it lies on "
        "the measured one, the generalised Langevin equation describes the motion. Thin: the vibrational density of "
        "states, scaled to the same height."
    ),
    "memory": (
        "Memory kernel Γ(t) of the generalised Langevin equation m dv/dt = −∫ Γ(τ) v(t−τ) dτ + random force, inverted "
        "from the velocity autocorrelation, with its one-sigma band: left its decay, right |Γ| on logarithmic axes "
        "with its tail (thin where it is less than two errors). Dashed: the Prony series fitted to it, for "
        "simulations of the equation. Γ(0) is the stiffness of the cage at short times; a kernel that does not decay "
        "belongs to an ion that is bound to its site."
    ),
    "friction": (
        "Integral of the memory kernel from 0 to t, with its one-sigma band. It leads to the friction γ; the point is "
        "γ with its error, the tail of the kernel beyond the window included. Dashed, band: kB T/D, "
        "D from the mean square displacement; that is left out where D is not known better than to a factor of two."
    ),
}


def _spectrum(results: Results) -> list[str]:
    lines = _conductivities(results, "spectral", _without_frame)
    return [*lines, *_conductivities(results, "cepstral", _cepstral)]


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
        if (result.quantity, result.method) == ("conductivity", "spectral") and "highest" in result.details:
            origin = origin_text(result.details.get("highest_origin", "unknown"))
            lines.append(f"{result.of}: up to {highest_text(result.details)} ({origin})")
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


def _heat(results: Results) -> list[str]:
    return _values(results, "thermal_conductivity", "κ")


def _viscosity(results: Results) -> list[str]:
    return _values(results, "viscosity", "η")


def _values(results: Results, quantity: str, symbol: str) -> list[str]:
    return [
        f"{result.of}: {symbol} = {quantity_with_unit(result)} ({', '.join(essentials(result))})"
        for result in results.outcome.results
        if (result.quantity, result.method) == (quantity, "spectral")
    ]


def _msd(results: Results) -> list[str]:
    return [
        f"{result.of}: D = {quantity_with_unit(result)} ({', '.join(essentials(result))})"
        for result in results.outcome.results
        if (result.quantity, result.method) == ("diffusion", "msd")
    ]


def _velocity(results: Results) -> list[str]:
    lines = []
    for species, found in _by_species(results, "vacf").items():
        parts = _shape(found)
        if "diffusion" in found:
            parts.append(f"D = {quantity_with_unit(found['diffusion'])}")
        if "equipartition" in found:
            parts.append(f"m⟨v²⟩/(kB T) = {quantity_with_unit(found['equipartition'])}")
        lines += _line(species, parts)
    return lines


def _force(results: Results) -> list[str]:
    lines = []
    for species, found in _by_species(results, "facf").items():
        parts = _shape(found)
        if "force_integral" in found:
            parts.append(f"∫C_F dt/∫|C_F| dt = {quantity_with_unit(found['force_integral'])}")
        if "kernel_consistency" in found:
            parts.append(f"predicted over measured spectrum: {quantity_with_unit(found['kernel_consistency'])}")
        lines += _line(species, parts)
    return lines


def _shape(found: dict[str, Result]) -> list[str]:
    """Where a correlation function crosses zero, and its minimum."""
    parts = []
    if "zero_crossing" in found:
        parts.append(f"zero at {quantity_with_unit(found['zero_crossing'])}")
    if "minimum" in found:
        at = f" at {quantity_with_unit(found['minimum_time'])}" if "minimum_time" in found else ""
        parts.append(f"minimum {quantity_with_unit(found['minimum'])}{at}")
    return parts


def _memory(results: Results) -> list[str]:
    lines = []
    series, forces = _by_species(results, "prony"), _by_species(results, "force")
    for species, found in _by_species(results, "kernel").items():
        parts = []
        if "initial_kernel" in found:
            parts.append(f"Γ(0) = {quantity_with_unit(found['initial_kernel'])}")
        if "initial_kernel" in forces.get(species, {}):
            parts.append(f"from the forces {quantity_with_unit(forces[species]['initial_kernel'])}")
        if "memory_time" in found:
            parts.append(f"memory time {quantity_with_unit(found['memory_time'])}")
        if "gle_deviation" in series.get(species, {}):
            deviation = series[species]["gle_deviation"]
            terms = f" of {value_text(deviation.details['terms'])} terms" if "terms" in deviation.details else ""
            parts.append(f"with the Prony series{terms}, C_v deviates by {number(deviation.value, 2)} at most")
        lines += _line(species, parts)
    return lines


def _friction(results: Results) -> list[str]:
    lines = []
    other = {method: _by_species(results, method) for method in ("msd", "vacf")}
    for species, found in _by_species(results, "kernel").items():
        if "friction" not in found:
            continue
        parts = [f"γ = {quantity_with_unit(found['friction'])} ({_without_frame(found['friction'])})"]
        for method, of_species in other.items():
            if "friction" in of_species.get(species, {}):
                friction = of_species[species]["friction"]
                parts.append(f"kB T/D = {quantity_with_unit(friction)} ({method_text(method)})")
        lines += _line(species, parts)
    return lines


def _line(species: str, parts: list[str]) -> list[str]:
    return [f"{species}: {', '.join(parts)}"] if parts else []


def _by_species(results: Results, method: str) -> dict[str, dict[str, Result]]:
    """What was obtained by ``method``, by species and quantity; the first where frames differ."""
    found: dict[str, dict[str, Result]] = {}
    for result in results.outcome.results:
        if result.method == method:
            found.setdefault(result.of, {}).setdefault(result.quantity, result)
    return found


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
    "heat": _heat,
    "viscosity": _viscosity,
    "msd": _msd,
    "velocity": _velocity,
    "force": _force,
    "memory": _memory,
    "friction": _friction,
}
