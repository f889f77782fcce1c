"""The three sentences about what lambda closes: each number is recounted in the shipped tables, and follows other tables."""

import pandas as pd
import pytest

from helpers.recommend.findings import (
    SET,
    count_clear,
    gallery_sentences,
    lambda_sentences,
    not_measured,
    renormalising_sentence,
    searchable,
    shipped_alignments,
    shipped_galleries,
    shipped_tasks,
    task_sentence,
    three_sentences,
    what_holds,
)


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


def test_every_alignment_is_measured_with_and_without_renormalising_on_every_set(measured):
    auc = measured[measured["measure"] == "modality_auc"].groupby([*SET, "alignment"])["renormalise"].nunique()
    failed = not_measured(measured).groupby([*SET, "alignment"])["renormalise"].nunique()
    everything = pd.MultiIndex.from_tuples([(*s, a) for s in measured.groupby(SET).groups for a in measured["alignment"].unique()])
    assert auc.eq(2).all() and failed.eq(2).all() and set(everything) == set(auc.index) | set(failed.index)


def test_what_renormalising_makes_separable_is_recounted(measured):
    rows = measured[(measured["measure"] == "modality_auc") & (measured["alignment"] != "none")]
    values = {key: group.set_index("renormalise")["value"] for key, group in rows.groupby([*SET, "alignment"])}
    again = sum(v[True] > 0.9 >= v[False] for v in values.values())
    most = max(values, key=lambda key: values[key][True] - values[key][False])
    sentence = renormalising_sentence(measured)
    assert f"In {again} of {len(values)} combinations" in sentence
    assert (
        f"{most[3]} on {most[0]} / {most[1]} under {most[2]}, from {values[most][False]:.2f} to {values[most][True]:.2f}"
        in sentence
    )
    other = measured.assign(value=measured["value"].where(measured["measure"] != "modality_auc", 0.95))
    assert f"In 0 of {len(values)}" in renormalising_sentence(other)


def test_the_gallery_sentences_quote_clip_and_follow_the_table():
    galleries = shipped_galleries()
    clip = galleries[galleries["backbone"] == "CLIP ViT-B/16"]
    for alignment, sentence in zip(("lambda-1", "centring"), gallery_sentences(galleries), strict=True):
        for way, said in (("recall_image_to_text", "from image to text"), ("recall_text_to_image", "from text to image")):
            rows = clip[(clip["alignment"] == alignment) & (clip["measure"] == way)].sort_values("gallery")
            part = sentence.split(said)[1].split(";")[0]
            for row in (rows.iloc[0], rows.iloc[-1]):
                quoted = [f"{round(100 * row[c]) + 0.0:+.0f} %" for c in ("relative", "relative_low", "relative_high")]
                assert "{} (95 % interval {} to {}) among {}".format(*quoted, row["gallery"]) in part
            assert ("no clear" in part) == (rows.iloc[-1]["growth_low"] <= 0 <= rows.iloc[-1]["growth_high"])
    flat = galleries.assign(growth_low=-0.1, growth_high=0.1)
    assert all(sentence.count("no clear difference") == 2 for sentence in gallery_sentences(flat))


def test_sets_that_cannot_be_searched_are_not_shown():
    galleries = shipped_galleries()
    worst = {name: of.loc[of["alignment"] == "none"].query("gallery == 50")["value"].min() for name, of in galleries.groupby(SET)}
    shown = {*map(tuple, searchable(galleries)[SET].drop_duplicates().to_numpy())}
    assert shown == {name for name, recall in worst.items() if recall >= 0.2} and 0 < len(shown) < len(worst)


def test_galleries_are_measured_on_clip_and_on_every_shipped_set(measured):
    galleries = shipped_galleries()
    shipped = measured.loc[measured["rows"] == "validation and test", SET].drop_duplicates()
    assert {*map(tuple, shipped.to_numpy())} < {*map(tuple, galleries[SET].drop_duplicates().to_numpy())}
    assert galleries.groupby(SET)["gallery"].nunique().ge(2).all() and (galleries["draws"] >= 20).all()


def test_the_task_sentence_names_clear_changes_and_knows_which_way_is_better():
    rows = [
        ("lambda-1", "probe_auc", 0.01, 0.02),
        ("lambda-1", "text_to_image_auc", -0.02, -0.01),
        ("lambda-1", "log_loss", -0.02, -0.01),
        ("lambda-1", "sex_spread", 0.01, 0.02),
        ("lambda-1", "brier", -0.01, 0.02),
        ("centring", "probe_auc", -0.01, 0.02),
    ]
    tasks = pd.DataFrame(rows, columns=["alignment", "measure", "change_low", "change_high"])
    tasks["change"] = (tasks["change_low"] + tasks["change_high"]) / 2
    better, worse = task_sentence(tasks, "lambda-1").split(" and clearly worsens ")
    assert "Of 5 measures" in better and "probe auc (+0.015)" in better and "log loss (-0.015)" in better
    assert "text to image auc" in worse and "sex spread" in worse and "brier" not in better + worse
    assert task_sentence(tasks, "centring") == "Of 1 measures, centring clearly improves none and clearly worsens none."


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.001, 0.002, "excludes"), (-0.001, 0.002, "includes"), (-0.002, -0.001, "excludes")]
)
def test_the_answer_on_one_set_follows_its_interval(low, high, said):
    row = pd.Series({"lambda_image": 0.5, "difference": (low + high) / 2, "low": low, "high": high})
    found = lambda_sentences("A under B", row, 0.25)
    assert said in found and "λ = 0.5" in found and f"{low:+.4f}" in found and "0.250" in found


def test_the_answer_on_one_set_names_no_gain_where_nothing_is_selected():
    found = lambda_sentences("A under B", pd.Series({"lambda_image": 0.0, "difference": 0.0, "low": 0.0, "high": 0.0}), 1.0)
    assert "no alignment" in found and "+0.0000" not in found


def changes(*rows) -> pd.DataFrame:
    """Return rows of tasks from (set, alignment, measure, change_low, change_high)."""
    return pd.DataFrame(rows, columns=["dataset", "alignment", "measure", "change_low", "change_high"])


def test_clear_changes_are_counted_with_the_sign_that_is_better():
    tasks = changes(
        ("a", "none", "brier", 0, 0),
        ("a", "leace", "brier", -2, -1),
        ("b", "leace", "brier", 1, 2),
        ("a", "leace", "probe_auc", 1, 2),
        ("b", "leace", "probe_auc", -1, 2),
    )
    counts = count_clear(tasks).set_index(["measure", "alignment"])
    assert counts.loc[("brier", "leace")].tolist() == [2, 1, 1]
    assert counts.loc[("probe_auc", "leace")].tolist() == [2, 1, 0] and len(counts) == 2


def test_what_holds_is_clear_in_every_set_and_what_does_not_has_both_signs():
    rows = [(s, "leace", "text_to_image_auc", 1, 2) for s in "ab"] + [(s, "cca", "probe_auc", -2, -1) for s in "ab"]
    rows += [("a", "centring", "log_loss", 1, 2), ("b", "centring", "log_loss", -2, -1), ("a", "cca", "zero_shot_auc", 1, 2)]
    better, worse, both = what_holds(count_clear(changes(*rows)))
    assert "leace: text to image auc" in better and "zero shot" not in better
    assert "cca: probe auc" in worse and "centring" not in better + worse
    assert "In 1 of 3 " in both
    calm = what_holds(count_clear(changes(("a", "leace", "brier", -1, 1), ("b", "leace", "brier", -1, 1))))
    assert len(calm) == 3 and not any("leace" in sentence for sentence in calm)
    assert len(what_holds(count_clear(changes(("a", "leace", "brier", -2, -1))))) == 1  # one set says nothing about all


@pytest.mark.parametrize("protocol", ["converged", "authors-code"])
def test_stored_tasks_cover_every_alignment_on_shipped_sets_under_both_protocols(measured, protocol):
    tasks = shipped_tasks(protocol)
    shipped = measured[measured["rows"] == "validation and test"].groupby(SET).size().index
    assert len(tasks) and set(tasks.groupby(SET).size().index) == set(shipped)
    assert tasks.groupby(SET)["alignment"].nunique().unique().tolist() == [measured["alignment"].nunique()]
    assert tasks.loc[tasks["measure"].isna(), "reason"].ne("").all()
    assert {"probe_auc", "text_to_image_auc", "brier", "recall@10_image_to_text"} <= set(tasks["measure"])
