"""Time series that exist already: every kind of file, the choice of columns, and what is wrong with some."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from click.testing import CliRunner

from lammps_topo import spectrum_of_files
from lammps_topo.cli import main
from lammps_topo.errors import ConfigError, EstimateError, FileError
from lammps_topo.hosts.series_columns import choose_fluxes
from lammps_topo.hosts.series_file import open_series

KNOWN = {"quantity": "conductivity", "units": "metal", "temperature": 300.0, "volume": 1000.0, "method": "cepstral-aic"}
ROWS = 200


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """Step, two vectors of three components, temperature; every number is exact in six digits."""
    rng = np.random.default_rng(3)
    fluxes = np.round(rng.normal(size=(ROWS, 6)), 4)
    return np.column_stack((5 * np.arange(ROWS), fluxes, np.round(300 + rng.normal(size=ROWS), 2)))


HEADS = {
    "none": "",
    "ave/time": "# Time-averaged data for fix out\n# TimeStep c_J[1] c_J[2] c_J[3] c_v[1][1] c_v[1][2] c_v[1][3] c_T\n",
    "SporTran": "# NaCl\n# metal units\nStep   flux1 flux2 flux3 vcm[1] vcm[2] vcm[3]\tTemp\n",
    "numpy": "# Step, Jx, Jy, Jz, vx, vy, vz, T\n",
    "title": "a title of seven words, in a line\n\n",
}


def text_of(table: np.ndarray, head: str = "", separator: str = " ") -> str:
    return head + "".join(separator.join(f"{value:.7g}" for value in row) + "\n" for row in table)


def written(path, content):
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode("latin1"))
    return path


# ---- the kinds of files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.csv"])
def test_text_with_any_heading(table, tmp_path, head, name):
    separator = ", " if name.endswith("csv") else " "
    file = open_series(written(tmp_path / name, text_of(table, head, separator)))
    assert file.width == 8
    (rows,) = file.read([2, 0, 7])
    assert np.array_equal(rows, table[:, [2, 0, 7]])
    assert len(file.names) in (0, 8)


def test_names_of_fix_ave_time_and_sportran(table, tmp_path):
    ave = open_series(written(tmp_path / "a.txt", text_of(table, HEADS["ave/time"])))
    assert ave.names[:3] == ("TimeStep", "c_J[1]", "c_J[2]")
    assert ave.step == 0
    sportran = open_series(written(tmp_path / "b.txt", text_of(table, HEADS["SporTran"])))
    assert sportran.names[1:5] == ("flux1", "flux2", "flux3", "vcm[1]")
    assert sportran.find("temp") == 7


def test_numpy_files(table, tmp_path):
    np.save(tmp_path / "a.npy", table)
    np.save(tmp_path / "rows.npy", np.ascontiguousarray(table.T))
    np.save(tmp_path / "single.npy", table.astype(np.float32))
    np.save(tmp_path / "cube.npy", table[:, 1:7].reshape(ROWS, 2, 3))
    np.savez(tmp_path / "a.npz", J=table[:, 1:4], v=table[:, 4:7], T=table[:, 7], about="an npz", step=table[:, 0])
    np.save(tmp_path / "fields.npy", np.rec.fromarrays(table[:, 1:4].T, names="Jx,Jy,Jz"))
    for name in ("a", "rows"):
        assert np.array_equal(open_series(tmp_path / f"{name}.npy").read([1, 7])[0], table[:, [1, 7]])
    assert open_series(tmp_path / "single.npy").read([3])[0] == pytest.approx(table[:, [3]], rel=1e-6)
    assert np.array_equal(open_series(tmp_path / "cube.npy").read([5])[0], table[:, [6]])
    packed = open_series(tmp_path / "a.npz")
    assert packed.names == ("J[1]", "J[2]", "J[3]", "v[1]", "v[2]", "v[3]", "T", "step")
    assert np.array_equal(packed.read([3, 7])[0], table[:, [4, 0]])
    assert open_series(tmp_path / "fields.npy").names == ("Jx", "Jy", "Jz")


LOG = """LAMMPS (22 Jul 2025 - Update 4)
units real
variable dt equal 2
timestep ${{dt}}
timestep 2
run 30
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
   Step          Temp          c_J[1]     c_J[2]         c_J[3]
{first}Loop time of 0.0105 on 1 procs for 30 steps with 108 atoms
Performance: 1 ns/day
Setting up Verlet run ...
  Unit style    : real
  Time step     : 2
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
   Step          Temp          c_J[1]     c_J[2]         c_J[3]
{second}Loop time of 0.0105 on 1 procs for 1000 steps with 108 atoms
Total wall time: 0:00:00
"""


def log_rows(table: np.ndarray, first: int) -> np.ndarray:
    return np.column_stack((table[:, 0] + first, table[:, 7], table[:, 1:4]))


def log_of(table: np.ndarray, *, gap: int = 0) -> str:
    """Two runs, 51 rows and the rest, with the step between them in both."""
    rows = log_rows(table, 100)
    later = rows[50:] + np.array([gap, 0, 0, 0, 0])
    return LOG.format(first=text_of(rows[:51], separator="   "), second=text_of(later, separator="   "))


def test_log_the_longest_run_is_taken_and_said(table, tmp_path):
    file = open_series(written(tmp_path / "log.lammps", log_of(table)))
    assert (file.units, file.timestep) == ("real", 2.0)
    assert "2 runs: run 2 is taken" in file.notes[0]
    assert np.array_equal(file.read([0, 2])[0], log_rows(table, 100)[50:, [0, 2]])


def test_units_and_time_step_of_the_screen(table, tmp_path):
    said = "Setting up Verlet run ...\n  Unit style    : metal\n  Current step  : 0\n  Time step     : 0.0005\n"
    text = said + log_of(table).split("run 30\n")[1].replace("  Unit style    : real\n  Time step     : 2\n", "")
    file = open_series(written(tmp_path / "slurm.out", text))
    assert (file.units, file.timestep) == ("metal", 0.0005)


def test_runs_that_continue_are_one_stretch_and_count_their_common_step_once(table, tmp_path):
    path = written(tmp_path / "log.lammps.gz", log_of(table))
    whole = open_series(path, runs="all").read([0, 1, 2, 3, 4])
    assert len(whole) == 1
    assert np.array_equal(whole[0], log_rows(table, 100))
    assert np.array_equal(open_series(path, runs="1-2").read([2])[0], whole[0][:, [2]])
    assert len(open_series(path, runs="1").read([0])[0]) == 51
    apart = open_series(written(tmp_path / "log.gap", log_of(table, gap=1000)), runs="all").read([0])
    assert [len(part) for part in apart] == [51, ROWS - 50]


def test_log_with_warnings_and_a_run_that_was_killed(table, tmp_path):
    rows = text_of(log_rows(table, 100)).split("\n")
    rows.insert(20, "WARNING: Pair style restartinfo set but has no restart support (src/pair.cpp:1180)")
    text = LOG.partition("{second}")[0].format(first="1 2 3 4 5\n") + "\n".join(rows)[:-4]
    file = open_series(written(tmp_path / "log.lammps", text))
    assert np.array_equal(file.read([0, 1, 2, 3, 4])[0], log_rows(table, 100)[:-1])


def test_first_and_last_step_of_a_run_are_off_the_grid(table, tmp_path):
    rows = log_rows(table, 100)
    ends = np.vstack(([97, *rows[0, 1:]], rows, [rows[-1, 0] + 3, *rows[0, 1:]]))
    text = LOG.format(first="0 0 0 0 0\n", second=text_of(ends))
    assert np.array_equal(open_series(written(tmp_path / "log.lammps", text)).read([0])[0], rows[:, [0]])


def test_yaml_thermo_output(table, tmp_path):
    rows = log_rows(table, 0)
    body = "".join(f"  - [{', '.join(f'{value:.9g}' for value in row)}, ]\n" for row in rows)
    text = (
        "LAMMPS (22 Jul 2025)\nPer MPI rank memory allocation (min/avg/max) = 3 | 3 | 3 Mbytes\n---\n"
        f"keywords: ['Step', 'Temp', 'c_J[1]', 'c_J[2]', 'c_J[3]', ]\ndata:\n{body}...\nLoop time of 1 on 1 procs\n"
    )
    file = open_series(written(tmp_path / "log.lammps", text))
    assert file.names == ("Step", "Temp", "c_J[1]", "c_J[2]", "c_J[3]")
    assert np.array_equal(file.read([0, 1, 4])[0], rows[:, [0, 1, 4]])


# ---- the choice of columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "columns"),
    [
        ("c_J", ["c_J"], [(1, 2, 3)]),
        ("J,v[1]", ["c_J", "c_v[1]"], [(1, 2, 3), (4, 5, 6)]),
        ("c_v[1][*], j", ["c_v[1]", "c_J"], [(4, 5, 6), (1, 2, 3)]),
        ("c_J[1],c_J[2],c_J[3],c_v[1]", ["c_J", "c_v[1]"], [(1, 2, 3), (4, 5, 6)]),
        ("2-4,5-7", ["c_J", "c_v[1]"], [(1, 2, 3), (4, 5, 6)]),
        ("2,4,3", ["c_J"], [(1, 3, 2)]),
        ("J[2]", ["c_J[2]"], [(2,)]),
        ("c_J[1],c_v[1][1],c_T", ["c_J[1], c_v[1][1], c_T"], [(1, 4, 7)]),
    ],
)
def test_columns_by_name_vector_and_number(table, tmp_path, text, names, columns):
    file = open_series(written(tmp_path / "a.txt", text_of(table, HEADS["ave/time"])))
    found = choose_fluxes(file, text)
    assert [flux.columns for flux in found] == columns
    assert [flux.name for flux in found] == names


def test_a_tensor_stands_for_its_components(table, tmp_path):
    head = "Step Pxx Pyy Pzz Pxy Pxz Pyz Temp\n"
    file = open_series(written(tmp_path / "a.txt", text_of(table, head)))
    assert choose_fluxes(file, "p", tensor=True)[0].columns == (1, 2, 3, 4, 5, 6)
    assert choose_fluxes(file, "Pxy,Pxz,Pyz", tensor=True)[0].columns == (4, 5, 6)


# ---- bad input, a sentence each -------------------------------------------------------------------------------------


def changed(table: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    other = table.copy()
    other[row, column] = value
    return other


BAD_TEXT = {
    "nothing": ("", {}, "holds no numbers"),
    "words": ("a b\nc d\n", {}, "is not a table of numbers"),
    "ragged": ("1 2 3\n4 5 6\n7 8\n9 10 11\n", {"interval": 1.0}, "number of columns|invalid column index"),
    "word in a row": ("1 2 3\n4 x 6\n7 8 9\n", {"interval": 1.0}, "could not convert string 'x'"),
    "mode vector": ("# x\n# TimeStep Number-of-rows\n# Row c_J\n0 3\n1 2\n", {}, "a series needs mode scalar"),
    "multi": ("LAMMPS (1 Jan 2025)\nPer MPI rank memory allocation = 1\n------------ Step 0 ----- CPU = 0\n", {},
              "thermo_style multi"),
    "a log without thermo": ("LAMMPS (22 Jul 2025)\nTotal wall time: 0:00:01\n", {}, "no thermo output is in it"),
    "a results file": ("\x89HDF\r\n", {}, "HDF5 file; of a results file of fix topo, see lammps-topo show"),
    "too short": ("1 2 3\n4 5 6\n7 8 9\n", {"interval": 1.0}, "holds 3 samples: too few, a spectrum needs 16"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TEXT)
def test_files_that_are_no_series(tmp_path, case):
    text, options, message = BAD_TEXT[case]
    with pytest.raises((FileError, EstimateError), match=message):
        spectrum_of_files([written(tmp_path / "a.txt", text)], **KNOWN, **options)


HEAD = HEADS["ave/time"]
WRONG = [
    ({"columns": "c_q"}, ConfigError, r"no column or vector 'c_q' \(there are: TimeStep, c_J\[1\], c_J\[2\]"),
    ({"columns": "7-9"}, ConfigError, "has 8 columns, counted from 1: there is no '7-9'"),
    ({"columns": "2-5"}, ConfigError, r"4 single columns \(c_J\[1\], .*\) do not make fluxes of three components"),
    ({"columns": None}, ConfigError, "more than one flux: give --columns"),
    ({"columns": "J", "eliminate": ["v[1][1]"]}, ConfigError, r"'c_v\[1\]\[1\]' has 1 components, but 'c_J' has 3"),
    ({"timestep": None}, ConfigError, "counts steps: give --timestep"),
    ({"units": None}, ConfigError, "give --units, one of lj, real, metal"),
    ({"units": "imperial"}, ConfigError, "not a LAMMPS unit style"),
    ({"temperature": None}, ConfigError, "give --temperature"),
    ({"volume": None}, ConfigError, r"give --volume, in Å³ \('.*' has no column Volume\)"),
    ({"volume": -3.0}, ConfigError, "--volume is -3, but must be positive"),
    ({"quantity": "heet"}, ConfigError, "--quantity heet is not known .allowed: conductivity, heat"),
    ({"quantity": "diffusion", "intensive": True}, ConfigError, "--intensive is for conductivity and heat"),
    ({"runs": "2"}, ConfigError, "is not a log of LAMMPS"),
    ({"method": "spectral", "order": 3}, ConfigError, "--order is for --method cepstral-aic"),
    ({"segments": 190}, EstimateError, "a segment would have fewer than two samples"),
    ({"columns": "2-4,5-7,2,6,4,3,5,7"}, EstimateError, "4 fluxes, but 3 degrees of freedom"),
    ({"columns": "J,2-4"}, EstimateError, "linear combination"),
]


@pytest.mark.parametrize(("options", "kind", "message"), WRONG)
def test_what_is_missing_or_wrong_is_named(table, tmp_path, options, kind, message):
    path = written(tmp_path / "a.txt", text_of(table, HEAD))
    with pytest.raises(kind, match=message):
        spectrum_of_files([path], **{"columns": "c_J", "timestep": 0.001, **KNOWN, **options})


def test_numbers_that_cannot_be(table, tmp_path):
    def read(rows, **options):
        path = written(tmp_path / "a.txt", text_of(rows, HEAD))
        spectrum_of_files([path], **{"columns": "c_J", "timestep": 0.001, **KNOWN, **options})

    with pytest.raises(FileError, match=r"column 'c_J\[2\]' is nan in row 18 of 200"):
        read(changed(table, 17, 2, np.nan))
    with pytest.raises(FileError, match=r"column 'c_J\[1\]' is -inf in row 1 of 200"):
        read(changed(table, 0, 1, -np.inf))
    read(changed(table, 17, 6, np.nan))  # a column that is not used
    with pytest.raises(EstimateError, match="too large to be squared"):
        read(changed(table, 17, 3, 1e200))
    constant = table.copy()
    constant[:, 3] = 0.25
    with pytest.raises(FileError, match=r"column 'c_J\[3\]' is 0.25 in all rows"):
        read(constant)
    gap = table.copy()
    gap[100:, 0] += 5
    with pytest.raises(FileError, match="TimeStep 495 is followed by 505 in row 101, where most are 5 apart"):
        read(gap)
    times = text_of(np.column_stack((np.round(0.0015 * np.arange(ROWS), 3), table)), "Time " + HEAD.split("# ")[2])
    path = written(tmp_path / "rounded.txt", times.replace("TimeStep", "number"))
    with pytest.raises(FileError, match=r"Time 0 is followed by 0.002 in row 2.*; give --interval if they are rounded"):
        spectrum_of_files([path], columns="c_J", **KNOWN)
    spectrum_of_files([path], columns="c_J", interval=0.0015, **KNOWN)
    with pytest.raises(FileError, match="TimeStep 495 is followed by 495 in row 101"):
        read(np.vstack((table[:100], table[99:])))


def test_replicas_must_agree(table, tmp_path):
    first = written(tmp_path / "a.txt", text_of(table, HEAD))
    other = written(tmp_path / "b.txt", text_of(table * [2, *[1] * 7], HEAD))
    with pytest.raises(FileError, match=r"b.txt': samples are 0.01 apart, but 0.005 in"):
        spectrum_of_files([first, other], columns="c_J", timestep=0.001, **KNOWN)


def test_log_units_are_known_and_not_overruled(table, tmp_path):
    path = written(tmp_path / "log.lammps", log_of(table))
    outcome = spectrum_of_files([path], columns="J", quantity="heat", volume=1000.0, method="cepstral-aic")
    details = {result.quantity: result for result in outcome.results}
    assert details["duration"].details["interval"] == pytest.approx(0.01)  # 5 steps of 2 fs
    assert details["temperature"].value == pytest.approx(table[50:, 7].mean())
    with pytest.raises(ConfigError, match="the log says that its units are 'real'"):
        spectrum_of_files([path], columns="J", quantity="heat", volume=1000.0, units="metal")
    with pytest.raises(ConfigError, match=r"--runs 3: expected a number.*holds 2 runs"):
        spectrum_of_files([path], columns="J", quantity="heat", volume=1000.0, runs="3")


def test_numpy_files_that_are_no_series(tmp_path):
    np.save(tmp_path / "object.npy", np.array({"a": 1}, dtype=object), allow_pickle=True)
    np.save(tmp_path / "complex.npy", np.ones((20, 3), dtype=complex))
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    np.savez(tmp_path / "unequal.npz", a=np.arange(20.0), b=np.arange(20.0), c=np.arange(30.0))
    for name, message in (
        ("object.npy", "holds no arrays of numbers"), ("complex.npy", "series of real numbers"),
        ("cut.npy", "holds no arrays of numbers"), ("bad.npz", "holds no arrays of numbers"),
        ("none.npy", "cannot be read"),
        ("unequal.npz", "equally many samples, but a has 20, b has 20, c has 30"), ("none.txt", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(FileError, match=message):
            spectrum_of_files([tmp_path / name], columns="1-3", interval=1.0, **KNOWN)
    (tmp_path / "broken.txt.gz").write_bytes(b"\x1f\x8b\x08broken")
    with pytest.raises(FileError, match="cannot be read"):
        open_series(tmp_path / "broken.txt.gz")


def test_command_prints_a_table_json_and_a_page(table, tmp_path):
    path = written(tmp_path / "J.dat", text_of(table, HEAD))
    arguments = ["spectrum", str(path), "-q", "conductivity", "-k", "J", "-j", "v[1]", "--units", "metal"]
    arguments += ["--timestep", "0.001", "-T", "300", "-V", "1000", "--method", "cepstral-aic"]
    finished = CliRunner().invoke(main, [*arguments, "--report", str(tmp_path / "a.html")])
    assert finished.exit_code == 0, finished.output
    assert "conductivity\n  c_J" in finished.output
    assert "c_v[1] eliminated" in finished.output
    page = (tmp_path / "a.html").read_text()
    assert "<svg" in page
    assert "S(f)/(2 V kB T) (S/m)" in page
    finished = CliRunner().invoke(main, [*arguments, "--json", "--report", str(tmp_path / "a.png")])
    entry = json.loads(finished.stdout)[-1]
    assert (entry["quantity"], entry["unit"], entry["eliminated"]) == ("conductivity", "S/m", ["c_v[1]"])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    finished = CliRunner().invoke(main, [*arguments, "--report", str(path)])
    assert "must end in one of .html" in finished.output
    assert path.read_text() == text_of(table, HEAD)
    finished = CliRunner().invoke(main, ["spectrum", str(path), "-q", "heat", "--units", "metal"])
    assert finished.exit_code == 1
    assert finished.output.count("\n") == 1
