"""The results file ``NAME.topo.h5``: everything measured and everything estimated, in one HDF5 file.

Layout (format version 1): ``/record`` what was gathered, ``/results`` the table as JSON, ``/curves`` what figures are
drawn of, ``/config`` and ``/provenance`` how it was obtained. A file is written beside the old one, checked by a digest
over its contents, and put in place by a rename: at any instant there is a complete file under the name. No pickle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .config import Config
from .errors import FileError
from .estimate.result import Curve, Outcome, Result
from .record import DisplacementRecord, PeriodogramRecord, Record, SeriesRecord

FORMAT = "lammps-topo"
FORMAT_VERSION = 1


def check_writable(path: Path) -> str | None:
    """Why a file cannot be written at ``path``; None if it can. Leaves nothing behind."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        return f"the results file '{path}' cannot be written: {error.strerror}"
    return f"the results file '{path}' cannot be written: it is a folder" if path.is_dir() else None


def keep_existing(path: Path) -> Path | None:
    """Move an older results file out of the way: name.topo.h5 becomes name.1.topo.h5, .2, …; returns where it went."""
    if not path.exists():
        return None
    stem = path.name.removesuffix(".topo.h5")
    number = 1
    while (kept := path.with_name(f"{stem}.{number}.topo.h5")).exists():
        number += 1
    path.rename(kept)
    return kept


def write_results(path: Path, record: Record, outcome: Outcome, config: Config, provenance: Mapping[str, Any]) -> None:
    """Replace ``path`` by a file with these contents. Raises FileError; then the old file is untouched."""
    # built in memory: HDF5 cannot recover from a disk that fills up while it writes
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        _write_dataclass(file.create_group("record"), record)
        file["results"] = json.dumps([result.as_dict() for result in outcome.results])
        file["notes"] = json.dumps(list(outcome.notes))
        file["config"] = config.model_dump_json()
        file["given"] = config.model_dump_json(exclude_unset=True)
        file["provenance"] = json.dumps(dict(provenance))
        curves = file.create_group("curves")
        for curve in outcome.curves:
            _write_dataclass(curves.create_group(curve.name.replace("/", ":")), curve)
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["sha256"] = _digest(file)
    replace_file(path, image.getbuffer())


def replace_file(path: Path, contents: bytes | memoryview) -> None:
    """Put a file with these contents in the place of ``path`` at once. Raises FileError; then the old one stays."""
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise FileError(_reason(error)) from None


@dataclasses.dataclass(frozen=True)
class Results:
    """The contents of a results file; ``given`` is the part of the configuration that is not default."""

    path: Path
    record: Record
    outcome: Outcome
    config: Config
    given: dict[str, Any]
    provenance: dict[str, Any]
    format_version: int = FORMAT_VERSION


def read_results(path: str | Path) -> Results:
    """Read a results file and check its digest.

    Raises
    ------
    FileError
        It cannot be opened, is not a results file, is of a newer format, or is damaged.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise FileError(f"'{path}' is not a results file of lammps_topo")
            version = int(file.attrs["format_version"])
            if version > FORMAT_VERSION:
                raise FileError(
                    f"'{path}' has format version {version}, newer than this lammps_topo reads ({FORMAT_VERSION})"
                )
            if file.attrs["sha256"] != _digest(file):
                raise FileError(f"'{path}' is damaged: its contents do not match its checksum")
            record = _read_record(file["record"])
            outcome = Outcome(
                results=tuple(Result.from_dict(entry) for entry in json.loads(file["results"][()])),
                curves=tuple(_read_curve(group) for group in file["curves"].values()),
                notes=tuple(json.loads(file["notes"][()])),
            )
            config = Config.model_validate_json(file["config"][()])
            given, provenance = (json.loads(file[name][()]) for name in ("given", "provenance"))
            return Results(path, record, outcome, config, given, provenance, version)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"'{path}' cannot be read: {_reason(error)}") from None
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise FileError(f"'{path}' is not a complete results file ({type(error).__name__}: {error})") from None


def _write_dataclass(group: h5py.Group, value: Any) -> None:
    """Fields as datasets and attributes; nested records and tuples of them as groups."""
    for item in dataclasses.fields(value):
        content = getattr(value, item.name)
        if content is None:
            continue
        if dataclasses.is_dataclass(content):
            _write_dataclass(group.create_group(item.name), content)
        elif isinstance(content, np.ndarray):
            group[item.name] = content
        elif isinstance(content, tuple) and content and isinstance(content[0], np.ndarray):
            for number, array in enumerate(content):
                group.require_group(item.name)[str(number)] = array
        elif isinstance(content, tuple) and content and dataclasses.is_dataclass(content[0]):
            for number, part in enumerate(content):
                _write_dataclass(group.require_group(item.name).create_group(str(number)), part)
        elif isinstance(content, (tuple, dict)):
            group.attrs[item.name] = json.dumps(content)
        else:
            group.attrs[item.name] = content


def _read_parts(group: h5py.Group) -> list[Any]:
    return [group[name] for name in sorted(group, key=int)]


def _read_displacements(group: h5py.Group) -> DisplacementRecord:
    return DisplacementRecord(
        groups=tuple(json.loads(group.attrs["groups"])),
        frames=tuple(json.loads(group.attrs["frames"])),
        sums=tuple(part[()] for part in _read_parts(group["sums"])),
        counts=tuple(part[()] for part in _read_parts(group["counts"])),
        stride=int(group.attrs["stride"]),
        batch=int(group.attrs["batch"]),
    )


def _read_record(group: h5py.Group) -> Record:
    values: dict[str, Any] = {}
    for item in dataclasses.fields(Record):
        if item.name in ("msd", "dipole"):
            values[item.name] = _read_displacements(group[item.name]) if item.name in group else None
        elif item.name == "periodograms":
            values[item.name] = tuple(
                PeriodogramRecord(int(part.attrs["length"]), int(part.attrs["segments"]), part["sums"][()])
                for part in (_read_parts(group[item.name]) if item.name in group else [])
            )
        elif item.name == "series":
            values[item.name] = (
                SeriesRecord(**{name: data[()] for name, data in group[item.name].items()})
                if item.name in group
                else None
            )
        elif item.name in group:
            values[item.name] = group[item.name][()]
        else:
            content = group.attrs[item.name]
            if isinstance(content, str) and content[:1] in "[{":
                content = json.loads(content)
                content = tuple(content) if isinstance(content, list) else content
            values[item.name] = content.item() if isinstance(content, np.generic) else content
    return Record(**values)


def _read_curve(group: h5py.Group) -> Curve:
    arrays = {name: data[()] for name, data in group.items()}
    texts = dict(group.attrs.items())
    return Curve(**arrays, **texts)


def _digest(file: h5py.File) -> str:
    """SHA-256 over names, shapes, types and contents of everything in the file but the digest itself."""
    digest = hashlib.sha256()

    def add_array(value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.kind in "OSU":  # text: the same bytes whatever numpy or h5py make of it
            text = value.decode() if isinstance(value, bytes) else str(value)
            digest.update(text.encode())
        else:
            digest.update(f"{array.shape}{array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(name.encode())
        for key in sorted(item.attrs):
            digest.update(key.encode())
            add_array(item.attrs[key])
        if isinstance(item, h5py.Dataset):
            add_array(item[()])

    file.visititems(add)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    """Why, without the internals that h5py puts around it."""
    text = str(error)
    known = (
        "No space left on device",
        "Permission denied",
        "No such file or directory",
        "Is a directory",
        "file signature not found",
        "truncated file",
    )
    return next((part for part in known if part in text), error.strerror or text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
