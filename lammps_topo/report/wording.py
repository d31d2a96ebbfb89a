"""How numbers, units, methods and parameters are written, for the terminal and for the page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from ..estimate.result import Result
from ..record import CorrelationRecord, Record
from ..store import Results
from ..units import unit_style

#: What is said of a detail of a result, whose details come along.
Text = Callable[[Result, Mapping[str, Any]], str]

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SPACES = " \n\t\u00a0\u2009"
#: Digits beyond which an error is not worth aligning a value with.
_ALIGNED_DIGITS = 12

_QUANTITIES = {
    "haven_ratio": "Haven ratio",
    "thermal_conductivity_difference": "difference of thermal conductivities",
    "partial_conductivity": "conductivity by species",
    "seebeck_coefficient": "Seebeck coefficient",
    "gauge": "do they conduct alike?",
    "conductivity_difference": "difference of conductivities",
    "gauge_growth": "conductivity of the current a − b",
    "coherence": "coherence at zero frequency",
    "constant_charge": "best constant charge",
    "carrier_conductivity": "conductivity of ions and carriers",
    "isotropy": "isotropy: chance of so anisotropic a tensor in an isotropic system",
    "initial_kernel": "memory kernel at t = 0",
    "zero_crossing": "first zero",
    "minimum_time": "time of the minimum",
    "equipartition": "equipartition, m⟨v²⟩/(kB T)",
    "force_integral": "∫C_F dt/∫|C_F| dt",
    "kernel_consistency": "force spectrum, predicted over measured",
    "gle_deviation": "largest deviation of the GLE",
}
_METHODS = {
    "spectral": "spectrum, averaged over models",
    "cepstral": "cepstral analysis (AIC)",
    "einstein": "Einstein-Helfand",
    "green-kubo": "Green-Kubo",
    "spectral-alone": "spectrum, nothing eliminated",
    "onsager": "spectral matrix",
    "sines": "lowest sines of the displaced dipole",
    "dipole": "dipole fluctuations",
    "msd, Yeh-Hummer": "mean square displacement, infinite box (Yeh-Hummer)",
    "nernst-einstein": "Nernst-Einstein",
    "nernst-einstein/spectral": "Nernst-Einstein / spectrum",
    "nernst-einstein/cepstral": "Nernst-Einstein / cepstral",
    "msd": "mean square displacement",
    "vacf": "velocity autocorrelation",
    "facf": "force autocorrelation",
    "kernel": "memory kernel",
    "force": "mean square force",
    "prony": "Prony series",
}
_ORIGINS = {
    "aic": "Akaike's criterion",
    "average": "mean over orders, Akaike's weights",
    "nyquist": "the whole band",
    "automatic": "chosen from the data",
}
#: What is said of a window that was not found by the rule, but had to be taken.
DOUBT = "no plateau found"
_RULES = {"longest": DOUBT, "gls": "generalised least squares"}
#: Those for which keys of the configuration choose cut-offs, orders and windows.
_CHOSEN = ("conductivity", "diffusion")
STATE = ("temperature", "volume", "duration")
_ORDER = (
    *STATE,
    *("topological_charge", "winding_number"),
    *("conductivity", "diffusion", "mobility", "haven_ratio"),
    *("gauge", "conductivity_difference", "gauge_growth", "coherence", "constant_charge", "carrier_conductivity"),
    *("partial_conductivity", "transference_number", "conductivity_tensor", "isotropy", "dielectric_constant"),
    *("thermal_conductivity", "thermal_conductivity_difference", "seebeck_coefficient", "viscosity"),
    *("friction", "initial_kernel", "memory_time", "zero_crossing", "minimum", "minimum_time"),
    *("equipartition", "force_integral", "kernel_consistency", "gle_deviation"),
)


# ---- numbers --------------------------------------------------------------------------------------------------------


def with_error(value: float, error: float) -> str:
    """``79.1 ± 8.9``: the error to two digits, the value to as many; ``(3.15 ± 0.06) × 10⁻⁹`` far from one.

    An error of zero is that of an exact number and is not shown; an error that is not known is a question mark.
    """
    if not math.isfinite(value) or error == 0:
        return number(value)
    if not 0 < error < math.inf:
        unknown = "∞" if error == math.inf else "?"
        digits, exponent = _split(number(value, 4))
        return f"({digits} ± {unknown}) × {exponent}" if exponent else f"{digits} ± {unknown}"
    place = int(f"{error:.1e}".partition("e")[2]) - 1
    lead = int(f"{max(abs(value), error):.1e}".partition("e")[2])
    if lead - place > _ALIGNED_DIGITS:
        return f"{_whole(number(value, _ALIGNED_DIGITS))} ± {_whole(number(error, 2))}"
    if -3 <= lead <= 5 and place <= 1:
        return f"{_fixed(value, place)} ± {_fixed(error, place)}"
    return f"({_fixed(value, place, lead)} ± {_fixed(error, place, lead)}) × {power_of_ten(lead)}"


def number(value: float, digits: int = 6) -> str:
    """At most ``digits`` significant digits: ``3551.2``, ``3.15 × 10⁻⁹``, ``unknown`` for NaN."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, _, exponent = f"{value:.{digits}g}".replace("-", "−").partition("e")
    return f"{mantissa} × {power_of_ten(int(exponent.replace('−', '-')))}" if exponent else mantissa


def power_of_ten(exponent: int) -> str:
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def _whole(text: str) -> str:
    return f"({text})" if "×" in text else text


def _split(text: str) -> tuple[str, str]:
    mantissa, _, exponent = text.partition(" × ")
    return mantissa, exponent


def _fixed(value: float, place: int, exponent: int = 0) -> str:
    """``value``/10^exponent rounded at the digit 10^place of ``value``."""
    rounded = Decimal(value).scaleb(-exponent).quantize(Decimal(1).scaleb(place - exponent))
    return f"{rounded + 0:f}".replace("-", "−")  # + 0: no minus before a zero


# ---- words ----------------------------------------------------------------------------------------------------------


def clean(text: str, spaces: str = _SPACES) -> str:
    """``text`` without what could steer a terminal or break a page: control and direction characters, surrogates."""
    return "".join(letter if letter.isprintable() or letter in spaces else "\ufffd" for letter in text)


def told_once(notes: Iterable[str]) -> list[str]:
    """Notes that differ in the first quoted name only, told once, with all the names."""
    names: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        quoted = re.search("'[^']+'", note)
        before, name, after = (note[: quoted.start()], quoted[0], note[quoted.end() :]) if quoted else (note, "", "")
        names.setdefault((before, after), []).append(name)
    return [before + ", ".join(dict.fromkeys(found)) + after for (before, after), found in names.items()]


def one_line(text: str) -> str:
    return clean(" ".join(text.split()))


def quantity_text(quantity: str) -> str:
    return _QUANTITIES.get(quantity, quantity.replace("_", " "))


def method_text(method: str) -> str:
    return _METHODS.get(method, method)


def unit_text(unit: str) -> str:
    return "" if unit == "1" else unit.replace("^2", "²").replace("^3", "³")


def quantity_with_unit(result: Result) -> str:
    """``79.1 ± 8.9 S/m``, ``(3.15 ± 0.06) × 10⁻⁹ m²/s``."""
    if result.quantity == "gauge":  # the verdict is the answer
        return value_text(result.details.get("verdict", "unknown"))
    unit = "" if math.isnan(result.value) else unit_text(result.unit)
    return f"{with_error(result.value, result.error)} {unit}".strip()


def value_text(value: Any) -> str:
    """A parameter of any type: numbers to six digits, lists with commas."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {value_text(part)}" for key, part in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(part) for part in value) or "none"
    return str(value)


def origin_text(origin: Any) -> str:
    return _ORIGINS.get(str(origin), str(origin))


def rule_text(rule: Any) -> str:
    return _RULES.get(str(rule), str(rule))


# ---- results --------------------------------------------------------------------------------------------------------


def by_quantity(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by quantity, the usual ones first, the rest as they come."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.quantity, []).append(result)
    first = [quantity for quantity in _ORDER if quantity in found]
    return {quantity: found[quantity] for quantity in [*first, *(key for key in found if key not in first)]}


def find(results: Iterable[Result], quantity: str, of: str, method: str | None = None) -> Result | None:
    for result in results:
        if (result.quantity, result.of) == (quantity, of) and method in (None, result.method):
            return result
    return None


def essentials(result: Result) -> list[str]:
    """The few details that say how much a number is worth: P*, f*, window, frame; all of them where none is known."""
    texts = (text(result, result.details) for key, text in _ESSENTIALS if key in result.details)
    parts = [text for text in texts if text]
    if result.quantity == "gauge":
        parts.insert(0, f"chance of such data if they do: {number(result.value, 2)}")
    return parts if parts or result.quantity in _ORDER else all_details(result)


def _fit_window(result: Result, details: Mapping[str, Any]) -> str:
    verb = "mean over" if result.method == "green-kubo" else "fit"
    return f"{verb} {window_text(details)} ({rule_text(details.get('window_rule', 'unknown'))})"


def _tail(_: Result, details: Mapping[str, Any]) -> str:
    time = details.get("tail_time", 0.0)
    found = isinstance(time, (int, float)) and math.isfinite(time)
    return f"{share_text(details['tail_share'])} from the tail beyond" if found else "no tail beyond found"


def _residual(_: Result, details: Mapping[str, Any]) -> str:
    residual = details["residual"]
    return f"residual {number(residual, 2) if isinstance(residual, float) else value_text(residual)}"


def _samples(result: Result, details: Mapping[str, Any]) -> str:
    if "interval" not in details:
        return ""
    unit = details.get("interval_unit", result.unit if result.unit != "reduced" else "")
    return f"{value_text(details['samples'])} samples, {value_text(details['interval'])} {unit} apart"


def _given_charge(_: Result, details: Mapping[str, Any]) -> str:
    agrees = "" if details.get("oxidation_agrees") else ", which does not agree"
    return f"given {details['oxidation']:+g}{agrees}".replace("-", "−")


def _after(word: str, key: str) -> tuple[str, Text]:
    """The value of a detail behind a word."""
    return key, lambda _, details: f"{word} {value_text(details[key])}".strip()


def _measured(word: str, key: str) -> tuple[str, Text]:
    """The value of a detail behind a word, with its unit."""
    return key, lambda _, details: f"{word} {_with_unit(details, key)}"


def _with_origin(text: Callable[[Mapping[str, Any]], str], key: str) -> tuple[str, Text]:
    """A detail, and how it was chosen."""
    return key, lambda _, details: f"{text(details)} ({origin_text(details.get(f'{key}_origin', 'unknown'))})"


_ESSENTIALS: tuple[tuple[str, Text], ...] = (
    _with_origin(lambda details: f"P* = {value_text(details['order'])}", "order"),
    ("resolved", lambda _, details: "" if details["resolved"] else "NOT RESOLVED"),
    ("verdict", lambda result, details: "" if result.quantity == "gauge" else value_text(details["verdict"])),
    _after("currents:", "currents"),
    _after("displaced dipoles:", "growth"),
    _measured("below", "upper_limit"),
    _measured("they stay at", "saturation"),
    ("confidence", lambda _, details: f"{number(100 * details['confidence'], 4)} % confidence"),
    ("tolerance", lambda _, details: f"tolerance {share_text(details['tolerance'])}"),
    ("oxidation", _given_charge),
    _after("the rest", "rest"),
    ("pumped", lambda _, details:
        f"predicted {value_text(details.get('predicted'))}, pumped {value_text(details['pumped'])}"),
    ("eliminated", lambda _, details: f"{value_text(details['eliminated'])} eliminated"),
    _after("fixed", "fixed"),
    _after("fluxes", "fluxes"),
    ("convention", lambda _, details:
        f"{value_text(details['convention'])}, energies {value_text(details.get('energies', 'unknown'))}"),
    _after("", "box"),
    _with_origin(lambda details: f"up to {highest_text(details)}", "highest"),
    _measured("knee at", "knee"),
    _with_origin(lambda details: f"f* = {cutoff_text(details)}", "cutoff"),
    ("window_begin", _fit_window),
    ("cut", lambda _, details: "" if "window_begin" in details else f"cut at {_with_unit(details, 'cut')}"),
    ("window", lambda _, details:
        "" if {"window_begin", "cut"} & set(details) else f"window {_with_unit(details, 'window')}"),
    ("tail_share", _tail),
    ("terms", lambda _, details: f"{value_text(details['terms'])} terms"),
    ("residual", _residual),
    ("batches", lambda _, details: f"{value_text(details['batches'])} batches"),
    ("groups", lambda _, details: f"error from {value_text(details['groups'])} groups"),
    ("samples", _samples),
    ("degrees_of_freedom", lambda result, details:
        f"{value_text(details['degrees_of_freedom'])} degrees of freedom" if result.quantity == "temperature" else ""),
    _measured("charge", "charge"),
    ("frame", lambda _, details: f"{details['frame']} frame"),
)  # fmt: skip
"""Details in the order in which they are said, each by its own words; empty where it says nothing."""


def all_details(result: Result) -> list[str]:
    """Every detail, with its unit where there is one: that of ``cut`` in ``cut_unit``, of ``window_end`` in
    ``window_unit``."""
    details, parts = result.details, []
    for key, value in details.items():
        unit = details.get(f"{key}_unit", details.get(f"{key.partition('_')[0]}_unit"))
        number_with_unit = unit is not None and isinstance(value, (int, float))
        if not key.endswith("_unit"):
            parts.append(f"{key.replace('_', ' ')} {value_text(value)}{f' {unit}' if number_with_unit else ''}")
    return parts


def window_text(details: Mapping[str, Any]) -> str:
    """``2–10 ps``"""
    values = (details.get(f"window_{end}") for end in ("begin", "end"))
    ends = "–".join(number(value, 4) if isinstance(value, float) else value_text(value) for value in values)
    return f"{ends} {details.get('window_unit', '')}".strip()


def cutoff_text(details: Mapping[str, Any]) -> str:
    return _with_unit(details, "cutoff")


def highest_text(details: Mapping[str, Any]) -> str:
    return _with_unit(details, "highest")


def share_text(share: Any) -> str:
    """``12 %``"""
    return f"{number(100 * share, 2)} %" if isinstance(share, (int, float)) else value_text(share)


def _with_unit(details: Mapping[str, Any], key: str) -> str:
    value = details[key]
    text = number(value, 4) if isinstance(value, float) else value_text(value)
    return f"{text} {details.get(f'{key}_unit', '')}".strip()


# ---- the run --------------------------------------------------------------------------------------------------------


def composition(record: Record) -> str:
    """``54 Ag, 54 I``"""
    return ", ".join(f"{count} {name}" for count, name in zip(record.population.tolist(), record.species, strict=True))


def oxidation_text(record: Record) -> str:
    """``Ag +1, I −1``"""
    return ", ".join(f"{name} {charge:+g}".replace(" -", " −") for name, charge in record.oxidation.items())


class Fact(NamedTuple):
    """A named value, and where it comes from (empty where that goes without saying)."""

    name: str
    value: str
    origin: str = ""


def run_facts(record: Record) -> list[Fact]:
    """What was measured."""
    units = unit_style(record.units)
    charges = ", ".join(
        f"{name} {number(charge, 4)}" for name, charge in zip(record.species, record.mean_charge.tolist(), strict=True)
    )
    spectra = ", ".join(f"{part.segments} × {part.length}" for part in record.periodograms)
    temperature = with_error(record.temperature * units.temperature, record.temperature_error * units.temperature)
    time, volume = units.picosecond, record.volume * units.angstrom**3
    return [
        Fact("atoms", composition(record)),
        Fact("mean charge of an atom", f"{charges} ({units.symbols[2]})"),
        Fact("oxidation numbers", oxidation_text(record) or "not given"),
        Fact("charge representations", ", ".join(record.representations) or "none"),
        Fact("basis fluxes", ", ".join(record.flux_names)),
        Fact("frame of the fluxes", record.frame),
        Fact("host lattice", ", ".join(record.host) or "not given"),
        Fact("unit style", record.units),
        Fact("time step", f"{number(record.timestep * time)} {units.time_label}"),
        Fact("sampling", f"every {record.every} steps, {number(record.interval * time)} {units.time_label}"),
        Fact("samples", f"{record.samples}, steps {record.first_step} to {record.last_step}"),
        Fact("flux series", "not kept" if record.series is None else f"kept, {_stretches(record)}"),
        Fact("segments × samples of the spectra", spectra or "none"),
        Fact("correlations of single atoms", _correlations(record)),
        Fact("temperature", f"{temperature} {units.label('K')}"),
        Fact("degrees of freedom", number(record.degrees_of_freedom)),
        Fact("volume", f"{number(volume)} {unit_text(units.label('Å^3'))}"),
    ]


def _correlations(record: Record) -> str:
    """``vv, ff (force: total) of 54 Ag, 54 I, 1000 lags, host frame``"""
    kept = record.correlations
    if kept is None:
        return "none"
    followed = ", ".join(f"{count} {name}" for count, name in zip(kept.followed.tolist(), kept.groups, strict=True))
    force = f" (force: {kept.force})" if any("f" in pair for pair in kept.pairs) else ""
    sampling = f"{kept.counts.shape[1]} lags, origins every {kept.every} samples"
    return f"{', '.join(kept.pairs)}{force} of {followed}, {sampling}, {kept.frame} frame"


def _stretches(record: Record) -> str:
    count = 0 if record.series is None else len(record.series.stretches)
    return "without a gap" if count <= 1 else f"in {count} stretches"


def provenance_facts(results: Results) -> list[Fact]:
    """Where the file comes from."""
    own = [Fact("file", results.path.name), Fact("format version", str(results.format_version))]
    return own + [Fact(key, value_text(value)) for key, value in results.provenance.items()]


def parameters(results: Results) -> list[Fact]:
    """Every key of the configuration: its value, and whether it was given, a default, or chosen for this run."""
    given = dict(_flattened(results.given))
    facts = []
    for key, value in _flattened(results.config.model_dump()):
        if key in given:
            facts.append(Fact(key, value_text(value), "given"))
        elif value is None:
            facts.append(Fact(key, *_chosen(key, results)))
        else:
            facts.append(Fact(key, value_text(value), "default"))
    return facts


def _flattened(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _chosen(key: str, results: Results) -> tuple[str, str]:
    """What stands in for a key that was not given, and by which rule."""
    record, found = results.record, results.outcome.results
    if key == "output":
        return results.path.name, "default: named after the configuration, the fix or the trajectory"
    if key == "species":
        return ", ".join(record.species), "default: one species for each LAMMPS type"
    if key == "representations":
        return ", ".join(record.representations) or "none", "default: all the charges that the run knows"
    if key == "block":
        return "automatic", "default: by memory"
    if key == "spectral.cutoff":
        return _each(found, "spectral", highest_text), _origins(found, "spectral", "highest_origin", origin_text)
    if key == "cepstral.cutoff":
        return _each(found, "cepstral", cutoff_text), _origins(found, "cepstral", "cutoff_origin", origin_text)
    if key == "cepstral.order":
        order = _each(found, "cepstral", lambda details: value_text(details.get("order")))
        return order, _origins(found, "cepstral", "order_origin", origin_text)
    if key in ("einstein.window", "msd.window"):
        method = key.partition(".")[0]
        return _each(found, method, window_text), _origins(found, method, "window_rule", rule_text)
    if key.startswith("correlations.") and record.correlations is not None:
        return _chosen_for_correlations(key.partition(".")[2], record.correlations, found)
    if key in ("temperature", "volume"):
        state = find(found, key, "system")
        return ("unknown" if state is None else quantity_with_unit(state)), "measured"
    if key == "thermo":
        return "conductivities and diffusion coefficients", "default"
    return "none", "default"


def _chosen_for_correlations(key: str, kept: CorrelationRecord, found: Sequence[Result]) -> tuple[str, str]:
    if key == "window":
        return f"{kept.counts.shape[1]} lags", "default: by the key 'lags'"
    if key == "pairs":
        return ", ".join(kept.pairs), "default: by what the run knows"
    if key == "frame":
        return kept.frame, "default: that of the fluxes"
    if key == "species":
        return ", ".join(kept.groups), "default: all"
    if key == "atoms":
        followed = zip(kept.groups, kept.followed.tolist(), strict=True)
        return ", ".join(f"{name}: {count}" for name, count in followed), "default: within 'memory' and 'work'"
    if key == "prony":
        terms = [f"{one.of}: {value_text(one.details['terms'])}" for one in found if "terms" in one.details]
        return "; ".join(terms) or "not used", "default: from the data"
    return "none", "default"


def _each(results: Sequence[Result], method: str, text: Callable[[Mapping[str, Any]], str]) -> str:
    parts = []
    for result in results:
        if (
            result.quantity in _CHOSEN
            and result.method == method
            and {"cutoff", "highest", "window_begin"} & set(result.details)
        ):
            frame = f", {result.details.get('frame')} frame" if method == "msd" else ""
            parts.append(f"{result.of}{frame}: {text(result.details)}")
    return "; ".join(parts) or "not used"


def _origins(results: Sequence[Result], method: str, key: str, text: Callable[[Any], str]) -> str:
    found = {
        text(result.details[key])
        for result in results
        if result.quantity in _CHOSEN and result.method == method and key in result.details
    }
    return "default: from the data" + (f" ({', '.join(sorted(found))})" if found else "")
