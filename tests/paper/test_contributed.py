"""Contributed reports: what is written, that nothing but numbers is in it, and what a hostile file meets."""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pages import definitions, ledger

from helpers import EmbeddingSet, contributed, sweep
from helpers.backbones.registry import REGISTRY
from helpers.contributed import Contributed, Report, load_report, make_report
from helpers.files import checksum_of

NONE = pd.DataFrame(columns=["dataset", "variant", "backbone", "protocol"])  # no cell of our own


@pytest.fixture(scope="module")
def cell() -> EmbeddingSet:
    """A set with the facts of Fakeddit under CLIP, whose choice of rows the authors did not fix."""
    rng, n = np.random.default_rng(0), 240
    label = rng.integers(0, 2, n)
    vectors = [rng.normal(size=(n, 512)) + label[:, None] * 0.1 + mean for mean in (1, -1)]
    names = {"ids": [f"patient-{i}" for i in range(n)], "groups": [f"secret-{i}" for i in range(n)]}
    record = {"encoder": {"source": REGISTRY["clip"].source, "revision": "c" * 40}, "imported_from": {"file": "their-file.npz"}}
    record |= {"dataset": "fakeddit", "variant": "authors", "backbone": "clip"}
    split = np.repeat(["train", "val", "test"], [120, 60, 60])
    return EmbeddingSet.from_arrays(*vectors, np.array(["fake", "true"])[label], split, **names, **record)


@pytest.fixture(scope="module")
def swept(cell):
    return sweep(cell, lambdas=[0, 1], seeds=[1, 2], protocol="authors-code")


@pytest.fixture(scope="module")
def report(cell, swept) -> Report:
    return make_report(cell, [swept], "A. Reader, Some University", "Vectors of the authors' release.", n_boot=20)


@pytest.fixture
def folder(report, tmp_path):
    return report.save(tmp_path / "fakeddit.json").parent


def test_it_survives_its_file_and_holds_no_row(report, folder):
    assert load_report(folder / "fakeddit.json") == report and (folder / "fakeddit.json").stat().st_size < 100_000
    written = (folder / "fakeddit.json").read_text()
    assert not [word for word in ("patient-", "secret-", "their-file", 'fake"') if word in written]
    assert len(report.geometry) == 14 and len(report.sweep) == 2 * 2 and len(report.selected) == 1


def test_it_fills_table_1_figure_3_and_the_claims_and_says_who(folder, swept):
    reports = Contributed(folder)
    filled = definitions("02_r_table")["compare_table1"](reports.join(NONE, "geometry")).dropna(subset="ours")
    assert set(filled["dataset"] + filled["backbone"]) == {"FakedditCLIP"} and len(filled) == 2
    assert set(filled["route"]) == {f"imported, contributed by A. Reader, Some University, {date.today()}"}
    sweeps = reports.join(NONE, "sweep")
    expected = swept.table.query("split == 'test' and metric == 'auc' and `class`.isna()")["value"]
    assert sorted(sweeps["value"]) == pytest.approx(sorted(expected))
    beside = definitions("03_lambda_sweep")["compare_sweep"](sweeps.assign(dataset="brset")).dropna(subset="our_gain")
    assert set(beside["lambda"]) == {0.0, 1.0} and beside["route"].str.contains("contributed").all()
    assert ledger(contributed=str(folder))["our_evidence"].str.contains("contributed").any()


def test_our_own_cell_and_the_oldest_report_stand(report, folder):
    report.model_copy(update={"by": "Later", "date": date.today() + timedelta(days=1)}).save(folder / "a-later-one.json")
    report.model_copy(update={"names": ("fakeddit", "authors", "somebody/else")}).save(folder / "no-cell.json")
    found = Contributed(folder)
    joined = found.join(NONE, "geometry")
    assert len(found.reports) == 3 and len(joined) == 14 and joined["route"].str.contains("A. Reader").all()
    own = NONE.assign(protocol=["authors-code", "paper"], dataset="fakeddit", variant="authors", backbone="clip", route="extracted")
    assert len(found.join(own, "geometry")) == len(found.join(own, "sweep", ("dataset", "backbone", "protocol"))) == 2
    assert len(found.join(own[1:], "sweep", ("dataset", "backbone", "protocol"))) == 1 + 4


def test_what_cannot_be_reported_is_refused(cell, swept):
    synthetic = EmbeddingSet(cell.image, cell.text, cell.pairs, cell.task, cell.provenance | {"data_report": {"synthetic": True}})
    other = EmbeddingSet(cell.text, cell.image, cell.pairs, cell.task, cell.provenance)
    for embeddings, by, why in (
        (synthetic, "N", "synthetic"),
        (other, "N", "other embeddings"),
        (cell, "<b>N</b>", "by is '<b>N</b>'"),
    ):
        with pytest.raises(ValueError, match=why):
            make_report(embeddings, [swept], by, "H", n_boot=2)


def with_value(rows: list[list], quantity: str, value: float) -> list[list]:
    return [[*row[:2], value, None, None] if row[1] == quantity else row for row in rows]


HOSTILE = {
    "markup in the name": {"by": "<script>alert(1)</script>"},
    "a link in the sentence": {"how": "[look](javascript:alert)"},
    "a line break": {"how": "one\ntwo"},
    "an unknown field": {"rows": [1, 2, 3]},
    "a path as the data set": {"names": ["../../etc;x", "authors", "clip"]},
    "counts that do not add up": {"counts": {"train": 7, "val": 60, "test": 60, "pairs": 240, "images": 240, "texts": 240}},
    "no geometry": {"geometry": []},
    "a vector in the geometry": {"geometry 2": [0.1] * 512},
    "R above one": {"geometry 2": 1.2},
    "a reversed interval": {"geometry 3": 0.9999999},
    "a quantity twice": {"geometry": lambda rows: [*rows, rows[0]]},
    "a gap that no two means can have": {"geometry": [["image", "R", 0.01, None, None], ["text", "R", 0.9, None, None],
                                                      ["joint", "gap_norm", 0.001, None, None]]},
    "an AUC above one": {"sweep 5": 1.5},
    "too few values": {"sweep": lambda rows: rows[1:]},
    "a curve without zero": {"sweep": lambda rows: [row for row in rows if row[3]]},
    "a seed twice": {"sweep": lambda rows: [*rows, rows[0]]},
    "a gain above one": {"selected 5": 2.0},
    "no image": {"counts": lambda n: n | {"images": 0}},
    "no dimension": {"dimensions": 0},
    "R outside its own interval": {"geometry 2": 0.5},
    "half an interval": {"geometry 4": None},
    "a gap of the images": {"geometry": lambda rows: [*rows, ["image", "gap_norm", 0.5, None, None]]},
    "a share of other images": {"geometry": lambda rows: with_value(rows, "distinct_share", 0.9)},
    "more directions than dimensions": {"geometry": lambda rows: with_value(rows, "effective_rank", 9e3)},
    "a gain that is no difference": {"selected 5": 0.5},
    "a gain outside its interval": {"selected": lambda rows: [[*rows[0][:6], 0.5, 0.6]]},
    "a choice that is not in the curve": {"selected 2": 0.77},
    "a choice with the AUC of no lambda": {"selected": lambda rows: [[*rows[0][:3], 0.3, 0.3, 0.0, -0.1, 0.1]]},
    "a choice of features without a curve": {"selected 1": "image"},
    "a date to come": {"date": "2999-01-01"},
    "a date before the paper": {"date": "0001-01-01"},
    "an encoder in letters of another alphabet": {"names": ["fakeddit", "authors", "cl\u0456p"]},
    "a name that ends in a blank": {"names": ["fakeddit", "authors", "clip "]},
    "more dimensions than any encoder": {"dimensions": 2**31},
    "sweeps without test pairs": {"counts": lambda n: n | {"train": n["train"] + n["test"], "test": 0}},
    "two lambdas that round to one": {"sweep": lambda rows: rows + [[*r[:3], r[3] + 1e-9, *r[4:]] for r in rows if r[3]]},
}  # fmt: skip


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_report_is_refused_by_name_and_stops_nothing(edit, folder):
    """Values of the report, of its rows or of one column of its first row are changed, with the right checksum."""
    path = folder / "fakeddit.json"
    content = json.loads(path.read_text())
    content.pop("sha256")
    ((key, value),) = edit.items()
    field, *column = key.split()
    if column:
        content[field][0][int(column[0])] = value
    else:
        content[field] = value(content[field]) if callable(value) else value
    path.write_text(json.dumps({**content, "sha256": checksum_of(content)}))
    found = Contributed(folder)
    (why,) = found.refused.values()
    assert found.reports == [] and "fakeddit.json is no report" in why and "\n" not in why and "<script" not in why


def test_what_is_no_report_is_refused_by_name(folder, monkeypatch):
    broken = [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"null", b'{"sha256": 1}']
    broken += [
        b'{"a": Infinity, "sha256": "x"}',
        b'{"a": 1e999, "sha256": "x"}',
        b'{"a": "\\ud800", "sha256": "x"}',
        b'{"a": 1, "a": 1}',
    ]
    broken.append((folder / "fakeddit.json").read_bytes().replace(b"A. Reader", b"B. Reader"))
    for i, data in enumerate(broken):
        (folder / f"x{i}.json").write_bytes(data)
    found = Contributed(folder)
    assert len(found.reports) == 1 and set(found.refused) == {f"x{i}.json" for i in range(len(broken))}
    assert "checksum" in found.refused["x12.json"] and all(name in why for name, why in found.refused.items())
    monkeypatch.setattr(contributed, "LARGEST", 10)
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        load_report(folder / "fakeddit.json")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        Contributed(folder / "absent")
    assert Contributed().refused == {}  # the shipped folder
