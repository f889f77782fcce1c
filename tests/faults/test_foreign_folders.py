"""No result is written over a folder that holds something else, and a file without its checksum is no result."""

import attacks
import numpy as np
import pandas as pd
import pytest
from attacks import a_set, a_sweep, an_alignment, features, fresh, heads, record_of
from damage import SWEEP, for_sweep, small
from safetensors import safe_open
from safetensors.numpy import save_file

from helpers import EmbeddingSet, GapAlignment, load_backbone
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.cones import cone_table, undefined_quantities
from helpers.heads import TowerFeatures
from helpers.probing.cache import load_cached, run_sweep


def save_set(folder):
    small(1).save(folder)


def save_sweep(folder):
    load_cached(fresh(a_sweep)).save(folder)


def cache_sweep(folder):
    run_sweep(for_sweep(), "converged", SWEEP, folder, workers=1)


def save_features(folder):
    attacks.save_features(TowerFeatures.load(fresh(features)), folder)


SAVES = (save_set, save_sweep, cache_sweep, save_features)


@pytest.mark.parametrize("save", SAVES)
def test_what_is_no_such_result_stays(save, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.txt").write_text("irreplaceable")
    (tmp_path / "file").write_text("irreplaceable")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("data", "file", "link"):
        with pytest.raises(FileExistsError, match="give a new or empty folder"):
            save(tmp_path / name)
    assert (tmp_path / "data" / "report.txt").read_text() == (tmp_path / "file").read_text() == "irreplaceable"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("other", [a_set, a_sweep, features])
def test_a_result_of_another_kind_stays(save, other, tmp_path):
    if (save, other) in {(save_set, a_set), (cache_sweep, a_sweep), (save_features, features)}:
        pytest.skip("its own kind")
    source = fresh(other)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    with pytest.raises(FileExistsError):
        save(source)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


@pytest.mark.parametrize("save", SAVES)
def test_an_empty_folder_and_a_damaged_result_are_replaced(save, tmp_path):
    (tmp_path / "new").mkdir()
    for _ in range(2):
        save(tmp_path / "new")
        whole = sorted(path.name for path in (tmp_path / "new").iterdir())
        (tmp_path / "new" / whole[0]).write_bytes(b"")
    save(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == whole


def without_checksum(path):
    """Write an alignment again as it is, but for its checksum."""
    with safe_open(path, framework="numpy") as stream:
        metadata, arrays = dict(stream.metadata()), {key: stream.get_tensor(key) for key in stream.keys()}
    assert metadata.pop("sha256")
    save_file(arrays, path, metadata=metadata)


@pytest.mark.parametrize("name", ["lambda", "centring", "whitening"])
def test_an_alignment_without_its_checksum_is_refused(name, tmp_path):
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(2, 30, 4))
    alignment = GapAlignment(0.5) if name == "lambda" else make_alignment(name)
    path = alignment.fit(image, text).save(tmp_path / "a.safetensors")
    assert load_alignment(path).n_features_in_ == 4
    without_checksum(path)
    with pytest.raises(ValueError, match="a.safetensors is not an intact alignment .it has no checksum"):
        load_alignment(path)


def test_an_alignment_with_a_number_that_is_not_finite_is_refused(tmp_path):
    path = fresh(an_alignment)
    with safe_open(path, framework="numpy") as stream:
        arrays, metadata = {key: stream.get_tensor(key) for key in stream.keys()}, dict(stream.metadata())
    arrays["image_mean"][0] = np.nan
    save_file(arrays, tmp_path / "nan.safetensors", metadata=metadata)
    with pytest.raises(ValueError, match="nan.safetensors is not an intact alignment"):
        load_alignment(tmp_path / "nan.safetensors")


@pytest.mark.parametrize("keep", [0, 8, 100, -1])
def test_a_cut_head_file_is_named(keep, tmp_path):
    path = tmp_path / "lit-cut.safetensors"
    path.write_bytes(fresh(heads).read_bytes()[:keep])
    with pytest.raises(ValueError, match="lit-cut.safetensors .*head file"):
        load_backbone("lit-cut", weights=path)


def test_heads_that_their_record_does_not_name_are_refused(tmp_path):
    source = fresh(heads)
    for path in (source, source.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file({"image": np.zeros((4, 12), np.float16), "text": np.zeros((4, 9), np.float16)}, tmp_path / source.name)
    with pytest.raises(ValueError, match="lit-small.safetensors does not match the checksum in lit-small.json"):
        load_backbone("lit-small", weights=tmp_path / source.name)


def constant(modality: str) -> EmbeddingSet:
    """A set whose images or texts are all one vector."""
    made, rows = small(n=30), np.random.default_rng(1).normal(size=(30, 4))
    vectors = {"image": rows, "text": rows + 1} | {modality: np.ones((30, 4))}
    return EmbeddingSet.from_arrays(**vectors, labels=made.labels, dataset="d", variant="v", backbone="b")


@pytest.mark.parametrize("modality", ["image", "text"])
def test_constant_vectors_leave_a_quantity_empty_and_say_so(modality):
    geometry = pd.concat([cone_table(constant(modality), n_boot=20), cone_table(small(n=30), n_boot=20)])
    empty = geometry[geometry["value"].isna()]
    assert empty[["modality", "quantity"]].to_numpy().tolist() == [[modality, "effective_rank"]]
    found = geometry.set_index(["backbone", "modality", "quantity"])["value"]
    assert found[("b", modality, "R")].iloc[0] == pytest.approx(1)
    assert undefined_quantities(geometry) == [f"d under b: all {modality} vectors are equal, so effective_rank cannot be computed."]
    assert undefined_quantities(cone_table(small(n=30), n_boot=0)) == []


def test_one_vector_for_everything_leaves_no_direction():
    vectors = np.ones((30, 4))
    geometry = cone_table(EmbeddingSet.from_arrays(vectors, vectors, dataset="d", variant="v", backbone="b"), n_boot=20)
    sentences = undefined_quantities(geometry)
    assert len(sentences) == 3 and any("cos_gap_pc1, gap_share, pc1_share" in sentence for sentence in sentences)


def test_the_record_of_a_set_has_no_place_for_other_files():
    assert set(record_of(fresh(a_set))["files"]) == {"image", "text", "pairs"}
