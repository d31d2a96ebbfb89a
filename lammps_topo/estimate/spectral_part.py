"""A transport coefficient from S(0) as a result, and the curves that show the spectral density it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EstimateError
from ..units import Units
from .result import Curve, Result
from .series_spectrum import shown_periodogram
from .spectrum import Spectrum
from .state import State
from .zero_frequency import ZeroFrequency

_SHOWN = 4.0
"""How far beyond the frequencies in use a periodogram is shown."""


@dataclass(frozen=True)
class Coefficient:
    """What makes a coefficient of a spectral density: its name, SI value of one unit of S, unit, symbol for an axis."""

    quantity: str
    factor: float
    unit: str
    symbol: str


def conductivity(state: State, units: Units) -> Coefficient:
    """S(0)/(2 V kB T) of a charge current, S/m; NaN where T or V is not known."""
    return Coefficient("conductivity", 0.5 * state.conductivity_scale, units.label("S/m"), "S(f)/(2 V kB T)")


def thermal_conductivity(state: State, units: Units) -> Coefficient:
    """S(0)/(2 V kB T²) of an energy flux that is not divided by V. Raises EstimateError where T or V is not known."""
    require_state(state)
    factor = units.thermal_conductivity / (2 * state.volume * state.thermal * state.temperature)
    return Coefficient("thermal_conductivity", factor, units.label("W/m/K"), "S(f)/(2 V kB T²)")


def viscosity(state: State, units: Units) -> Coefficient:
    """S(0)/(2 V kB T) of V times an element of the pressure tensor. Raises EstimateError where T or V is not known."""
    require_state(state)
    factor = units.viscosity / (2 * state.volume * state.thermal)
    return Coefficient("viscosity", factor, units.label("Pa s"), "S(f)/(2 V kB T)")


def require_state(state: State) -> None:
    """Raises EstimateError where temperature or volume is not known."""
    for name in ("temperature", "volume"):
        if not getattr(state, name) > 0:
            raise EstimateError(f"the {name} is not known: give the key '{name}'")


def spectral_result(
    coefficient: Coefficient, of: str, method: str, spectrum: Spectrum, found: ZeroFrequency, units: Units,
    **details: object,
) -> Result:  # fmt: skip
    """The coefficient with what says how far to trust it."""
    return Result(
        coefficient.quantity, of, method, coefficient.factor * found.value, coefficient.factor * found.error,
        coefficient.unit,
        {
            "resolved": found.resolved, "log_error": found.log_error,
            "knee": found.knee * units.terahertz, "knee_unit": units.frequency_label,
            "highest": max(found.cutoffs) * units.terahertz, "highest_unit": units.frequency_label,
            "highest_origin": found.cutoff_origin,
            "degrees_of_freedom": spectrum.dof, "segment": spectrum.segment, **details,
        },
    )  # fmt: skip


def spectral_curves(
    figure: str, of: str, coefficient: Coefficient, spectrum: Spectrum, found: ZeroFrequency, units: Units
) -> list[Curve]:
    """Periodogram and estimate, of flux 0 with the others eliminated."""
    x_label, y_label = f"frequency ({units.frequency_label})", f"{coefficient.symbol} ({coefficient.unit})"
    limit = min(float(spectrum.frequency[-1]), _SHOWN * max(found.cutoffs))
    frequency, density = shown_periodogram(spectrum, limit)
    raw = Curve(
        f"{figure}/{of}/periodogram", figure, f"{of}, periodogram", frequency * units.terahertz,
        coefficient.factor * density, x_label, y_label,
    )  # fmt: skip
    smooth = Curve(
        f"{figure}/{of}/spectral", figure, f"{of}, spectral", found.frequencies * units.terahertz,
        coefficient.factor * found.smooth, x_label, y_label, 0.5 * coefficient.factor * (found.upper - found.lower),
    )  # fmt: skip
    return [raw, smooth]


def doubts(what: str, found: ZeroFrequency) -> list[str]:
    """Notes on why it is not resolved."""
    return [f"{what} is not resolved: {reason}" for reason in found.reasons]
