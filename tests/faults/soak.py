"""``make soak``: hundreds of random kills, and long fuzzing of what reads files; prints its figures.

python tests/faults/soak.py [--replay 160] [--lmp 60] [--fuzz 1500] [--seed 1]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

FAULTS = Path(__file__).resolve().parent
sys.path.insert(0, str(FAULTS))
#: Tests of what reads files, and how many times as many inputs: those of YAML take a millisecond, those of HDF5 a tenth
#: of a second.
FUZZED = {
    "tests/unit/test_config.py": 20,
    "tests/unit/test_hostile_files.py": 1,
    "tests/unit/test_state.py": 1,
    "tests/unit/test_forged_states.py": 1,
}


def kills(replay: int, lmp: int, seed: int) -> int:
    """Random kills; the number of those that were recovered."""
    import lmp_kills
    import replay_kills

    figures: Counter[str] = Counter()
    for campaign, number in ((replay_kills.campaign, replay), (lmp_kills.campaign, lmp)):
        if number:
            with tempfile.TemporaryDirectory(prefix="topo-soak-") as folder:
                figures.update(campaign(Path(folder), seed, number))
    for name, number in sorted(figures.items()):
        print(f"  {name}: {number}")
    return sum(number for name, number in figures.items() if name.endswith("recovered"))


def fuzz(number: int, seed: int) -> int:
    """Inputs that the loaders of YAML, results and states were given; raises if one was not refused properly."""
    total = 0
    for file, times in FUZZED.items():
        total += _fuzz(file, number * times, seed)
    return total


def _fuzz(file: str, number: int, seed: int) -> int:
    tests = ["-m", "pytest", "-q", "-p", "fuzz_profile", "--hypothesis-show-statistics", f"--hypothesis-seed={seed}"]
    quiet = ["-W", "ignore::hypothesis.errors.HypothesisWarning"]  # that an input is too long to be shown
    environment = {**os.environ, "LAMMPS_TOPO_FUZZ": str(number), "PYTHONPATH": _python_path()}
    finished = subprocess.run(
        [sys.executable, *tests, *quiet, "-k", "any_ or random_damage or forged or anywhere", file],
        cwd=FAULTS.parents[1], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if finished.returncode:
        sys.exit(finished.stdout[-10_000:] + finished.stderr)
    total, test = 0, ""
    for line in finished.stdout.splitlines():
        if match := re.match(r"(tests/\S+):$", line):
            test = match[1].split("::")[-1]
        elif match := re.search(r"- (\d+) passing", line):
            print(f"  {test}: {match[1]}", flush=True)
            total += int(match[1])
    return total


def _python_path() -> str:
    return os.pathsep.join([str(FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replay", type=int, default=160, help="kills while trajectories are measured")
    parser.add_argument("--lmp", type=int, default=60, help="kills of lmp on 2 ranks")
    parser.add_argument("--fuzz", type=int, default=1500, help="inputs of a kind; 20 times as many for YAML")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    started = time.monotonic()
    print(f"kills, seed {chosen.seed}:", flush=True)
    recovered = kills(chosen.replay, chosen.lmp, chosen.seed)
    print(f"{recovered} kills, all recovered, in {time.monotonic() - started:.0f} s", flush=True)
    if chosen.fuzz:
        started = time.monotonic()
        print(f"fuzzing, seed {chosen.seed}:", flush=True)
        inputs = fuzz(chosen.fuzz, chosen.seed)
        print(f"{inputs} inputs, each understood or refused with a sentence, in {time.monotonic() - started:.0f} s")
