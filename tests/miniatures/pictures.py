"""Draw pictures for the miniature releases: small, all different, and dependent on the label."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

SIZE = 96  # pixels per side


def mistaken(kind: int, kinds: int, rng: np.random.Generator, share: float = 0.15) -> int:
    """Return ``kind``, or for a ``share`` of the calls any of ``kinds``, so that no picture or text determines the label."""
    return int(kind if rng.random() >= share else rng.integers(kinds))


def lesion(kind: int, kinds: int, rng: np.random.Generator):
    """Draw a pigmented spot on skin; its hue, size and outline depend on ``kind`` of ``kinds``."""
    canvas, draw = _canvas((225 + rng.integers(-12, 13), 180 + rng.integers(-12, 13), 160))
    radius = SIZE * (0.18 + 0.16 * kind / kinds + rng.normal(0, 0.03))
    x, y = rng.normal(SIZE / 2, 4, 2)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ragged = radius * (1 + (0.05 + 0.25 * (kind % 2)) * rng.normal(size=24))
    outline = [(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(ragged, angles, strict=True)]
    draw.polygon(outline, fill=_hue(kind / kinds, 0.55, rng))
    return _grain(canvas, rng)


def fundus(grade: int, left: bool, rng: np.random.Generator):
    """Draw a retina: an orange disc, the optic disc to one side, and more red and yellow dots for a higher ``grade`` (0 to 4)."""
    canvas, draw = _canvas((4, 4, 4))
    draw.ellipse((3, 3, SIZE - 4, SIZE - 4), fill=(190 + int(rng.integers(-20, 21)), 85, 35))
    x = SIZE * (0.3 if left else 0.7)
    draw.ellipse((x - 8, SIZE / 2 - 8, x + 8, SIZE / 2 + 8), fill=(245, 215, 140))
    for _ in range(rng.poisson(1 + 9 * grade)):
        a, r, s = rng.uniform(0, 2 * np.pi), rng.uniform(8, SIZE * 0.42), rng.uniform(1, 3)
        x, y = SIZE / 2 + r * np.cos(a), SIZE / 2 + r * np.sin(a)
        draw.ellipse((x - s, y - s, x + s, y + s), fill=(110, 10, 10) if rng.random() < 0.6 else (250, 230, 120))
    return _grain(canvas, rng)


def chest(findings: list[bool], rng: np.random.Generator):
    """Draw a chest X-ray: two dark lungs; finding j whitens its own place, finding 1 widens the heart."""
    canvas, draw = _canvas((150, 150, 150))
    for x in (0.08, 0.56):
        draw.ellipse((x * SIZE, 0.1 * SIZE, (x + 0.36) * SIZE, 0.9 * SIZE), fill=(45, 45, 45))
    wide = 0.08 + 0.14 * (len(findings) > 1 and findings[1]) + rng.normal(0, 0.015)
    draw.ellipse(((0.5 - wide) * SIZE, 0.45 * SIZE, (0.5 + wide) * SIZE, 0.85 * SIZE), fill=(185, 185, 185))
    for j, present in enumerate(findings):
        if present and j != 1:
            x, y = SIZE * (0.2 + 0.5 * (j % 2)), SIZE * (0.2 + 0.13 * j)
            s = rng.uniform(7, 11)
            draw.ellipse((x - s, y - s, x + s, y + s), fill=(200, 200, 200))
    return _grain(canvas, rng)


def scene(kind: int, kinds: int, rng: np.random.Generator):
    """Draw a scene whose main colour depends on ``kind`` of ``kinds``, with a few objects of any colour."""
    canvas, draw = _canvas(_hue(kind / kinds, 0.75, rng))
    for _ in range(rng.integers(2, 6)):
        x, y, w, h = rng.uniform(0, SIZE * 0.8, 2).tolist() + rng.uniform(6, SIZE * 0.3, 2).tolist()
        shape = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        shape((x, y, x + w, y + h), fill=_hue(rng.random(), 0.6, rng))
    return _grain(canvas, rng)


def _canvas(colour):
    canvas = Image.new("RGB", (SIZE, SIZE), tuple(int(c) for c in colour))
    return canvas, ImageDraw.Draw(canvas)


def _hue(turn: float, value: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Return a colour at ``turn`` of the hue circle, slightly randomised."""
    red, green, blue = colorsys.hsv_to_rgb((turn + rng.normal(0, 0.03)) % 1, 0.65, value)
    return int(255 * red), int(255 * green), int(255 * blue)


def _grain(canvas, rng: np.random.Generator):
    noisy = np.asarray(canvas, dtype=float) + rng.normal(0, 8, (SIZE, SIZE, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
