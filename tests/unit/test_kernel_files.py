"""Memory kernels of correlation functions that exist already: every kind of file, and what is wrong with some."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from lammps_topo import kernel_of_files
from lammps_topo.cli import main
from lammps_topo.errors import ConfigError, FileError
from lammps_topo.hosts.correlation_file import read_correlation
from lammps_topo.synthetic import embedding

# as Ag in AgI (ps): a fast damped oscillation and a slow tail
PROCESS = embedding(exponentials=((6.0, 0.9),), oscillations=((140.0, 100.0, 20.0, 20.0),))
INTERVAL, LAGS = 0.002, 3000
MASS, TEMPERATURE = 107.87, 750.0
KILOGRAM = 1.66053906892e-27
KNOWN = {"mass": MASS, "temperature": TEMPERATURE}


@pytest.fixture(scope="module")
def curve() -> np.ndarray:
    return PROCESS.correlation(INTERVAL, LAGS)


def write(path, *columns, head="", **options):
    np.savetxt(path, np.column_stack(columns), header=head, **options)
    return path


def assert_exact(table) -> None:
    results = {result.quantity: result for result in table.results("Ag")}
    friction = MASS * KILOGRAM * PROCESS.plateau * 1e12
    assert results["friction"].value == pytest.approx(friction, rel=1e-3)
    assert results["initial_kernel"].value == pytest.approx(MASS * KILOGRAM * PROCESS.kernel(0.0) * 1e24, rel=5e-3)
    assert results["diffusion"].value == pytest.approx(1.380649e-23 * TEMPERATURE / friction, rel=1e-3)


def test_text_of_any_scale(curve, tmp_path):
    lag = INTERVAL * np.arange(LAGS)
    assert_exact(kernel_of_files([write(tmp_path / "a.txt", lag, 17.3 * curve)], **KNOWN)[0])
    assert_exact(kernel_of_files([write(tmp_path / "a.csv", lag, curve, delimiter=",", head="t, C")], **KNOWN)[0])


def test_columns_are_chosen(curve, tmp_path):
    file = write(tmp_path / "a.txt", curve[::-1], INTERVAL * np.arange(LAGS), curve)
    assert_exact(kernel_of_files([file], columns="2,3", **KNOWN)[0])


def test_npy_without_lags(curve, tmp_path):
    np.save(tmp_path / "a.npy", curve)
    assert_exact(kernel_of_files([tmp_path / "a.npy"], columns="1", interval=INTERVAL, **KNOWN)[0])


def test_compute_vacf_counts_steps_from_its_origin(curve, tmp_path):
    """fix ave/time output: timesteps since the start of the run, the origin at step 40000."""
    file = write(tmp_path / "vacf.txt", 40000 + 4 * np.arange(LAGS), curve, head="Time-averaged data\nTimeStep c_v[4]")
    assert_exact(kernel_of_files([file], timestep=0.0005, origin=40000, **KNOWN)[0])
    with pytest.raises(FileError, match="must begin at 0, not at 40000"):
        kernel_of_files([file], timestep=0.0005, **KNOWN)


def test_ave_correlate_keeps_the_last_of_its_tables(curve, tmp_path):
    lines = ["# Time-correlated data for fix c", "# Timestep Number-of-time-windows"]
    lines += ["# Index TimeDelta Ncount c_v[4]*c_v[4]"]
    for step, factor in ((1000, 0.0), (2000, 1.0)):
        lines.append(f"{step} {LAGS}")
        lines += [f"{k + 1} {4 * k} 10 {factor * value!r}" for k, value in enumerate(curve.tolist())]
    (tmp_path / "c.txt").write_text("\n".join(lines))
    assert_exact(kernel_of_files([tmp_path / "c.txt"], timestep=0.0005, **KNOWN)[0])


def test_replicas_give_errors(tmp_path):
    rng, files = np.random.default_rng(5), []
    for number in range(8):
        v = PROCESS.sample(6000, 12, interval=0.01, rng=rng).velocities.reshape(6000, -1)
        spectrum = np.abs(np.fft.rfft(v, 12000, axis=0)) ** 2
        curve = np.fft.irfft(spectrum.mean(axis=1))[:400] / (6000 - np.arange(400))
        files.append(write(tmp_path / f"{number}.txt", 0.01 * np.arange(400), curve))
    table, name = kernel_of_files(files, **KNOWN)
    friction = table.results(name)[0]
    exact = MASS * KILOGRAM * PROCESS.plateau * 1e12
    assert 0.005 * exact < friction.error < 0.2 * exact
    assert abs(friction.value - exact) < 3 * friction.error


def test_units_do_not_matter(curve, tmp_path):
    metal = write(tmp_path / "metal.txt", INTERVAL * np.arange(LAGS), curve)
    real = write(tmp_path / "real.txt", 1000 * INTERVAL * np.arange(LAGS), curve)
    ours, other = (kernel_of_files([file], units=units, **KNOWN)[0].results("Ag")
                   for file, units in ((metal, "metal"), (real, "real")))  # fmt: skip
    for one, two in zip(ours, other, strict=True):
        assert two.value == pytest.approx(one.value, rel=1e-9)
        assert two.unit == one.unit


def test_command_writes_kernel_and_thermostats(curve, tmp_path):
    file = write(tmp_path / "a.txt", INTERVAL * np.arange(LAGS), curve)
    arguments = ["kernel", str(file), "--mass", "107.87", "--temperature", "750", "--gld"]
    arguments += ["--output", str(tmp_path / "kernel.txt"), "--gle", str(tmp_path / "a.gle")]
    finished = CliRunner().invoke(main, arguments)
    assert finished.exit_code == 0, finished.output
    assert "friction" in finished.output
    assert "fix memory all gld 750 750" in finished.output
    written = np.loadtxt(tmp_path / "kernel.txt")
    lag, gamma = written[:, 0], MASS * KILOGRAM * PROCESS.kernel(written[:, 0]) * 1e24
    assert lag[1] == pytest.approx(INTERVAL)
    assert np.abs(written[:, 1] - gamma).max() < 5e-3 * gamma[0]
    running = MASS * KILOGRAM * PROCESS.integral(lag) * 1e12
    assert np.abs(written[:, 3] - running).max() < 2e-3 * running.max()
    drift = np.loadtxt(tmp_path / "a.gle")
    assert np.linalg.eigvalsh(drift + drift.T).min() > -1e-9 * np.abs(drift).max()


WRONG = {
    "nothing.txt": ("", "holds no numbers"),
    "words.txt": ("a b\nc d\n", "not a table of numbers"),
    "ragged.txt": ("0 1\n1 2 3\n2 .8\n", "not a table of numbers"),
    "one_column.txt": ("1\n2\n", "has 1 columns: there is no column 2"),
    "uneven.txt": ("0 1\n1 .9\n3 .8\n", "1 is followed by 3 where the first two are 1 apart"),
    "late.txt": ("0.5 1\n1.0 .9\n1.5 .8\n", "must begin at 0, not at 0.5"),
    "nan.txt": ("0 1\n1 nan\n2 .8\n", "not finite"),
    "falling.txt": ("0 1\n-1 .9\n-2 .8\n", "must be equidistant"),
    "negative.txt": ("0 -1\n1 .9\n2 .8\n", "must be positive"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name, tmp_path):
    text, expected = WRONG[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(FileError, match=expected):
        kernel_of_files([tmp_path / name], **KNOWN)


@pytest.mark.parametrize("curve", [np.ones(100), np.r_[1.0, np.random.default_rng(1).normal(size=99)]])
def test_what_is_no_correlation_ends_in_a_sentence(curve, tmp_path):
    file = write(tmp_path / "a.txt", np.arange(100.0), curve)
    finished = CliRunner().invoke(main, ["kernel", str(file), "--mass", "1"])
    assert finished.exit_code == 1
    assert "Error: no memory kernel gives this correlation" in finished.output


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="not a table of numbers"):
        read_correlation(tmp_path / "a.npy")


def test_what_must_be_said(curve, tmp_path):
    file = write(tmp_path / "a.txt", INTERVAL * np.arange(LAGS), curve)
    with pytest.raises(ConfigError, match="give a positive --mass"):
        kernel_of_files([file])
    with pytest.raises(ConfigError, match="--columns 1: expected the columns of the lag and"):
        kernel_of_files([file], columns="1", **KNOWN)
    with pytest.raises(ConfigError, match="--temperature is -5, but must be a positive number"):
        kernel_of_files([file], mass=1.0, temperature=-5)
    with pytest.raises(ConfigError, match="but not both"):
        kernel_of_files([file], interval=1.0, timestep=1.0, **KNOWN)
    finished = CliRunner().invoke(main, ["kernel", str(file), "--mass", "1", "--gld"])
    assert "--gld needs the temperature" in finished.output
    short = write(tmp_path / "b.txt", INTERVAL * np.arange(100), curve[:100])
    with pytest.raises(FileError, match="replicas must agree"):
        kernel_of_files([file, short], **KNOWN)
    finished = CliRunner().invoke(main, ["kernel", str(tmp_path / "none.txt"), "--mass", "1"])
    assert finished.exit_code == 1
    assert "cannot be read: No such file" in finished.output
