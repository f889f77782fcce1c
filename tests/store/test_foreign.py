"""Embeddings computed elsewhere are read exactly, and the known joining mistakes are found and named."""

import re

import numpy as np
import pandas as pd
import pytest

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.page import Page, fill

D = 12


def table(n: int = 10, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.normal(size=(2, n, D)).astype(np.float32))
    about = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "text": [f"sentence {k}" for k in range(n)],
            "dx": np.array(["mel", "nv"])[np.arange(n) % 2],
            "edema": np.arange(n) % 2,
            "effusion": np.arange(n) // 5,
            "split": ["train"] * (n - 4) + ["val"] * 2 + ["test"] * 2,
        }
    )
    return about, image, text


def with_vectors(about: pd.DataFrame, image: np.ndarray, text: np.ndarray) -> pd.DataFrame:
    image, text = (pd.DataFrame(x).add_prefix(p) for x, p in ((image, "img_emb_"), (text, "text_emb_")))
    return pd.concat([about.reset_index(drop=True), image, text], axis=1)


def test_the_authors_csv_is_read_exactly(tmp_path):
    about, image, text = table()
    shuffled = with_vectors(about, image, text).sample(frac=1, axis=1, random_state=0)  # column order is not trusted
    shuffled.to_csv(tmp_path / "embeddings_clip.csv", index=False, encoding="utf-8-sig")
    made = EmbeddingSet.from_csv(tmp_path / "embeddings_clip.csv", "dx", ids="image_id", dataset="ham10000", backbone="clip")
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), text, atol=1e-6)
    assert made.task.kind == "binary" and made.pairs["pair_id"].tolist() == about["image_id"].tolist()
    assert made.pairs["split"].tolist() == about["split"].tolist()
    assert made.provenance["dataset"] == "ham10000" and len(made.provenance["imported_from"]["sha256"]) == 64


def test_texts_joined_by_image_alone_are_found(tmp_path):
    """Three questions on one image, merged on the image, give nine rows: every question with every question's vector."""
    about, image, text = table()
    about.loc[:2, ["image_id", "dx"]] = ["i0", "mel"]
    image[:3] = image[0]
    vectors = with_vectors(about[["image_id"]], image, text)
    joined = about.merge(vectors, on="image_id", how="left").drop_duplicates()
    assert len(joined) == 9 + 7
    joined.to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=r"different text vectors \(6 such rows\); texts were joined by image alone"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")


@pytest.mark.parametrize("norm", [1, 100])
def test_a_samplers_padded_row_is_found_whatever_the_norm_and_can_be_dropped(norm, tmp_path):
    about, image, text = table()
    rows = with_vectors(about, norm * image, norm * text)
    again = rows.iloc[[0]].copy()
    again["img_emb_0"] += norm * 1e-4
    pd.concat([rows, again]).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match="row 10 repeats row 0"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")
    made = EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", duplicates="drop")
    assert len(made) == 10
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda t: t.drop(columns="img_emb_3"), "img_emb_3 is missing"),
        (lambda t: t.drop(columns=[c for c in t if c.startswith("text_emb")]), "no column text_emb_0"),
        (lambda t: t.drop(columns="text_emb_11"), "image vectors have 12 dimensions and text vectors 11"),
        (lambda t: t.rename(columns={"dx": "diagnosis"}), "e.csv has no column 'dx'"),
        (lambda t: t.assign(split=["train", *["secret"] * 9]), "pair 1: split is not one of train, val, test .9 such pairs"),
        (lambda t: t.assign(dx="secret"), "one class only"),
        (lambda t: t.set_axis(["secret", *t.columns[1:].str.removeprefix("img_")], axis=1), "no column img_emb_0.*--image-prefix"),
        (lambda t: t.rename(columns={"dx": "secret words", "text": "test"}), "no column 'dx'.*is its first line the header"),
        (
            lambda t: t.assign(dx=[f"secret{k % 21}" for k in range(len(t))]).pipe(lambda t: pd.concat([t] * 4)),
            "repeats row 0.*--duplicates drop",
        ),
        (lambda t: t.assign(split=["dev", *["train"] * 9]), "pair 0: split 'dev' is not one of train, val, test"),
        (lambda t: t.assign(img_emb_2=np.nan), "10 row.* non-finite"),
        (lambda t: t.assign(dx="nv").assign(img_emb_2=[0.1] * 9 + [np.nan]), "e.csv: img_emb_2 is missing .* row 9 "),
        (lambda t: t.assign(img_emb_2=[0.1] * 9 + ["secret"]), "e.csv: img_emb_2 in row 9 is not a number"),
        (lambda t: t.assign(dx=[None, *["nv"] * 9]), "e.csv: .*missing value.* row 0"),
    ],
)
def test_bad_tables_are_named(spoil, message, tmp_path):
    spoil(with_vectors(*table())).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=message) as caught:
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")
    assert "secret" not in str(caught.value)  # no cell of a table that may be credentialed


def test_pairs_of_one_patient_and_label_are_several_pairs_and_a_repeated_one_is_found(tmp_path):
    about, image, text = table()
    rows = with_vectors(about[["dx", "split"]].assign(dx=["nv"] * 5 + ["mel"] * 5, split="train"), image, text)
    rows.to_csv(tmp_path / "once.csv", index=False)
    assert len(EmbeddingSet.from_csv(tmp_path / "once.csv", "dx")) == 10
    pd.concat([rows, rows.iloc[[1, 7]]]).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=r"row 10 repeats row 1 \(2 such rows\)"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")
    assert len(EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", duplicates="drop")) == 10


def test_a_table_is_read_whatever_separates_its_columns(tmp_path):
    rows = with_vectors(*table())
    for name, separator in (("e.csv", ","), ("e.csv", ";"), ("e.csv", "\t"), ("e.tsv", ",")):
        rows.to_csv(tmp_path / name, sep=separator, index=False)
        assert len(EmbeddingSet.from_csv(tmp_path / name, "dx")) == 10


def test_npz_and_npy_with_a_table_give_the_same_set(tmp_path):
    about, image, text = table()
    np.savez(
        tmp_path / "e.npz", image=image, text=text, labels=about["dx"].to_numpy("U"), split=about["split"].to_numpy("U"),
        ids=about["image_id"].to_numpy("U"),
    )  # fmt: skip
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "text.npy", text)
    about.to_csv(tmp_path / "rows.csv", index=False)
    one = EmbeddingSet.from_npz(tmp_path / "e.npz")
    two = EmbeddingSet.from_npz(
        tmp_path / "image.npy", text=tmp_path / "text.npy", table=tmp_path / "rows.csv", label="dx", ids="image_id"
    )
    assert one.pairs["pair_id"].tolist() == two.pairs["pair_id"].tolist() == about["image_id"].tolist()
    np.testing.assert_array_equal(one.image_of(), two.image_of())
    np.testing.assert_array_equal(one.targets, two.targets)
    assert one.targets.ravel().tolist() == [0, 1] * 5
    np.savez(tmp_path / "m.npz", image=image, text=text, labels=about[["edema", "effusion"]].to_numpy())
    assert EmbeddingSet.from_npz(tmp_path / "m.npz").task.kind == "multilabel"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"e.npz does not exist; give the file of the embeddings"),
        ({"image": (10, D), "text": (9, D)}, "10 image vectors, 9 text vectors"),
        ({"image": (10, D)}, "array 'text' is missing"),
        ({"image": (10, D), "text": (10, D), "labels": None}, "save strings as a fixed-width array"),  # needs unpickling
        ({"image": (10, D), "text": (10, D - 1)}, "12 dimensions and text vectors 11"),
        ({"image": (10,), "text": (10, D)}, r"image vectors must have shape \(n, d\)"),
        ({"image": (10, D), "text": (10, D), "split": (9,)}, "e.npz"),
        ({"image": (10, D), "text": (10, D), "group": (10,)}, "array 'group' is unknown; did you mean 'groups'"),
    ],
)
def test_arrays_that_do_not_fit_stop_the_command_with_one_sentence(arrays, message, tmp_path, capsys):
    rng = np.random.default_rng(0)
    content = {
        name: np.array(["a", "b"] * 5, object) if shape is None else rng.normal(size=shape) for name, shape in arrays.items()
    }
    if content:
        np.savez(tmp_path / "e.npz", **content)
    assert main(["import", str(tmp_path / "e.npz"), "--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(message, said) and "\n" not in said and not (tmp_path / "s").exists()


def test_what_an_import_lacks_is_said_at_once_and_on_the_page(tmp_path, capsys, monkeypatch):
    about, image, text = table()
    about = about.assign(patient=[f"p{k % 8}" for k in range(10)], split=["train"] * 8 + ["val"] * 2)
    with_vectors(about.assign(dx=["rare", *["mel", "nv"] * 4, "nv"]), image, text).to_csv(tmp_path / "e.csv", index=False)
    names = ["--dataset", "own", "--backbone", "mine", "--out", str(tmp_path / "set")]
    assert main(["import", str(tmp_path / "e.csv"), "--label", "dx", "--group", "patient", *names]) == 0
    told = capsys.readouterr().out
    assert "warning: there is no test row" in told
    assert "warning: 2 groups are in more than one split, the first in train (row 0) and val (row 8)" in told
    said = []
    monkeypatch.setattr(Page, "show_text", lambda page, sentence, **values: said.append(fill(sentence, **values)))
    Page("page", {"results": str(tmp_path)}, {"results": str}).describe_sets([EmbeddingSet.load(tmp_path / "set")])
    assert said[0] == "Shown here: own under mine." and said[1].startswith("own: 2 groups are in more than one split")


def write_pairs(folder, how: str, image: np.ndarray, text: np.ndarray) -> list[str]:
    """Write vectors without labels in one of the forms that ``import`` reads, and return its arguments."""
    if how == "one array":
        np.save(folder / "e.npy", np.stack([image, text]))
        return [str(folder / "e.npy")]
    if how == "two arrays":
        np.save(folder / "v.npy", image)
        np.save(folder / "t.npy", text)
        return [str(folder / "v.npy"), "--text", str(folder / "t.npy")]
    if how == "npz":
        np.savez(folder / "e.npz", image=image, text=text)
        return [str(folder / "e.npz")]
    if how == "csv":
        with_vectors(table()[0][["image_id"]], image, text).to_csv(folder / "e.csv", index=False)
        return [str(folder / "e.csv")]
    for name, vectors in (("img_emb", image), ("text_emb", text)):  # a folder of clip-retrieval, its second shard number 10
        (folder / "r" / name).mkdir(parents=True)
        for number, part in (("2", vectors[:6]), ("10", vectors[6:])):
            np.save(folder / "r" / name / f"{name}_{number}.npy", part)
    return [str(folder / "r")]


@pytest.mark.parametrize("how", ["one array", "two arrays", "npz", "csv", "folder"])
def test_every_form_is_imported_without_labels(how, tmp_path, capsys):
    _, image, text = table()
    names = ["--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]
    assert main(["import", *write_pairs(tmp_path, how, image, text), *names]) == 0, capsys.readouterr().err
    made = EmbeddingSet.load(tmp_path / "s")
    assert not made.labelled and (made.pairs["split"] == "train").all()
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), text, atol=1e-6)


def test_a_dead_or_swapped_encoder_is_suspected_after_an_import(tmp_path, capsys):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(120, D)).astype(np.float32)
    close = image + 0.3 * rng.normal(size=image.shape).astype(np.float32)
    for name, text, suspected in (("good", close, False), ("swapped", close[::-1], True), ("dead", np.ones_like(image), True)):
        (tmp_path / name).mkdir()
        arguments = write_pairs(tmp_path / name, "one array", image, text)
        assert main(["import", *arguments, "--dataset", name, "--backbone", "b", "--out", str(tmp_path / name / "s")]) == 0
        warned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
        assert bool(warned) == suspected and len(warned) <= 1
