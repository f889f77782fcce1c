"""Embeddings computed elsewhere are read exactly, and the known joining mistakes are found and named."""

import re

import numpy as np
import pandas as pd
import pytest

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.tasks import Task

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
    joined = about.merge(with_vectors(about[["image_id"]], image, text), on="image_id", how="left").drop_duplicates()
    joined.to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=r"different text vectors \(6 such rows\); texts were joined by image alone"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")


@pytest.mark.parametrize("norm", [1, 100])
@pytest.mark.parametrize("one_patient", [False, True])
def test_a_samplers_padded_rows_are_found_whatever_the_norm_and_can_be_dropped(one_patient, norm, tmp_path):
    """Pairs of one patient and label are several pairs unless their vectors repeat."""
    about, image, text = table()
    about = about[["dx", "split"]].assign(dx=["nv"] * 5 + ["mel"] * 5, split="train") if one_patient else about
    rows = with_vectors(about, norm * image, norm * text)
    rows.to_csv(tmp_path / "once.csv", index=False)
    assert len(EmbeddingSet.from_csv(tmp_path / "once.csv", "dx")) == 10
    again = rows.iloc[[1, 7]].copy()
    again["img_emb_0"] += 0 if one_patient else norm * 1e-4
    pd.concat([rows, again]).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=r"row 10 repeats row 1 \(2 such rows\)"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")
    made = EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", duplicates="drop")
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda t: t.drop(columns="img_emb_3"), "img_emb_3 is missing"),
        (lambda t: t.assign(split=["train", *["secret"] * 9]), "pair 1: split is not one of train, val, test .9 such pairs"),
        (lambda t: t.set_axis(["secret", *t.columns[1:].str.removeprefix("img_")], axis=1), "no column img_emb_0.*--image-prefix"),
        (lambda t: t.rename(columns={"dx": "secret words", "text": "test"}), "no column 'dx'.*is its first line the header"),
        (lambda t: pd.concat([t.assign(dx=[f"secret{k}" for k in range(10)])] * 4), "repeats row 0.*--duplicates drop"),
        (lambda t: t.assign(split=["dev", *["train"] * 9]), "pair 0: split 'dev' is not one of train, val, test"),
        (lambda t: t.assign(dx="nv").assign(img_emb_2=[0.1] * 9 + [np.nan]), "e.csv: img_emb_2 is missing .* row 9 "),
        (lambda t: t.assign(img_emb_2=[0.1] * 9 + ["secret"]), "e.csv: img_emb_2 is missing or no finite number in row 9 "),
        (lambda t: t.assign(dx=[None, *["nv"] * 9]), "e.csv: .*missing value.* row 0"),
    ],
)
def test_bad_tables_are_named(spoil, message, tmp_path):
    spoil(with_vectors(*table())).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=message) as caught:
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx")
    assert "secret" not in str(caught.value)  # no cell of a table that may be credentialed


def test_npz_npy_with_a_table_and_any_separator_give_the_same_set(tmp_path):
    about, image, text = table()
    strings = {name: about[column].to_numpy("U") for name, column in (("labels", "dx"), ("split", "split"), ("ids", "image_id"))}
    np.savez(tmp_path / "e.npz", image=image, text=text, **strings)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "text.npy", text)
    about.to_csv(tmp_path / "rows.csv", index=False)
    columns = {"label": "dx", "ids": "image_id"}
    sets = [
        EmbeddingSet.from_npz(tmp_path / "e.npz"),
        EmbeddingSet.from_npz(tmp_path / "image.npy", text=tmp_path / "text.npy", table=tmp_path / "rows.csv", **columns),
    ]
    for name, separator in (("a.csv", ";"), ("b.csv", "\t"), ("c.tsv", ",")):
        with_vectors(about, image, text).to_csv(tmp_path / name, sep=separator, index=False)
        sets.append(EmbeddingSet.from_csv(tmp_path / name, **columns))
    for made in sets:
        assert made.pairs["pair_id"].tolist() == about["image_id"].tolist() and made.targets.ravel().tolist() == [0, 1] * 5
        np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.savez(tmp_path / "m.npz", image=image, text=text, labels=about[["edema", "effusion"]].to_numpy())
    assert EmbeddingSet.from_npz(tmp_path / "m.npz").task.kind == "multilabel"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"e.npz does not exist; give the file of the embeddings"),
        ({"image": (10, D), "text": (9, D)}, "text has 9 rows and image has 10"),
        ({"image": (10, D)}, "array 'text' is missing"),
        ({"image": (10, D), "text": (10, D), "labels": None}, "save strings as a fixed-width array"),  # needs unpickling
        ({"image": (10, D), "text": (10, D), "split": (9,)}, "e.npz"),
        ({"image": (10, D), "text": (10, D), "group": (10,)}, "array 'group' is unknown; did you mean 'groups'"),
    ],
)
def test_arrays_that_do_not_fit_stop_the_command_with_one_sentence(arrays, message, tmp_path, capsys):
    rng = np.random.default_rng(0)
    content = {name: np.array(["a"] * 10, object) if shape is None else rng.normal(size=shape) for name, shape in arrays.items()}
    if content:
        np.savez(tmp_path / "e.npz", **content)
    assert main(["import", str(tmp_path / "e.npz"), "--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(message, said) and "\n" not in said and not (tmp_path / "s").exists()


def test_rows_with_a_missing_label_are_refused_or_dropped_and_counted(tmp_path, capsys):
    about, image, text = table()
    where = ["--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]
    for label, several in (("edema", []), ("edema,effusion", ["effusion"])):
        rows = with_vectors(about.drop(columns="split"), image, text).astype({"edema": float})
        rows.loc[3, ["edema", *several]] = np.nan
        rows.to_csv(tmp_path / "e.csv", index=False)
        command = ["import", str(tmp_path / "e.csv"), *where, "--overwrite", "--label", label]
        assert main(command) == 2
        said = capsys.readouterr().err
        named = "labels (edema)" if several else "labels"
        assert f"e.csv: {named} has 1 missing value(s) (1 empty), first at row 3" in said and "--missing-labels drop" in said
        assert main([*command, "--missing-labels", "drop"]) == 0
        made = EmbeddingSet.load(tmp_path / "s")
        assert "missing_labels=drop: 1 rows without label were excluded" in capsys.readouterr().out
        assert len(made) == 9 and made.provenance["data_report"]["rows_without_label"] == 1
        assert made.task.classes == (("edema", "effusion") if several else ("0", "1"))
        np.testing.assert_allclose(made.image_of(), np.delete(image, 3, axis=0), atol=1e-6)


@pytest.mark.parametrize("word", ["", "NA", "none", "-1"])
def test_every_spelling_of_a_missing_label_is_dropped_and_later_rows_keep_their_numbers(word, tmp_path):
    about, image, text = table()
    rows = with_vectors(about[["dx"]].assign(patient=[f"p{k}" for k in range(10)]), image, text)
    rows.loc[3, "dx"] = word
    rows.to_csv(tmp_path / "e.csv", index=False)
    made = EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", group="patient", missing_labels="drop")
    assert made.pairs["group"].tolist() == [f"p{k}" for k in range(10) if k != 3]
    if word:
        listed = [*made.task.classes, word]
        assert len(EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", classes=listed, missing_labels="drop")) == 10
    rows.loc[7, "patient"] = "NA"
    rows.to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=r"groups has 1 missing value\(s\) \(1 NA\), first at row 7; "):
        EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", group="patient", missing_labels="drop")


def test_equal_image_vectors_stay_together_in_a_random_split_and_are_named_in_a_given_one(tmp_path, capsys):
    _, image, text = table(120)
    image = image[np.arange(120) // 2]  # every image twice, in groups of its own
    labels = np.array(["mel", "nv"])[np.arange(120) // 2 % 2]
    np.savez(tmp_path / "e.npz", image=image, text=text, labels=labels)
    command = [
        "import",
        str(tmp_path / "e.npz"),
        "--dataset",
        "own",
        "--backbone",
        "b",
        "--out",
        str(tmp_path / "s"),
        "--overwrite",
    ]
    assert main(command) == 0
    assert "120 rows share their image vector with a row of another group" in capsys.readouterr().out
    made = EmbeddingSet.load(tmp_path / "s").pairs
    assert (made.groupby("image")["split"].nunique() == 1).all() and made["split"].nunique() == 3
    split = np.array(["train", *["test"] * 119])
    np.savez(tmp_path / "e.npz", image=image, text=text, labels=labels, split=split)
    assert main(command) == 0
    assert "warning: 1 test rows have an image vector that also occurs in train" in capsys.readouterr().out


def write_folder(folder, image: np.ndarray, text: np.ndarray) -> None:
    """Write shards as clip-retrieval does, the second of them number 10."""
    for name, vectors in (("img_emb", image), ("text_emb", text)):
        (folder / name).mkdir(parents=True)
        for number, part in (("2", vectors[:6]), ("10", vectors[6:])):
            np.save(folder / name / f"{name}_{number}.npy", part)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("e.npy", lambda path, image, text: np.save(path, np.stack([image, text]))),
        ("e.npz", lambda path, image, text: np.savez(path, image=image, text=text)),
        ("e.csv", lambda path, image, text: with_vectors(table()[0][["image_id"]], image, text).to_csv(path, index=False)),
        ("folder", write_folder),
    ],
)
def test_every_form_is_imported_without_labels(name, write, tmp_path, capsys):
    _, image, text = table()
    write(tmp_path / name, image, text)
    names = ["--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]
    assert main(["import", str(tmp_path / name), *names]) == 0, capsys.readouterr().err
    made = EmbeddingSet.load(tmp_path / "s")
    assert not made.labelled and set(made.pairs["split"]) == {"train", "val", "test"}  # as labelled rows are split
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), text, atol=1e-6)


@pytest.mark.parametrize(("option", "asked"), [("label", "label"), ("group", "group"), ("ids", "mable")])
def test_a_table_without_a_header_prints_nothing_of_its_first_row(option, asked, tmp_path):
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(2, 2, 4)))
    (tmp_path / "t.csv").write_text("Mabel,Grupe,HIV\nAnna,Schmidt,none\nBob,Jones,HIV\n")
    with pytest.raises(ValueError, match=r"no column '\w+' among its 3; is its first line the header\?") as raised:
        EmbeddingSet.from_npz(tmp_path / "e.npy", table=tmp_path / "t.csv", **{option: asked})
    assert not any(word in str(raised.value) for word in ("Mabel", "Grupe", "HIV"))
    with pytest.warns(UserWarning, match=r"t.csv: not used: 3 not named here$"):
        EmbeddingSet.from_npz(tmp_path / "e.npy", table=tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("labels,split\na,train\nb,test\n")
    with pytest.raises(ValueError, match="did you mean 'labels'"):
        EmbeddingSet.from_npz(tmp_path / "e.npy", table=tmp_path / "t.csv", label="label")


def arrays(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(1).normal(size=(2, n, D)).astype(np.float32))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"duplicates": "drop"}, "no columns of coordinates; leave out duplicates"),
        ({"image_prefix": "image_"}, "array 'image' is unknown; did you mean 'image_'?"),
        ({"text": "text.npy"}, "has its own texts; leave out text"),
        ({"label": ["a", "b"]}, "no table of columns"),
        ({"label": "y"}, "no column 'y'"),
        ({"classes": ["a", "b"]}, "classes describe labels, and there are none"),
        ({"kind": "binary"}, "classes describe labels, and there are none"),
    ],
)
def test_an_option_that_does_not_apply_to_arrays_is_refused(option, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image, text = arrays()
    np.savez("e.npz", image=image, text=text)
    np.save("text.npy", text)
    with pytest.raises(ValueError, match=message):
        EmbeddingSet.from_npz("e.npz", **option)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_ids_groups_and_labels_stay_text(ending, tmp_path):
    about = pd.DataFrame({"id": [f"{k:04d}" for k in range(10)], "patient": ["7", "007", "1.1", "1.10", "1e2"] * 2})
    rows = with_vectors(about.assign(label=["01", "1"] * 5), *table()[1:])
    path = tmp_path / f"e.{ending}"
    rows.to_parquet(path) if ending == "parquet" else rows.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    made = EmbeddingSet.from_csv(path, ids="id", group="patient")
    assert made.pairs["pair_id"].tolist() == about["id"].tolist() and made.pairs["group"].tolist() == about["patient"].tolist()
    assert made.task.classes == ("01", "1")


def test_numbers_bytes_and_blanks_name_the_same_groups_and_classes():
    image, text = arrays()
    for labels in ([0.0, 1.0], [0, 1], np.array(["0", "1"], "S"), [" 0", "1 "]):
        made = EmbeddingSet.from_arrays(image, text, np.resize(labels, 12), groups=np.resize(labels, 12), split=[b"Train "] * 12)
        assert made.task.classes == ("0", "1") and set(made.pairs["group"]) == {"0", "1"} and set(made.pairs["split"]) == {"train"}


ALIKE = [("a", "a "), ("a", "\ta"), ("naïve", "nai\u0308ve"), ("Å", "\u212b"), ("한", "\u1112\u1161\u11ab")]
ALIKE += [("ab", "a\u200bb"), ("ab", "a\u00adb"), ("a", "\ufeffa"), ("a b", "a\u00a0b"), ("a b", "a  b"), ("ab", "a\u202eb")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_two_spellings_that_look_alike_are_one_class_one_group_and_one_id(one, other, tmp_path):
    image, text = arrays()
    names = [one, other, "z"] * 4
    made = EmbeddingSet.from_arrays(image, text, names, groups=names)
    assert len(made.task.classes) == len(set(made.pairs["group"])) == 2
    with pytest.raises(ValueError, match="ids must differ"):
        EmbeddingSet.from_arrays(image, text, ids=[one, other, *map(str, range(10))])
    with pytest.raises(ValueError, match="the name of class 1 is empty, or not NFC with single blanks and nothing invisible"):
        Task("binary", (one, other))
    with_vectors(pd.DataFrame({"label": names}), image, text).to_csv(tmp_path / "e.csv", index=False)
    assert EmbeddingSet.from_csv(tmp_path / "e.csv").task == made.task


@pytest.mark.parametrize(("one", "other"), [("fi", "\ufb01"), ("a", "\uff41"), ("x2", "x²")])
def test_two_forms_of_one_letter_are_no_two_classes(one, other):
    with pytest.raises(ValueError, match="only 2 of 3 class names are distinct to a reader"):
        EmbeddingSet.from_arrays(*arrays(), [one, other, "z"] * 4)


@pytest.mark.parametrize("empty", ["", " ", "\u3000", "\u200b"])
def test_an_empty_class_name_is_a_missing_label_however_it_is_written(empty):
    with pytest.raises(ValueError, match="labels has 4 missing value"):
        EmbeddingSet.from_arrays(*arrays(), [empty, "a", "b"] * 4)
    with pytest.raises(ValueError, match="the name of class 0 is empty"):
        Task("binary", (empty, "a"))


MISSING = [np.nan, None, pd.NA, "", "  ", "nan", "None", "NA", "null", b"nan", -1, -1.0, "-1"]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize("argument", ["labels", "groups", "ids", "split"])
def test_a_missing_value_is_refused_with_its_row_and_count(argument, missing):
    values = pd.array([f"v{k}" for k in range(12)], dtype=object)
    values[[3, 5]] = missing
    with pytest.raises(ValueError, match=rf"{argument} has 2 missing value.s. \(2 .*\), first at row 3; "):
        EmbeddingSet.from_arrays(*arrays(), **({"labels": ["a", "b"] * 6} | {argument: values}))


@pytest.mark.parametrize("word", ["NA", "None", "-1"])
def test_a_class_that_reads_as_missing_is_one_if_it_is_listed(word, tmp_path, capsys):
    about, image, text = table()
    with_vectors(about[["split"]].assign(label=[word, "lesion"] * 5), image, text).to_csv(tmp_path / "e.csv", index=False)
    out = ["--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]
    assert main(["import", str(tmp_path / "e.csv"), *out]) == 2
    assert f"labels has 5 missing value(s) (5 {word}), first at row 0" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "e.csv"), *out, f"--classes=lesion,{word}"]) == 0
    assert EmbeddingSet.load(tmp_path / "s").targets.ravel().tolist() == [1, 0] * 5


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_metadata_that_is_not_used_is_listed_with_what_it_may_be(tmp_path, capsys):
    image, text = arrays()
    metadata = {"y": ["a", "b"] * 6, "patient_id": np.arange(12) // 2, "fold": np.arange(12) % 3, "age": np.arange(12)}
    np.savez(tmp_path / "e.npz", image=image, text=text, **metadata)
    with_vectors(pd.DataFrame(metadata).rename(columns={"y": "Diagnosis", "age": "secret words"}), image, text).to_csv(
        tmp_path / "e.csv"
    )
    for name, label, other in (("e.npz", "y", "age"), ("e.csv", "Diagnosis", "2 not named here")):
        near = rf"{label} .perhaps the label., patient_id .perhaps the group., fold .perhaps the split., {other}"
        with pytest.warns(UserWarning, match=rf"{name}: not used: {near}$"):
            EmbeddingSet.from_npz(tmp_path / name)
        out = ["--dataset", "own", "--backbone", "b", "--out", str(tmp_path / name[2:])]
        assert main(["import", str(tmp_path / name), *out, "--label", label]) == 0
        said = capsys.readouterr().out
        assert "rows were split at random" in said and "warning: no groups were given (--group): rows of one patient" in said
        assert main(["import", str(tmp_path / name), *out, "--label", label, "--group", "patient_id", "--overwrite"]) == 0
        said = capsys.readouterr().out
        assert "whole groups were split at random" in said and "no groups" not in said
        assert EmbeddingSet.load(tmp_path / name[2:]).pairs["group"].nunique() == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("group", np.repeat("p1", 12)),
        ("splits", ["train"] * 12),
        ("patients", pd.Series(["p1"] * 12)),
        ("label", "x"),
        ("uncertan", "drop"),
    ],
)
def test_an_argument_that_from_arrays_does_not_know_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^from_arrays knows no '{name}': rows have labels, split, groups, ids"):
        EmbeddingSet.from_arrays(*arrays(), **{name: value})
    assert EmbeddingSet.from_arrays(*arrays(), dataset="own", run={"by": "x"}).provenance == {"dataset": "own", "run": {"by": "x"}}


def test_equal_image_and_text_vectors_are_refused(tmp_path):
    image, text = arrays(10)
    with pytest.raises(ValueError, match="image and text vectors are the same, as when one prefix or file is given for both"):
        EmbeddingSet.from_arrays(image, image.copy())
    with_vectors(table()[0], image, text).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match="image_prefix and text_prefix are both 'img_emb_'; name the columns of each"):
        EmbeddingSet.from_csv(tmp_path / "e.csv", text_prefix="img_emb_")


def test_coordinates_padded_with_zeros_and_list_columns_are_read(tmp_path):
    about, image, text = table()
    rows = with_vectors(about[["dx"]], image, text).rename(columns=lambda c: re.sub(r"(?<=emb_)\d+", lambda m: m[0].zfill(3), c))
    rows.assign(box=[[0, k] for k in range(10)]).to_parquet(tmp_path / "e.parquet")
    with pytest.warns(UserWarning, match="not used: box"):
        made = EmbeddingSet.from_csv(tmp_path / "e.parquet", "dx")
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    rows.assign(img_emb_7=0.5).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"two columns img_emb_\* of one number"):
        EmbeddingSet.from_csv(tmp_path / "e.parquet", "dx")


def test_tensors_are_read_whatever_their_precision_and_graph():
    import torch

    image, text = map(torch.tensor, arrays())
    exact = EmbeddingSet.from_arrays(image, text).image_of()
    for tensors in ((image.requires_grad_(), text), (list(image), list(text)), (image.bfloat16(), text.bfloat16())):
        labels = torch.arange(12) % 2
        made = EmbeddingSet.from_arrays(*tensors, labels)
        np.testing.assert_allclose(made.image_of(), exact, atol=1e-2 if tensors[0][0].dtype == torch.bfloat16 else 0)
        assert made.task.classes == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0], [0, 1]] * 6, "labels has rows of different length"),
        (["[0]", "[0, 1]"] * 6, "holds lists that are not of words; write .* or a column of 0 and 1 per class"),
        ([["a"], "b"] * 6, "labels holds lists of words, and something else in row 1; write a list of words in every row"),
        ([["a"], ["nan", "b"]] * 6, r"labels has a name that reads as missing or is not in classes, first at row 1 .6 such rows"),
        ([[7], [8]] * 6, r"labels have shape .12, 1.; give class names as .n,., with labels.ravel"),
        (dict.fromkeys(range(12), "a"), "labels is a dict; give a list"),
    ],
)
def test_labels_of_another_form_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingSet.from_arrays(*arrays(), labels)


def test_masked_values_are_refused_or_missing_and_never_read_as_what_lies_under_the_mask():
    rng = np.random.default_rng(0)
    image, text, labels = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), np.ma.array([0, 1] * 3, mask=[0, 0, 1, 0, 0, 0])
    for arrays, message in (
        ({"image": np.ma.masked_less(image, image.min() + 0.1), "text": text}, "image has 1 masked values; fill them"),
        ({"image": image, "text": text, "labels": labels}, "labels has 1 masked values"),
        ({"image": image, "text": text, "groups": labels}, r"groups has 1 missing value.s. .1 empty., first at row 2"),
    ):
        with pytest.raises(ValueError, match=message):
            EmbeddingSet.from_arrays(**arrays)
    whole = EmbeddingSet.from_arrays(np.ma.array(image, mask=False), text, labels.filled(1))
    assert whole.pairs["label"].tolist() == ["0", "1", "1", "1", "0", "1"]


def test_import_tells_that_the_text_alone_determines_the_label(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = np.array(["Cat", "cat"] * 20)
    np.savez(tmp_path / "x.npz", image=rng.normal(size=(40, 4)), text=np.eye(4)[(labels == "cat").astype(int)], labels=labels)
    assert main(["import", str(tmp_path / "x.npz"), "--dataset", "x", "--backbone", "y", "--out", str(tmp_path / "set")]) == 0
    said = capsys.readouterr().out
    assert "warning: the text alone determines the label (2 distinct texts" in said
    assert "warning: 2 classes differ from another in case alone: Cat, cat" in said
