"""Errors whose message is one sentence for the user: what is wrong, where, and what is allowed."""


class TopoError(Exception):
    """Base of every error that lammps_topo raises on purpose; ``str(error)`` is fit to be shown."""


class ConfigError(TopoError):
    """A key of the configuration, or a word of the ``fix`` line, has a value that is not allowed."""


class StreamError(TopoError):
    """The run delivered something that cannot be measured (lost atom, NaN, changed box, changed group).

    ``good`` is the number of samples of the block that came before it.
    """

    def __init__(self, message: str, good: int = 0) -> None:
        super().__init__(message)
        self.good = good


class FileError(TopoError):
    """A file cannot be read, written or understood."""


class EstimateError(TopoError):
    """An estimator was given data it cannot work with (too few samples, non-positive spectrum)."""
