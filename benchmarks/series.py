"""Series that exist already: ``lammps_topo.spectrum_of_files`` against SporTran, file to coefficient, side by side.

Both analyse the same file of one flux (three components) in processes of their own, one after the other, in turns.
Imports are not counted, reading the file is. Rows: SporTran's own method, resampled to f* = 20 and 50 THz, and our
default method, which has no f*, beside SporTran at 20 THz. Ratios are those of medians; memory is the most that a
process had. SporTran gets a virtual environment of its own
(``coverage/peers.py``).

    python benchmarks/series.py                   a million samples, npy and text, three minutes
    python benchmarks/series.py --no-text         npy alone, half a minute
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "coverage"))

from peers import ONE_THREAD, interpreter  # noqa: E402

FS = 5.0
TAU = 50.0  # fs
TEMPERATURE, VOLUME = 1000.0, 65013.3

#: Each reads a line of JSON {file, cutoff} and answers with one: seconds, value, error, MiB.
LOOP = """
import json, os, resource, sys, time
answers, sys.stdout = sys.stdout, open(os.devnull, "w")
{imports}
for line in sys.stdin:
    job = json.loads(line)
    start = time.perf_counter()
    {analysis}
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, float(value), float(error), memory]), file=answers, flush=True)
"""
OURS = (
    "import matplotlib.figure\nfrom lammps_topo import spectrum_of_files",
    f"""
    result = spectrum_of_files(
        [job["file"]], quantity="heat", units="metal", columns=job["columns"], interval={FS / 1000},
        temperature={TEMPERATURE}, volume={VOLUME}, method=job["method"], resample=job["resample"],
    ).results[-1]
    value, error = result.value, result.error
    """,
)
SPORTRAN = (
    "import numpy as np\nimport sportran as st",
    f"""
    if job["file"].endswith(".npy"):
        flux = np.load(job["file"])
    else:
        table = st.i_o.TableFile(job["file"], group_vectors=True)
        table.read_datalines(start_step=0, NSTEPS=0, select_ckeys=["flux"])
        flux = table.data["flux"]
    current = st.HeatCurrent(flux, DT_FS={FS}, UNITS="metal", TEMPERATURE={TEMPERATURE}, VOLUME={VOLUME})
    current = current.resample(TSKIP=job["resample"], plot=False)
    current.cepstral_analysis()
    value, error = current.kappa, current.kappa_std
    """,
)


class Worker:
    """A process that answers one job after another."""

    def __init__(self, python: str | Path, program: tuple[str, str]) -> None:
        code = LOOP.format(imports=program[0], analysis=program[1].strip())
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**ONE_THREAD, "MPLBACKEND": "Agg", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    def __call__(self, **job: Any) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args!r} ended with status {self._process.wait()}")
        found: list[float] = json.loads(answer)
        return found

    def end(self) -> None:
        self._process.communicate()


def samples(number: int) -> np.ndarray:
    """Three AR(1) components with a correlation time of 50 fs."""
    phi = np.exp(-FS / TAU)
    return lfilter([1], [1, -phi], np.random.default_rng(1).normal(size=(number, 3)), axis=0)


#: Label, options of ours, and every how many samples SporTran resamples.
ROWS: dict[str, tuple[dict[str, Any], int]] = {
    "cepstral-aic, f* = 20 THz": ({"method": "cepstral-aic", "resample": 5}, 5),
    "cepstral-aic, f* = 50 THz": ({"method": "cepstral-aic", "resample": 2}, 2),
    "default method": ({"method": None, "resample": 1}, 5),
}


def compare(file: Path, columns: str, peers: Path, turns: int) -> None:
    for label, (options, resample) in ROWS.items():
        workers = {"ours": Worker(sys.executable, OURS), "SporTran": Worker(interpreter("sportran", peers), SPORTRAN)}
        jobs = {"ours": {"columns": columns, **options}, "SporTran": {"resample": resample}}
        times: dict[str, list[float]] = {name: [] for name in workers}
        found: dict[str, list[float]] = {}
        for turn in range(turns):
            for name, worker in workers.items():
                found[name] = worker(file=str(file), **jobs[name])
                if turn or turns == 1:  # the first of several brings code and file into memory
                    times[name].append(found[name][0])
        for worker in workers.values():
            worker.end()
        middle = {name: statistics.median(values) for name, values in times.items()}
        print(f"{file.suffix[1:]}: {label}: ours/SporTran {middle['ours'] / middle['SporTran']:.3f}")
        for name, (_, value, error, memory) in found.items():
            print(f"    {name:8} {middle[name]:7.3f} s  {memory:4.0f} MiB  κ = {1e5 * value:.4f}({1e5 * error:.4f})e-5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="folder of the virtual environments")
    parser.add_argument("--no-text", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flux = samples(options.samples)
        np.save(Path(folder) / "flux.npy", flux)
        compare(Path(folder) / "flux.npy", "1-3", options.peers, options.turns)
        if not options.no_text:
            names = "Step c_flux[1] c_flux[2] c_flux[3] c_v[1] c_v[2] c_v[3]"
            table = np.column_stack((np.arange(len(flux)), flux, flux[:, ::-1]))
            np.savetxt(Path(folder) / "flux.txt", table, fmt="%.7g", comments="", header=names)
            compare(Path(folder) / "flux.txt", "flux", options.peers, 1)


if __name__ == "__main__":
    main()
