"""A short run of superionic AgI, as a LAMMPS data file and a dump with every digit, and scripts that replay it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

CONFIG = """
species:
  Ag: {type: 1, oxidation: +1}
  I: {type: 2, oxidation: -1}
representations: [oxidation, atomic]
host: I
msd: {lags: 16, every: 4, levels: 2, stride: 4, frames: [barycentric, host]}
segments: {shortest: 16, number: 2}
"""

SYSTEM = """
units metal
atom_style charge
timestep 0.001
"""


@dataclass(frozen=True)
class Sample:
    """Files of the run: 108 atoms with gaps between their tags, 97 frames 4 steps apart."""

    folder: Path
    frames: int = 97
    every: int = 4
    system: str = SYSTEM
    config: str = CONFIG

    def replay(self, fix: str, *, columns: str = "x y z ix iy iz vx vy vz q") -> str:
        """A script that reruns the dump under a fix line (or lines)."""
        return (
            f"{SYSTEM}read_data {self.folder}/agi.data\npair_style zero 6.0\npair_coeff * *\nfix nve all nve\n"
            f"{fix}\nthermo 100\nrerun {self.folder}/agi.lammpstrj dump {columns}\n"
        )


def _generate(lmp, folder: Path, repository: Path, box: str) -> Sample:
    script = f"""{SYSTEM}
variable potentials index {repository}/potentials
lattice custom 5.0855 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
{box}
create_box 2 cell
create_atoms 2 region cell basis 1 1 basis 2 1
include ${{potentials}}/agi-vashishta-rahman/agi.table.in
velocity all create 3000.0 4711 mom yes dist gaussian
velocity all set 3.0 2.0 1.0 sum yes units box
group gone id 5 17
delete_atoms group gone compress no
fix nve all nve
run 200
reset_timestep 0
write_data agi.data nocoeff
dump d all custom 4 agi.lammpstrj id type mass q x y z ix iy iz vx vy vz
dump_modify d format float %.17g
run 384
"""
    lmp(script, folder)
    return Sample(folder)


@pytest.fixture(scope="session")
def agi(lmp, tmp_path_factory, repository) -> Sample:
    return _generate(lmp, tmp_path_factory.mktemp("agi"), repository, "region cell block 0 3 0 3 0 3")


@pytest.fixture(scope="session")
def tilted_agi(lmp, tmp_path_factory, repository) -> Sample:
    """The same in a triclinic box (of lattice vectors, so that the crystal fits)."""
    return _generate(lmp, tmp_path_factory.mktemp("tilted"), repository, "region cell prism 0 3 0 3 0 3 1 0 1")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """``agi.yaml`` in the test's folder."""
    path = tmp_path / "agi.yaml"
    path.write_text(CONFIG)
    return path
