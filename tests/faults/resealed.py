"""Attacks with the right checksum: a stored thing gets another value, column, row or shape, and its records are sealed anew.

Its reader must refuse it in one sentence, or what it returns must be possible: each target has an oracle of its own, which shares
nothing with the package's schemas. An impossible number that is read is a :class:`WrongError`, anything else uncaught.
"""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from damage import one_sentence
from safetensors.numpy import load_file, save_file
from sklearn.metrics import roc_auc_score

from helpers import published
from helpers.files import checksum_of, sha256, write_arrays, write_json
from helpers.page import Page, text

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = (float("nan"), float("inf"), -1.0, -0.5, 2.0, 1.5, 1e9, 0, 7, -3, 1e-9, 0.999)
WORDS = (None, "", "x", "train", "lambda", True, "nan", "../../x")


class WrongError(AssertionError):
    """Error for an impossible number that a reader returned."""


def must(possible, what: str) -> None:
    if not possible:
        raise WrongError(what)


def another(rng: random.Random, value):
    """Return another value of the same or of another type."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if number and rng.random() < 0.3:
        return value * rng.choice((-1, 2, 1.0001)) + rng.choice((0, 1e-4))
    return rng.choice(NUMBERS if number == (rng.random() < 0.8) else WORDS)


def other_table(rng: random.Random, table: pd.DataFrame) -> pd.DataFrame:
    """Change a cell, a column, the rows or the types of a table."""
    name, row = rng.choice(list(table)), rng.randrange(len(table))
    kind = rng.choice("cell cell cell cell drop rename add empty twice fewer cast shuffle scale order".split())
    if kind in ("cell", "scale"):
        values = table[name].astype(object).tolist()
        values[row] = another(rng, values[row])
        if kind == "scale":
            values = [v * 1.7 if isinstance(v, float) else v for v in values]
        return table.assign(**{name: pd.Series(values, dtype=object).infer_objects()})
    if kind == "cast":
        return table.assign(**{name: table[name].astype(str)})
    if kind == "shuffle":
        return table.assign(**{name: rng.sample(table[name].tolist(), len(table))})
    return {
        "drop": lambda: table.drop(columns=name),
        "rename": lambda: table.rename(columns={name: rng.choice((f"{name}_", "value", "x"))}),
        "add": lambda: table.assign(extra=1.0),
        "empty": lambda: table.iloc[:0],
        "twice": lambda: pd.concat([table, table.iloc[[row]]], ignore_index=True),
        "fewer": lambda: table.drop(index=table.index[row]).reset_index(drop=True),
        "order": lambda: table[sorted(table)],
    }[kind]()


def other_arrays(rng: random.Random, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Change a number, a row, the shape or the type of one array, or which arrays there are."""
    name = rng.choice(list(arrays))
    x = arrays[name].copy()
    kind = rng.choice("cell cell cell zero cut flat cast drop add scale".split())
    if kind == "drop":
        return {key: value for key, value in arrays.items() if key != name}
    if kind == "cell":
        with np.errstate(all="ignore"):
            x.reshape(-1)[rng.randrange(x.size)] = rng.choice((np.nan, np.inf, -np.inf, 60000, 0)) if x.dtype.kind == "f" else 3
    elif kind == "zero":
        x[rng.randrange(len(x))] = 0
    return arrays | {
        "cell": {name: x}, "zero": {name: x}, "cut": {name: x[..., :-1].copy()}, "flat": {name: x.reshape(-1)}, "add": {"more": x},
        "cast": {name: x.astype(rng.choice((np.int32, np.float64, np.uint8)))}, "scale": {name: x * x.dtype.type(2)},
    }[kind]  # fmt: skip


def other_json(rng: random.Random, value):
    """Change, remove or add one value anywhere in a JSON object."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, what = rng.choice(list(keys)), rng.random()
        copy = value.copy()
        if what < 0.06:
            copy.pop(key)
        elif what < 0.12 and isinstance(copy, list):
            copy.append(copy[key])
        else:
            copy[key] = other_json(rng, value[key])
        return copy
    return another(rng, value)


def seal(path: Path, record: dict, key: str = "record_sha256") -> None:
    """Write a record with fitting checksums of the files that it lists and of itself."""
    record = {name: value for name, value in record.items() if name != key}
    files = record.get("files")
    if isinstance(files, dict):
        record["files"] = {
            name: sha256(path.parent / name) if (path.parent / str(name)).is_file() else files[name] for name in files
        }
    write_json(path, {**record, key: checksum_of(record)}, part_of_result=True)


def change_folder(rng: random.Random, folder: Path, records: tuple[str, ...]) -> None:
    """Change one file of a stored result and seal its records, the first of which is listed in the others."""
    path = rng.choice(sorted(path for path in folder.iterdir() if path.suffix in (".parquet", ".safetensors", ".json")))
    if path.suffix == ".parquet":
        other_table(rng, pd.read_parquet(path)).to_parquet(path, index=False)
    elif path.suffix == ".safetensors":
        save_file({name: np.ascontiguousarray(x) for name, x in other_arrays(rng, load_file(path)).items()}, path)
    for name in records:
        record = json.loads((folder / name).read_text())
        record.pop("record_sha256")
        seal(folder / name, other_json(rng, record) if name == path.name else record)


def attack(read: Callable, change: Callable, oracle: Callable, make: Callable, seed: int) -> None:
    """Change a fresh stored thing as ``seed`` says: its reader refuses it in one sentence, or the oracle finds it possible."""
    rng, path = random.Random(seed), make()
    with suppress(TypeError, ValueError, OverflowError, KeyError, AttributeError):  # no file can hold that, and none is changed
        change(rng, path)
    try:
        found = read(path)
    except (ValueError, FileNotFoundError) as error:
        one_sentence(error, path.stem)
    else:
        oracle(found)


def unit_interval(values) -> bool:
    values = pd.to_numeric(pd.Series(values)).dropna()
    return bool(values.between(-1e-5, 1 + 1e-5).all())


def sweep_is_possible(result) -> None:
    must(np.isfinite(result.scores).all() and set(np.unique(result.targets)) <= {0, 1}, "scores or targets")
    table = result.table
    shares = table[~table["metric"].isin(["log_loss", "classes_absent"])]
    must(unit_interval(shares["value"]), "a share outside 0 to 1")
    must(not (table["value"] < 0).any() and not np.isinf(table["value"]).any(), "a negative or infinite metric")
    for frame in (table, result.runs):
        must(
            frame["lambda_image"].dropna().between(-2, 2).all() and frame["seed"].map(float).map(float.is_integer).all(),
            "a lambda or seed",
        )
        must(
            {(*names,) for names in frame[["dataset", "variant", "backbone", "protocol"]].to_numpy()}
            == {("d", "v", "b", "converged")},
            "names",
        )
    keys = ["lambda_image", "lambda_text", "alignment", "features", "seed", "split", "metric", "class"]
    must(not table.duplicated(keys).any() and set(table["split"]) == {"val", "test"}, "rows twice")
    positive = result.targets.astype(bool)
    for i, run in result.runs.iterrows():
        z = np.exp(result.scores[i].astype(float) - result.scores[i].max(axis=1, keepdims=True))
        expected = np.mean(
            [roc_auc_score(positive[:, k], (z / z.sum(axis=1, keepdims=True))[:, k]) for k in range(positive.shape[1])]
        )
        own = table[(table["split"] == "test") & (table["metric"] == "auc") & table["class"].isna()]
        own = own[(own["lambda_image"] == run["lambda_image"]) & (own["seed"] == run["seed"])]
        must(len(own) == 1 and abs(own["value"].iloc[0] - expected) < 1e-3, "an AUC that the scores do not give")
    (
        result.summary(),
        result.summary("accuracy", "val"),
        result.selected(n_boot=3),
        result.effects(n_boot=3),
        repr(result),
        result.cautions,
    )


def features_are_possible(features) -> None:
    for x, width in ((features.image, 1280), (features.text, 384)):
        must(x.shape[1] == width and np.isfinite(x).all() and (np.linalg.norm(x, axis=1) > 0).all(), "vectors")
    rows = features.captions
    for name, x in (("image", features.image), ("text", features.text)):
        must(rows[name].between(0, len(x) - 1).all(), "a row that is not there")
    must(
        set(rows["split"]) <= {"train", "val", "test"} and not rows.duplicated(["variant", "pair_id", "caption"]).any(), "captions"
    )
    for variant in rows["variant"].unique():
        features.of_variant(variant, own=True)
        features.pairs(variant, "train")
    str(features.provenance["dataset"])


def heads_are_possible(heads) -> None:
    image, text = heads["image"].float().numpy(), heads["text"].float().numpy()
    must(len(image) == len(text) and (image.shape[1], text.shape[1]) == (1280, 384), "shapes")
    must(all(np.isfinite(x).all() and (np.abs(x).sum(axis=1) > 0).all() for x in (image, text)), "numbers")


def report_is_possible(report) -> None:
    n = report.counts
    must(min(n["pairs"], n["images"], n["texts"], report.dimensions) >= 1 and max(n["images"], n["texts"]) <= n["pairs"], "counts")
    must(n["train"] + n["val"] + n["test"] == n["pairs"], "splits")
    for _, quantity, value, low, high in report.geometry:
        most = {"gap_norm": 2, "residual_gap": 2, "residual_gap_predicted": 2, "effective_rank": report.dimensions}.get(quantity, 1)
        must(all(x is None or -1e-5 <= x <= most + 1e-5 for x in (value, low, high)), f"{quantity} out of range")
        must(low is None or value is not None and low - 1e-5 <= value <= high + 1e-5, f"{quantity} outside its interval")
    curves: dict[tuple, dict[float, list[float]]] = {}
    for protocol, features, metric, lam, _, value in report.sweep:
        must(0 <= value <= 1 and -2 <= lam <= 2, "an AUC or a lambda")
        curves.setdefault((protocol, features, metric), {}).setdefault(round(lam, 6), []).append(value)
    for curve in curves.values():
        must(0.0 in curve and len({len(values) for values in curve.values()}) == 1, "a curve")
    for protocol, features, lam, zero, auc, change, low, high in report.selected:
        must(abs(auc - zero - change) < 1e-5 and (low is None or high is None or low - 1e-5 <= change <= high + 1e-5), "a gain")
        of = [curve for (p, f, _), curve in curves.items() if (p, f) == (protocol, features)]
        must(any(lam in c and abs(np.mean(c[lam]) - auc) < 2e-3 and abs(np.mean(c[0.0]) - zero) < 2e-3 for c in of), "a choice")


def change_report(rng: random.Random, path: Path) -> None:
    content = json.loads(path.read_text())
    content.pop("sha256")
    content = other_json(rng, content)
    path.write_text(json.dumps({**content, "sha256": checksum_of(content)}))


TABLES = ("datasets", "table1", "authors_pca", "protocol_differences", "authors_lambda_sweep", "authors_lambda_sweep_brset_longer")


def change_published(rng: random.Random, root: Path) -> None:
    path = root / f"data/published/{rng.choice(TABLES)}.csv"
    other_table(rng, pd.read_csv(path)).to_csv(path, index=False)
    sums = path.parent / "SHA256SUMS"
    if sums.is_file():
        lines = [line.split("  ") for line in sums.read_text().splitlines()]
        sums.write_text("".join(f"{sha256(path.parent / name)}  {name}\n" for _, name in lines))


READERS = (published.datasets, published.table1, published.authors_pca, published.protocol_differences, published.authors_sweep)
READERS = (*READERS, partial(published.authors_sweep, True))


@cache
def shipped_published() -> list[pd.DataFrame]:
    return [read() for read in READERS]


def read_published(root: Path) -> list[pd.DataFrame]:
    """Read the tables below ``root``; those that are as shipped are read once."""
    paths = [f"data/published/{name}.csv" for name in TABLES]
    same = [(root / path).read_bytes() == (ROOT / path).read_bytes() for path in paths]
    shipped = shipped_published()
    before, os.environ["HELPERS_ROOT"] = os.environ.get("HELPERS_ROOT"), str(root)
    published.paper_name.cache_clear()
    try:
        known = zip(shipped, same, READERS, strict=True)
        return [table if as_shipped and same[0] else read() for table, as_shipped, read in known]  # the first names data sets
    finally:
        os.environ.pop("HELPERS_ROOT") if before is None else os.environ.update(HELPERS_ROOT=before)
        published.paper_name.cache_clear()


def published_is_possible(tables: list[pd.DataFrame]) -> None:
    datasets, table1, pca, differences, sweep, longer = tables
    must(unit_interval(table1["R"]) and table1["R"].notna().all(), "R")
    must(
        not table1.duplicated(["dataset", "modality", "backbone"]).any() and set(table1["modality"]) == {"image", "text"}, "Table 1"
    )
    must((datasets["rows"] >= 1).all() and not datasets["name"].duplicated().any(), "data sets")
    must(not differences["number"].duplicated().any(), "differences")
    must(
        (pca[["var_pc1", "var_pc2"]] >= 0).all(axis=None) and pca["lambda"].between(-2, 2).all() and pca.notna().all(axis=None),
        "projections",
    )
    for curves in (sweep, longer):
        must(unit_interval(curves["auc_mean"]) and curves["auc_mean"].notna().all() and unit_interval(curves["acc_mean"]), "an AUC")
        must(
            curves["lambda"].between(-2, 2).all() and (curves["auc_std"] >= 0).all() and not curves["gain"].isna().any(), "a curve"
        )
        must(not curves.duplicated(["dataset", "backbone", "lambda"]).any(), "a point twice")


def published_copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "data/published", folder / "root/data/published")
    return folder / "root"


def change_heads(rng: random.Random, path: Path) -> None:
    record = path.with_suffix(".json")
    content = {name: value for name, value in json.loads(record.read_text()).items() if name != "record_sha256"}
    save_file({name: np.ascontiguousarray(x) for name, x in other_arrays(rng, load_file(path)).items()}, path)
    seal(record, content | {"sha256": sha256(path)})


# Result tables that page 04 reads, and prompts.

MADE_BY = b"modality-gap-book"


def change_result(rng: random.Random, path: Path) -> None:
    content = pq.read_table(path)
    changed = pa.Table.from_pandas(other_table(rng, content.to_pandas()), preserve_index=False)
    digest = hashlib.sha256(changed.to_pandas().to_csv(index=False).encode()).hexdigest()
    about = json.loads(content.schema.metadata[MADE_BY]) | {"sha256": digest}
    pq.write_table(changed.replace_schema_metadata({**changed.schema.metadata, MADE_BY: json.dumps(about)}), path)


def read_result(path: Path) -> pd.DataFrame:
    return Page("reader", {"results": str(path.parent)}, {"results": text()}).read_table(path.stem, "01_cone_effect")


def result_is_possible(table: pd.DataFrame) -> None:
    shares = table[~table["metric"].isin(["log_loss", "classes_absent"])]
    must(unit_interval(shares["value"]) and not (table["value"] < 0).any() and not np.isinf(table["value"]).any(), "a share")
    must(
        table["lambda_image"].dropna().between(-2, 2).all() and set(table["split"]) <= {"train", "val", "test"}, "a lambda or split"
    )
    must(not table.duplicated([*RUN_OF_A_ROW, "split", "metric", "class"]).any(), "a row twice")
    with suppress(ValueError):  # a sentence on a sweep without lambda = 0
        published.sweep_gains(table.assign(route="x"))


RUN_OF_A_ROW = ["dataset", "variant", "backbone", "protocol", "alignment", "features", "lambda_image", "lambda_text", "seed"]


def change_prompts(rng: random.Random, path: Path) -> None:
    arrays, about = load_file(path), json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    about = {name: value for name, value in about["__metadata__"].items() if name != "sha256"}
    path.unlink()
    if rng.random() < 0.3:
        name = rng.choice(list(about))
        about[name] = json.dumps(other_json(rng, json.loads(about[name]))) if about[name].startswith("{") else "x"
        write_arrays(path, arrays, about)
    else:
        write_arrays(path, {name: np.ascontiguousarray(x) for name, x in other_arrays(rng, arrays).items()}, about)


def prompts_are_possible(vectors: np.ndarray | None) -> None:
    whole = vectors is None or vectors.shape == (3, 4) and np.isfinite(vectors).all()
    must(whole and (vectors is None or np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 2e-3), "prompts")
