"""Find, inspect and decode images, safely and within limits."""

import hashlib
import io
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError

from .files import sha256

MAX_PIXELS = 100_000_000
MAX_BYTES = 1_000_000_000
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")  # no format that starts another program or holds a script
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
BAND = 256  # rows of a 16-bit image scaled at once
CHANGED = "file was replaced after it was inspected; run again"


@dataclass(frozen=True)
class ImageFile:
    """Findings on an image file: hash of its bytes, conversions that decoding makes, and why it cannot be used."""

    sha256: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


def inspect_image(root: Path, relative: str, pixels: bool = False) -> ImageFile:
    """Hash an image file and read its header; with ``pixels``, also decode it as extraction does."""
    if not isinstance(relative, str) or not relative:
        return ImageFile(error=f"image path is {relative!r}, expected a path relative to the data root")
    if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative.replace("\\", "/")).parts:
        return ImageFile(error="image path leaves the data root; give a path below it")
    path = Path(root) / relative
    try:
        size = path.stat().st_size
        if size == 0:
            return ImageFile(error="file is empty (0 bytes); get it again")
        if size > MAX_BYTES:
            return ImageFile(error=f"file has {size:,} bytes, the limit is {MAX_BYTES:,}; resize the image first")
        with _open(path) as image:
            notes = _conversions(image)
        content = sha256(path)
        if pixels:
            decode(path, content)
        return ImageFile(content, notes)
    except Exception as error:  # Pillow raises many types on broken files; each becomes a row of the report
        return ImageFile(error=_reason(error))


def decode(path: Path, content: str | None = None) -> Image.Image:
    """Read the first frame of an image file as upright 8-bit RGB: apply EXIF rotation, ignore alpha, scale 16 bits to 8.

    ``content`` is the SHA-256 that the file must have. A ValueError says why an image cannot be used, without its path.
    """
    try:
        data = Path(path).read_bytes()
        if content is not None and hashlib.sha256(data).hexdigest() != content:
            raise ValueError(CHANGED)
        with _open(io.BytesIO(data)) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            # Pillow would clip 16-bit grey at 255
            upright = _to_eight_bits(image) if image.mode.startswith("I") else image
            return upright if upright.mode == "RGB" else upright.convert("RGB")
    except Exception as error:
        raise ValueError(_reason(error)) from None


def _open(source) -> Image.Image:
    """Return a Pillow image after reading its header alone; refuse one too large to decode or with undefined pixel values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(source, formats=FORMATS)
    width, height = image.size
    if width * height <= MAX_PIXELS and image.mode != "F":
        return image
    image.close()
    if image.mode == "F":
        raise ValueError("image has floating-point pixels, whose range is unknown; convert it to 8 bits first")
    raise ValueError(f"image has {width} x {height} pixels, the limit is {MAX_PIXELS:,}; resize it first")


def _conversions(image) -> tuple[str, ...]:
    """Return what :func:`decode` will change."""
    found = {
        f"mode {image.mode} converted to RGB": image.mode not in ("RGB", "L"),
        "first frame of several used": getattr(image, "n_frames", 1) > 1,
        "turned upright by its EXIF orientation": image.getexif().get(0x0112, 1) != 1,
    }
    return tuple(note for note, applies in found.items() if applies)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits by rounding, a band of rows at a time so that memory stays bounded."""
    scaled = np.empty((image.height, image.width), dtype=np.uint8)
    for top in range(0, image.height, BAND):
        values = np.asarray(image.crop((0, top, image.width, min(top + BAND, image.height)))).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("image has pixels beyond 16 bits, whose range is unknown; convert it to 8 bits first")
        scaled[top : top + BAND] = (values + 128) // 257
    return Image.fromarray(scaled)


def _reason(error: Exception) -> str:
    """Return one sentence without the path, which may hold a patient's number."""
    match error:
        case FileNotFoundError():
            return "file is missing"
        case UnidentifiedImageError():
            return f"file is no image in a supported format ({', '.join(FORMATS)})"
        case Image.DecompressionBombError():
            return f"image has more pixels than the limit of {MAX_PIXELS:,}; resize it first"
        case OSError():
            return f"file is damaged ({error})" if error.filename is None else f"file cannot be read ({error.strerror})"
        case ValueError():
            return str(error)
    return f"file is damaged ({type(error).__name__})"


def index_images(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return image files directly in ``folders`` of ``root``: name and stem -> path below ``root``; an earlier folder wins."""
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
    """Return the relative path of each named image, or None for an absent one."""
    return pd.Series([found.get(str(name)) for name in names], dtype=object)


def existing(root: Path, paths: Iterable[str]) -> pd.Series:
    """Return relative paths as given, or None for a missing file; in deep folders this is cheaper than listing."""
    return pd.Series([path if os.path.isfile(root / path) else None for path in paths], dtype=object)
