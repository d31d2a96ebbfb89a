"""SIGTERM, as batch queues send it some time before they kill: what was measured is written, and the run ends orderly.

The shim notes the signal by itself; the doors that are Python only use :class:`Sigterm`. Any rank may get it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from .errors import FileError, StreamError
from .measurement import Measurement
from .stream.block import Packed

#: A second signal kills, unless it comes within so many seconds: launchers pass on what the queue sent to everybody.
_AT_ONCE = 1.0


class Sigterm:
    """Notes SIGTERM, where the program does not handle it by itself; until :meth:`leave`.

    Attributes
    ----------
    came : whether this process got it
    watching : False where the program has a handler of its own, or Python allows none here
    """

    def __init__(self) -> None:
        self.came, self._since, self._users = False, 0.0, 1
        main = threading.current_thread() is threading.main_thread()
        self.watching = main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        if self.watching:
            signal.signal(signal.SIGTERM, self._note)

    @classmethod
    def watch(cls) -> Sigterm:
        """The one that is there already, or a new one."""
        present = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(present, cls):
            present._users += 1
            return present
        return cls()

    def _note(self, number: int, _: FrameType | None) -> None:
        if not self.came:
            self.came, self._since = True, time.monotonic()
        elif time.monotonic() > self._since + _AT_ONCE:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def leave(self) -> None:
        """SIGTERM does again what it did before, unless somebody else handles it now."""
        self._users -= 1
        if self._users:
            return
        if self.watching and signal.getsignal(signal.SIGTERM) == self._note:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.watching = False


def interrupted(measurement: Measurement, packed: Packed | None = None, *, new_stretch: bool = False) -> None:
    """The run may be killed soon: write the state and the results with all samples so far. Collective.

    A file that cannot be written is no reason to end in disorder: it is a notice.
    """
    try:
        measurement.finish(packed, new_stretch=new_stretch, now=True)
    except StreamError:
        raise
    except FileError as error:
        measurement.notices.append(f"WARNING: SIGTERM: {error}")
    else:
        measurement.notices.append(f"SIGTERM: what was measured is in {measurement.path}")
