"""Refuse at once what would stop a run of the workflow after hours, or quietly do something else than was meant."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import yaml

TOLERANCE = 5.0  # seconds by which clocks of a cluster may differ
WRITTEN = ("runs", "book/executed", "book/generated")


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key that stands twice; YAML itself would take the last one."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ValueError(f"the key {key!r} stands twice (line {node.value[number][0].start_mark.line + 1})")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def refuse_duplicate_keys(configurations: Iterable[str | Path]) -> None:
    """Raise for a configuration file in which a key stands twice.

    Raises:
        ValueError: names the file, the key and its line.
    """
    for path in configurations:
        try:
            yaml.load(Path(path).read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a SafeLoader
        except ValueError as error:
            raise ValueError(f"{path}: {error}; keep one of them") from None


def refuse_future_files(paths: Iterable[str | Path]) -> None:
    """Raise for input files that are dated in the future: a result can never be newer than they are.

    Raises:
        ValueError: names the first one and how far ahead it is.
    """
    now = time.time()
    ahead = {str(path): os.stat(path).st_mtime - now for path in paths if os.path.exists(path)}
    late = {path: seconds for path, seconds in ahead.items() if seconds > TOLERANCE}
    if late:
        path = max(late, key=late.__getitem__)
        raise ValueError(
            f"{len(late)} input files are dated in the future, {path} by {late[path]:.0f} s; set the clocks of all machines, "
            "or give the files the present date with `touch`"
        )


def refuse_unwritable(folders: Iterable[str | Path] = WRITTEN) -> None:
    """Raise for a folder of results that cannot be made or written.

    Raises:
        OSError: names the folder.
    """
    for folder in map(Path, folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"{folder} cannot be made ({error.strerror}); the workflow writes its results there") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(f"{folder} is read-only; make it writable, or run the workflow in a copy of the project")
