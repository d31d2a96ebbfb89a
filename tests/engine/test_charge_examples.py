"""The examples of charge representations, cut short: what holds at every step, against LAMMPS's dump and averages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lammps_topo.estimate.current_spectrum import current_weights
from lammps_topo.record import Record
from lammps_topo.store import read_results

Array = NDArray[np.float64]
SHELL = -2.5005
E2 = 14.399645  # e^2/(4 pi eps0) in eV A
#: Of constants of LAMMPS's units real (k_B is 0.0019872067 there, 1.2e-6 too large).
ROUNDED = 3e-6


@dataclass(frozen=True)
class Short:
    """A run of a few picoseconds: its record, frames of the dump at the same steps, and thermo output every 4 steps."""

    record: Record
    types: Array
    molecules: Array
    charges: Array
    positions: Array
    """(T, N, 3), unwrapped"""
    thermo: Array
    """(T, columns) of ``fix print``"""

    def dipole(self, representation: str) -> Array:
        """(T, 3) displaced since the first sample, as streamed."""
        assert self.record.series is not None
        weights = current_weights(self.record, representation)
        moment = self.record.series.moment
        return np.einsum("f,tfc->tc", weights[: moment.shape[1]], moment)

    def current(self, representation: str) -> Array:
        assert self.record.series is not None
        return np.einsum("f,tfc->tc", current_weights(self.record, representation), self.record.series.flux)


@pytest.fixture(scope="module")
def example(lmp, repository, tmp_path_factory) -> Callable[..., Short]:
    """Run an example's input with fewer steps; a dump and averages of LAMMPS are added before its last run."""

    def run(
        name: str, script: str, results: str, *, every: int, steps: int, temperature: str, **variables: str
    ) -> Short:
        folder = tmp_path_factory.mktemp(name)
        for file in (repository / "examples" / name).iterdir():
            shutil.copy(file, folder)
        text = (folder / script).read_text()
        head, _, last = text.rpartition("run ")
        assert last.strip() == "${steps}"
        given = {"potentials": f"{repository}/potentials", "steps": str(steps), "equilibration": "600", **variables}
        lmp(
            "".join(f"variable {key} index {value}\n" for key, value in given.items())
            + head
            + f"""
dump test all custom {every} test.dump id type mol q xu yu zu
dump_modify test sort id format float %.17g
thermo {every}
variable t equal {temperature}
variable e equal etotal
fix test all print {every} "$(step) $(v_t:%.12g) $(v_e:%.12g)" file test.txt screen no
run ${{steps}}
""".replace(" mol ", " mol " if "atom_style      full" in text else " id "),
            folder,
        )
        frames = _frames(folder / "test.dump")
        return Short(
            record=read_results(folder / results).record,
            types=frames[0, :, 1], molecules=frames[0, :, 2], charges=frames[:, :, 3], positions=frames[:, :, 4:],
            thermo=np.loadtxt(folder / "test.txt"),
        )  # fmt: skip

    return run


CRYSTAL = """
variable potentials index {repository}/potentials
units metal
atom_style full
variable cell string "a1 1 0 0 a2 0 1 0 a3 0 0 1"
variable anions string "basis 0.5 0 0 basis 0 0.5 0 basis 0 0 0.5 basis 0.5 0.5 0.5"
lattice custom 5.64 ${{cell}} basis 0 0 0 basis 0.5 0.5 0 basis 0.5 0 0.5 basis 0 0.5 0.5 ${{anions}}
region cell block 0 2 0 2 0 2
create_box 3 cell bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 1
create_atoms 1 region cell basis 5 2 basis 6 2 basis 7 2 basis 8 2
lattice custom 5.64 ${{cell}} ${{anions}}
create_atoms 3 region cell
group cores type 1 2
group shells type 3
mass * 1.0
pair_style zero 9.5
pair_coeff * *
neighbor 1.0 bin
create_bonds many cores shells 1 0.0 0.1
include ${{potentials}}/nacl-coreshell/nacl.in
fix field all efield 0.05 0 0
fix_modify field energy yes
fix hold cores setforce 0 0 0
compute moved shells displace/atom
compute sum shells reduce sum c_moved[1]
thermo_style custom step pe c_sum
minimize 0 1e-7 300 1000
print "moved by $(c_sum) in $(vol)" file moved.txt
"""


def _frames(path: Path) -> Array:
    """(T, N, columns)"""
    lines = path.read_text().splitlines()
    atoms = int(lines[3])
    frames = [lines[begin + 9 : begin + 9 + atoms] for begin in range(0, len(lines), atoms + 9)]
    return np.array([[line.split() for line in frame] for frame in frames], dtype=float)


def _since_start(dipole: Array) -> Array:
    return np.asarray(dipole - dipole[0])


@pytest.fixture(scope="module")
def coreshell(example) -> Short:
    return example(
        "nacl-coreshell", "in.nacl-coreshell", "nacl-coreshell.topo.h5", every=4, steps=2000, temperature="c_ions"
    )


@pytest.fixture(scope="module")
def water(example) -> Short:
    return example("water", "in.water", "water.topo.h5", every=4, steps=1200, temperature="temp")


@pytest.fixture(scope="module")
def brine(example) -> Short:
    return example("water", "in.water", "brine.topo.h5", every=4, steps=1200, temperature="temp", salt="yes")


@pytest.fixture(scope="module")
def salt(example) -> Short:
    return example("qeq", "in.qeq", "qeq.topo.h5", every=4, steps=1200, temperature="temp")


def test_shells_polarise_the_crystal_as_their_springs_say(lmp, repository, tmp_path):
    """Clausius and Mossotti, with spring and repulsion of six Na at 2.82 A; the field is that of tinfoil boundaries."""
    lmp(CRYSTAL.format(repository=repository), tmp_path)
    words = (tmp_path / "moved.txt").read_text().split()
    measured = 1 + 4 * np.pi * E2 * SHELL * float(words[2]) / (float(words[4]) * 0.05)
    r, a, rho, c, d = 2.82, 0.21096 * np.exp((2.755 - 2.82) / 0.317), 0.317, 6.9905, 8.6757
    first = -a / rho + 6 * c / r**7 + 8 * d / r**9
    second = a / rho**2 - 42 * c / r**8 - 72 * d / r**10
    stiffness = 25.724 + 2 * (second + 2 * first / r)
    share = 4 * np.pi / 3 * SHELL**2 * E2 / stiffness / (5.64**3 / 4)
    assert measured == pytest.approx((1 + 2 * share) / (1 - share), rel=5e-3)  # shells move 3 mA: fourth order, PPPM


def test_temperature_of_core_shell_ions_is_that_of_their_centres_of_mass(coreshell):
    """compute temp/cs is LAMMPS's own; motion within ions, which is cold, adds less than 2 %."""
    assert coreshell.record.degrees_of_freedom == 3 * 64 - 3
    assert 1 < coreshell.record.temperature / coreshell.thermo[:, 1].mean() < 1.02


def test_core_shell_currents_differ_by_the_dipoles_of_the_ions(coreshell):
    bond = coreshell.positions[:, coreshell.types == 3] - coreshell.positions[:, coreshell.types == 2]
    assert np.linalg.norm(bond, axis=-1).max() < 0.5
    difference = coreshell.dipole("atomic") - coreshell.dipole("integers")
    np.testing.assert_allclose(difference, _since_start(SHELL * bond.sum(axis=1)), atol=1e-7)
    # bounded, whatever the time, by what the springs allow; the dipole itself goes on
    bound = 2 * abs(SHELL) * np.linalg.norm(bond, axis=-1).sum(axis=1).max()
    assert np.linalg.norm(difference, axis=-1).max() < bound
    # a twentieth of an ion's mass is on the shell: the net charge -1 moves with the centre of mass
    ions = coreshell.dipole("ions") - coreshell.dipole("integers")
    np.testing.assert_allclose(ions, _since_start(-0.05 * bond.sum(axis=1)), atol=1e-4)  # masses to six digits


def test_core_shell_currents_differ_at_every_moment(coreshell):
    """By the motion of shells, which is no small part of the current and yet carries nothing in the end."""
    integers = coreshell.current("integers")
    assert (coreshell.current("atomic") - integers).std() > 0.2 * integers.std()
    assert (coreshell.current("ions") - integers).std() < 0.02 * integers.std()


def test_rigid_molecules_have_three_degrees_of_freedom_less_and_carry_nothing(water):
    assert water.record.degrees_of_freedom == 6 * 64 - 3
    assert water.record.temperature == pytest.approx(water.thermo[:, 1].mean(), rel=ROUNDED)
    assert np.abs(water.current("molecular")).max() < 1e-9 * np.abs(water.current("atomic")).max()
    assert np.abs(water.dipole("molecular")).max() < 1e-9 * np.abs(water.dipole("atomic")).max()


def test_water_displaces_its_dipole_and_no_more_with_any_charges(water):
    """Dipoles of the dump; charges of which molecules are neutral differ by a factor."""
    dipole = (water.charges[..., None] * water.positions).sum(axis=1)
    np.testing.assert_allclose(water.dipole("atomic"), _since_start(dipole), atol=1e-6)
    moment = 2 * 0.4238 * np.cos(np.radians(109.47 / 2))  # of a molecule, e A
    assert np.linalg.norm(dipole, axis=-1).max() < 64 * moment
    for name, charge in (("nominal", -2.0), ("small", 0.2)):
        np.testing.assert_allclose(water.dipole(name), charge / -0.8476 * water.dipole("atomic"), atol=1e-6)


def test_currents_of_a_solution_differ_by_the_dipole_of_its_water(brine):
    assert brine.record.degrees_of_freedom == 6 * 56 + 3 * 8 - 3
    assert brine.record.temperature == pytest.approx(brine.thermo[:, 1].mean(), rel=ROUNDED)
    liquid = np.isin(brine.types, (1, 2))
    ions = np.where(liquid, 0.0, brine.charges[0])
    np.testing.assert_allclose(
        brine.dipole("molecular"), _since_start(np.einsum("i,tic->tc", ions, brine.positions)), atol=1e-6
    )
    rest = np.einsum("ti,tic->tc", np.where(liquid, brine.charges, 0.0), brine.positions)
    np.testing.assert_allclose(brine.dipole("atomic") - brine.dipole("molecular"), _since_start(rest), atol=1e-6)


def test_fluctuating_charges_conserve_energy_and_move_as_the_dump_says(salt):
    assert np.ptp(salt.thermo[:, 2]) < 0.02  # eV, of 64 ions
    assert np.abs(salt.charges.sum(axis=1)).max() < 1e-6
    sodium = salt.charges[:, salt.types == 1]
    assert 0.6 < sodium.min() < sodium.max() < 1.2
    assert sodium.std() > 0.02
    mean = 0.5 * (salt.charges[1:] + salt.charges[:-1])
    steps = np.einsum("ti,tic->tc", mean, np.diff(salt.positions, axis=0))
    np.testing.assert_allclose(np.diff(salt.dipole("atomic"), axis=0), steps, atol=1e-6)
