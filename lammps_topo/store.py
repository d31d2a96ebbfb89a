"""The results file ``NAME.topo.h5``: everything measured and everything estimated, in one HDF5 file.

Layout (format version 2): ``/record`` what was gathered, ``/results`` the table as JSON, ``/curves`` what figures are
drawn of, ``/config`` and ``/provenance`` how it was obtained. Version 1 has no ``/record/charges``, and no differences
of representations in ``/record/dipole``; it is read. A file is written beside the old one, checked by a digest over its
contents, and put in place by a rename: at any instant there is a complete file under the name. No pickle.

What is read may come from anybody. Before any content is taken, :func:`_survey` makes sure that the file holds nothing
but plain numbers and text, no larger than itself; afterwards every value has its declared type, and they fit together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import h5py
import numpy as np
from numpy.typing import NDArray

from .config import Config
from .errors import ConfigError, FileError
from .estimate.result import Curve, Outcome, Result
from .record import Record, inconsistency
from .units import unit_style

FORMAT = "lammps-topo"
FORMAT_VERSION = 2
#: Of a results file: objects, levels of groups, levels of lists in lists.
_MOST_OBJECTS, _DEEPEST, _DEEPEST_JSON = 50_000, 5, 32
_LONGEST_REASON = 300
#: Bytes that reading may take besides four times the file.
_MEMORY = 1 << 30
#: How a global heap of HDF5 begins.
_HEAP = b"GCOL\1\0\0\0"


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
    sha256: str = ""


def read_results(path: str | Path) -> Results:
    """Read a results file and check its digest and its contents.

    Raises
    ------
    FileError
        It cannot be opened, is not a results file, is of a newer format, is damaged, or holds what none would hold.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise FileError(f"'{path}' cannot be read: it is not a file")
        _survey_heaps(path, size)
        with _memory_limited(_MEMORY + 4 * size), h5py.File(path, "r") as file:
            _survey_attributes(file, size)
            if file.attrs.get("format") != FORMAT:
                raise FileError(f"'{path}' is not a results file of lammps_topo")
            version = int(file.attrs["format_version"])
            if version > FORMAT_VERSION:
                raise FileError(
                    f"'{path}' has format version {version}, newer than this lammps_topo reads ({FORMAT_VERSION})"
                )
            if version < 1:
                raise ValueError(f"format version {version}")
            _survey(file, size)
            digest = _digest(file)
            if file.attrs["sha256"] != digest:
                raise FileError(f"'{path}' is damaged: its contents do not match its checksum")
            return _read(path, file, version, digest)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"'{path}' cannot be read: {_reason(error)}") from None
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise FileError(f"'{path}' is not a complete results file ({type(error).__name__}: {reason})") from None


def _read(path: Path, file: h5py.File, version: int, digest: str) -> Results:
    record = _read_dataclass(Record, file["record"])
    if problem := inconsistency(record):
        raise FileError(f"'{path}' contradicts itself: {problem}")
    try:
        unit_style(record.units)
    except ConfigError as error:
        raise FileError(f"'{path}' contradicts itself: {error}") from None
    curves = tuple(_read_dataclass(Curve, group) for group in file["curves"].values())
    for curve in curves:
        ends = [curve.x.shape, curve.y.shape, *([] if curve.error is None else [curve.error.shape])]
        if curve.x.ndim != 1 or len(set(ends)) > 1:
            raise ValueError(f"the curve '{curve.name}' has the shapes {', '.join(map(str, ends))}")
    notes = tuple(_from_json(file["notes"][()], list))
    if not all(isinstance(note, str) for note in notes):
        raise TypeError("a note is not text")
    return Results(
        path=path,
        record=record,
        outcome=Outcome(tuple(_read_result(entry) for entry in _from_json(file["results"][()], list)), curves, notes),
        config=Config.model_validate(_from_json(file["config"][()], dict)),
        given=_from_json(file["given"][()], dict),
        provenance=_from_json(file["provenance"][()], dict),
        format_version=version,
        sha256=digest,
    )


# ---- what a file may hold -------------------------------------------------------------------------------------------


def _survey(file: h5py.File, size: int) -> None:
    """Refuse what this package does not write, before it is read; ValueError.

    Links that lead elsewhere, objects that contain themselves, compressed or scattered data, types other than numbers
    and text, and more declared than ``size``, the bytes of the file, can hold.
    """
    groups: list[tuple[h5py.Group, int]] = [(file, 0)]
    objects, declared = 0, 0
    while groups:
        group, depth = groups.pop()
        for name in group:
            where = f"{group.name}/{name}".replace("//", "/")
            objects += 1
            if objects > _MOST_OBJECTS or depth >= _DEEPEST:
                raise ValueError(f"it holds too much, or something that contains itself, at '{where}'")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"'{where}' is a link to something else")
            item = group[name]
            _survey_attributes(item, size)
            if isinstance(item, h5py.Group):
                groups.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                declared += _declared(item, where)
                if declared > size:
                    raise ValueError(f"'{where}' is declared to hold more than the whole file")
            else:
                raise ValueError(f"'{where}' is neither a group nor data")


def _declared(item: h5py.Dataset, where: str) -> int:
    """Bytes of a dataset, which are all in one place of the file."""
    creation = item.id.get_create_plist()
    if creation.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or creation.get_nfilters():
        raise ValueError(f"'{where}' is compressed or scattered")
    if creation.get_external_count():
        raise ValueError(f"'{where}' lies in another file")
    space, kind = item.id.get_space(), item.id.get_type()
    extent = space.get_simple_extent_type()
    if extent == h5py.h5s.NULL or not _plain_type(kind, text=extent == h5py.h5s.SCALAR):
        raise ValueError(f"'{where}' is neither numbers nor text")
    stored: int = item.id.get_storage_size()
    if not isinstance(kind, h5py.h5t.TypeStringID) and stored != space.get_simple_extent_npoints() * kind.get_size():
        raise ValueError(f"'{where}' is not all there")
    return stored


def _survey_heaps(path: Path, size: int) -> None:
    """Refuse broken global heaps, where HDF5 keeps text: it would look for their end for ever; ValueError."""
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        begin = -1
        while (begin := contents.find(_HEAP, begin + 1)) >= 0:
            end = begin + int.from_bytes(contents[begin + 8 : begin + 16], "little")
            place = begin + 16
            while place + 16 <= end <= size:
                length = int.from_bytes(contents[place + 8 : place + 16], "little")
                free = contents[place : place + 2] == b"\0\0"
                if free and length < 16:
                    raise ValueError("the heap of its texts is broken")
                place += length if free else 16 + -(-length // 8) * 8
            if not place <= end <= size:
                raise ValueError("the heap of its texts is broken")


@contextmanager
def _memory_limited(more: int) -> Iterator[None]:
    """Let the process have only so many bytes more: HDF5 believes the length of a text before it looks for it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = pages * resource.getpagesize() + more
    except (ImportError, OSError):  # not Linux
        yield
        return
    limit = min([limit, *(value for value in (soft, hard) if value != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _survey_attributes(item: h5py.HLObject, size: int) -> None:
    """Single numbers and texts only."""
    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        single = attribute.get_space().get_simple_extent_type() == h5py.h5s.SCALAR
        if not single or not _plain_type(attribute.get_type(), text=True) or attribute.get_storage_size() > size:
            raise ValueError(f"the attribute '{name}' of '{item.name}' is neither a number nor a text")


def _plain_type(kind: h5py.h5t.TypeID, *, text: bool) -> bool:
    """Whether values are integers, floats, complex numbers, or (if ``text``) text."""
    if isinstance(kind, h5py.h5t.TypeStringID):
        return text
    if isinstance(kind, (h5py.h5t.TypeEnumID, h5py.h5t.TypeArrayID, h5py.h5t.TypeVlenID)):
        return False
    return kind.get_size() in (1, 2, 4, 8, 16) and kind.dtype.kind in "iufc"


def _from_json(text: str | bytes, kind: type) -> Any:
    """JSON of this type, not nested too deeply for what works on it."""
    value = json.loads(text)
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    level = [value]
    for _ in range(_DEEPEST_JSON):
        level = [part for outer in level if isinstance(outer, (list, dict)) for part in _parts_of(outer)]
        if not level:
            return value
    raise ValueError("lists within lists without end")


def _parts_of(outer: list[Any] | dict[str, Any]) -> Iterator[Any]:
    return iter(outer.values() if isinstance(outer, dict) else outer)


# ---- dataclasses as groups ------------------------------------------------------------------------------------------


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


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read_dataclass(kind: type, group: h5py.Group) -> Any:
    """What :func:`_write_dataclass` wrote, with the types that the fields declare; absent fields get their defaults."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if item.name in group or item.name in group.attrs:
            values[item.name] = _read_value(_types(kind)[item.name], group, item.name)
        elif get_origin(_types(kind)[item.name]) in (Union, UnionType):
            values[item.name] = None
        elif item.default is dataclasses.MISSING:
            raise KeyError(f"'{item.name}' is missing in '{group.name}'")
    return kind(**values)


def _read_value(kind: Any, group: h5py.Group, name: str) -> Any:
    """The value ``name`` in a group: of a simple type from an attribute, of any other from an object."""
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part not in (type(None), ...)]
    if origin in (Union, UnionType):
        return _read_value(inner[0], group, name)
    if origin is np.ndarray:
        return _numbers(group[name], get_args(inner[-1])[0])
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, group[name])  # type: ignore[arg-type]
    if origin is tuple and name in group:
        parts = group[name]
        names = [str(number) for number in range(len(parts))]
        return tuple(_read_value(inner[0], parts, part) for part in names)
    content = group.attrs[name]
    if origin is tuple or origin is dict:
        values = _from_json(content, list if origin is tuple else dict)
        if origin is tuple:
            return tuple(_simple(inner[0], value, name) for value in values)
        return {key: _simple(inner[1], value, name) for key, value in values.items()}
    return _simple(kind, content.item() if isinstance(content, np.generic) else content, name)


def _simple(kind: type, value: Any, name: str) -> Any:
    """``value`` as ``kind``: text, or a number."""
    allowed = {str: (str,), int: (int,), float: (int, float)}.get(kind, ())
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise TypeError(f"'{name}' is a {type(value).__name__}")
    return kind(value)


def _numbers(data: h5py.Dataset, kind: type) -> NDArray[Any]:
    if not isinstance(data, h5py.Dataset) or data.dtype != np.dtype(kind):
        raise TypeError(f"'{data.name}' is not an array of {kind.__name__}")
    values: NDArray[Any] = np.asarray(data[()])
    return values


def _read_result(entry: Any) -> Result:
    result = Result.from_dict(entry)
    if not all(isinstance(getattr(result, name), str) for name in ("quantity", "of", "method", "unit")):
        raise TypeError("a result has no name")
    return result


# ---- helpers --------------------------------------------------------------------------------------------------------


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
