"""The three sentences about what lambda closes: each number is recounted in the shipped tables, and follows other tables."""

import pandas as pd
import pytest

from helpers.recommend.findings import SET, not_measured, shipped_alignments, task_sentences, three_sentences


@pytest.fixture(scope="module")
def measured():
    return shipped_alignments()


def rows_of(measured: pd.DataFrame, alignment: str, measure: str) -> pd.DataFrame:
    rows = measured[(measured["alignment"] == alignment) & measured["renormalise"] & (measured["measure"] == measure)]
    return rows.set_index(SET)


def test_every_set_is_there_and_every_alignment_is_measured_or_explained(measured):
    assert {"CLIP ViT-B/16", "ConVIRT", "lit-derm", "lit-natural"} <= set(measured["backbone"])
    assert measured.loc[measured["measure"].isna(), "reason"].ne("").all()
    per_set = measured.groupby(SET)["alignment"].nunique()
    assert len(per_set) >= 8 and per_set.nunique() == 1
    assert not_measured(measured)["reason"].str.contains("rows").all()


def test_the_first_sentence_counts_gap_and_separability(measured):
    sentence = three_sentences(measured)[0]
    share = rows_of(measured, "lambda-1", "gap")["value"] / rows_of(measured, "none", "gap")["value"]
    readable = (rows_of(measured, "lambda-1", "modality_auc")["value"] > 0.9).sum()
    assert f"of {len(share)} sets" in sentence and f"{share.min():.0%} to {share.max():.0%}" in sentence
    assert f"in {readable} of them" in sentence


@pytest.mark.parametrize(("place", "alignment"), [(1, "lambda-1"), (2, "centring")])
def test_the_others_count_clear_losses_and_quote_clip(measured, place, alignment):
    sentence = three_sentences(measured)[place]
    both = [rows_of(measured, alignment, f"recall_{way}") for way in ("image_to_text", "text_to_image")]
    lost = [(rows["change_high"] < 0).sum() for rows in both]
    assert f"image to text in {lost[0]} and from text to image in {lost[1]}" in sentence
    for rows in both:
        clip = rows.xs("CLIP ViT-B/16", level="backbone").iloc[0]
        assert "{change:+.3f} (95 % interval {change_low:+.3f} to {change_high:+.3f})".format(**clip) in sentence


def test_the_sentences_follow_the_table(measured):
    other = measured.copy()
    other.loc[other["measure"] == "modality_auc", "value"] = 0.5
    other["change_high"] = other["change_low"] = 0.0
    first, second, third = three_sentences(other)
    assert "in 0 of them" in first and "in 0 and from text to image in 0" in second
    assert "in 0 and from text to image in 0" in third


def test_centring_is_not_said_to_cost_nothing(measured):
    clip = rows_of(measured, "centring", "recall_image_to_text").xs("CLIP ViT-B/16", level="backbone").iloc[0]
    assert clip["change_high"] < 0 and f"{clip['change']:+.3f}" in three_sentences(measured)[2]


def test_task_sentences_count_clear_changes_and_know_which_way_is_better():
    rows = [
        ("a", "lambda-1", "converged", "probe_auc", 0.01, 0.02),
        ("b", "lambda-1", "converged", "probe_auc", -0.02, -0.01),
        ("a", "lambda-1", "converged", "log_loss", -0.02, -0.01),
        ("b", "lambda-1", "converged", "log_loss", -0.01, 0.01),
        ("a", "lambda-1", "converged", "sex_spread", 0.01, 0.02),
        ("a", "lambda-1", "authors-code", "probe_auc", 0.01, 0.02),
        ("a", "centring", "converged", "probe_auc", -0.01, 0.02),
        ("b", "centring", "converged", "probe_auc", -0.01, 0.02),
    ]
    tasks = pd.DataFrame(rows, columns=["dataset", "alignment", "protocol", "measure", "change_low", "change_high"])
    at_one, centred = task_sentences(tasks)
    assert "probe auc 1 and 1 of 2" in at_one and "log loss 1 and 0 of 2" in at_one and "spread" not in at_one
    assert "probe auc 0 and 0 of 2" in centred
