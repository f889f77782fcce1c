"""Where the images of a release are: each folder is listed once, and a name is looked up with or without its extension."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")


def index_images(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Image files directly in ``folders`` of ``root``: name and stem -> path relative to ``root``; an earlier folder wins.

    Raises:
        FileNotFoundError: none of the folders is there.
    """
    present = [folder for folder in folders if (root / folder).is_dir()]
    if not present:
        raise FileNotFoundError(f"{root} has no image folder {' or '.join(folders)}; unpack the images there")
    found: dict[str, str] = {}
    for folder in present:
        with os.scandir(root / folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS))
        for name in names:
            path = name if folder == "." else f"{folder}/{name}"
            found.setdefault(name, path)
            found.setdefault(name.rsplit(".", 1)[0], path)
    return found


def locate(names: Iterable[str], found: dict[str, str]) -> pd.Series:
    """Relative path of each named image; None where it is not there."""
    return pd.Series([found.get(str(name)) for name in names], dtype=object)


def existing(root: Path, paths: Iterable[str]) -> pd.Series:
    """Relative paths as given; None where no file is to be seen. For deep folders, cheaper to ask than to list."""
    return pd.Series([path if os.path.isfile(root / path) else None for path in paths], dtype=object)
