"""No result is written over a folder that holds something else, and a file without its checksum is no result."""

import numpy as np
import pandas as pd
import pytest
from attacks import a_set, a_sweep, features, fresh, save_features
from damage import SWEEP, for_sweep, small
from safetensors.numpy import save_file

from helpers import EmbeddingSet, GapAlignment
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.cones import cone_table, undefined_quantities
from helpers.files import read_arrays, write_arrays
from helpers.heads import TowerFeatures
from helpers.probing.cache import load_cached, run_sweep


def files_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


SAVES = {
    a_set: lambda folder: small(1).save(folder),
    a_sweep: lambda folder: run_sweep(for_sweep(), "converged", SWEEP, folder, workers=1),
    features: lambda folder: save_features(TowerFeatures.load(fresh(features)), folder),
    None: lambda folder: load_cached(fresh(a_sweep)).save(folder),
}


@pytest.mark.parametrize("kind", SAVES)
def test_what_is_no_such_result_stays_and_an_empty_folder_and_a_damaged_result_are_replaced(kind, tmp_path):
    save = SAVES[kind]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.txt").write_text("irreplaceable")
    (tmp_path / "file").write_text("irreplaceable")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("data", "file", "link"):
        with pytest.raises(FileExistsError, match="give a new or empty folder"):
            save(tmp_path / name)
    assert (tmp_path / "data" / "report.txt").read_text() == (tmp_path / "file").read_text() == "irreplaceable"
    assert (tmp_path / "link").is_symlink()
    for other in {a_set, a_sweep, features} - {kind}:
        before = files_of(source := fresh(other))
        with pytest.raises(FileExistsError):
            save(source)
        assert files_of(source) == before
    (tmp_path / "new").mkdir()
    save(tmp_path / "new")
    whole = files_of(tmp_path / "new")
    (tmp_path / "new" / min(whole)).write_bytes(b"")
    save(tmp_path / "new")
    assert files_of(tmp_path / "new").keys() == whole.keys() and (tmp_path / "new" / min(whole)).read_bytes()


@pytest.mark.parametrize("fault", ["it has no checksum", "not finite"])
@pytest.mark.parametrize("name", ["lambda", "centring", "whitening"])
def test_an_alignment_without_its_checksum_or_with_a_number_that_is_not_finite_is_refused(name, fault, tmp_path):
    image, text = np.random.default_rng(0).normal(size=(2, 30, 4))
    alignment = GapAlignment(0.5) if name == "lambda" else make_alignment(name)
    path = alignment.fit(image, text).save(tmp_path / "a.safetensors")
    assert load_alignment(path).n_features_in_ == 4
    arrays, metadata = read_arrays(path)
    if fault == "not finite":
        next(iter(arrays.values())).flat[0] = np.nan
        write_arrays(path, arrays, metadata)
    else:
        save_file(arrays, path, metadata=metadata)
    with pytest.raises(ValueError, match="a.safetensors is not an intact alignment" + f" .{fault}" * (fault != "not finite")):
        load_alignment(path)


@pytest.mark.parametrize("constant", ["image", "text"])
def test_constant_vectors_leave_a_quantity_empty_and_say_so(constant):
    rows = np.random.default_rng(1).normal(size=(30, 4))
    vectors = {"image": rows, "text": rows + 1, constant: np.ones((30, 4))}
    geometry = cone_table(EmbeddingSet.from_arrays(**vectors, dataset="d", variant="v", backbone="b"), n_boot=20)
    empty = geometry[geometry["value"].isna()]
    assert empty[["modality", "quantity"]].to_numpy().tolist() == [[constant, "effective_rank"]]
    told = undefined_quantities(pd.concat([geometry, cone_table(small(n=30), n_boot=20)]))
    assert told == [f"d under b: all {constant} vectors are equal, so effective_rank cannot be computed."]
