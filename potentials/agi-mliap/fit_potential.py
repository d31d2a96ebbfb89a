#!/usr/bin/env python3
"""Fit the potential of alpha-AgI to labelled configurations and write it as LAMMPS reads it.

Each energy, force and stress is a linear equation of the coefficients (`descriptors.py`); they are solved by weighted
least squares (`regression.py`). Configurations of the split `test` are neither fitted nor used to choose anything:
they only serve to tell the errors at the end. With --search the hyperparameters are chosen first, by cross-validation
over the others: one after the other, as long as that helps.

Written are agi.mliap.model, agi.mliap.descriptor, agi-mliap.in and agi-mliap-fit.json, which records the
hyperparameters, what was fitted and the errors.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from descriptors import Form, design, write_potential
from label_configurations import read_configurations
from regression import Equations, Errors, Weights, cross_validate, equations, errors, held_out, solve

FORMS: dict[str, tuple[float, ...]] = {
    "cutoff": (4.8, 5.0, 5.2, 5.4),
    "radius_ag": (0.88, 0.92, 0.96, 1.0),
    "radius_i": (1.0, 1.04, 1.08, 1.12, 1.16),
    "rfac0": (0.7, 0.8, 0.9),
    "weight_ag": (0.2, 0.3, 0.5, 0.7),
    "weight_i": (0.2, 0.35, 0.5),
    "charge": (0.1, 0.2, 0.3, 0.4, 0.6),
}
"""Hyperparameters of the form and the values that --search tries."""

WEIGHTS: dict[str, tuple[float, ...]] = {
    "energy": (5.0, 10.0, 20.0, 40.0, 80.0),
    "stress": (20.0, 40.0, 80.0, 160.0),
    "ridge": (1e-12, 1e-11, 1e-10, 1e-9, 1e-8),
}

FIRST_OF_SECOND = 1000
"""Index from which configurations were drawn with a fitted potential."""

HEAD = f"{'':28s}   n  meV/atom     eV/A   of rms     GPa"


def zero_of_energy(configurations: list[Atoms]) -> float:
    """Mean energy an atom (eV) of configurations, which is subtracted from all of them."""
    return float(np.mean([atoms.get_potential_energy() / len(atoms) for atoms in configurations]))


def all_equations(configurations: list[Atoms], form: Form, zero: float) -> list[Equations]:
    return [equations(atoms, design(atoms, form), zero) for atoms in configurations]


def search(
    fitted: list[Atoms], form: Form, weights: Weights, zero: float, *, say: Callable[[str], None]
) -> tuple[Form, Weights]:
    """Change one hyperparameter after the other to the value of the best score until none gets better."""
    rows = all_equations(fitted, form, zero)
    best = cross_validate(rows, weights)
    say(f"{'start':28s} {best.text()}")
    improved = True
    while improved:
        improved = False
        for name, values in WEIGHTS.items():
            for value in values:
                other = dataclasses.replace(weights, **{name: value})
                found = cross_validate(rows, other)
                if found.score < 0.995 * best.score:
                    best, weights, improved = found, other, True
                    say(f"{f'{name} {value:g}':28s} {best.text()}")
        for name, values in FORMS.items():
            for value in values:
                changes: dict[str, Any] = {name: value}
                trial = dataclasses.replace(form, **changes)
                if trial == form:
                    continue
                changed = all_equations(fitted, trial, zero)
                found = cross_validate(changed, weights)
                if found.score < 0.995 * best.score:
                    best, form, rows, improved = found, trial, changed, True
                    say(f"{f'{name} {value:g}':28s} {best.text()}")
    return form, weights


def groups(configurations: list[Atoms]) -> dict[str, list[int]]:
    """Rows of the configurations by where they come from: all, each generation, each kind of each generation."""
    found: dict[str, list[int]] = {"all": list(range(len(configurations)))}
    order = sorted(range(len(configurations)), key=lambda k: (len(configurations[k].info["kind"]), k))
    for which, second in (("first", False), ("second", True)):
        members = [k for k in order if (configurations[k].info["index"] >= FIRST_OF_SECOND) == second]
        for k in members:
            found.setdefault(f"{which} generation", []).append(k)
        for kind in sorted({configurations[k].info["kind"] for k in members}):
            found[f"{which}, {kind}"] = [k for k in members if configurations[k].info["kind"] == kind]
    return found


def read(paths: Iterable[Path]) -> list[Atoms]:
    """Labelled configurations of several files, by index."""
    configurations = [atoms for path in paths for atoms in read_configurations(path)]
    return sorted(configurations, key=lambda atoms: int(atoms.info["index"]))


def fit(
    configurations: list[Atoms],
    folder: Path,
    form: Form,
    weights: Weights,
    *,
    choose: bool,
    say: Callable[[str], None],
    unseen: Sequence[Atoms] = (),
) -> None:
    """Fit to the configurations of split `fit` and write the potential; tell the errors on those, `test` and `unseen`.

    Raises `ValueError` if there are too few configurations, or if one is both fitted and unseen.
    """
    fitted = [atoms for atoms in configurations if atoms.info["split"] == "fit"]
    held = [*(atoms for atoms in configurations if atoms.info["split"] == "test"), *unseen]
    indices = [[int(atoms.info["index"]) for atoms in members] for members in (fitted, held)]
    if both := set(indices[0]) & set(indices[1]):
        raise ValueError(f"configurations {sorted(both)} are both fitted and for testing")
    if len(fitted) < 10:
        raise ValueError(f"{len(fitted)} configurations of split 'fit' are too few; 10 are the least")
    zero = zero_of_energy(fitted)
    if choose:
        form, weights = search(fitted, form, weights, zero, say=say)
    rows = all_equations(fitted, form, zero)
    pairs = held_out(rows, weights)
    crossed = {name: errors([pairs[k] for k in members]) for name, members in groups(fitted).items()}
    coefficients = solve(rows, weights)
    say(HEAD)
    say(f"{'fitted':28s} {errors([(e, coefficients) for e in rows]).text()}")
    for name, value in crossed.items():
        say(f"{f'left out: {name}':28s} {value.text()}")
    told: dict[str, Errors] = {}
    if held:
        tests = [(e, coefficients) for e in all_equations(held, form, zero)]
        told = {name: errors([tests[k] for k in members]) for name, members in groups(held).items()}
        for name, value in told.items():
            say(f"{f'test: {name}':28s} {value.text()}")
    written = write_potential(folder, form, coefficients)
    record = {
        "form": dataclasses.asdict(form),
        "weights": dataclasses.asdict(weights),
        "zero_of_energy_eV_an_atom": round(zero, 6),
        "fitted_indices": indices[0],
        "test_indices": indices[1],
        "units": {"energy": "meV/atom", "forces": "eV/A", "stress": "GPa"},
        "cross_validation": {name: value._asdict() for name, value in crossed.items()},
        "test": {name: value._asdict() for name, value in told.items()},
    }
    (folder / "agi-mliap-fit.json").write_text(json.dumps(record, indent=2) + "\n")
    say(f"written: {written}")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: fit_potential.py agi-pbe.xyz.gz --output .",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, nargs="+", help="labelled configurations, extended XYZ, plain or .gz")
    parser.add_argument("--output", type=Path, default=Path(), help="folder to write to (the current one)")
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="more configurations that only tell errors")
    parser.add_argument("--search", action="store_true", help="choose hyperparameters by cross-validation first")
    for field in (*dataclasses.fields(Form), *dataclasses.fields(Weights)):
        parser.add_argument(
            "--" + field.name.replace("_", "-"), type=type(field.default), default=field.default,
            help=f"({field.default:g})",
        )  # fmt: skip
    args = parser.parse_args(argv)
    given = vars(args)
    form = Form(**{field.name: given[field.name] for field in dataclasses.fields(Form)})
    weights = Weights(**{field.name: given[field.name] for field in dataclasses.fields(Weights)})
    try:
        fit(
            read(args.data), args.output, form, weights,
            choose=args.search, say=lambda line: print(line, flush=True), unseen=read(args.test),
        )  # fmt: skip
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
