"""What several commands have: an option, and a word about an extra that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def needs_report_extra() -> Iterator[None]:
    """For the imports of what draws; raises ClickException with the way to install it."""
    try:
        yield
    except ImportError as error:
        raise click.ClickException(f"{error}; install the extra: pip install 'lammps-topo[report]'") from None


set_option = click.option(
    "--set", "settings", nargs=2, multiple=True, metavar="KEY VALUE",
    help="Set a configuration key, e.g. --set cepstral.cutoff 10; may be repeated.",
)  # fmt: skip
