"""The scripts of potentials/agi-mliap and examples/agi-mliap as modules: they find one another by name, as when run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
AGI = REPOSITORY / "potentials" / "agi-mliap"


def script(name: str, folder: Path = AGI) -> ModuleType:
    """The module of a script, by its name without `.py`."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module(name)
