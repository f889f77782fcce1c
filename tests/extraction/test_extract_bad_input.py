"""Extraction names every image, text and path that it cannot encode with its row, and keeps ids aligned."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from photographs import CARD, synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone

from helpers import extract, images
from helpers.datasets.registry import PairedDataset
from helpers.extraction.extract import InputError
from helpers.images import decode


def spoilt(root: Path) -> tuple[PairedDataset, dict[int, str]]:
    """Return 40 rows of which nine are spoilt, and what the report must say of each of these."""
    images_of = {4: "images/photo_004.tif", 6: "images/../../secret.jpg"}
    dataset = synthetic_photographs(root, 40, image=images_of, text={7: None, 8: "  ", 9: "caf\udce9"})
    folder = root / "raw" / "images"
    (folder / "photo_000.jpg").write_bytes((folder / "photo_000.jpg").read_bytes()[:-200])
    (folder / "photo_001.jpg").write_bytes(b"")
    (folder / "photo_002.jpg").unlink()
    (folder / "photo_003.jpg").write_text("not an image")
    Image.new("F", (9, 9)).save(folder / "photo_004.tif")
    cheap = {1: "0 bytes", 2: "No such file", 3: "no image", 4: "floating-point", 6: "leaves the data root"}
    return dataset, {**cheap, 0: "damaged", 7: "NoneType|float", 8: "text is empty", 9: "lone surrogates"}


@pytest.mark.parametrize("credentialed", [False, True])
def test_every_bad_row_is_in_one_report_without_ids_of_a_credentialed_set_and_the_run_fails(tmp_path, credentialed):
    dataset, expected = spoilt(tmp_path)
    expected.pop(0)  # only decoding finds a truncated file, after the cheap look passed
    dataset.rows["pair_id"] = [f"patient{i}" for i in range(len(dataset.rows))]
    dataset = replace(dataset, card=replace(CARD, credentialed=credentialed))
    with pytest.raises(InputError, match=r"8 of 40 rows cannot be encoded.*\n  row 1.*, image: file has 0 bytes") as raised:
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    for said in (str(raised.value), (tmp_path / "set.problems.csv").read_text()):
        assert ("patient1" in said) != credentialed and "photo_" not in said
    errors = pd.read_csv(tmp_path / "set.problems.csv").query("severity == 'error'").set_index("row")["what"]
    assert set(errors.index) == set(expected) and not (tmp_path / "set").exists()
    for row, what in expected.items():
        assert re.search(what, errors[row])


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_keeps_ids_and_vectors_aligned_and_finished_chunks(tmp_path, workers):
    dataset, expected = spoilt(tmp_path)
    backbone, naive = linear_backbone(), linear_backbone()
    skipping = {"batch_size": 4, "workers": workers, "on_error": "skip"}
    with pytest.raises(InputError, match="more than max_skipped=0.21 allows"):  # nine of forty, once decoded
        extract(dataset, backbone, tmp_path / "set", max_skipped=0.21, **skipping)
    told = rf"excluded: {len(expected)} of 40 rows, .*set\.problems\.csv"
    with pytest.warns(UserWarning, match=told):
        made = extract(dataset, backbone, tmp_path / "set", max_skipped=0.5, **skipping)
    with pytest.warns(UserWarning, match=told):  # of a stored set too, also where rows may not be skipped
        extract(dataset, backbone, tmp_path / "set", workers=workers)
    assert backbone.seen == {"images": 31, "texts": 32}  # once: the second run finds all chunks finished
    good = dataset.rows.drop(index=list(expected))
    assert made.pairs["pair_id"].tolist() == good["pair_id"].tolist()
    image = naive.encode_images([decode(tmp_path / "raw" / p) for p in good["image"]])
    np.testing.assert_allclose(made.image_of(), image, atol=1e-6)
    np.testing.assert_allclose(made.text_of(), naive.encode_texts(good["text"]), atol=1e-6)
    assert sum(made.provenance["skipped"].values()) == len(expected)


def test_images_of_other_kinds_become_upright_eight_bit_rgb(tmp_path):
    rng = np.random.default_rng(0)
    grey, colour = rng.integers(0, 256, (6, 9)), rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    plain = Image.fromarray(colour)
    Image.fromarray((grey * 257).astype(">u2")).save(tmp_path / "deep.tif")
    Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)).save(tmp_path / "deep.png")
    plain.save(tmp_path / "plain.png")
    plain.convert("CMYK").save(tmp_path / "cmyk.tif")
    smooth = plain.resize((90, 60), Image.Resampling.BICUBIC)
    smooth.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    plain.quantize(200).save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("P", (9, 6))])
    turned = plain.getexif()
    turned[0x0112] = 6
    plain.save(tmp_path / "turned.png", exif=turned)
    read = {path.name: np.asarray(decode(path)) for path in tmp_path.iterdir()}
    np.testing.assert_array_equal(read["deep.tif"], np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(read["deep.png"][..., 0].ravel(), (np.arange(65536) + 128) // 257)
    np.testing.assert_array_equal(read["turned.png"], np.rot90(colour, -1))
    for name, of, error in (("plain.png", plain, 0), ("cmyk.tif", plain, 0), ("print.jpg", smooth, 3), ("moving.gif", plain, 12)):
        assert np.abs(read[name].astype(int) - np.asarray(of)).mean() <= error
    notes = {path.name: " ".join(images.inspect_image(tmp_path, path.name).notes) for path in tmp_path.iterdir()}
    assert notes["plain.png"] == "" and "I;16" in notes["deep.png"] and "CMYK" in notes["cmyk.tif"] and "CMYK" in notes["print.jpg"]
    assert "first frame" in notes["moving.gif"] and "EXIF" in notes["turned.png"]


def test_an_absurdly_large_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("HELPERS_MEMORY", "0.1")
    Image.new("1", (4000, 3000)).save(tmp_path / "huge.png")
    told = images.inspect_image(tmp_path, "huge.png").error
    assert (
        "4000 x 3000 pixels, several at a time, would take at least 0.5 GB of memory, and the limit is 0.1 GB" in told
        and "--memory" in told
    )


@pytest.mark.parametrize("path", ["/etc/hostname", "../x.jpg", "a\\..\\..\\x.jpg", "", None, 3.0])
def test_paths_cannot_leave_the_data_root(path, tmp_path):
    assert re.search("leaves the data root|expected a path", images.inspect_image(tmp_path, path).error)
