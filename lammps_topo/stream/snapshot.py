"""What objects remember between blocks, in a form that can be stored and given to any number of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Where the three kinds of content are kept apart, by name.
KINDS = ("shared", "share", "atoms")


@dataclass(frozen=True)
class Snapshot:
    """The memory of an object: numbers and arrays by name; arrays may be views, good until the next block.

    Restored on as many ranks as before, each rank gets back its own. On others, rank 0 gets the sum of all shares.

    Attributes
    ----------
    shared : the same on every rank that has the object
    share : this rank's share of a sum over ranks
    atoms : (…, n), the last axis being atoms of this rank
    """

    shared: Mapping[str, Any] = field(default_factory=dict)
    share: Mapping[str, Any] = field(default_factory=dict)
    atoms: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> NDArray[Any]:
        for kind in KINDS:
            if name in getattr(self, kind):
                return np.asarray(getattr(self, kind)[name])
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in getattr(self, kind) for kind in KINDS)

    def optional(self, name: str) -> NDArray[Any] | None:
        try:
            return self[name]
        except KeyError:
            return None

    def number(self, name: str) -> int:
        """A whole number. Raises ValueError if it is none."""
        value = self[name]
        if value.shape or value.dtype.kind not in "iub":
            raise ValueError(f"'{name}' of the state is not a whole number")
        return int(value)

    def undivided(self) -> Snapshot:
        """The same, if only one rank has the object."""
        return Snapshot({**self.shared, **self.share, **self.atoms})

    def joined(self, **parts: Snapshot) -> Snapshot:
        """With the snapshots of inner objects, whose names get ``part.`` in front."""
        kinds = [dict(getattr(self, kind)) for kind in KINDS]
        for part, inner in parts.items():
            for kind, whole in zip(KINDS, kinds, strict=True):
                whole.update({f"{part}.{name}": value for name, value in getattr(inner, kind).items()})
        return Snapshot(*kinds)

    def part(self, part: str) -> Snapshot:
        """What :meth:`joined` put together."""
        head = f"{part}."
        return Snapshot(*(
            {name.removeprefix(head): value for name, value in getattr(self, kind).items() if name.startswith(head)}
            for kind in KINDS
        ))  # fmt: skip


def put_back(store: NDArray[Any], used: NDArray[Any], axis: int = 0) -> None:
    """Fill the first places of ``store`` along ``axis`` with ``used``, the others with zeros.

    Raises
    ------
    ValueError
        They do not fit.
    """
    view, given = np.moveaxis(store, axis, 0), np.moveaxis(used, axis, 0)
    if len(given) > len(view) or given.shape[1:] != view.shape[1:]:
        raise ValueError(f"an array of the state has the shape {used.shape}, which does not fit into {store.shape}")
    view[: len(given)] = given
    if view[len(given) :].any():  # pages of zeros that nobody wrote take no memory
        view[len(given) :] = 0
