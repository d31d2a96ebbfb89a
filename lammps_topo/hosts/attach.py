"""Door 3: ``lammps_topo.attach(lmp, config, every=N)`` for a LAMMPS that Python drives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..config import load_config
from ..errors import ConfigError, TopoError
from ..store import Results, read_results
from .global_numbers import ScheduledNumbers
from .lammps_python import PythonHost
from .native import living_hosts
from .plugin_build import LIBRARY, SOURCES

_METHODS = ("plugin", "stepwise")


class Session:
    """A measurement attached to a ``lammps`` instance.

    With the shim (``method`` is ``plugin``) every ``run`` of the instance is measured. Without it (``stepwise``) the
    run is cut into pieces of ``every`` steps between which samples are taken: use :meth:`run` in place of the command.

    Attributes
    ----------
    path : of the results file, written at the end of every run
    """

    def __init__(
        self,
        lmp: Any,
        config: str | None,
        every: int,
        group: str,
        fix: str,
        method: str | None,
        overrides: dict[str, Any],
    ) -> None:
        if method not in (None, *_METHODS):
            raise ConfigError(f"method '{method}' is not known (allowed: {', '.join(_METHODS)})")
        load_config(config, overrides)  # refuse bad keys before LAMMPS is touched
        self._lmp = lmp
        self._every = every
        self._fix = fix
        name = Path(config).stem if config else fix
        self.path = Path(str(overrides.get("output") or load_config(config, overrides).output or f"{name}.topo.h5"))
        self._host: PythonHost | None = None
        self.method = method or ("plugin" if plugin_loads(lmp) else "stepwise")
        if self.method == "plugin":
            if method and not plugin_loads(lmp):
                raise TopoError("the shim of fix topo cannot be loaded into this LAMMPS; see 'lammps-topo doctor'")
            # JSON is YAML; LAMMPS's triple quotes keep it whole
            words = [f'{key} """ {json.dumps(value)} """' for key, value in overrides.items()]
            path = [f'"""{config}"""'] if config else []
            lmp.command(" ".join(["fix", fix, group, "topo", str(every), *path, *words]))
        else:
            self._host = PythonHost(
                lmp,
                config,
                every=every,
                group=group,
                overrides=overrides,
                name=name,
                door="attach",
                numbers=ScheduledNumbers,
            )

    def run(self, steps: int) -> None:
        """Run and measure ``steps`` steps; then write the results file."""
        if self._host is None:
            self._lmp.command(f"run {steps}")
            return
        done = 0
        with self._host.scheduled():
            self._lmp.command("run 0 post no")
            self._host.resume()
            while done < steps:
                piece = min(self._every - self._host.reader.step % self._every, steps - done)
                self._lmp.command(f"run {piece} pre no post no")
                done += piece
                self._host.sample()
                if self._host.ends_run():
                    self._host.measurement.notices.append(f"stop: the run ends at step {self._host.reader.step}")
                    break
                if self._host.stopped:
                    break
        self._host.end_of_run()
        for notice in self._host.measurement.notices:
            if self._host.measurement.comm.rank == 0:
                print(f"fix topo: {notice}")
        self._host.measurement.notices.clear()

    def checkpoint(self) -> bool:
        """Write the state with all samples so far; False if it is not written.

        With ``stepwise``, call it where you call LAMMPS's ``write_restart``: a later session continues there. With the
        shim, ``write_restart`` does it by itself. Collective.
        """
        if self._host is not None:
            return bool(self._host.checkpoint())
        written = False
        for host in living_hosts():
            if host.measurement.path.absolute() == self.path.absolute():
                written = bool(host.measurement.save("restart"))
        return written

    def results(self) -> Results:
        """The results file with all samples so far. Collective."""
        for host in living_hosts():
            if host.measurement.path.absolute() == self.path.absolute():
                host.measurement.flush()
        return read_results(self.path)

    def detach(self) -> None:
        """Stop measuring; the results file stays."""
        if self._host is None:
            self._lmp.command(f"unfix {self._fix}")
        else:
            self._host.close()
        self._host = None


def attach(
    lmp: Any,
    config: str | Path | None = None,
    *,
    every: int,
    group: str = "all",
    fix: str = "topo",
    method: str | None = None,
    **overrides: Any,
) -> Session:
    """Measure what the LAMMPS instance ``lmp`` runs from now on.

    Parameters
    ----------
    lmp : a ``lammps.lammps`` instance whose box and atoms exist
    config : path of a YAML configuration
    every : timesteps between samples
    group, fix : LAMMPS group measured, and ID of the fix
    method : ``plugin`` or ``stepwise`` (see :class:`Session`); by default the first that works
    overrides : configuration keys, on top of the file

    Raises
    ------
    TopoError
        One sentence on what is wrong with the configuration or the run. With ``plugin``, LAMMPS's own exception
        carries the sentence.
    """
    return Session(lmp, None if config is None else str(config), every, group, fix, method, overrides)


def plugin_loads(lmp: Any) -> bool:
    """Load the shim into this LAMMPS, unless it has it already."""
    if "PLUGIN" not in lmp.installed_packages or not (SOURCES / LIBRARY).is_file():
        return False
    if "topo" not in lmp.available_styles("fix"):
        lmp.command(f"plugin load {SOURCES / LIBRARY}")
    return bool(lmp.has_style("fix", "topo"))
