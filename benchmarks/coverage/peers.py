"""Estimators of others, each in a virtual environment of its own, with the versions that it was published with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods import Estimate

HERE = Path(__file__).resolve().parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Peer:
    """What to install, what runs it, and whether it can eliminate other fluxes."""

    packages: tuple[str, ...]
    script: str
    several_fluxes: bool


PEERS = {
    "sportran": Peer(("sportran==1.0.0rc4", "numpy==1.26.4"), "sportran_worker.py", several_fluxes=True),
    "stacie": Peer(("stacie==1.3.0",), "stacie_worker.py", several_fluxes=False),
}


def interpreter(name: str, folder: Path) -> Path:
    """The Python of ``name``'s environment below ``folder``; made if it is not there yet."""
    home = folder / name
    python = home / "bin" / "python"
    ready = home / ".ready"
    wanted = " ".join(PEERS[name].packages)
    if not ready.exists() or ready.read_text() != wanted:
        print(f"setting up {wanted} in {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name].packages], check=True)
        ready.write_text(wanted)
    return python


class Worker:
    """A running peer, which is given one batch of series after another."""

    def __init__(self, name: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [interpreter(name, folder), HERE / PEERS[name].script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, "MPLBACKEND": "Agg"},
        )

    def estimate(self, **batch: Any) -> list[tuple[Estimate, float]]:
        """Estimates and their seconds for ``file`` (npy, [realisations, samples, fluxes, components])."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(batch) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a peer's worker ended with status {self._process.wait()}")
        return [
            (Estimate(logarithm, error, resolved), seconds)
            for logarithm, error, resolved, seconds in json.loads(answer)
        ]
