"""Paths that are driven in LAMMPS: electrons of eFF around H3+, atoms moved by hand and by fix move; doors 1 and 3."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lammps_topo
from lammps_topo.accumulate import path as gathering
from lammps_topo.errors import StreamError
from lammps_topo.store import read_results
from lammps_topo.stream.block import Packed
from lammps_topo.stream.communicator import Alone

#: Δμ/eL of the H3+ loop at the ends of its legs and half-way, as of a plane-wave Hartree-Fock solver (48³).
CURVE = [0.0, -0.078, -0.156, -0.617, -1.078, -1.539, -2.0]


def h3plus(repository: Path, folder: Path, **variables: str) -> str:
    """The input of the example, its configuration beside it, with index variables of other values."""
    example = repository / "examples" / "h3plus"
    shutil.copy(example / "h3plus.yaml", folder)
    head = "".join(f"variable {name} index {value}\n" for name, value in variables.items())
    return head + (example / "in.h3plus").read_text()


def test_electrons_are_pumped_around_a_closed_path(lmp, topo_command, repository, tmp_path) -> None:
    lmp(h3plus(repository, tmp_path), tmp_path)
    loop = lammps_topo.loop_of_file(tmp_path / "h3plus-loop.topo.h5")
    (charge,) = loop.charges
    assert not loop.closure.windings.any()
    assert charge.verdict == "pump"
    np.testing.assert_allclose(charge.charge, [-2.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(charge.dipole[::8, 0], CURVE, atol=1e-3)
    shown = topo_command("show", "h3plus-loop.topo.h5", folder=tmp_path).stdout
    assert "charge, along a  −2 e" in " ".join(shown.split(" ")).replace("   ", "  ")
    assert "winding number" in shown
    assert "conductivity" not in shown
    topo_command("report", "h3plus-loop.topo.h5", folder=tmp_path)
    page = (tmp_path / "h3plus-loop.report.html").read_text()
    assert "Dipole displaced along the loop" in page
    assert "is pumped although every atom returns" in page
    told = topo_command("merge", "h3plus-loop.topo.h5", "h3plus-loop.topo.h5", "-o", "all.topo.h5", folder=tmp_path,
                        check=False)  # fmt: skip
    assert "holds a path, which is not merged" in told.stderr
    log = (tmp_path / "log.test").read_text()
    assert log.count("fix topo topo: closed path, charge: a charge of −2 along a is pumped") == 1


def test_single_protons_carry_their_charge_and_pairs_none(lmp, topo_command, repository, tmp_path) -> None:
    for route in ("B", "BC"):
        lmp(h3plus(repository, tmp_path, route=route), tmp_path)
    one, pair = (lammps_topo.loop_of_file(tmp_path / f"h3plus-{route}.topo.h5") for route in ("B", "BC"))
    np.testing.assert_allclose(one.charges[0].charge, [1.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(pair.charges[0].charge, [0.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_array_equal(pair.closure.windings[:3], [[0, 0, 0], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(pair.charges[0].excess, [-2, 0, 0])


def test_two_ranks_gather_the_same_path(lmp, repository, tmp_path) -> None:
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        lmp(h3plus(repository, folder, points="6"), folder, ranks=ranks)
        found.append(read_results(folder / "h3plus-loop.topo.h5").record.path)
    one, two = found
    assert len(one.steps) == len(two.steps) == 19
    np.testing.assert_array_equal(one.tags, two.tags)
    np.testing.assert_array_equal(one.types, [1, 1, 1, 2, 2])
    np.testing.assert_array_equal(one.types, two.types)
    np.testing.assert_allclose(one.positions[:, :3], two.positions[:, :3], atol=1e-9)
    np.testing.assert_allclose(one.positions[:, 3:], two.positions[:, 3:], atol=1e-4)  # minimised


def test_charges_of_a_path_come_with_its_points(lmp, tmp_path) -> None:
    """Tensors and numbers that LAMMPS computes: one atom around the cell, Z = 1 + 0.4 cos 2πs, whose integral is 1."""
    (tmp_path / "kcl.yaml").write_text(
        "species: {K: {type: 1, oxidation: 1}, Cl: {type: 2, oxidation: -1}}\npath: true\n"
        "representations: {born: {born: d2_zstar}, model: {charge: d_z}, atomic: }\n"
    )
    system = SYSTEM.replace(
        "create_atoms 1 single 4", "fix p all property/atom d2_zstar 9 d_z ghost yes\ncreate_atoms 1 single 4"
    )
    lines = "variable k loop 0 32\nlabel next\nvariable z equal 1+0.4*cos(2*PI*v_k/32)\nvariable y equal 0.2*v_z\n"
    lines += "if '$k > 0' then 'displace_atoms one move 0.3125 0 0 units box'\n"
    lines += "set atom 1 d_z $z\nset atom 1 d2_zstar[1] $z\nset atom 1 d2_zstar[4] $y\nrun 0\nnext k\njump SELF next\n"
    lmp(f"{system}fix topo all topo 1 kcl.yaml\n{lines}".replace("'", '"'), tmp_path)
    found = {one.representation: one for one in lammps_topo.loop_of_file(tmp_path / "kcl.topo.h5").charges}
    np.testing.assert_allclose(found["model"].charge, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found["atomic"].charge, [1, 0, 0], atol=1e-9)
    # the row is the direction of the dipole: 0.2 of what it is along x is displaced along y, whatever the cell
    displaced = found["born"].charge @ np.array([[10.0, 0, 0], [3, 9, 0], [-2, 1, 11]])
    np.testing.assert_allclose(displaced, [10.0, 2.0, 0.0], atol=1e-9)
    assert found["born"].error.max() < 1e-9  # a smooth periodic function at even steps


# ---- atoms moved by hand ---------------------------------------------------------------------------------------------

POINTS = 24
SYSTEM = """
units metal
atom_style charge
timestep 0.001
region cell prism 0 10 0 9 0 11 3 -2 1
create_box 2 cell
create_atoms 1 single 4 5 5 units box
create_atoms 1 single 6 5 5 units box
create_atoms 2 single 2 2 2 units box
mass * 30.0
set type 1 charge 1.0
set type 2 charge -1.0
pair_style zero 3.0
pair_coeff * *
group one id 1
group two id 2
group three id 3
thermo 1000
"""
CONFIG = "species: {K: {type: 1, oxidation: 1}, Cl: {type: 2, oxidation: -1}}\npath: true\n"


def orbit(k: int) -> np.ndarray:
    """Of atom 1 about its partner, which does the opposite: their centre of mass stays where it is."""
    angle = 2 * np.pi * k / POINTS
    return np.array([1 - np.cos(angle), -np.sin(angle), 0.0])


def edits() -> list[list[str]]:
    """Atoms 1 and 2 about each other once, atom 3 along the second lattice vector."""
    commands = []
    for k in range(1, POINTS + 1):
        x, y, z = orbit(k) - orbit(k - 1)
        commands.append([
            f"displace_atoms one move {x:.15f} {y:.15f} {z:.15f} units box",
            f"displace_atoms two move {-x:.15f} {-y:.15f} {-z:.15f} units box",
        ])  # fmt: skip
        if k % 2:
            commands[-1].append(f"displace_atoms three move {6 / POINTS:.15f} {18 / POINTS:.15f} 0 units box")
    return commands


def check(folder: Path) -> None:
    loop = lammps_topo.loop_of_file(folder / "kcl.topo.h5")
    assert len(loop.path.positions) == POINTS + 1
    np.testing.assert_array_equal(loop.closure.windings, [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(loop.path.positions[:, 0] - [4, 5, 5], [orbit(k) for k in range(POINTS + 1)], atol=1e-9)
    by_name = {charge.representation: charge for charge in loop.charges}
    assert set(by_name) == {"oxidation", "atomic"}
    for charge in loop.charges:
        np.testing.assert_allclose(charge.charge, [0.0, -1.0, 0.0], atol=1e-9)


def test_every_run_is_a_point_even_where_no_sum_changes(lmp, tmp_path) -> None:
    """Timestep, centre of mass and momentum stay the same at every second point."""
    (tmp_path / "kcl.yaml").write_text(CONFIG)
    moves = "".join("\n".join(commands) + "\nrun 0\n" for commands in edits())
    lmp(f"{SYSTEM}fix topo all topo 1 kcl.yaml\nrun 0\n{moves}", tmp_path, ranks=2)
    check(tmp_path)


_ATTACH = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{system}''')
session = lammps_topo.attach(lmp, "kcl.yaml", every=1, method="{method}")
session.run(0)
for commands in {edits}:
    for command in commands:
        lmp.command(command)
    session.run(0)
session.detach()
lmp.close()
"""


@pytest.mark.parametrize(("method", "ranks"), [("plugin", 1), ("stepwise", 2)])
def test_attached_paths_are_the_same(tmp_path, method, ranks) -> None:
    (tmp_path / "kcl.yaml").write_text(CONFIG)
    (tmp_path / "drive.py").write_text(_ATTACH.format(system=SYSTEM, method=method, edits=edits()))
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    subprocess.run([*launcher, sys.executable, "drive.py"], cwd=tmp_path, check=True, timeout=120)
    check(tmp_path)


def test_fix_move_drives_a_path_in_several_runs(lmp, topo_command, tmp_path) -> None:
    (tmp_path / "kcl.yaml").write_text(CONFIG)
    drive = "fix topo all topo 5 kcl.yaml\nfix move three move linear {} 0 0 units box\n"
    lmp(SYSTEM + drive.format(100.0) + "run 40\nrun 60\n", tmp_path)
    loop = lammps_topo.loop_of_file(tmp_path / "kcl.topo.h5")
    assert len(loop.path.positions) == 22  # 21 samples, and that at the beginning of the second run
    np.testing.assert_array_equal(loop.closure.windings[2], [1, 0, 0])
    np.testing.assert_allclose(loop.charges[0].charge, [-1.0, 0.0, 0.0], atol=1e-9)
    # a path that is not closed is kept, and says how far it misses
    lmp(SYSTEM + drive.format(70.0) + "run 100\n", tmp_path)
    shown = topo_command("show", "kcl.topo.h5", folder=tmp_path).stdout
    assert "topological charges of the path: the path is open: atom 3 (Cl) ends 3 away" in shown
    told = topo_command("loop", "kcl.topo.h5", folder=tmp_path, check=False)
    assert told.returncode == 1
    assert "the path is open" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_path_is_not_continued_by_restart(lmp, tmp_path) -> None:
    (tmp_path / "kcl.yaml").write_text(CONFIG)
    fix = "fix topo all topo 5 kcl.yaml\nfix move three move linear 10 0 0 units box\n"
    lmp(f"{SYSTEM}{fix}run 10\nwrite_restart half.restart\n", tmp_path)
    assert not list(tmp_path.glob("*.state.h5"))
    again = f"read_restart half.restart\npair_style zero 3.0\npair_coeff * *\ngroup three id 3\n{fix}run 10\n"
    finished = lmp(again, tmp_path)
    assert "a path is measured in one go: a new measurement begins" in finished.stdout
    assert len(read_results(tmp_path / "kcl.topo.h5").record.path.steps) == 3
    wanted = lmp(again.replace("kcl.yaml", "kcl.yaml restart require"), tmp_path, check=False)
    assert "a path is measured in one go: 'restart' cannot be 'require'" in wanted.stdout + wanted.stderr


def test_the_box_must_stay_and_the_path_must_fit(lmp, tmp_path, monkeypatch) -> None:
    (tmp_path / "kcl.yaml").write_text(CONFIG)
    change = "change_box all xy final 2 units box\nrun 0\n"
    finished = lmp(f"{SYSTEM}fix topo all topo 1 kcl.yaml\nrun 0\n{change}", tmp_path, check=False)
    assert "the cell changed along the path" in finished.stdout + finished.stderr

    monkeypatch.setattr(gathering, "MOST_NUMBERS", 50)
    tags = np.array([1, 2])
    points = gathering.PathPoints(Alone(), tags, tags, np.zeros(2, dtype=np.int64), {})
    rows = np.column_stack((np.tile(tags[::-1], 5), np.zeros((10, 3))))
    packed = Packed(np.arange(5), np.full(5, 2), rows, np.zeros((5, 7)), np.ones(5), cell=np.eye(3))
    points.observe(packed)
    with pytest.raises(StreamError, match="the path has 10 points of 2 atoms, more than fit into the"):
        points.observe(packed)
    with pytest.raises(StreamError, match="needs the cell, which this door does not say"):
        points.observe(replace(packed, cell=None))
