"""Options that several commands have."""

from __future__ import annotations

import click

set_option = click.option(
    "--set", "settings", nargs=2, multiple=True, metavar="KEY VALUE",
    help="Set a configuration key, e.g. --set cepstral.cutoff 10; may be repeated.",
)  # fmt: skip
