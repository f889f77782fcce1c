"""Grey images of 16 bits: a ramp keeps its levels by a window, and is refused without one by every entrance."""

import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from tiny_encoders import linear_backbone

from helpers import extract
from helpers.cli import main
from helpers.datasets import check, load_dataset
from helpers.extraction.extract import InputError
from helpers.images import decode, inspect_image

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # the values of a radiograph of 12 bits


def levels(path, window) -> np.ndarray:
    return np.asarray(decode(path, window=window))[..., 0].ravel()


@pytest.mark.parametrize("name", ["ramp.png", "ramp.tif"])
def test_a_ramp_of_12_bits_keeps_all_levels_by_its_window_and_is_refused_without_one(tmp_path, name):
    Image.fromarray(RAMP).save(tmp_path / name)
    for window, low, high in (("0,4095", 0, 4095), ("minmax", 0, 4095), ("1000,2000", 1000, 2000), ("-1024,3071", -1024, 3071)):
        expected = np.floor(np.clip((RAMP.ravel() - float(low)) / (high - low), 0, 1) * 255 + 0.5)
        np.testing.assert_array_equal(levels(tmp_path / name, window), expected)
    assert len(np.unique(levels(tmp_path / name, "0,4095"))) == 256  # divided by 257, there were 17
    found = inspect_image(tmp_path, name)
    assert found.sha256 is None and "uses 12 of 16 bits" in found.error and "window=0,4095" in found.error
    assert "16 bits reduced to 8, window 0,4095" in inspect_image(tmp_path, name, window="0,4095").notes


def test_a_tiff_whose_zero_is_white_and_colours_of_16_bits(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "white.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(levels(tmp_path / "white.tif", "0,4095"), 255 - np.floor(RAMP.ravel() / 4095 * 255 + 0.5))
    for name, brightest in (("dark.png", 4095), ("full.png", 65535)):
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))]
        chunks += [(b"IDAT", zlib.compress(struct.pack(">B6H", 0, *[0, brightest] * 3))), (b"IEND", b"")]
        parts = [struct.pack(">I", len(x)) + kind + x + struct.pack(">I", zlib.crc32(kind + x)) for kind, x in chunks]
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert "several channels" in inspect_image(tmp_path, "dark.png").error
    assert inspect_image(tmp_path, "full.png").error is None and np.asarray(decode(tmp_path / "full.png")).max() == 255


def test_an_encoder_that_is_given_grey_of_16_bits_takes_the_same_levels_or_refuses():
    full = Image.fromarray((RAMP * 16 + 15).astype(np.uint16))
    alike = linear_backbone().encode_images([full, Image.fromarray(np.floor((RAMP * 16.0 + 15) / 257 + 0.5).astype(np.uint8))])
    np.testing.assert_allclose(alike[0], alike[1], atol=1e-6)
    with pytest.raises(ValueError, match="uses 12 of 16 bits"):
        linear_backbone().encode_images([Image.fromarray(RAMP)])
    with pytest.raises(ValueError, match="floating-point"):
        linear_backbone().encode_images([Image.new("F", (9, 9))])


def test_dicom_is_named(tmp_path):
    (tmp_path / "x.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50))
    assert "DICOM" in inspect_image(tmp_path, "x.dcm").error and "window" in inspect_image(tmp_path, "x.dcm").error


@pytest.mark.parametrize("kind, first, middle, last", [("MONOCHROME2", 0, 128, 255), ("MONOCHROME1", 255, 127, 0)])
def test_the_lines_of_the_book_convert_dicom_by_its_window_and_photometric_interpretation(
    tmp_path, monkeypatch, kind, first, middle, last
):
    pydicom = pytest.importorskip("pydicom")
    about = pydicom.dataset.FileMetaDataset()
    about.TransferSyntaxUID, about.MediaStorageSOPClassUID = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.1.1"
    about.MediaStorageSOPInstanceUID = "1.2.3"
    file = pydicom.dataset.FileDataset("x.dcm", {}, file_meta=about, preamble=bytes(128))
    file.Rows = file.Columns = 64
    file.BitsAllocated, file.BitsStored, file.HighBit, file.SamplesPerPixel, file.PixelRepresentation = 16, 12, 11, 1, 0
    file.PhotometricInterpretation, file.WindowCenter, file.WindowWidth, file.PixelData = kind, 1500, 1000, RAMP.tobytes()
    monkeypatch.chdir(tmp_path)
    file.save_as("x.dcm")
    exec(next(part for part in (ROOT / "book/data_and_encoders.md").read_text("utf-8").split("```") if "dcmread" in part)[7:])
    assert np.asarray(decode(tmp_path / "x.png"))[..., 0].ravel()[[0, 1500, 4095]].tolist() == [first, middle, last]


@pytest.fixture
def table(tmp_path):
    """Return a table of radiographs of 12 bits, each another part of the ramp."""
    for i in range(24):
        Image.fromarray(np.roll(RAMP, 40 * i)).save(tmp_path / f"{i}.png")
    rows = {"image": [f"{i}.png" for i in range(24)], "text": [f"sentence {i}" for i in range(24)], "label": [*"ab"] * 12}
    pd.DataFrame({**rows, "split": [*["train"] * 12, *["val"] * 6, *["test"] * 6]}).to_csv(tmp_path / "pairs.csv", index=False)
    return tmp_path / "pairs.csv"


def test_check_extract_and_the_record_take_the_same_window(table, tmp_path, capsys):
    (problem,) = check("manifest", table).problems
    assert (
        problem.startswith("images that cannot be decoded: 24, pairs.csv line 2, pairs.csv line 3") and "window=0,4095" in problem
    )
    windowed = check("manifest", table, window="0,4095")
    assert windowed.usable and "16 bits reduced to 8, window 0,4095 (24)" in str(windowed)
    with pytest.raises(InputError, match="(?s)24 of 24 rows.*uses 12 of 16 bits"):
        extract(load_dataset("manifest", table), linear_backbone(), tmp_path.parent / f"{tmp_path.name}-none", workers=0)
    out, data = tmp_path.parent / f"{tmp_path.name}-set", load_dataset("manifest", table, window="0,4095")
    made = extract(data, linear_backbone(), out, workers=0)
    expected = linear_backbone().encode_images([decode(table.parent / name, window="0,4095") for name in data.rows["image"]])
    np.testing.assert_allclose(made.image_of(), expected, atol=1e-6)
    assert made.provenance["data_report"]["window"] == "0,4095"
    assert made.provenance["converted"]["16 bits reduced to 8, window 0,4095"] == 24
    with pytest.raises(ValueError, match="differs in data_manifest"):  # another window gives other vectors
        extract(load_dataset("manifest", table, window="minmax"), linear_backbone(), out, workers=0)
    assert main(["check", "manifest", "--root", str(table), "--option", "window=12"]) == 1
    assert "window is '12'; give LOW,HIGH" in capsys.readouterr().out


def test_a_window_without_an_image_of_16_bits_is_refused(table, tmp_path):
    for path in tmp_path.glob("*.png"):
        Image.new("L", (9, 9), int(path.stem)).save(path)
    assert check("manifest", table, window="0,4095").problems == ("window was given, but no image has 16 bits; leave it out",)
    with pytest.raises(ValueError, match="no image has 16 bits"):
        extract(load_dataset("manifest", table, window="minmax"), linear_backbone(), tmp_path.parent / "none", workers=0)
