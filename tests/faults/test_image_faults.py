"""Images that attack, and outputs that would harm the data: no other program starts, memory is bounded, nothing is replaced."""

import pytest
from damage import deep_image, peak_of_decoding
from photographs import synthetic_photographs
from PIL import Image
from tiny_encoders import linear_backbone

from helpers import EmbeddingSet, extract
from helpers.extraction import encoding
from helpers.images import decode, inspect_image


def test_a_format_that_starts_a_program_is_no_image(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.jpg")
    assert "JPEG, PNG" in inspect_image(tmp_path, "x.jpg", pixels=True).error
    with pytest.raises(ValueError, match="JPEG, PNG"):
        decode(tmp_path / "x.jpg")


def test_sixteen_bits_take_bounded_memory(tmp_path):
    path = deep_image(tmp_path / "deep.png", 3000)
    assert path.stat().st_size < 100_000
    assert 9 < peak_of_decoding(path) < 12 * 9  # one byte a pixel at least, twelve at most, and nine megapixels


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_replaced_after_its_inspection_is_found(tmp_path, monkeypatch, workers):
    dataset, plan = synthetic_photographs(tmp_path, n=12), encoding.plan

    def replace_then_plan(*arguments):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "raw" / "images" / "photo_004.jpg")
        return plan(*arguments)

    monkeypatch.setattr(encoding, "plan", replace_then_plan)
    with pytest.raises(ValueError, match="row 4: image file was replaced"):
        extract(dataset, linear_backbone(), tmp_path / "set", batch_size=2, workers=workers)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("out", ["raw", "raw/sets/one", "."])
def test_an_output_in_the_data_is_refused_and_the_data_stay(out, tmp_path):
    dataset = synthetic_photographs(tmp_path, n=3)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="data root"):
        extract(dataset, linear_backbone(), tmp_path / out, workers=0, overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["image.safetensors", "provenance.json", "pairs.parquet"])
def test_a_damaged_set_is_made_again_by_overwriting(name, tmp_path):
    dataset, path = synthetic_photographs(tmp_path, n=4), tmp_path / "set" / name
    made = extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="--overwrite"):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=0)
    extract(dataset, linear_backbone(), tmp_path / "set", workers=0, overwrite=True)
    assert EmbeddingSet.load(tmp_path / "set").fingerprint == made.fingerprint
