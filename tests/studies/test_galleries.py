"""Recall against the size of the gallery: brute force, what is on which side, and the stored tables of alignments."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from helpers.alignment.registry import make_alignment
from helpers.statistics import corrected_interval

sys.path.insert(0, str(ROOT / "studies"))
import alignments as study  # noqa: E402
import alignments_public  # noqa: E402

SET = ["dataset", "variant", "backbone"]


def pairs(n=120, d=8, noise=0.6):
    rng = np.random.default_rng(0)
    common, noises = rng.normal(size=(n, d)), noise * rng.normal(size=(2, n, d))
    return common + noises[0] + 2, common + noises[1] - 2


def table_of(*arguments, **keywords):
    return study.gallery_changes(*arguments, **keywords).set_index(["alignment", "measure", "gallery"]).sort_index()


def test_the_largest_gallery_holds_all_other_pairs_and_agrees_with_a_full_sort():
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs())
    table = table_of(image, text, alignments=["lambda-1"], sizes=[20, 80], n_fit=40, n_draws=3)
    found = {name: [] for name in ("none", "lambda-1")}
    for draw in range(3):
        rows = np.random.default_rng([0, draw]).permutation(120)
        fitted = make_alignment("lambda-1").fit(image[rows[:40]], text[rows[:40]])
        for name, (v, t) in {"none": (image, text), "lambda-1": fitted.transform(image, text)}.items():
            found[name].append(((v[rows[40:]] @ t[rows[40:]].T).argmax(axis=1) == np.arange(80)).mean())
    base, moved = (np.array(found[name]) for name in ("none", "lambda-1"))
    row = table.loc["lambda-1", "recall_image_to_text", 80]
    assert row["value"] == pytest.approx(moved.mean()) and row["change"] == pytest.approx((moved - base).mean())
    assert row[["change_low", "change_high"]].tolist() == pytest.approx(corrected_interval(moved - base, 80 / 40))
    assert row["relative"] == pytest.approx(moved.mean() / base.mean() - 1)
    assert (table.loc["none", ["change", "relative", "growth", "change_low", "growth_high"]] == 0).all(axis=None)


def test_no_group_is_on_both_sides_and_a_recall_of_zero_has_no_relative_change():
    groups = np.repeat(np.arange(40), 3)
    for fit, held in study.draws(groups, 40, 4):
        assert len(fit) <= 40 and not set(groups[fit]) & set(groups[held]) and len(fit) + len(held) == 120
    table = table_of(np.eye(60), np.roll(np.eye(60), 1, axis=0), sizes=[20], n_fit=20, n_draws=3)
    assert table["relative"].isna().all() and (table["value"] < 0.2).all()


def test_every_stored_set_has_every_alignment_measured_or_explained():
    measured, galleries = (
        pd.concat([pd.read_csv(ROOT / shipped), pd.read_csv(ROOT / public)])
        for shipped, public in zip(study.OUT, alignments_public.OUT, strict=True)
    )
    tasks = pd.read_csv(ROOT / "data/measured/alignments_tasks.csv")
    shipped = set(measured.loc[measured["rows"] == "validation and test", SET].itertuples(index=False, name=None))
    assert {"CLIP ViT-B/16", "ConVIRT", "lit-derm", "lit-natural"} <= set(measured["backbone"])
    assert measured.groupby([*SET, "renormalise"])["alignment"].nunique().nunique() == 1
    for table in (measured, tasks):
        assert table.loc[table["measure"].isna(), "reason"].notna().all()
    assert shipped == set(tasks[SET].itertuples(index=False, name=None)) < set(galleries[SET].itertuples(index=False, name=None))
