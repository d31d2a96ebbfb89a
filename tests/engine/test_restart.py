"""A run that continues from a restart file: what is counted, once; through other doors; and when it begins anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lammps_topo import results_file
from lammps_topo.config import load_config
from lammps_topo.errors import FileError
from lammps_topo.generations import generations, header_of, state_path
from lammps_topo.hosts.replay import analyze
from lammps_topo.store import read_results

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from replayed import bits

FORCES = "\npair_style lj/cut 6.0\npair_coeff * * 0.01 2.5\nfix nve all nve\n"
TOPO = "fix topo all topo 4 agi.yaml block 13\n"


@pytest.fixture
def start(agi, config) -> str:
    return f"{agi.system}read_data {agi.folder}/agi.data{FORCES}"


def resume(name="a.restart") -> str:
    return f"read_restart {name}{FORCES}"


def results_of(folder, name="agi"):
    return read_results(folder / f"{name}.topo.h5")


def assert_close(one, other, tolerance=1e-9, but=None):
    """``but`` has other tolerances for names that contain its keys."""
    ours, theirs = bits(one.record), bits(other.record)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if value.dtype.kind not in "fc":
            assert np.array_equal(ours[name], value), name
        else:
            allowed = next((other for part, other in (but or {}).items() if part in name), tolerance)
            assert np.abs(ours[name] - value).max(initial=0.0) <= allowed * np.abs(value).max(initial=0.0), name


def lines(finished):
    """What the fix says of its state."""
    found = [line for line in finished.stdout.splitlines() if line.startswith(("fix topo topo:", "ERROR: fix topo"))]
    return [line for line in found if not line.startswith("fix topo topo: charges ")]


@pytest.mark.parametrize(("every", "step"), [(4, 200), (4, 202), (7, 200)])
def test_a_continued_run_equals_the_uninterrupted_one(every, step, lmp, start, tmp_path):
    """Also where the restart file falls between samples."""
    topo = f"fix topo all topo {every} agi.yaml block 13 correlations.lags 32 correlations.precision double\n"
    lmp(f"{start}{topo}run {step}\nwrite_restart a.restart\nrun {400 - step}\n", tmp_path)
    uninterrupted = results_of(tmp_path)
    finished = lmp(f"{resume()}{topo}run {400 - step}\n", tmp_path)
    samples = 1 + step // every
    assert lines(finished) == [
        f"fix topo topo: the measurement continues: {samples} samples until step {every * (step // every)} from "
        "agi.state.1.h5",
        "fix topo topo: an earlier agi.topo.h5 is kept as agi.1.topo.h5",
    ]
    assert_close(results_of(tmp_path), uninterrupted)
    assert np.array_equal(results_of(tmp_path).record.series.steps, np.arange(0, 401, every))


def test_a_restart_in_the_middle_of_a_run_on_other_ranks(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}restart 100 a.*.restart\nrun 300\n", tmp_path, ranks=2)
    assert [header_of(path)["step"] for path in generations(tmp_path / "agi.topo.h5")] == [300, 200, 100]
    uninterrupted = results_of(tmp_path)
    lmp(f"{resume('a.100.restart')}{TOPO}restart 100 b.*.restart\nrun 100\n", tmp_path)
    lmp(f"{resume('b.200.restart')}{TOPO}run 100\n", tmp_path, ranks=3)
    assert_close(results_of(tmp_path), uninterrupted)
    assert [part["ranks"] for part in results_of(tmp_path).provenance["continued"]] == [2, 1]
    assert results_of(tmp_path).provenance["measurement"] == uninterrupted.provenance["measurement"]
    assert results_of(tmp_path).provenance["state"]["bytes"] == state_path(tmp_path / "agi.topo.h5").stat().st_size


def test_reset_timestep_and_reset_atoms_begin_anew(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}run 40\nwrite_restart a.restart\n", tmp_path)
    finished = lmp(f"read_restart a.restart\nreset_timestep 0{FORCES}{TOPO}run 20\n", tmp_path)
    assert lines(finished)[0] == (
        "fix topo topo: the restart file was written at step 40, but the run begins at step 0 (reset_timestep, or "
        "steps that were not measured): a new measurement begins"
    )
    finished = lmp(f"read_restart a.restart\nreset_atoms id sort yes{FORCES}{TOPO}run 20\n", tmp_path)
    assert "fit" in lines(finished)[0] or "other atoms" in lines(finished)[0]
    assert "a new measurement begins" in lines(finished)[0]
    script = f"read_restart a.restart\nreset_timestep 0{FORCES}{TOPO.strip()} restart require\nrun 20\n"
    finished = lmp(script, tmp_path, check=False)
    assert "key 'restart' is 'require', but no state fits this run: the restart file was written at" in finished.stdout


def test_a_changed_configuration_is_named(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}run 40\nwrite_restart a.restart\n", tmp_path)
    finished = lmp(f"{resume()}{TOPO.strip()} msd.lags 32\nrun 20\n", tmp_path, check=False)
    assert lines(finished)[0].startswith(
        "ERROR: fix topo topo: key 'msd.lags' is 32, but 16 in the measurement that this run continues"
    )
    finished = lmp(f"{resume()}{TOPO.strip()} msd.lags 32 restart never\nrun 20\n", tmp_path)
    assert "'restart' is 'never': a new measurement begins" in lines(finished)[0]
    assert results_of(tmp_path, "agi.1").record.samples == 11


def test_edits_after_the_restart_begin_a_new_stretch(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}run 40\nwrite_restart a.restart\n", tmp_path)
    lmp(f"{resume()}velocity all scale 500\n{TOPO}run 20\n", tmp_path)
    assert len(results_of(tmp_path).record.series.stretches) == 2
    # what was minimised before the restart file was written, too: it continues, but not the stretch
    lmp(f"{start}{TOPO}run 40\nminimize 0 0 7 100\nwrite_restart a.restart\n", tmp_path)
    finished = lmp(f"{resume()}{TOPO}run 20\n", tmp_path)
    assert "the measurement continues: 11 samples until step 40" in lines(finished)[0]
    assert len(results_of(tmp_path).record.series.stretches) == 2
    finished = lmp(f"{resume()}displace_atoms all random 0.1 0.1 0.1 7 units box\n{TOPO}run 20\n", tmp_path)
    assert "continues" in lines(finished)[0]  # edited already when the restart file was written
    lmp(f"{start}{TOPO}run 40\nwrite_restart a.restart\n", tmp_path)
    finished = lmp(f"{resume()}displace_atoms all random 0.1 0.1 0.1 7 units box\n{TOPO}run 20\n", tmp_path)
    assert "away from where the state of step 40 has them" in lines(finished)[0]
    assert results_of(tmp_path).record.samples == 6


def test_a_damaged_newest_state_leaves_the_one_before(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}restart 100 a.*.restart\nrun 200\n", tmp_path)
    newest = state_path(tmp_path / "agi.topo.h5")
    newest.write_bytes(newest.read_bytes()[:-100])
    finished = lmp(f"{resume('a.200.restart')}{TOPO}run 100\n", tmp_path)
    text = "\n".join(lines(finished))
    assert "the state 'agi.state.h5' is damaged" in text
    assert "samples after step 100 are missing: the measurement continues with a new stretch" in text
    record = results_of(tmp_path).record
    assert record.series.steps.tolist() == [*range(0, 101, 4), *range(200, 301, 4)]


def test_restart_clear_and_unfix_in_one_input(lmp, start, tmp_path):
    """After clear and read_restart it continues; a fix that is defined anew begins anew."""
    script = f"{start}{TOPO}run 40\nwrite_restart a.restart\nclear\n{resume()}{TOPO}run 40\nunfix topo\n{TOPO}run 20\n"
    finished = lmp(script, tmp_path)
    assert [line.split(": ")[1] for line in lines(finished)] == [
        "the measurement continues", "an earlier agi.topo.h5 is kept as agi.1.topo.h5"
    ]  # fmt: skip
    assert results_of(tmp_path, "agi.1").record.samples == 21
    assert (results_of(tmp_path).record.first_step, results_of(tmp_path).record.samples) == (80, 6)


def test_a_fix_of_another_name_is_found_by_its_files(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}run 200\nwrite_restart a.restart\nrun 200\n", tmp_path)
    uninterrupted = results_of(tmp_path)
    finished = lmp(f"{resume()}fix other all topo 4 agi.yaml block 13\nrun 200\n", tmp_path)
    assert "fix other topo: the measurement continues: 51 samples until step 200" in finished.stdout
    assert_close(results_of(tmp_path), uninterrupted)


def test_a_full_disk_does_not_end_the_run(lmp, start, tmp_path):
    """The state does not fit; the restart file is whole, and says that there is none."""
    (tmp_path / ".agi.state.h5.new").mkdir()  # nothing can be written there
    finished = lmp(f"{start}{TOPO}run 40\nwrite_restart a.restart\nrun 40\n", tmp_path)
    assert "WARNING: the state of step 40 is not kept" in finished.stdout
    assert results_of(tmp_path).record.samples == 21
    (tmp_path / ".agi.state.h5.new").rmdir()
    finished = lmp(f"{resume()}{TOPO}run 20\n", tmp_path)
    assert (
        "the restart file was written without a state of the measurement: a new measurement begins" in finished.stdout
    )


_STEPWISE = """
from mpi4py import MPI
from lammps import lammps
import lammps_topo
lmp = lammps(cmdargs=['-screen', 'none', '-log', 'none'])
lmp.commands_string('''{before}''')
session = lammps_topo.attach(lmp, 'agi.yaml', every=4, method='stepwise', block=13)
session.run({steps})
assert session.checkpoint()
lmp.command('write_restart {restart}')
"""


def test_from_the_native_door_to_stepwise_and_back(lmp, start, tmp_path):
    lmp(f"{start}{TOPO}run 100\nwrite_restart a.restart\nrun 200\n", tmp_path)
    uninterrupted = results_of(tmp_path)
    program = _STEPWISE.format(before=resume(), steps=100, restart="b.restart")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
    assert results_of(tmp_path).record.samples == 51
    lmp(f"{resume('b.restart')}{TOPO}run 100\n", tmp_path)
    assert_close(results_of(tmp_path), uninterrupted)


def test_from_the_native_door_to_python_invoke(lmp, debian_lmp, start, agi, tmp_path):
    """Debian's LAMMPS does not read the other's restart files: a data file takes the atoms across, with all digits.

    Both versions then make the same trajectory, and fluxes differ by rounding. Temperatures differ by 1.4·10⁻⁹: that is
    what CODATA changed the atomic mass by from 2018 to 2022, the tables of the SciPys of the two Pythons.
    """
    write = "write_data a.data nocoeff\n"
    fix = (
        'python topo here """\nimport lammps_topo\n'
        'topo = lammps_topo.invoke("agi.yaml", every=4, block=13, checkpoint_steps=40)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    lmp(f"{start}{TOPO}run 100\n{write}run 100\n", tmp_path)
    uninterrupted = results_of(tmp_path)
    lmp(f"{start}{TOPO}run 100\n{write}", tmp_path)
    finished = debian_lmp(f"{agi.system}read_data a.data\nreset_timestep 100{FORCES}{fix}run 100\n", tmp_path)
    assert "fix topo: the measurement continues: 26 samples until step 100" in finished.stdout
    assert_close(results_of(tmp_path), uninterrupted, but={"temperature": 1e-7})
    assert [header_of(path)["step"] for path in generations(tmp_path / "agi.topo.h5")] == [200, 160, 120]


def test_python_invoke_continues_itself(debian_lmp, start, tmp_path):
    fix = (
        'python topo here """\nimport lammps_topo\n'
        'topo = lammps_topo.invoke("agi.yaml", every=4, block=13, checkpoint_steps=100)\n"""\n'
        "fix topo all python/invoke 4 end_of_step topo\n"
    )
    debian_lmp(f"{start}{fix}restart 100 a.*.restart\nrun 200\n", tmp_path)
    uninterrupted = results_of(tmp_path)
    debian_lmp(f"{resume('a.100.restart')}{fix}run 100\n", tmp_path)
    assert_close(results_of(tmp_path), uninterrupted)


class _Killed(Exception):
    """As if the program had ended here."""


def test_an_analysis_that_was_killed_continues(agi, config, tmp_path):
    """To the last bit; and one that is complete leaves no state."""
    settings = {
        "trajectory.units": "metal", "trajectory.timestep": 0.001, "checkpoint_steps": 40, "block": 7,
        "correlations.lags": 16,
    }  # fmt: skip
    dump = agi.folder / "agi.lammpstrj"
    for name, killed in [("whole", ()), ("parts", (60, 150, 370))]:
        chosen = load_config(config, {**settings, "output": str(tmp_path / f"{name}.topo.h5")})
        for step in killed:

            def kill(read, last=step):
                if 4 * read > last:
                    raise _Killed

            with pytest.raises(_Killed):
                analyze(dump, chosen, progress=kill)
            results_file._open_files.clear()
        analyze(dump, chosen).close()
        assert not generations(tmp_path / f"{name}.topo.h5")
    one, other = (bits(results_of(tmp_path, name).record) for name in ("whole", "parts"))
    assert all(one[name].tobytes() == other[name].tobytes() for name in {**one, **other})
    assert [part["step"] for part in results_of(tmp_path, "parts").provenance["continued"]] == [40, 120, 360]


def test_an_analysis_of_another_trajectory_is_refused(agi, tilted_agi, config, tmp_path):
    settings = {"trajectory.units": "metal", "trajectory.timestep": 0.001, "checkpoint_steps": 40}
    chosen = load_config(config, {**settings, "output": str(tmp_path / "a.topo.h5")})

    def kill(read):
        if read > 50:
            raise _Killed

    with pytest.raises(_Killed):
        analyze(agi.folder / "agi.lammpstrj", chosen, progress=kill)
    results_file._open_files.clear()
    head, frame = (agi.folder / "agi.lammpstrj").read_text().split("ITEM: TIMESTEP\n200\n")
    lines_of_frame = frame.split("\n")
    words = lines_of_frame[7].split()
    words[4] = str(float(words[4]) + 0.01)  # x of an atom
    lines_of_frame[7] = " ".join(words)
    other = tmp_path / "other.lammpstrj"
    other.write_text(head + "ITEM: TIMESTEP\n200\n" + "\n".join(lines_of_frame))
    with pytest.raises(FileError, match="is not the trajectory whose analysis was interrupted at step 200"):
        analyze(other, chosen)
    results_file._open_files.clear()
    begun = analyze(tilted_agi.folder / "agi.lammpstrj", chosen)  # other atoms, even
    assert "have other types or masses" in begun.notices[0]
