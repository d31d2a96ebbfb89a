"""Fluxes that LAMMPS computes as a whole: what fix ave/time and thermo output say of them, through every door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lj_salt import GAPS, SALT

from lammps_topo.record import Record
from lammps_topo.store import read_results

RELATIVE = 1e-9

SYSTEM = f"""{SALT}velocity all create 600.0 123 mom yes dist gaussian loop geom
{GAPS}compute ke all ke/atom
compute pe all pe/atom
compute stress all stress/atom NULL virial
compute flux all heat/flux ke pe stress
variable jx equal c_flux[1]+2*c_flux[4]
variable jy equal c_flux[2]
variable jz equal pe
fix nve all nve
"""

CONFIG = """
species:
  A: {type: 1, oxidation: +1}
  B: {type: 2, oxidation: -1}
segments: {shortest: 16, number: 1}
heat:
  all: c_flux
  other: v_jx v_jy c_flux[3]
stress: c_thermo_press
fluxes: {convection: "c_flux[4] c_flux[5] c_flux[6]"}
"""

NAMES = (
    "number/A", "number/B", "atomic/A", "atomic/B", "energy/all", "energy/other", "stress/shear", "stress/normal",
    "flux/convection",
)  # fmt: skip

SOURCES = " ".join(
    [*(f"c_flux[{i}]" for i in range(1, 7)), "v_jx", "v_jy", *(f"c_thermo_press[{i}]" for i in range(1, 7)), "vol"]
)
REFERENCE = (
    "variable volume equal vol\nfix reference all ave/time 4 1 4 " + SOURCES.replace(" vol", " v_volume")
    + ' file reference.txt format " %.17g"\n'
)  # fmt: skip
THERMO = """
thermo 4
thermo_style custom step temp pe press pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
"""
DUMP = "dump d all custom 4 run.lammpstrj id x y z vx vy vz\ndump_modify d sort id format float %.17g\n"
TOPO = "fix topo all topo 4 lj.yaml\n"
NKTV2P = 1.6021765e6  # of LAMMPS, metal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lj.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="module")
def reference(lmp, tmp_path_factory) -> dict[int, np.ndarray]:
    """By step: the heat flux and its convective part, two variables, the pressure tensor and the volume."""
    folder = tmp_path_factory.mktemp("reference")
    lmp(f"{SYSTEM}{REFERENCE}{THERMO}{DUMP}run 128\n", folder)
    return read_reference(folder)


def read_reference(folder: Path) -> dict[int, np.ndarray]:
    return {int(row[0]): row[1:] for row in np.loadtxt(folder / "reference.txt")}


def thermo_of(folder: Path) -> list[str]:
    lines = (folder / "log.test").read_text().splitlines()
    return [line for line in lines if len(line.split()) == 10 and line.split()[0].isdigit()]


def expected(rows: np.ndarray) -> np.ndarray:
    """(T, 5, 3) from the reference."""
    flux, convection, jx, jy = rows[:, :3], rows[:, 3:6], rows[:, 6], rows[:, 7]
    pressure = rows[:, 8:14] * (rows[:, 14:] / NKTV2P)
    normal = pressure[:, :3] - pressure[:, :3].sum(axis=1, keepdims=True) / 3
    other = np.stack([jx, jy, flux[:, 2]], axis=1)
    return np.stack([flux, other, pressure[:, 3:], normal / 2**0.5, convection], axis=1)


def record_of(folder: Path, name: str = "lj") -> Record:
    return read_results(folder / f"{name}.topo.h5").record


def assert_as_reference(record: Record, reference: dict[int, np.ndarray], relative: float = RELATIVE) -> None:
    assert record.series is not None
    assert record.flux_names == NAMES
    assert record.series.flux.shape == (record.samples, 9, 3)
    assert record.series.moment.shape == (record.samples, 4, 3)
    wanted = expected(np.array([reference[step] for step in record.series.steps.tolist()]))
    found = record.series.flux[:, 4:]
    for number, name in enumerate(NAMES[4:]):
        scale = np.abs(wanted[:, number]).max()
        assert scale > 0
        assert np.abs(found[:, number] - wanted[:, number]).max() <= relative * scale, name


# ---- doors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_native_door(ranks, lmp, reference, folder):
    """Without any other fix that would make LAMMPS sum up energies and virials; runs that end between samples."""
    lmp(f"{SYSTEM}{TOPO}thermo 1000\nrun 66\nrun 62\n", folder, ranks=ranks)
    record = record_of(folder)
    assert record.series.steps.tolist() == list(range(0, 129, 4))
    assert_as_reference(record, reference)


def test_periodograms(lmp, folder):
    """Of all fluxes with each other, particles' and global ones."""
    lmp(f"{SYSTEM}{TOPO}run 80\n", folder)
    record = record_of(folder)
    transform = np.fft.rfft(record.series.flux[:16], axis=0)
    expected = np.einsum("kac,kbc->kab", transform.conj(), transform)
    scale = np.sqrt(np.einsum("kaa,kbb->kab", expected, expected).real)
    assert record.periodograms[0].sums.shape == (9, 9, 9)
    assert (np.abs(record.periodograms[0].sums - expected) <= 1e-12 * scale).all()


def test_nothing_else_changes(lmp, folder):
    """Neither the trajectory nor thermo output; and the other fluxes are those of a run without these, bit for bit."""
    (folder / "bare.yaml").write_text(CONFIG.split("heat:")[0])
    seen = []
    for fix in ("", TOPO, "fix topo all topo 4 bare.yaml\n"):
        lmp(f"{SYSTEM}{fix}{THERMO}thermo 3\n{DUMP}run 67\nrun 33\n", folder, ranks=2)
        seen.append((thermo_of(folder), (folder / "run.lammpstrj").read_text()))
    assert len(seen[0][0]) == 37
    assert seen[0] == seen[1] == seen[2]
    whole, bare = record_of(folder), record_of(folder, "bare")
    assert bare.flux_names == NAMES[:4]
    assert np.array_equal(whole.series.flux[:, :4], bare.series.flux)
    assert np.array_equal(whole.series.moment, bare.series.moment)
    # BLAS may add in another order where matrices are larger
    sums = bare.periodograms[0].sums
    assert np.allclose(whole.periodograms[0].sums[:, :4, :4], sums, rtol=0.0, atol=1e-14 * np.abs(sums).max())
    assert all(np.array_equal(one, other) for one, other in zip(whole.msd.sums, bare.msd.sums, strict=True))


def test_thermo_pressure(lmp, folder):
    lmp(f"{SYSTEM}{TOPO}{THERMO}run 40\n", folder)
    table = np.array([[float(word) for word in line.split()] for line in thermo_of(folder)])
    record = record_of(folder)
    scale = record.volume / NKTV2P
    shear, normal = record.series.flux[:, 6], record.series.flux[:, 7]
    assert np.allclose(shear, table[:, 7:] * scale, rtol=RELATIVE, atol=RELATIVE * np.abs(shear).max())
    parts = (table[:, 4:7] - table[:, 3:4]) * scale / 2**0.5
    assert np.allclose(normal, parts, rtol=RELATIVE, atol=RELATIVE * np.abs(table[:, 3] * scale).max())


_ATTACH = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string('''{script}''')
session = lammps_topo.attach(lmp, "lj.yaml", every=4, method="{method}"{more})
session.run(66)
session.run(62)
print(session.results().record.samples)
lmp.close()
"""


def attach(
    folder: Path, method: str, script: str = SYSTEM, more: str = "", ranks: int = 1
) -> subprocess.CompletedProcess[str]:
    (folder / "drive.py").write_text(_ATTACH.format(script=script, method=method, more=more))
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-np", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, sys.executable, "drive.py"], cwd=folder, timeout=120, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("method", "ranks"), [("plugin", 1), ("stepwise", 1), ("stepwise", 2)])
def test_attach_door(method, ranks, lmp, reference, folder):
    finished = attach(folder, method, ranks=ranks)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    record = record_of(folder)
    assert record.series.steps.tolist() == list(range(0, 129, 4))
    # cut into pieces, neighbour lists are built at other steps
    assert_as_reference(record, reference, RELATIVE if method == "plugin" else 1e-7)


@pytest.mark.parametrize("ranks", [1, 2])
def test_python_invoke_door(ranks, debian_lmp, folder):
    """From a fix ave/time that stands before it; the first call is at step 4."""
    numbers = " ".join([f"f_all[{i}]" for i in (7, 8, 3)])
    config = CONFIG.replace("v_jx v_jy c_flux[3]", numbers)
    config = config.replace("c_flux", "f_all").replace("c_thermo_press", "f_press")
    (folder / "lj.yaml").write_text(config)
    fixes = (
        f"fix all all ave/time 4 1 4 {SOURCES.split(' c_thermo')[0]}\n"
        f"fix press all ave/time 4 1 4 {' '.join(f'c_thermo_press[{i}]' for i in range(1, 7))}\n"
        'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke("lj.yaml", every=4)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    script = SYSTEM.replace("atom_modify map array\n", "")
    debian_lmp(f"{script}{REFERENCE}{fixes}thermo 1000\nrun 66\nrun 62\n", folder, ranks=ranks)
    record = record_of(folder)
    assert record.series.steps.tolist() == list(range(4, 129, 4))
    assert_as_reference(record, read_reference(folder), 2e-8)  # constants of an older version, in NKTV2P


def test_rerun(lmp, reference, folder):
    lmp(f"{SYSTEM}{DUMP}write_data lj.data nocoeff\nrun 128\n", folder)
    forces = SYSTEM[SYSTEM.index("pair_style") : SYSTEM.index("velocity")]
    computes = SYSTEM[SYSTEM.index("compute ke") :]
    head = "units metal\natom_style charge\natom_modify map array\ntimestep 0.002\nread_data lj.data\n"
    lmp(f"{head}{forces}{computes}{TOPO}rerun run.lammpstrj dump x y z vx vy vz\n", folder)
    record = record_of(folder)
    assert record.samples == 33
    assert_as_reference(record, reference)


# ---- what continues, and what is merged -----------------------------------------------------------------------------

AFTER = SYSTEM[SYSTEM.index("pair_style") : SYSTEM.index("velocity")] + SYSTEM[SYSTEM.index("compute ke") :]


@pytest.mark.parametrize("step", [40, 42])
def test_a_continued_run_has_the_same_series(step, lmp, folder):
    topo = "fix topo all topo 4 lj.yaml block 5\n"
    lmp(f"{SYSTEM}{topo}run {step}\nwrite_restart a.restart\nrun {128 - step}\n", folder)
    whole = record_of(folder)
    finished = lmp(f"read_restart a.restart\n{AFTER}{topo}run {128 - step}\n", folder)
    assert "the measurement continues: 11 samples until step 40" in finished.stdout
    continued = record_of(folder)
    assert np.array_equal(continued.series.steps, whole.series.steps)
    assert np.array_equal(continued.series.flux, whole.series.flux)
    assert np.array_equal(continued.periodograms[0].sums, whole.periodograms[0].sums)


def test_other_fluxes_do_not_continue(lmp, folder):
    lmp(f"{SYSTEM}{TOPO}run 40\nwrite_restart a.restart\n", folder)
    (folder / "lj.yaml").write_text(
        CONFIG.replace("heat:\n  all: c_flux\n  other: v_jx v_jy c_flux[3]", "heat: c_flux")
    )
    finished = lmp(f"read_restart a.restart\n{AFTER}{TOPO}run 40\n", folder, check=False)
    assert "global fluxes is [energy/energy, stress/shear, stress/normal, flux/convection], but" in finished.stdout


def test_merging(lmp, topo_command, folder):
    for name in "ab":
        seed = SYSTEM.replace("600.0 123", f"600.0 {ord(name)}")
        lmp(f"{seed}fix topo all topo 4 lj.yaml output {name}.topo.h5\nrun 80\n", folder)
    topo_command("merge", "a.topo.h5", "b.topo.h5", "-o", "all.topo.h5", folder=folder)
    one, two, merged = (record_of(folder, name) for name in ("a", "b", "all"))
    assert merged.flux_names == NAMES
    assert merged.series.flux.shape == (42, 9, 3)
    assert merged.series.moment.shape == (42, 4, 3)
    sums = one.periodograms[0].sums + two.periodograms[0].sums
    assert np.allclose(merged.periodograms[0].sums, sums, rtol=1e-12, atol=1e-12 * np.abs(sums).max())
    lmp(f"{SYSTEM}fix topo all topo 4 lj.yaml output c.topo.h5 stress null\nrun 80\n", folder)
    finished = topo_command("merge", "a.topo.h5", "c.topo.h5", "-o", "no.topo.h5", folder=folder, check=False)
    assert (
        "'flux_names' is number/A, number/B, atomic/A, atomic/B, energy/all, energy/other, flux/conv" in finished.stderr
    )


# ---- the first sample -----------------------------------------------------------------------------------------------


def test_a_fix_that_adds_to_the_virial_later(lmp, folder):
    """At the setup of a run it has not yet, when fix topo has its turn: there is no such sample."""
    spring = "fix tether all spring/self 1.0\nfix push all addforce 0.1 0.0 0.0\nfix_modify push virial yes\n"
    finished = lmp(f"{SYSTEM}{REFERENCE}{TOPO}{spring}{THERMO}run 66\nrun 62\n", folder)
    assert (
        "fix topo topo: no sample at step 0: fix 'push', which adds to energy or virial, is defined" in finished.stdout
    )
    record = record_of(folder)
    assert record.series.steps.tolist() == list(range(4, 129, 4))
    assert_as_reference(record, read_reference(folder))
    lmp(f"{SYSTEM}{spring}{REFERENCE}{TOPO}{THERMO}run 66\nrun 62\n", folder)
    assert record_of(folder).samples == 33
    assert_as_reference(record_of(folder), read_reference(folder))


def test_forces_and_global_fluxes_together(lmp, reference, folder):
    """The sample of the setup waits for its forces; energies it has."""
    lmp(f"{SYSTEM}fix topo all topo 4 lj.yaml block 1 correlations.lags 16\nrun 0\nrun 128\n", folder)
    assert_as_reference(record_of(folder), reference)


# ---- mistakes -------------------------------------------------------------------------------------------------------

BAD = {
    "compute": ("", "heat c_nothing", "key 'heat' wants 'c_nothing[1]', but there is no compute 'nothing'"),
    "fix": ("", "heat 'f_no[1] f_no[2] f_no[3]'", "key 'heat' wants 'f_no[1]', but there is no fix 'no'"),
    "variable": ("", "heat 'v_jx v_jy v_jw'", "key 'heat' wants 'v_jw', but there is no variable 'jw'"),
    "style": (
        "variable s atom vx\n", "fluxes.a 'v_jx v_jy v_s'",
        "key 'fluxes.a' wants 'v_s', but variable 's' is not of equal style",
    ),
    "per atom": (
        "", "heat.a c_flux heat.b c_stress",
        "key 'heat.b' wants 'c_stress[1]', but compute 'stress' has no global vector: it is per atom, and compute "
        "reduce can add that up",
    ),
    "size": (
        "compute both all com\n", "stress c_both",
        "key 'stress' wants 'c_both[4]', but compute 'both' has a vector of 3 numbers",
    ),
    "scalar": (
        "", "heat 'c_flux c_thermo_temp c_thermo_pe'",
        "key 'heat' wants 'c_flux', but compute 'flux' has no global scalar",
    ),
    "frequency": (
        "fix ave all ave/time 6 1 6 c_flux[1] c_flux[2] c_flux[3]\n", "heat f_ave",
        "key 'heat' wants 'f_ave[1]', but fix 'ave' has new values every 6 steps, and N is 4: N must be a multiple of "
        "that",
    ),
}  # fmt: skip


def sentence(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode != 0
    lines = [line for line in finished.stdout.splitlines() if line.startswith("ERROR: fix topo topo:")]
    assert len(lines) == 1, finished.stdout
    return lines[0]


_MISTAKES = """
from mpi4py import MPI
from lammps import lammps
from lammps_topo.hosts.attach import plugin_loads
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
plugin_loads(lmp)
lmp.commands_string({system!r})
for define, words in {cases!r}:
    lmp.commands_string(define)
    try:
        lmp.command("fix topo all topo 4 " + words)
        print("no mistake")
    except Exception as error:
        print(str(error).splitlines()[0])
lmp.command("fix topo all topo 4 heat c_flux")
lmp.command("run 8")
"""


def test_what_lammps_does_not_have(folder):
    """One sentence each at the fix line; and then one that is right."""
    cases = [(define, words) for define, words, _ in BAD.values()]
    program = _MISTAKES.format(system=SYSTEM, cases=cases)
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, timeout=120, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    said = finished.stdout.splitlines()
    for line, (mistake, (_, _, text)) in zip(said, BAD.items(), strict=False):
        assert line.startswith(f"ERROR: fix topo topo: {text}"), mistake
    assert record_of(folder, "topo").samples == 3


def test_the_sentence_on_ranks(lmp, folder):
    message = sentence(lmp(f"{SYSTEM}fix topo all topo 4 heat c_nothing\nrun 8\n", folder, ranks=2, check=False))
    assert "key 'heat' wants 'c_nothing[1]', but there is no compute 'nothing'" in message


def test_deleted_between_runs_and_defined_behind(lmp, folder):
    message = sentence(lmp(f"{SYSTEM}{TOPO}run 40\nuncompute flux\nrun 40\n", folder, check=False))
    assert "key 'heat.all' wants 'c_flux[1]', but there is no compute 'flux'" in message
    assert record_of(folder).samples == 11
    average = "fix ave all ave/time 4 1 4 c_flux[1] c_flux[2] c_flux[3]\n"
    topo = "fix topo all topo 4 heat f_ave\n"
    message = sentence(lmp(f"{SYSTEM}{average}{topo}run 8\nunfix ave\n{average}run 8\n", folder, check=False))
    assert "fix 'ave' is defined after this fix, so that its values are not there yet: define it before" in message


def test_a_number_that_is_not_finite(lmp, folder):
    script = (
        f"{SYSTEM}variable bad equal exp(2000*(step>710))\nfix topo all topo 4 lj.yaml fluxes.bad 'v_jx v_bad v_jz'\n"
        "run 700\nrun 200\n"
    )
    message = sentence(lmp(script, folder, ranks=2, check=False))
    assert "'v_bad' is not a finite number at step 712" in message
    assert record_of(folder).samples == 178
    assert record_of(folder).last_step == 708


@pytest.mark.parametrize(("words", "text"), [
    ("'c_nothing'", "key 'heat' wants 'c_nothing[1]', but there is no compute 'nothing'"),
    ("'c_stress'", "key 'heat' wants 'c_stress[1]', but LAMMPS says: Fix ave/time compute stress does not calculate"),
])  # fmt: skip
def test_stepwise_sentences(words, text, folder):
    (folder / "lj.yaml").write_text("segments: {shortest: 16}")
    finished = attach(folder, "stepwise", more=f", heat={words}")
    assert text in finished.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("source", "text"), [
    ("c_flux", "key 'heat' wants 'c_flux[1]', but fix python/invoke can only read what fixes have: define 'fix ID all "
               "ave/time 4 1 4 c_flux[1] ...' before it, and give 'f_ID[i]'"),
    ("f_ave[1] f_ave[2] f_ave[4]", "key 'heat' wants 'f_ave[4]', but fix 'ave' has a vector of 3 numbers"),
    ("f_ave f_ave f_ave", "key 'heat' wants 'f_ave', but fix 'ave' has no global scalar"),
])  # fmt: skip
def test_python_invoke_sentences(source, text, debian_lmp, folder):
    fix = (
        "fix ave all ave/time 4 1 4 c_flux[1] c_flux[2] c_flux[3]\n"
        f'python topo here """\nimport lammps_topo\ntopo = lammps_topo.invoke(None, every=4, heat="{source}")\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    script = SYSTEM.replace("atom_modify map array\n", "")
    finished = debian_lmp(f"{script}{fix}run 8\n", folder, check=False)
    assert finished.returncode != 0
    assert f"ERROR: fix topo: {text}" in finished.stdout


def test_a_trajectory_has_none(lmp, topo_command, folder):
    lmp(f"{SYSTEM}{DUMP}run 8\n", folder)
    finished = topo_command("analyze", "run.lammpstrj", "--config", "lj.yaml", folder=folder, check=False)
    assert finished.returncode != 0
    assert "key 'heat.all' needs LAMMPS, which computes 'c_flux[1]', but a trajectory has atoms only" in finished.stderr
