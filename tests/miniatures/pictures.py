"""Draw pictures for the miniature releases: small, all different, and dependent on the label."""

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 96  # pixels per side


def mistaken(kind: int, kinds: int, rng: np.random.Generator, share: float = 0.15) -> int:
    """Return ``kind``, or for a ``share`` of the calls any of ``kinds``, so that no picture or text determines the label."""
    return int(kind if rng.random() >= share else rng.integers(kinds))


def scene(kind: int, kinds: int, rng: np.random.Generator, path: Path) -> None:
    """Draw a picture whose main colour depends on ``kind`` of ``kinds``, with a few objects of any colour."""
    canvas = Image.new("RGB", (SIZE, SIZE), _hue(kind / kinds, 0.75, rng))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(2, 6)):
        x, y, w, h = rng.uniform(0, SIZE * 0.8, 2).tolist() + rng.uniform(6, SIZE * 0.3, 2).tolist()
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((x, y, x + w, y + h), fill=_hue(rng.random(), 0.6, rng))
    _save(canvas, rng, path)


def chest(findings: list[bool], rng: np.random.Generator, *paths: Path) -> None:
    """Draw a grey square in which finding j whitens its own place."""
    canvas = Image.new("RGB", (SIZE, SIZE), (90, 90, 90))
    draw = ImageDraw.Draw(canvas)
    for j in np.flatnonzero(findings):
        x, y, s = SIZE * (0.2 + 0.5 * (j % 2)), SIZE * (0.2 + 0.13 * j), rng.uniform(7, 11)
        draw.ellipse((x - s, y - s, x + s, y + s), fill=(200, 200, 200))
    _save(canvas, rng, *paths)


def _hue(turn: float, value: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Return a colour at ``turn`` of the hue circle, slightly randomised."""
    red, green, blue = colorsys.hsv_to_rgb((turn + rng.normal(0, 0.03)) % 1, 0.65, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def _save(canvas, rng: np.random.Generator, *paths: Path) -> None:
    """Write the picture with grain, so that no two are equal."""
    noisy = np.asarray(canvas, dtype=float) + rng.normal(0, 8, (SIZE, SIZE, 1))
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
