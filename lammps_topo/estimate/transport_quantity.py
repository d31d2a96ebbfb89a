"""What a zero-frequency spectral density S(0) is worth: the prefactors of transport coefficients, and their units.

S(0) = ∫⟨J(t) J(0)⟩ dt over all times of one component (``spectrum.py``), twice the Green-Kubo integral (physics.md §3):

    conductivity            S(0)/(2 V k_B T)       J: charge times velocity, summed over the atoms
    thermal conductivity    S(0)/(2 V k_B T²)      J: energy flux of ``compute heat/flux``, not divided by V
    viscosity               S(0) V/(2 k_B T)       J: components of the pressure tensor
    diffusion               S(0)/2                 J: velocity
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..units import Units


@dataclass(frozen=True)
class TransportQuantity:
    """A transport coefficient, and what is needed for it.

    Attributes
    ----------
    name : as in results
    unit : SI
    needs_volume, needs_temperature : what its prefactor holds
    symbol : its prefactor times a spectral density, for an axis
    is_tensor : all columns are components of one flux, as those of the pressure tensor are
    """

    name: str
    unit: str
    needs_volume: bool
    needs_temperature: bool
    symbol: str
    is_tensor: bool
    _prefactor: Callable[[Units, float, float], float]

    def prefactor(self, units: Units, volume: float, temperature: float) -> float:
        """SI value of one unit of S(0); ``volume``, ``temperature`` and S(0) in ``units``."""
        return self._prefactor(units, volume, temperature)


def _conductivity(units: Units, volume: float, temperature: float) -> float:
    return units.conductivity / (2 * volume * units.boltzmann * temperature)


def _heat(units: Units, volume: float, temperature: float) -> float:
    return units.thermal_conductivity / (2 * volume * units.boltzmann * temperature**2)


def _viscosity(units: Units, volume: float, temperature: float) -> float:
    # a pressure times a volume is so many units of energy: 1 in a consistent style
    stress = units.pressure * units.length**3 / units.energy
    return units.viscosity * stress**2 * volume / (2 * units.boltzmann * temperature)


def _diffusion(units: Units, volume: float, temperature: float) -> float:
    return units.diffusion / 2


QUANTITIES = {
    "conductivity": TransportQuantity("conductivity", "S/m", True, True, "S(f)/(2 V kB T)", False, _conductivity),
    "heat": TransportQuantity("thermal_conductivity", "W/m/K", True, True, "S(f)/(2 V kB T²)", False, _heat),
    "viscosity": TransportQuantity("viscosity", "Pa s", True, True, "S(f) V/(2 kB T)", True, _viscosity),
    "diffusion": TransportQuantity("diffusion", "m^2/s", False, False, "S(f)/2", True, _diffusion),
    "raw": TransportQuantity("zero_frequency", "flux² time", False, False, "S(f)", False, lambda *_: 1.0),
}
