"""Recipes5k: photographs of dishes with their lists of ingredients, 101 dishes."""

from pathlib import Path

import pandas as pd

from ..images import existing
from ..tasks import Task
from .registry import Draft
from .tables import first_file, parallel_lines, read_lines, unique

INGREDIENTS = ("annotations/ingredients_Recipes5k.txt", "ingredients_Recipes5k.txt")


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of Recipes5k: the text is the recipe's raw ingredient list, the label its dish (the folder of the image)."""
    path = first_file(root, INGREDIENTS)
    ingredients = read_lines(path)
    parts = []
    for part in ("train", "val", "test"):
        names = {"file": "images", "recipe": "labels"}
        files = {column: root / "annotations" / f"{part}_{name}.txt" for column, name in names.items()}
        table = parallel_lines(files)
        unique(table["file"], files["file"], header=0)
        for line, recipe in enumerate(table["recipe"], 1):
            if not recipe.isdigit() or int(recipe) >= len(ingredients):
                wanted = f"a number below {len(ingredients)}, a line of {path.name} counted from 0"
                raise ValueError(f"{files['recipe']} line {line}: expected {wanted}")
        table["split"] = part
        parts.append(table)
    rows = pd.concat(parts, ignore_index=True)
    rows["text"] = [ingredients[int(recipe)] for recipe in rows["recipe"]]
    rows["label"] = rows["file"].str.split("/").str[0]
    rows["pair_id"] = rows["file"]
    rows["image"] = existing(root, "images/" + rows["file"])
    rows["group"] = "recipe-" + rows["recipe"]
    return Draft(rows.drop(columns=["file", "recipe"]), Task("multiclass", tuple(sorted(set(rows["label"])))))
