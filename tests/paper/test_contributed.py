"""Contributed reports: what is written, that nothing but numbers is in it, and what a hostile file meets."""

import json
from datetime import date

import numpy as np
import pytest
from pages import definitions, ledger

from helpers import EmbeddingSet, contributed, published, sweep
from helpers.backbones.registry import REGISTRY
from helpers.contributed import Report, load_report, make_report, read_contributed, save_report
from helpers.files import checksum_of


@pytest.fixture(scope="module")
def cell() -> EmbeddingSet:
    """A set with the facts of Fakeddit under CLIP, whose choice of rows the authors did not fix."""
    rng, n = np.random.default_rng(0), 240
    label = rng.integers(0, 2, n)
    vectors = [rng.normal(size=(n, 512)) + label[:, None] * 0.1 + mean for mean in (1, -1)]
    split = np.repeat(["train", "val", "test"], [120, 60, 60])
    encoder = {"source": REGISTRY["clip"].source, "revision": "c" * 40}
    names = {"ids": [f"patient-{i}" for i in range(n)], "groups": [f"secret-{i}" for i in range(n)]}
    return EmbeddingSet.from_arrays(
        *vectors, np.array(["fake", "true"])[label], split, **names,
        dataset="fakeddit", variant="authors", backbone="clip", encoder=encoder, imported_from={"file": "their-file.npz"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(cell) -> Report:
    swept = sweep(cell, lambdas=[0, 1], seeds=[1, 2], protocol="authors-code")
    return make_report(cell, [swept], "A. Reader, Some University", "Vectors of the authors' release.", n_boot=20)


@pytest.fixture
def folder(report, tmp_path):
    save_report(report, tmp_path / "fakeddit--authors--clip.json")
    return tmp_path


def test_it_survives_its_file_and_holds_no_row(report, folder):
    path = next(folder.glob("*.json"))
    assert load_report(path) == report and path.stat().st_size < 100_000
    written = path.read_text()
    assert not [word for word in ("patient-", "secret-", "their-file", 'fake"') if word in written]
    lists: list[list] = []
    json.loads(written, object_hook=lambda part: lists.extend(value for value in part.values() if isinstance(value, list)))
    assert 0 < max(map(len, lists)) < 40  # no list is as long as the rows or the vectors


def test_it_fills_table_1_and_says_who(folder):
    geometry = read_contributed(folder).table("geometry")
    filled = definitions("02_r_table")["compare_table1"](geometry).dropna(subset="ours")
    assert set(filled["dataset"] + filled["backbone"]) == {"FakedditCLIP"} and len(filled) == 2
    assert set(filled["route"]) == {f"imported, contributed by A. Reader, Some University, {date.today()}"}


def test_it_fills_figure_3_and_the_claims(folder):
    reports = read_contributed(folder)
    sweeps = reports.table("sweep").assign(dataset="brset", variant="authors")  # a data set that has a published curve
    beside = definitions("03_lambda_sweep")["compare_sweep"](sweeps).dropna(subset="our_gain")
    assert set(beside["lambda"]) == {0.0, 1.0} and beside["route"].str.contains("contributed").all()
    claims = ledger(contributed=str(folder))
    assert claims["our_evidence"].str.contains("contributed").any()


def test_one_cell_is_filled_once_by_the_oldest_report(report, folder):
    later = report.model_copy(
        update={"contributor": report.contributor.model_copy(update={"name": "Later", "date": date(2099, 1, 1)})}
    )
    save_report(later, folder / "a-later-one.json")
    found = read_contributed(folder)
    assert len(found.reports) == 2 and not found.table("geometry")["route"].str.contains("Later").any()


def test_a_report_that_is_no_cell_fills_none(report, folder):
    save_report(report.model_copy(update={"backbone": "somebody/else"}), next(folder.glob("*.json")))
    found = read_contributed(folder)
    (read,) = found.reports.values()
    assert found.table("geometry").empty and not published.is_cell(read.facts)


def test_a_miniature_is_not_reported(cell):
    synthetic = EmbeddingSet(cell.image, cell.text, cell.pairs, cell.task, cell.provenance | {"data_report": {"synthetic": True}})
    with pytest.raises(ValueError, match="synthetic"):
        make_report(synthetic, [], "N", "H")


def rewrite(path, *edits: tuple[list, object]) -> None:
    """Change values of a report and write it with the right checksum."""
    content = json.loads(path.read_text())
    content.pop("sha256")
    for (*parents, last), value in edits:
        part = content
        for key in parents:
            part = part[key]
        part[last] = value
    path.write_text(json.dumps({**content, "sha256": checksum_of(content)}))


HOSTILE = {
    "markup in the name": (["contributor", "name"], "<script>alert(1)</script>"),
    "a link in the sentence": (["contributor", "how"], "[look](javascript:alert)"),
    "a line break": (["contributor", "how"], "one\ntwo"),
    "an unknown field": (["rows"], [1, 2, 3]),
    "a vector in the geometry": (["geometry", 0, "value"], [0.1] * 512),
    "R above one": (["geometry", 0, "value"], 1.2),
    "a reversed interval": (["geometry", 0, "low"], 0.9999999),
    "no geometry": (["geometry"], []),
    "counts that do not add up": (["counts", "train"], 7),
    "a path as the data set": (["dataset"], "../../etc;x"),
    "an AUC above one": (["sweeps", 0, "curves", 0, "values", 0, 0], 1.5),
    "too few values": (["sweeps", 0, "curves", 0, "values", 0], []),
    "a curve without zero": (["sweeps", 0, "curves", 0, "lambdas"], [0.5, 1.0]),
    "a sweep of other embeddings": (["sweeps", 0, "embeddings"], "0" * 64),
    "a seed twice": (["sweeps", 0, "seeds"], [1, 1]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_report_is_refused_by_name_and_stops_nothing(name, folder):
    path = next(folder.glob("*.json"))
    rewrite(path, HOSTILE[name])
    with pytest.raises(ValueError) as refused:
        load_report(path)
    assert path.name in str(refused.value) and "\n" not in str(refused.value) and "<script" not in str(refused.value)
    found = read_contributed(folder)
    assert list(found.refused) == [path] and found.table("geometry").empty


def test_a_gap_that_no_two_means_can_have_is_refused(report, folder):
    place = {(q.modality, q.quantity): i for i, q in enumerate(report.geometry)}
    small = {("joint", "gap_norm"): 0.001, ("image", "R"): 0.01}
    path, none = next(folder.glob("*.json")), {"low": None, "high": None}
    edits = [(["geometry", place[key]], {"modality": key[0], "quantity": key[1], "value": v, **none}) for key, v in small.items()]
    rewrite(path, *edits)
    with pytest.raises(ValueError, match="gap"):
        load_report(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"null", b'{"sha256": 1}'],
    ids=["empty", "list", "cut", "not UTF-8", "deep", "NaN", "null", "bare"],
)
def test_what_is_no_report_is_refused_by_name(data, tmp_path):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(ValueError, match="x.json"):
        load_report(tmp_path / "x.json")


def test_a_changed_number_is_found(folder):
    path = next(folder.glob("*.json"))
    path.write_text(path.read_text().replace("A. Reader", "B. Reader"))
    with pytest.raises(ValueError, match="checksum"):
        load_report(path)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(contributed, "LARGEST", 10)
    (tmp_path / "x.json").write_text(json.dumps({"a": "b" * 20}))
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        load_report(tmp_path / "x.json")


def test_the_shipped_folder_holds_no_faulty_report():
    assert read_contributed().refused == {}


def test_the_command_writes_a_report_and_says_what_it_fills(cell, tmp_path, capsys):
    from helpers.cli import main

    cell.save(tmp_path / "store/fakeddit/authors/clip")
    out = tmp_path / "r.json"
    folders = ["--store", str(tmp_path / "store"), "--sweeps", str(tmp_path / "sweeps"), "--out", str(out)]
    assert main(["report", "fakeddit", "clip", *folders, "--n-boot", "0", "--by", "N", "--how", "H"]) == 0
    assert load_report(out).backbone == "clip"
    printed = capsys.readouterr().out
    assert "fills its cells" in printed and "helpers sweep fakeddit clip" in printed
