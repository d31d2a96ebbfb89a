"""LAMMPS unit styles, and the one edge where numbers leave them.

Inside the package every number is in the unit style of the run (LAMMPS manual, command ``units``). All those styles
are consistent: a velocity is a length per time, whatever the manual's table says of ``electron``. Results are shown in
SI, except for ``lj``, whose reduced numbers stay reduced and are labelled so.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import constants as si

from .errors import ConfigError

_AMU = si.physical_constants["atomic mass constant"][0]
_BOHR = si.physical_constants["Bohr radius"][0]
_HARTREE = si.physical_constants["Hartree energy"][0]
_KCAL_MOL = 4184.0 / si.N_A
_STATCOULOMB = 0.1 / si.c  # 10/c[cm/s] statC in a coulomb
#: Pascal in the unit of pressure of each style (LAMMPS manual, command ``units``).
_PRESSURE = {
    "lj": 1.0, "real": 101325.0, "metal": 1e5, "si": 1.0, "cgs": 0.1, "electron": 1.0, "micro": 1e3, "nano": 1e6,
}  # fmt: skip


@dataclass(frozen=True)
class Units:
    """A unit style: SI values of its units. ``reduced`` marks ``lj``, where they are all 1 and nothing is converted."""

    style: str
    length: float
    time: float
    energy: float
    mass: float
    charge: float
    #: Symbols for axes and tables: length, time, charge.
    symbols: tuple[str, str, str]
    #: Kelvin in a unit of temperature.
    temperature: float = 1.0
    reduced: bool = False

    @property
    def boltzmann(self) -> float:
        """k_B in this style's energy per temperature."""
        return 1.0 if self.reduced else si.k * self.temperature / self.energy

    @property
    def kinetic(self) -> float:
        """Energy in a mass times a squared velocity (LAMMPS ``mvv2e``)."""
        return 1.0 if self.reduced else self.mass * (self.length / self.time) ** 2 / self.energy

    @property
    def conductivity(self) -> float:
        """S/m in one charge²/(length time energy); physics.md §1: 1602.176634 for ``metal``."""
        return self.charge**2 / (self.length * self.time * self.energy)

    @property
    def diffusion(self) -> float:
        """m²/s in one length²/time."""
        return self.length**2 / self.time

    @property
    def mobility(self) -> float:
        """m²/(V s) in one charge·length²/(time·energy)."""
        return self.charge * self.length**2 / (self.time * self.energy)

    @property
    def friction(self) -> float:
        """kg/s in one energy·time/length²; physics.md §1: 1.602176634e-11 for ``metal``."""
        return self.energy * self.time / self.length**2

    @property
    def stiffness(self) -> float:
        """N/m (kg/s²) in one energy/length²."""
        return self.energy / self.length**2

    @property
    def pressure(self) -> float:
        """Pa in the style's unit of pressure."""
        return _PRESSURE[self.style]

    @property
    def viscosity(self) -> float:
        """Pa s in one energy·time/length³."""
        return self.energy * self.time / self.length**3

    @property
    def thermal_conductivity(self) -> float:
        """W/(m K) in one energy/(length·time·temperature)."""
        return self.energy / (self.length * self.time * self.temperature)

    @property
    def seebeck(self) -> float:
        """V/K in one energy/(charge·temperature)."""
        return self.energy / (self.charge * self.temperature)

    @property
    def terahertz(self) -> float:
        """THz in one 1/time (1 for ``lj``)."""
        return 1.0 if self.reduced else 1e-12 / self.time

    @property
    def picosecond(self) -> float:
        """Picoseconds in one time unit (1 for ``lj``)."""
        return 1.0 if self.reduced else self.time * 1e12

    @property
    def angstrom(self) -> float:
        """Ångström in one length unit (1 for ``lj``)."""
        return 1.0 if self.reduced else self.length * 1e10

    @property
    def elementary(self) -> float:
        """Elementary charges in one charge unit (1 for ``lj``)."""
        return 1.0 if self.reduced else self.charge / si.e

    @property
    def gram_per_mole(self) -> float:
        """g/mol in one mass unit (1 for ``lj``)."""
        return 1.0 if self.reduced else self.mass / _AMU

    def label(self, si_unit: str) -> str:
        """The unit to print: ``si_unit``, or the word ``reduced`` for ``lj``."""
        return "reduced" if self.reduced else si_unit

    @property
    def time_label(self) -> str:
        return "τ" if self.reduced else "ps"

    @property
    def length_label(self) -> str:
        return "σ" if self.reduced else "Å"

    @property
    def frequency_label(self) -> str:
        return "1/τ" if self.reduced else "THz"

    @property
    def charge_label(self) -> str:
        return "q*" if self.reduced else "e"


_STYLES = {
    units.style: units
    for units in (
        Units("lj", 1.0, 1.0, 1.0, 1.0, 1.0, ("σ", "τ", "q*"), reduced=True),
        Units("real", 1e-10, 1e-15, _KCAL_MOL, _AMU, si.e, ("Å", "fs", "e")),
        Units("metal", 1e-10, 1e-12, si.e, _AMU, si.e, ("Å", "ps", "e")),
        Units("si", 1.0, 1.0, 1.0, 1.0, 1.0, ("m", "s", "C")),
        Units("cgs", 1e-2, 1.0, 1e-7, 1e-3, _STATCOULOMB, ("cm", "s", "statC")),
        Units("electron", _BOHR, 1e-15, _HARTREE, _AMU, si.e, ("Bohr", "fs", "e")),
        Units("micro", 1e-6, 1e-6, 1e-15, 1e-15, 1e-12, ("µm", "µs", "pC")),
        Units("nano", 1e-9, 1e-9, 1e-21, 1e-21, si.e, ("nm", "ns", "e")),
    )
}

STYLES = tuple(_STYLES)


def unit_style(name: str) -> Units:
    """The unit style ``name`` of LAMMPS; ConfigError when there is none of that name."""
    try:
        return _STYLES[name]
    except KeyError:
        raise ConfigError(f"units '{name}' is not a LAMMPS unit style (allowed: {', '.join(STYLES)})") from None
