"""Find, inspect and decode images, safely and within limits."""

import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from PIL import Image, ImageOps, UnidentifiedImageError

from .files import check_memory, memory_limit, sha256

BYTES_PER_PIXEL, OF_WEBP = 40, 64  # in memory while several are decoded; the library of WebP makes more copies
SHORTER_SIDE = 1024  # pixels; no known encoder asks for more, so that an image is at most enlarged to it
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")  # no format that starts another program or holds a script
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
CHANGED = "file was replaced after it was inspected; run again"


@dataclass(frozen=True)
class Finding:
    """Hash of the content of an image file or text, what encoding it changes, and why it cannot be used."""

    sha256: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


def inspect_image(root: Path, relative: str, pixels: bool = False) -> Finding:
    """Hash an image file and read its header; with ``pixels``, also decode it as extraction does."""
    if not isinstance(relative, str) or not relative:
        return Finding(error=f"image path is {relative!r}, expected a path relative to the data root")
    if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative.replace("\\", "/")).parts:
        return Finding(error="image path leaves the data root; give a path below it")
    path = Path(root) / relative
    try:
        if not (size := path.stat().st_size):
            return Finding(error="file has 0 bytes; get it again")
        check_memory(f"reading files of {size:,} bytes, several at a time,", 4 * size)
        with _open(path) as image:
            changes = {
                f"mode {image.mode} converted to RGB": image.mode not in ("RGB", "L"),
                "first frame of several used": getattr(image, "is_animated", False),  # their number would take long to count
                "turned upright by its EXIF orientation": image.getexif().get(0x0112, 1) != 1,
            }
        content = sha256(path)
        if pixels:
            decode(path, content)
        return Finding(content, tuple(note for note, applies in changes.items() if applies))
    except Exception as error:  # Pillow raises many types on broken files; each becomes a row of the report
        return Finding(error=_reason(error))


def decode(path: Path, content: str | None = None) -> Image.Image:
    """Read the first frame of an image file as upright 8-bit RGB, or raise a ValueError without the path.

    ``content`` is the SHA-256 that the file must have; alpha is ignored, and 16 bits are scaled to 8.
    """
    try:
        data = Path(path).read_bytes()
        if content is not None and hashlib.sha256(data).hexdigest() != content:
            raise ValueError(CHANGED)
        with _open(io.BytesIO(data)) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            upright = _to_eight_bits(image) if image.mode.startswith("I") else image  # Pillow would clip 16-bit grey at 255
            return upright if upright.mode == "RGB" else upright.convert("RGB")
    except Exception as error:
        raise ValueError(_reason(error)) from None


def _open(source) -> Image.Image:
    """Return a Pillow image after reading its header alone; refuse one too large to decode or with undefined pixel values.

    An encoder makes the shorter side its own, so a long and thin image is measured as it will be then.
    """
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's own limit must not be below one that was raised
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, int(memory_limit() / BYTES_PER_PIXEL))
    image = Image.open(source, formats=FORMATS)
    short, long = sorted(image.size)
    pixels = long * max(short, SHORTER_SIDE) * max(1, SHORTER_SIDE / short)
    resized = f", which an encoder enlarges to {pixels:,.0f}" if short < SHORTER_SIDE else ""
    each = OF_WEBP if image.format == "WEBP" else BYTES_PER_PIXEL
    check_memory(f"decoding images of {image.width} x {image.height} pixels{resized}, several at a time,", pixels * each)
    if image.mode == "F":
        raise ValueError("image has floating-point pixels, whose range is unknown; convert it to 8 bits first")
    return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits by rounding."""
    wide = image.convert("I")
    if min(wide.getextrema()) < 0 or max(wide.getextrema()) > 65535:
        raise ValueError("image has pixels beyond 16 bits, whose range is unknown; convert it to 8 bits first")
    return wide.point([(value + 128) // 257 for value in range(65536)], "L")


def _reason(error: Exception) -> str:
    """Return one sentence without the path, which may hold a patient's number."""
    match error:
        case MemoryError():
            raise error  # which is no fault of the image
        case UnidentifiedImageError():
            return f"file is no image in a supported format ({', '.join(FORMATS)})"
        case OSError():
            return f"file is damaged ({error})" if error.filename is None else f"file cannot be read ({error.strerror})"
        case Image.DecompressionBombError():
            return f"{error} If you trust it, raise the limit of memory with --memory"
        case ValueError():
            return str(error)
    return f"file cannot be decoded ({type(error).__name__})"


def index_images(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return image files directly in ``folders`` of ``root``: name and stem -> path below ``root``; an earlier folder wins."""
    found = {}
    if not any((root / folder).is_dir() for folder in folders):
        raise FileNotFoundError(f"{root} has no image folder {' or '.join(folders)}; unpack the images there")
    for folder in filter(lambda folder: (root / folder).is_dir(), folders):
        for name in sorted(name for name in os.listdir(root / folder) if name.lower().endswith(EXTENSIONS)):
            for key in (name, name.rsplit(".", 1)[0]):
                found.setdefault(key, str(PurePosixPath(folder, name)))
    return found


def locate(names: Iterable[str], found: dict[str, str]) -> pd.Series:
    """Return the relative path of each named image, or None for an absent one."""
    return pd.Series([found.get(str(name)) for name in names], dtype=object)


def existing(root: Path, paths: Iterable[str]) -> pd.Series:
    """Return relative paths as given, or None for a missing file; in deep folders this is cheaper than listing."""
    return pd.Series([path if os.path.isfile(root / path) else None for path in paths], dtype=object)
