"""Find, inspect and decode images, safely and within limits."""

import hashlib
import io
import os
import re
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
DICOM = "file is DICOM, which is not read; convert it to PNG with its window, as the book's 'Data and encoders' shows"
SIXTEEN_BITS, NO_WINDOW = "16 bits", "window was given, but no image has 16 bits; leave it out"


@dataclass(frozen=True)
class Finding:
    """Hash of the content of an image file or text, what encoding it changes, and why it cannot be used."""

    sha256: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


def inspect_image(root: Path, relative: str, pixels: bool = False, window: str | None = None) -> Finding:
    """Hash an image file and read its header; with ``pixels``, or of 16 bits, also decode it as extraction does."""
    if not isinstance(relative, str) or not relative:
        return Finding(error=f"image path is {relative!r}, expected a path relative to the data root")
    if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative.replace("\\", "/")).parts:
        return Finding(error="image path leaves the data root; give a path below it")
    path = Path(root) / relative
    try:
        if not (size := path.stat().st_size):
            return Finding(error="file has 0 bytes; get it again")
        check_memory(f"reading files of {size:,} bytes, several at a time,", 4 * size)
        with path.open("rb") as stream, _open(stream) as image:
            deep = _sixteen_bits(image)
            changes = {
                f"mode {image.mode} converted to RGB": image.mode not in ("RGB", "L"),
                f"{SIXTEEN_BITS} reduced to 8, window {window or '0,65535'}": deep,
                "first frame of several used": getattr(image, "is_animated", False),  # their number would take long to count
                "turned upright by its EXIF orientation": image.getexif().get(0x0112, 1) != 1,
            }
        content = sha256(path)
        if pixels or deep:
            decode(path, content, window)
        return Finding(content, tuple(note for note, applies in changes.items() if applies))
    except Exception as error:  # Pillow raises many types on broken files; each becomes a row of the report
        return Finding(error=_reason(error))


def decode(path: Path, content: str | None = None, window: str | None = None) -> Image.Image:
    """Read the first frame as upright 8-bit RGB without alpha, or raise a ValueError without the path.

    ``content`` is the SHA-256 of the file, and ``window`` that of :func:`limits_of`, without which fewer than 16 bits are refused.
    """
    try:
        data = Path(path).read_bytes()
        if content is not None and hashlib.sha256(data).hexdigest() != content:
            raise ValueError(CHANGED)
        with _open(io.BytesIO(data)) as image:
            deep = _sixteen_bits(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if deep and image.mode[0] not in "IF" and (window or max(b for _, b in image.convert("RGB").getextrema()) < 128):
                raise ValueError(f"image has {SIXTEEN_BITS} in several channels and may use fewer; convert it to 8 bits first")
            return as_rgb(image, window)
    except Exception as error:
        raise ValueError(_reason(error)) from None


def _open(stream) -> Image.Image:
    """Return a Pillow image after reading its header; refuse one too large to decode or, its shorter side enlarged, to encode."""
    if stream.read(132)[128:] == b"DICM":
        raise ValueError(DICOM)
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's own limit must not be below one that was raised
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, int(memory_limit() / BYTES_PER_PIXEL))
    image = Image.open(stream, formats=FORMATS)
    short, long = sorted(image.size)
    pixels = long * max(short, SHORTER_SIDE) * max(1, SHORTER_SIDE / short)
    resized = f", which an encoder enlarges to {pixels:,.0f}" if short < SHORTER_SIDE else ""
    each = OF_WEBP if image.format == "WEBP" else BYTES_PER_PIXEL
    check_memory(f"decoding images of {image.width} x {image.height} pixels{resized}, several at a time,", pixels * each)
    return image


def _sixteen_bits(image: Image.Image) -> bool:
    """Return whether the file of an image that is not loaded has 16 bits a channel or more; of colours Pillow reads 8."""
    return image.mode[0] in "IF" or any(re.search("(?<!BGR);16", str(tile.args)) for tile in image.tile)


def limits_of(window: str) -> tuple[int, int] | None:
    """Return the values of ``LOW,HIGH`` that become black and white, or None for ``minmax``, the range of each image."""
    found = re.fullmatch(r"(-?\d+),(-?\d+)|minmax", window)
    if found is None or (found[1] and int(found[1]) >= int(found[2])):
        raise ValueError(f"window is {window!r}; give LOW,HIGH such as 0,4095 for 12 bits, or minmax for the range of each image")
    return (int(found[1]), int(found[2])) if found[1] else None


def as_rgb(image: Image.Image, window: str | None = None) -> Image.Image:
    """Return a loaded image as 8-bit RGB; Pillow alone would clip grey of more bits at 255."""
    if image.mode == "F":
        raise ValueError("image has floating-point pixels, whose range is unknown; convert it to 8 bits first")
    image = _to_eight_bits(image, window) if image.mode.startswith("I") else image
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image, window: str | None) -> Image.Image:
    """Scale grey of 16 bits to 8 by rounding; refuse one that leaves the upper bit empty: at 12 bits it would be almost black."""
    wide = image.convert("I")
    darkest, brightest = wide.getextrema()
    bits = brightest.bit_length()
    if window is None and (darkest < 0 or bits != 16):
        held = f"uses {bits} of {SIXTEEN_BITS}" if darkest >= 0 and bits < 16 else f"has values beyond {SIXTEEN_BITS}"
        how = f"give a table's option window=LOW,HIGH, such as window=0,{2**bits - 1} (window=0,65535 to use all of them)"
        raise ValueError(f"grey image {held}, so that black and white are not known; {how}, or convert it to 8 bits")
    low, high = limits_of(window or "0,65535") or (darkest, max(brightest, darkest + 1))
    scale = 255 / (high - low)
    grey = wide.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")  # cuts at 0 and 255
    inverted = getattr(image, "tag_v2", {}).get(262) == 0  # TIFF's WhiteIsZero, which Pillow applies to 8 bits alone
    return ImageOps.invert(grey) if inverted else grey


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
    found, present = {}, [folder for folder in folders if (root / folder).is_dir()]
    if not present:
        raise FileNotFoundError(f"{root} has no image folder {' or '.join(folders)}; unpack the images there")
    for folder in present:
        for name in sorted(name for name in os.listdir(root / folder) if name.lower().endswith(EXTENSIONS)):
            for key in (name, name.rsplit(".", 1)[0]):
                found.setdefault(key, str(PurePosixPath(folder, name)))
    return found


def locate(names: Iterable[str], found: dict[str, str]) -> pd.Series:
    """Return the relative path of each named image, or None for an absent one."""
    return pd.Series([found.get(str(name)) for name in names], dtype=object)


def existing(root: Path, paths: Iterable[str | None]) -> pd.Series:
    """Return relative paths as given, or None for a missing file and for None; in deep folders this is cheaper than listing."""
    return pd.Series([path if path and os.path.isfile(root / path) else None for path in paths], dtype=object)
