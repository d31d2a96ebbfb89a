"""Temperature and volume that the estimates use, where they come from, and the prefactors they make."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..record import Record
from ..units import unit_style


@dataclass(frozen=True)
class State:
    """Thermodynamic state of the run, in its unit style.

    Attributes
    ----------
    temperature, temperature_error, volume : NaN where not known
    temperature_origin, volume_origin : ``measured`` or ``given``
    thermal : k_B T, energy
    conductivity_scale : S/m in ∫⟨J(t) J(0)⟩ dt of one component: 1/(V k_B T), converted
    """

    temperature: float
    temperature_error: float
    temperature_origin: str
    volume: float
    volume_origin: str
    thermal: float
    conductivity_scale: float


def state_of(record: Record, config: Config) -> State:
    """What the user gives overrides what was measured."""
    units = unit_style(record.units)
    given = config.temperature is not None
    temperature = config.temperature if config.temperature is not None else record.temperature
    volume = config.volume if config.volume is not None else record.volume
    thermal = units.boltzmann * temperature
    return State(
        temperature=temperature,
        temperature_error=0.0 if given else record.temperature_error,
        temperature_origin="given" if given else "measured",
        volume=volume,
        volume_origin="given" if config.volume is not None else "measured",
        thermal=thermal,
        conductivity_scale=units.conductivity / (volume * thermal) if volume > 0 and thermal > 0 else float("nan"),
    )
