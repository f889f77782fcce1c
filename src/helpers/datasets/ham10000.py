"""HAM10000: dermatoscopic images of pigmented skin lesions, seven diagnoses, a sentence of metadata."""

from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import WORDS, Draft
from .splits import by_group, by_row
from .tables import age_band, classes_of, fill, first_file, numbers, read_table, unique

METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
FOLDERS = ("images", "HAM10000_images", *(f"{n}_images_part_{i}" for n in ("HAM10000", "ham10000") for i in (1, 2)))
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of HAM10000; under ``by-image`` in the authors' order (train block, then test block)."""
    path = first_file(root, METADATA)
    table = read_table(path, COLUMNS, na_words=True)
    unique(table["image_id"], path)
    classes_of(table["dx"], CLASSES, path)
    age = numbers(table["age"], path)
    said = {c: table[c].fillna("No data reported") for c in ("sex", "localization")}
    said["age"] = age.map(lambda a: "No data reported" if pd.isna(a) else str(int(a)))
    rows = pd.DataFrame(
        {
            "pair_id": table["image_id"],
            "image": locate(table["image_id"], index_images(root, FOLDERS)),
            "text": fill(WORDS["ham10000"][variant], {"dx_type": table["dx_type"], **said}),
            "group": table["lesion_id"],
            "label": table["dx"],
            "subgroup_age": age_band(age),
            "subgroup_sex": table["sex"].fillna("unknown"),
        }
    )
    if split == "lesion-disjoint":
        rows["split"] = by_group(rows["group"], rows["label"])
    else:
        train, test = by_row(rows["label"])
        rows["split"] = "train"
        rows.loc[test, "split"] = "test"
        rows = rows.loc[[*train, *test]]
    return Draft(rows, Task("multiclass", CLASSES))
