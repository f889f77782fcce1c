"""Write miniatures of the four natural-image data sets, file by file as released."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.datasets.natural import FILES

from . import pictures

COLOURS = ("red", "green", "blue")
THINGS = ("table", "chair", "lamp", "door", "sofa", "bed", "window", "cabinet", "mirror", "desk", "pillow", "shelf")
DISHES = {"apple_pie": "apples", "beet_salad": "beets", "guacamole": "jalapeño", "omelette": "eggs, gruyère", "ramen": "noodles"}
TITLES = {"0": ("the secret they hide", "miracle cure found"), "1": ("a sunset over the lake", "the old bridge in town")}


def coco_qa(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write line-by-line text files, images in the folders and names of 2014, and a repeated question."""
    for part, folder in {"train": "train2014", "test": "val2014"}.items():
        lines = []
        for i in range(n * 2 // 3 if part == "train" else n - n * 2 // 3):
            number, colour = 9 + 37 * i + (500_000 if part == "test" else 0), i % len(COLOURS)
            pictures.scene(colour, len(COLOURS), rng, root / folder / f"COCO_{folder}_{number:012d}.jpg")
            asked = [f"what is the color of the {thing}" for thing in rng.choice(THINGS, 3, replace=False)]
            for question in asked + asked[: int(i % 10 == 0)]:
                lines.append((question, COLOURS[pictures.mistaken(colour, len(COLOURS), rng)], str(number), "2"))
        for name, values in zip(("questions", "answers", "img_ids", "types"), zip(*lines, strict=True), strict=True):
            _lines(root / part / f"{name}.txt", values)


def fakeddit(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write tab-separated tables, dead links, posts without an image, titles with quotes, and a repost in a later part."""
    shared = "the same old cat again"
    for part, name in FILES.items():
        rows = []
        for i in range({"train": n * 8 // 10, "val": n // 10, "test": n // 10}[part]):
            label, key = str(i % 2), f"{part[:2]}{i:05d}"
            title = shared if i == 4 else f"{rng.choice(TITLES[label if rng.random() < 0.8 else '1'])} number {i} {part}"
            row = {"author": "someone", "clean_title": "" if i == 6 else title, "hasImage": i != 8, "id": key, "score": 10}
            row |= {"title": f'"{title.title()}", he said', "2_way_label": label, "3_way_label": label, "6_way_label": label}
            rows.append(row)
            if i % 25 != 10:
                pictures.scene(pictures.mistaken(i % 2, 2, rng), 2, rng, root / "images" / f"{key}.jpg")
        pd.DataFrame(rows).to_csv(root / name, sep="\t", index=False)


def recipes5k(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write annotations as line numbers of one ingredients file, and images in a folder per dish."""
    dishes = list(DISHES)
    recipes, parts = [], {"train": [], "val": [], "test": []}
    for i in range(n):
        dish = i % len(dishes)
        written = pictures.mistaken(dish, len(dishes), rng)
        recipes.append(f"{DISHES[dishes[written]]}, {rng.choice(['salt', 'pepper'])}")
        file = f"{dishes[dish]}/{i // len(dishes)}_{dishes[dish]}.jpg"
        pictures.scene(pictures.mistaken(dish, len(dishes), rng), len(dishes), rng, root / "images" / file)
        parts[("train", "train", "train", "val", "test")[(i // len(dishes)) % 5]].append((file, str(i)))
    _lines(root / "annotations" / "ingredients_Recipes5k.txt", recipes)
    for part, members in parts.items():
        _lines(root / "annotations" / f"{part}_images.txt", [file for file, _ in members])
        _lines(root / "annotations" / f"{part}_labels.txt", [number for _, number in members])


def daquar(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write questions and answers in turn, each question ending with its image's number; repeat one, give some two-word answers."""
    for part, numbers in {"train": range(1, n // 2 + 1), "test": range(n // 2 + 1, n + 1)}.items():
        lines = []
        for number in numbers:
            colour = number % len(COLOURS)
            pictures.scene(colour, len(COLOURS), rng, root / "nyu_depth_images" / f"image{number}.png")
            for j, thing in enumerate(THINGS):
                answer = COLOURS[pictures.mistaken(colour, len(COLOURS), rng)]
                question = f"what is the colour of the {thing} in the image{number} ?"
                lines += [question, f"{answer}, {thing}" if (number + j) % 17 == 0 else answer] * (1 + (number % 10 == j))
        _lines(root / f"qa.894.raw.{part}.txt", lines)


def _lines(path: Path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
