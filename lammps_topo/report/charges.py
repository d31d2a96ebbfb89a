"""Do the charge representations of a run conduct alike? The answer in sentences, for the page and for the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..estimate.result import Result
from ..record import Record
from ..representation import has_own_fluxes
from ..units import unit_style
from .wording import Fact, find, number, quantity_with_unit, unit_text

TITLE = "Does a constant integer charge describe this conductor?"
_ROUNDING = 1e-6
"""Of a whole number of elementary charges."""


def verdicts(results: Sequence[Result], record: Record) -> list[Fact]:
    """A sentence for each pair of representations, and for the best constant charges of each that fluctuates."""
    found = [Fact(_pair_text(one.of), _verdict(one, results)) for one in results if one.quantity == "gauge"]
    for name in record.representations:
        best = [one for one in results if one.quantity == "constant_charge" and one.of.startswith(f"{name}, ")]
        if best:
            found.append(Fact(name, _constants(name, best)))
    return found


def answer(results: Sequence[Result], record: Record) -> str:
    """The question of the title in a sentence; empty where there is nothing to compare integers with."""
    gauge = [one for one in results if one.quantity == "gauge"]
    integers = [name for name in record.representations if _integer(name, record)]
    about = [one for one in gauge if any(name in one.of.split(" - ") for name in integers)]
    if not about:
        return ""
    about = [one for one in about if not _proportional(one, results)]
    if not about:
        return (
            "Transport is trivial, charge moves with the ions alone, as it must with constant charges. There is "
            "nothing else to compare with: the currents are proportional, and a run cannot tell which of such charges "
            "are right. Integers are what electrons make of them where transport is adiabatic."
        )
    said = {str(one.details.get("verdict")) for one in about}
    if said == {"equivalent"}:
        return (
            "Yes, as far as this run can tell: transport is trivial, the integers conduct like every other "
            "representation."
        )
    if "different" in said:
        others = [_pair_text(one.of) for one in about if one.details.get("verdict") == "different"]
        return f"Not like every other representation: {', '.join(others)} conduct differently."
    return "The run is too short to tell."


def _proportional(gauge: Result, results: Sequence[Result]) -> bool:
    coherence = find(results, "coherence", gauge.of)
    return coherence is not None and coherence.details.get("currents") == "proportional"


def _integer(name: str, record: Record) -> bool:
    """Whether its charges are whole numbers by species."""
    charges = unit_style(record.units).elementary * record.charges_of(name)
    whole = np.abs(charges - np.rint(charges)).max(initial=0.0) < _ROUNDING
    return bool(whole) and not has_own_fluxes(name, record.species, record.flux_names)


def _pair_text(of: str) -> str:
    return of.replace(" - ", " and ")


def _verdict(result: Result, results: Sequence[Result]) -> str:
    verdict = str(result.details.get("verdict"))
    currents = result.details.get("currents")
    difference = find(results, "conductivity_difference", result.of)
    part = find(results, "gauge_growth", result.of, "sines")
    bound = _bound(part)
    if currents == "one and the same":
        return "Equivalent: the currents are one and the same."
    if verdict == "equivalent" and currents == "neither conducts":
        return f"Equivalent: neither conducts. What the difference of the currents could conduct is {bound}."
    known = "" if difference is None else f"the conductivities differ by {quantity_with_unit(difference)}"
    if verdict == "equivalent":
        return (
            f"Equivalent: {known}, less than {_percent(result.details.get('tolerance'))} of the conductivity, and the "
            f"difference of the currents is not seen to diffuse ({bound})."
        )
    if verdict == "different":
        return f"Different: the difference of the currents diffuses; {known}."
    return (
        f"Cannot tell yet: {known}; what the difference of the currents could conduct is {bound}. A longer run is "
        "needed."
    )


def _bound(part: Result | None) -> str:
    upper = None if part is None else part.details.get("upper_limit")
    if part is None or not isinstance(upper, (int, float)):
        return "not known"
    text = f"below {number(upper, 2)} {unit_text(part.unit)}".strip()
    return f"{text} with {_percent(part.details.get('confidence'))} confidence"


def _percent(share: Any) -> str:
    return f"{number(100 * share, 4)} %" if isinstance(share, (int, float)) else "?"


def _constants(name: str, best: Sequence[Result]) -> str:
    parts = [f"{one.of.removeprefix(f'{name}, ')} {_charge(one)}" for one in best]
    return f"Best constant charges: {', '.join(parts)}; what they leave of the current {best[0].details.get('rest')}."


def _charge(result: Result) -> str:
    """``+1 (0.98 ± 0.03 e)``"""
    verdict = result.details.get("verdict")
    return quantity_with_unit(result) if verdict is None else f"{verdict} ({quantity_with_unit(result)})"
