"""When a run knows what it is for: the rule by which the section ``stop`` ends it.

It is looked rarely, at times that grow like a geometric series: often enough not to run much longer than needed, and
so seldom that it costs next to nothing and that chance has few occasions to end a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from .config import Precision, Stop
from .estimate.wanted import Known
from .units import Units

FEWEST = 1024
"""Samples before the first check."""
CONFIRM = 2
"""Checks in a row at which all must hold."""
EARLY = 0.8
"""Of the forecast: errors themselves are uncertain, and it may be reached before."""
SELDOM = 2.0
"""Longest stretch between checks, as a multiple of the run so far."""
_UNITS = {"conductivity": "S/m", "diffusion": "m^2/s", "thermal_conductivity": "W/m/K", "viscosity": "Pa s"}


class Stopping:
    """The rule, fed with what is known at each check; alike on all ranks.

    Parameters
    ----------
    section : of the configuration; its times in the same unit as those given to the methods
    wanted : the precision of each quantity, by its full name
    first : no check before this time

    Attributes
    ----------
    known : of each quantity at the last check
    checked : time of the last check, 0 before the first
    needed : time that all of it will take, by the last check; NaN before, and where nothing can be said
    reached : time at which all was known, or None
    """

    def __init__(self, section: Stop, wanted: Mapping[str, Precision], *, first: float = 0.0) -> None:
        self.wanted = dict(wanted)
        self._growth = section.check
        self._next = max(section.min_time, first)
        self._held = 0
        self.known: dict[str, Known] = {}
        self.checked = 0.0
        self.needed = math.nan
        self.reached: float | None = None

    def due(self, time: float) -> bool:
        """Whether it is to be looked after this time."""
        return self.reached is None and time >= self._next

    def check(self, time: float, known: Mapping[str, Known]) -> None:
        """Take what is known after ``time``, and decide."""
        self.known, self.checked = dict(known), time
        # an error falls as 1/sqrt(time)
        excess = max(math.inf if math.isnan(one.expected) else one.expected / one.limit for one in known.values())
        self.needed = time * max(1.0, excess**2) if math.isfinite(excess) else math.nan
        holds = excess <= 1 and all(one.resolved for one in known.values())
        self._held = self._held + 1 if holds else 0
        if self._held >= CONFIRM:
            self.reached = time
        pause = self._growth if excess <= 1 else EARLY * excess**2
        self._next = time * min(max(pause, self._growth), SELDOM)

    def values(self, units: Units) -> dict[str, float]:
        """What thermo output can show of it, in the order of :func:`stop_names`."""
        relative = {f"relative_error:{name}": math.nan for name in self.wanted}
        relative |= {f"relative_error:{name}": known.relative_error for name, known in self.known.items()}
        return {
            "stop_time": self.needed * units.picosecond,
            "stop_reached": float(self.reached is not None),
            **relative,
        }

    def progress(self, units: Units, step: int, timestep: float) -> str:
        """A line for the log, after the check at ``step``."""
        found = "; ".join(self._of(name, known, units) for name, known in self.known.items())
        begin = f"stop: after {self._time(self.checked, units)}: {found}"
        if self.reached is not None:
            return f"{begin}: this is what was wanted"
        if math.isnan(self.needed):
            return begin
        if self._held:
            return f"{begin}: to be confirmed at the next check"
        if self.needed <= self.checked:
            reasons = dict.fromkeys(one.reason for one in self.known.values() if not one.resolved)
            return f"{begin}: precise enough, but not resolved: {'; '.join(reasons)}"
        last = step + round((self.needed - self.checked) / timestep)
        return f"{begin}: about {self._time(self.needed, units)} are needed, until step {last}"

    def note(self, units: Units) -> str:
        """What the results say."""
        wanted = ", ".join(f"{name} to {_shown(precision)}" for name, precision in self.wanted.items())
        if self.reached is not None:
            return f"stop: {wanted} was reached after {self._time(self.reached, units)}"
        needed = "" if math.isnan(self.needed) else f"; by the last check, it takes {self._time(self.needed, units)}"
        return f"stop: {wanted} has not been reached{needed}"

    def _of(self, name: str, known: Known, units: Units) -> str:
        if math.isnan(known.error):
            return f"{name} is not known yet ({known.reason})"
        unit = units.label(_UNITS[name.partition(":")[0]])
        value = f"{name} {known.value:.4g} {unit} +- {100 * known.relative_error:.2g} %"
        return f"{value} ({_shown(self.wanted[name])} wanted)"

    @staticmethod
    def _time(time: float, units: Units) -> str:
        return f"{time * units.picosecond:.4g} {units.time_label}"


def stop_names(wanted: Iterable[str]) -> list[str]:
    """Names of what thermo output can show, where these quantities are wanted."""
    return ["stop_time", "stop_reached", *(f"relative_error:{name}" for name in wanted)]


def _shown(wanted: Precision) -> str:
    if wanted.relative_error is not None:
        return f"{100 * wanted.relative_error:.3g} %"
    return f"+- {wanted.error:.3g}"
