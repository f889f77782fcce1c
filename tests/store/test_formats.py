"""Every kind of file that people keep vectors in gives the same set; a list in a cell is what it says; faults are told at once."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file
from test_foreign import D, table, with_vectors

from helpers import EmbeddingSet
from helpers.cli import main

RECORDS = {"orient": "records", "double_precision": 15}
COLUMNS = {"image_prefix": "image_vector", "text_prefix": "text_vector"}
KEYS = {"image_prefix": "image_features", "text_prefix": "text_features"}


def lists(about: pd.DataFrame, image, text, write=list) -> pd.DataFrame:
    return about.assign(image_vector=[write(x) for x in image], text_vector=[write(x) for x in text])


def numpys_own(x) -> str:
    with np.printoptions(precision=9, floatmode="maxprec"):
        return str(x)  # over several lines


def arrow(rows: pd.DataFrame, path, new=pa.ipc.new_stream) -> None:
    """Write the rows as Hugging Face does (a stream), or as Feather."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = pa.Table.from_pandas(rows, preserve_index=False)
    with pa.OSFile(str(path), "wb") as sink, new(sink, found.schema) as writer:
        writer.write_table(found)


def shards(folder, *parts: pd.DataFrame) -> None:
    """Write the rows of one split as ``datasets`` 5.2 does: numbered shards, and their list."""
    names = [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        arrow(part, folder / name)
    folder.mkdir(exist_ok=True)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], "_split": None}))


def saved_to_disk(rows: pd.DataFrame, folder, splits: bool) -> None:
    """Write a folder as ``save_to_disk`` does, with a folder per split if there are several, one of them without rows."""
    if splits:
        for name in ("train", "val", "test"):
            shards(folder / name, rows[rows["split"] == name].drop(columns="split"))
        shards(folder / "dev")
        (folder / "dataset_dict.json").write_text('{"splits": ["train", "val", "test", "dev"]}')
    else:
        shards(folder, rows[:7], rows[7:])
        arrow(rows[:3], folder / "cache-1234.arrow")  # of a map, no part of the data
        arrow(rows, folder / "data-00000-of-00001.arrow")  # of an earlier save into the same folder, which leaves it there


def arrays(about: pd.DataFrame, image, text) -> dict:
    return {"image_features": torch.tensor(image), "text_features": torch.tensor(text)}


def torch_saved(about, image, text, path) -> None:
    torch.save({**arrays(about, image, text), "labels": about["dx"].tolist(), "split": about["split"].tolist()}, path)


KINDS = {  # name: how it is written, options
    "e.csv": (lambda a, i, t, p: lists(a, i, t, lambda x: json.dumps(x.tolist())).to_csv(p, index=False), COLUMNS),
    "numpy.csv": (lambda a, i, t, p: lists(a, i, t, numpys_own).to_csv(p, index=False), COLUMNS),
    "e.tsv.gz": (lambda a, i, t, p: with_vectors(a, i, t).to_csv(p, index=False, sep="\t"), {}),
    "e.parquet": (lambda a, i, t, p: lists(a, i, t).to_parquet(p), COLUMNS),
    "e.arrow": (lambda a, i, t, p: arrow(lists(a, i, t), p), COLUMNS),
    "e.feather": (lambda a, i, t, p: arrow(lists(a, i, t), p, pa.ipc.new_file), COLUMNS),
    "e.jsonl": (lambda a, i, t, p: lists(a, i, t, np.ndarray.tolist).to_json(p, lines=True, **RECORDS), COLUMNS),
    "e.jsonl.gz": (lambda a, i, t, p: with_vectors(a, i, t).to_json(p, lines=True, **RECORDS), {}),
    "records.json": (lambda a, i, t, p: lists(a, i, t, np.ndarray.tolist).to_json(p, **RECORDS), COLUMNS),
    "columns.json": (lambda a, i, t, p: with_vectors(a, i, t).to_json(p, double_precision=15), {}),
    "saved": (lambda a, i, t, p: saved_to_disk(lists(a, i, t), p, False), COLUMNS),
    "splits": (lambda a, i, t, p: saved_to_disk(lists(a, i, t), p, True), COLUMNS),
    "e.pt": (torch_saved, KEYS),
    "e.safetensors": (lambda a, i, t, p: save_file(arrays(a, i, t), p), KEYS | {"table": True}),
    "e.npz": (lambda a, i, t, p: np.savez(p, image_features=i, text_features=t), KEYS | {"table": True}),
    "stacked.pth": (lambda a, i, t, p: torch.save(torch.tensor(np.stack([i, t])), p), {"table": True}),
    "one.safetensors": (lambda a, i, t, p: save_file({"embeddings": torch.tensor(np.stack([i, t]))}, p), {"table": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_set(name, tmp_path, recwarn):
    about, image, text = table()
    about = about[["dx", "split", "image_id"]].rename(columns={"image_id": "id"})
    write, options = KINDS[name]
    write(about, image, text, tmp_path / name)
    about.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    given = options | ({"table": tmp_path / "rows.jsonl"} if "table" in options else {})
    of_torch = {} if name == "e.pt" else {"label": "dx", "ids": "id"}
    made = EmbeddingSet.from_csv(tmp_path / name, **of_torch, **given)
    of_splits = about["split"].map({"train": 0, "val": 1, "test": 2})
    order = of_splits.argsort(kind="stable") if name == "splits" else about.index
    np.testing.assert_allclose(made.image_of(), image[order], atol=1e-6)
    np.testing.assert_allclose(made.text_of(), text[order], atol=1e-6)
    assert (
        made.targets.ravel().tolist() == [k % 2 for k in order] and made.pairs["split"].tolist() == about["split"][order].tolist()
    )
    assert not of_torch or made.pairs["pair_id"].tolist() == about["id"][order].tolist()
    assert not [str(w.message) for w in recwarn if "not used" in str(w.message)]


@pytest.mark.parametrize("name", ["saved", "e.arrow", "e.parquet"])
def test_classes_of_a_hugging_face_dataset_have_their_names_and_minus_one_is_missing(name, tmp_path):
    about, image, text = table()
    names = {"names": ["mel", "nv"], "_type": "ClassLabel"}
    features = {"dx": names, "both": {"feature": names, "_type": "List"}, "text": {"dtype": "string", "_type": "Value"}}
    rows = lists(about, image, text).assign(
        dx=[-1, *(k % 2 for k in range(1, 10))], both=[[k % 2] if k else [0, 1] for k in range(10)]
    )
    shards(tmp_path / "saved", rows)
    found = pa.Table.from_pandas(rows, preserve_index=False)
    found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = tmp_path / "saved/data-00000-of-00001.arrow" if name == "saved" else tmp_path / name
    if name == "e.parquet":
        pa.parquet.write_table(found, file)
    else:
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found)
    made = EmbeddingSet.from_csv(tmp_path / name, "dx", missing_labels="drop", **COLUMNS)
    assert made.task.classes == ("mel", "nv") and made.pairs["label"].tolist() == ["nv", "mel"] * 4 + ["nv"]
    several = EmbeddingSet.from_csv(tmp_path / name, "both", **COLUMNS)
    assert several.task.classes == ("mel", "nv") and several.targets[:3].tolist() == [[1, 1], [0, 1], [1, 0]]
    with pytest.raises(ValueError, match=r"labels has 1 missing value\(s\) \(1 empty\), first at row 0"):
        EmbeddingSet.from_csv(tmp_path / name, "dx", **COLUMNS)


def test_a_hugging_face_folder_that_is_not_whole_is_named(tmp_path):
    rows = lists(*table())
    for spoil, message in [
        (
            lambda: (tmp_path / "train/data-00000-of-00001.arrow").unlink(),
            r"is not all that save_to_disk wrote \(File.*train/data-00000",
        ),
        (
            lambda: (tmp_path / "val/state.json").unlink(),
            r"is not all that save_to_disk wrote \(File.*val/state.json'\); copy it whole",
        ),
        (lambda: (tmp_path / "val/state.json").write_text("[]"), r"is not all that save_to_disk wrote \(TypeError"),
        (lambda: (tmp_path / "val/state.json").write_text("{"), r"val/state.json is not valid JSON"),
        (lambda: (tmp_path / "dataset_dict.json").write_text('{"splits": ["dev"]}'), "has no rows"),
        (lambda: (tmp_path / "dataset_dict.json").write_text('{"splits": ["holdout"]}'), "is not all that save_to_disk wrote"),
    ]:
        saved_to_disk(rows, tmp_path, True)
        spoil()
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            EmbeddingSet.from_csv(tmp_path, "dx", **COLUMNS)


def test_half_precision_tensors_and_an_image_file_beside_a_text_file_are_read(tmp_path):
    about, image, text = table()
    save_file({"embeddings": torch.tensor(image).bfloat16()}, tmp_path / "image.safetensors")
    torch.save(torch.tensor(text).half(), tmp_path / "text.pt")
    made = EmbeddingSet.from_npz(tmp_path / "image.safetensors", text=tmp_path / "text.pt")
    np.testing.assert_allclose(made.image_of(), image, atol=1e-2)
    np.testing.assert_allclose(made.text_of(), text, atol=1e-3)


def test_a_table_of_images_beside_one_of_texts_and_one_of_labels_is_read_in_one_order(tmp_path, capsys):
    about, image, text = table()
    both = with_vectors(about[["image_id"]], image, text)
    files = [tmp_path / name for name in ("image.csv", "text.csv", "labels.tsv")]
    both.filter(regex="id|img").to_csv(files[0], index=False)
    both.filter(regex="id|text").to_csv(files[1], index=False)
    about[["dx", "image_id"]].to_csv(files[2], index=False, sep="\t")
    with pytest.raises(ValueError, match=r"image.csv has no column text_emb_0.*or give the table of texts as text \(--text\)"):
        EmbeddingSet.from_csv(files[0])
    named = ["--table", str(files[2]), "--label", "dx", "--ids", "image_id", "--dataset", "d", "--backbone", "b"]
    assert main(["import", str(files[0]), "--text", str(files[1]), *named, "--out", str(tmp_path / "s")]) == 0, capsys.readouterr()
    made = EmbeddingSet.load(tmp_path / "s")
    np.testing.assert_allclose(made.text_of(), text, atol=1e-6)
    assert made.pairs["pair_id"].tolist() == about["image_id"].tolist() and made.targets.ravel().tolist() == [0, 1] * 5
    both.filter(regex="id|text")[::-1].to_csv(files[1], index=False)
    with pytest.raises(ValueError, match=r"text.csv differs from .*image.csv in column image_id of row 0 \(10 rows\); sort both"):
        EmbeddingSet.from_csv(files[0], text=files[1])
    both.filter(regex="text")[:9].to_csv(files[1], index=False)
    with pytest.raises(ValueError, match=r"text.csv has 9 rows and .*image.csv has 10; give the same rows in the same order"):
        EmbeddingSet.from_csv(files[0], text=files[1])


def test_files_that_would_need_unpickling_are_refused_unread(tmp_path):
    marker = tmp_path / "ran"
    runs_code = type("Touch", (), {"__reduce__": lambda self: (open, (str(marker), "w"))})()
    torch.save({"image": runs_code, "text": torch.ones(2, 2)}, tmp_path / "e.pt")
    np.savez(tmp_path / "e.npz", image=np.array([runs_code], object), text=np.ones((1, 2)))
    for name, message in (
        ("e.pt", "holds pickled objects other than tensors, which are not read"),
        ("e.npz", "holds Python objects"),
    ):
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            EmbeddingSet.from_npz(tmp_path / name)
    assert not marker.exists()
    (tmp_path / "e.pt").write_bytes(b"garbage" * 99)
    with pytest.raises(ValueError, match="e.pt cannot be read .*it is no PT file, damaged or cut short"):
        EmbeddingSet.from_npz(tmp_path / "e.pt")


def test_float8_is_read_and_a_sparse_tensor_and_a_folder_of_another_kind_are_named(tmp_path):
    about, image, text = table()
    save_file({name: x.to(torch.float8_e4m3fn) for name, x in arrays(about, image, text).items()}, tmp_path / "e.safetensors")
    made = EmbeddingSet.from_npz(tmp_path / "e.safetensors", **KEYS)
    np.testing.assert_allclose(made.image_of(), image, atol=0.05)
    torch.save({"image": torch.tensor(image).to_sparse(), "text": torch.tensor(text)}, tmp_path / "e.pt")
    with pytest.raises(ValueError, match=r"e.pt holds a sparse tensor; save it with .to_dense\(\)"):
        EmbeddingSet.from_npz(tmp_path / "e.pt")
    lists(about, image, text).to_parquet(tmp_path / "parts", partition_cols=["dx"])
    with pytest.raises(
        ValueError, match="parts must hold img_emb/.*or be what save_to_disk wrote; give another folder file by file"
    ):
        EmbeddingSet.from_csv(tmp_path / "parts", "dx", **COLUMNS)


def test_a_header_is_read_as_one_whatever_reads_it(tmp_path):
    rows = with_vectors(*table())
    rows.rename(columns={"dx": " dx "}).to_csv(tmp_path / "e.csv", index=False)
    assert EmbeddingSet.from_csv(tmp_path / "e.csv", "dx", ids="image_id").task.classes == ("mel", "nv")
    rows.rename(columns={"text": "dx"}).to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(ValueError, match="twice.csv: columns 2 and 3 have the same name; rename one of them"):
        EmbeddingSet.from_csv(tmp_path / "twice.csv", "dx")


def test_what_a_policy_did_is_counted_and_a_policy_without_use_is_refused(tmp_path, capsys):
    about, image, text = table()
    rows = with_vectors(about.drop(columns="split").astype({"edema": object, "effusion": object}), image, text)
    rows.loc[3, ["edema", "effusion"]], rows.loc[[5, 6], "edema"], rows.loc[8, "effusion"] = [-1, -1.0], None, -1
    rows.to_csv(tmp_path / "e.csv", index=False)
    options = {"label": ["edema", "effusion"], "missing_labels": "drop", "uncertain": "one"}
    made = EmbeddingSet.from_csv(tmp_path / "e.csv", **options)
    notes = [
        "missing_labels=drop: 2 rows without label were excluded",
        "uncertain=one: 2 rows with uncertain label: 3 labels were read as 1",
    ]
    assert made.provenance["data_report"] == {"rows_without_label": 2, "notes": notes} and len(made) == 8
    assert made.targets.tolist() == [[0, 0], [1, 0], [0, 0], [1, 1], [0, 0], [1, 1], [0, 1], [1, 1]]
    command = ["import", str(tmp_path / "e.csv"), "--dataset", "own", "--backbone", "b", "--out", str(tmp_path / "s")]
    assert main([*command, "--label", "edema,effusion", "--missing-labels", "drop", "--uncertain", "one"]) == 0
    assert "\n".join(notes) in capsys.readouterr().out
    assert main([*command, "--uncertain", "zero", "--overwrite"]) == 2
    assert "uncertain describe labels, and there are none; give labels, or leave them out" in capsys.readouterr().err


def test_all_faults_of_an_array_file_are_told_at_once(tmp_path):
    image, text = table()[1:]
    np.savez(
        tmp_path / "e.npz",
        image=image,
        texts=text,
        label=np.arange(10),
        groups=np.array(["a"], object),
        ids=np.arange(9),
        split="x",
    )
    with pytest.raises(ValueError) as raised:
        EmbeddingSet.from_npz(tmp_path / "e.npz")
    for fault in (
        "array 'texts' is unknown; did you mean 'text'?", "array 'label' is unknown; did you mean 'labels'?",
        "split is a single value; give", "array 'groups' holds Python objects", "ids has 9 rows and image has 10",
    ):  # fmt: skip
        assert fault in str(raised.value)
    np.savez(tmp_path / "e.npz", image_features=image, t=text)
    with pytest.raises(ValueError, match="array 'image' or 'text' is missing; it holds 'image_features', 't': name arrays with"):
        EmbeddingSet.from_npz(tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["[0.1, 0.2]", "[0.1 ... 0.2]"], "image_vector in row 1 is no list of numbers, whole and without '...'"),
        (["[0.1, 0.2]", "[0.1]"], r"image_vector has numbers of shape \(1,\) in row 1, \(2,\) in row 0"),
        (["[0.1, 0.2]", "[0.1, NaN]"], r"image_vector is missing or no finite number in row 1 \(1 row"),
        (["[0.1, 0.2]", "[0.1, 1e999]"], r"image_vector is missing or no finite number in row 1 \(1 row"),
        (["[0.1, 0.2]", None], "image_vector in row 1 is no list of numbers"),
        (["[0.1, 0.2]", "secret"], "image_vector in row 1 is no list of numbers"),
        (["5", "6"], "image_vector in row 0 is no list of numbers"),
    ],
)
def test_a_cell_that_is_no_vector_is_named(cells, message, tmp_path):
    pd.DataFrame({"image_vector": cells, "text_vector": ["[1, 2]", "[2, 1]"]}).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(ValueError, match=message) as raised:
        EmbeddingSet.from_csv(tmp_path / "e.csv", **COLUMNS)
    assert "secret" not in str(raised.value)


def test_columns_of_vectors_are_proposed_and_an_incomplete_folder_is_named(tmp_path):
    about, image, text = table()
    lists(about, image, text).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"name a column of vectors with image_prefix .--image-prefix.: image_vector, text"):
        EmbeddingSet.from_csv(tmp_path / "e.parquet")
    saved_to_disk(lists(about, image, text), tmp_path / "saved", False)
    (tmp_path / "saved/data-00001-of-00002.arrow").unlink()
    with pytest.raises(ValueError, match="saved is not all that save_to_disk wrote .*data-00001-of-00002.arrow'.; copy it whole"):
        EmbeddingSet.from_csv(tmp_path / "saved", **COLUMNS)
    (tmp_path / "labels.xlsx").write_bytes(b"PK\3\4")
    np.save(tmp_path / "e.npy", np.stack([image, text]))
    with pytest.raises(ValueError, match="labels.xlsx is a workbook, which is not read; save its sheet as CSV"):
        EmbeddingSet.from_npz(tmp_path / "e.npy", table=tmp_path / "labels.xlsx")


@pytest.mark.parametrize("form", ["arrays", "npz", "jsonl"])
def test_k_captions_an_image_are_k_pairs_grouped_by_image(form, tmp_path):
    image, text = (np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((6, D), (6, 3, D)))
    labels, ids = ["a", "b"] * 3, [f"i{k}" for k in range(6)]
    if form == "arrays":
        made = EmbeddingSet.from_arrays(image, text, labels, ids=ids)
    elif form == "npz":
        np.savez(tmp_path / "e.npz", image=image, text=text, labels=labels, ids=ids)
        made = EmbeddingSet.from_npz(tmp_path / "e.npz", missing_labels="drop")
    else:
        rows = lists(pd.DataFrame({"label": labels, "id": ids}), image, text, np.ndarray.tolist)
        rows.to_json(tmp_path / "e.jsonl", orient="records", lines=True, double_precision=15)
        made = EmbeddingSet.from_csv(tmp_path / "e.jsonl", ids="id", **COLUMNS)
    unit = text / np.linalg.norm(text, axis=2, keepdims=True)
    np.testing.assert_allclose(made.text_of(), unit.reshape(18, D), atol=1e-6)
    np.testing.assert_array_equal(made.image_of(), np.repeat(made.image, 3, axis=0))
    assert len(made.image) == 6 and made.pairs["pair_id"].tolist()[:4] == ["i0-0", "i0-1", "i0-2", "i1-0"]
    assert (made.pairs["group"].groupby(made.pairs["image"]).nunique() == 1).all() and made.pairs["group"].nunique() == 6
    with pytest.raises(ValueError, match=r"text has 18 rows and image has 6 \(k captions an image .*: text.reshape\(6, 3, -1\)"):
        EmbeddingSet.from_arrays(image, text.reshape(18, D))


FINDINGS = [["Edema"], ["Effusion", "Edema"], [], ["Effusion"]] * 3
CODED = [[1, 0], [1, 1], [0, 0], [0, 1]] * 3


@pytest.mark.parametrize("form", ["lists", "tuples", "texts", "pandas", "csv", "parquet", "jsonl"])
def test_lists_of_labels_are_a_multi_label_task(form, tmp_path):
    image, text = np.random.default_rng(1).normal(size=(2, 12, D))
    values = {"lists": FINDINGS, "tuples": [tuple(x) for x in FINDINGS], "texts": [json.dumps(x) for x in FINDINGS]}
    rows = with_vectors(pd.DataFrame({"label": FINDINGS}), image, text)
    if form in values or form == "pandas":
        made = EmbeddingSet.from_arrays(image, text, values.get(form, pd.Series(FINDINGS)))
    else:
        path = tmp_path / f"e.{form}"
        lines = {"orient": "records", "lines": True}
        {"csv": rows.to_csv, "parquet": rows.to_parquet, "jsonl": rows.to_json}[form](path, **(lines if form == "jsonl" else {}))
        made = EmbeddingSet.from_csv(path)
    assert made.task.kind == "multilabel" and made.task.classes == ("Edema", "Effusion") and made.targets.tolist() == CODED
    named = EmbeddingSet.from_arrays(image, text, FINDINGS, classes=["Effusion", "Edema", "Mass"])
    assert named.task.classes == ("Effusion", "Edema", "Mass") and named.targets[1].tolist() == [1, 1, 0]


def test_one_hot_labels_are_classes_unless_the_kind_says_otherwise(tmp_path, capsys):
    image, text = np.random.default_rng(1).normal(size=(2, 12, D))
    hot, told = (
        np.eye(3)[np.arange(12) % 3],
        "every row has exactly one of the 3 labels, which are taken as classes of one multiclass",
    )
    with pytest.warns(UserWarning, match=told):
        made = EmbeddingSet.from_arrays(image, text, hot, classes=["MEL", "NV", "BCC"])
    assert made.task.kind == "multiclass" and made.pairs["label"].tolist() == ["MEL", "NV", "BCC"] * 4
    assert EmbeddingSet.from_arrays(image, text, hot, kind="multilabel").task.kind == "multilabel"
    with pytest.warns(UserWarning, match="one binary task"):
        assert EmbeddingSet.from_arrays(image, text, np.eye(2)[np.arange(12) % 2]).targets.ravel().tolist() == [0, 1] * 6
    hot[7, :2] = 1
    assert EmbeddingSet.from_arrays(image, text, hot).task.kind == "multilabel"
    with pytest.raises(ValueError, match="a multiclass task of 3 classes needs 1, or one positive in every row"):
        EmbeddingSet.from_arrays(image, text, hot, kind="multiclass")
    about = pd.DataFrame(np.eye(3)[np.arange(12) % 3], columns=["MEL", "NV", "BCC"])
    with_vectors(about, image, text).to_csv(tmp_path / "e.csv", index=False)
    command = ["import", str(tmp_path / "e.csv"), "--label", "MEL,NV,BCC", "--dataset", "d", "--backbone", "b", "--overwrite"]
    for kind, expected in (([], "multiclass"), (["--kind", "multilabel"], "multilabel")):
        assert main([*command, *kind, "--out", str(tmp_path / "s")]) == 0
        assert EmbeddingSet.load(tmp_path / "s").task.kind == expected
        assert bool(re.search(f"warning: {told}", capsys.readouterr().err)) == (not kind)


def test_columns_of_arrays_are_read_from_pandas(tmp_path):
    image, text = np.random.default_rng(1).normal(size=(2, 12, D)).astype(np.float32)
    exact = EmbeddingSet.from_arrays(image, text).image_of()
    for column in (pd.Series(list(image)), pd.Series(list(image)).to_numpy(), pd.Series(image.tolist())):
        np.testing.assert_allclose(EmbeddingSet.from_arrays(column, text).image_of(), exact, atol=1e-6)
    with pytest.raises(ValueError, match="image has rows of different length"):
        EmbeddingSet.from_arrays(pd.Series([*image[:11], image[0, :3]]), text)
