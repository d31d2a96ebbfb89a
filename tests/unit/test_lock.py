"""One program at a time writes to a name; what a killed one leaves keeps nobody out."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lammps_topo import lock as module
from lammps_topo.errors import FileError
from lammps_topo.lock import Lock, Taken, lock_path

HOLD = "import sys, time; from pathlib import Path; from lammps_topo.lock import Lock; lock = Lock(Path(sys.argv[1]));"


def holder(path: Path, then: str = "print('held', flush=True); time.sleep(60)") -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLD + then, path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


@pytest.fixture
def results(tmp_path):
    return tmp_path / "a.topo.h5"


def test_held_until_released(results):
    lock = Lock(results)
    assert lock_path(results) == results.with_name("a.topo.lock")
    assert f"process {os.getpid()} on " in lock_path(results).read_text()
    with pytest.raises(Taken, match=f"another program writes to '.*a.topo.h5' .process {os.getpid()} on ") as error:
        Lock(results)
    assert error.value.own
    lock.release()
    assert not lock_path(results).exists()
    lock.release()
    Lock(results).release()


def test_a_lock_that_is_forgotten_is_free(results):
    lock = Lock(results)
    del lock
    Lock(results).release()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_another_process_keeps_out_until_it_dies(how, results):
    child = holder(results)
    with pytest.raises(Taken, match=f"process {child.pid} on ") as error:
        Lock(results)
    assert not error.value.own
    assert "\n" not in str(error.value)
    child.send_signal(how)
    child.communicate()
    assert lock_path(results).exists()
    lock = Lock(results)
    assert f"process {os.getpid()} " in lock_path(results).read_text()
    lock.release()


def test_a_child_program_does_not_keep_the_lock(results):
    lock = Lock(results)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], close_fds=False)
    lock.release()
    Lock(results).release()
    child.kill()
    child.wait()


def test_of_many_that_come_and_go_one_has_it_at_a_time(results):
    """The file is removed and made again all the time; nobody may hold what is no longer there."""
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom lammps_topo.lock import Lock, Taken\n"
        "path, mine, end = Path(sys.argv[1]), Path(sys.argv[1] + '.busy'), time.monotonic() + 1.5\n"
        "got = 0\nwhile time.monotonic() < end:\n"
        "    try:\n        lock = Lock(path)\n    except Taken:\n        continue\n"
        "    os.close(os.open(mine, os.O_CREAT | os.O_EXCL))\n    got += 1\n    os.unlink(mine)\n    lock.release()\n"
        "print(got)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, results], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = [child.communicate(timeout=30)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sum(int(output) for output in outputs) > 100


@pytest.mark.parametrize("text", [b"", b"\x00\xff\n\x1b[31m" * 100])
def test_what_is_in_the_file_does_not_matter(text, results):
    lock_path(results).write_bytes(text)
    with lock_path(results).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Taken) as error:
            Lock(results)
        assert str(error.value).isprintable()
    Lock(results).release()


def test_a_file_system_that_cannot_lock(results, monkeypatch):
    def cannot(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", cannot)
    lock = Lock(results)
    assert "WARNING: the file system cannot lock" in lock.notice
    assert "No locks available" in lock.notice
    lock.release()


def test_neither_links_nor_folders_nor_pipes(results, tmp_path):
    (tmp_path / "precious").write_text("mine")
    lock_path(results).symlink_to(tmp_path / "precious")
    with pytest.raises(FileError, match=r"the lock 'a.topo.lock' of '.*' cannot be made"):
        Lock(results)
    assert (tmp_path / "precious").read_text() == "mine"
    lock_path(results).unlink()
    lock_path(results).mkdir()
    with pytest.raises(FileError, match="cannot be made: Is a directory"):
        Lock(results)
    started = time.monotonic()
    lock_path(results).rmdir()
    os.mkfifo(lock_path(results))
    Lock(results).release()
    assert time.monotonic() - started < 5
