"""What the steps ask of a scheduler, and the summary of a run."""

import json

import pytest

from helpers.book import run_summary
from helpers.book.resources import NEEDS, expected_dimension, expected_rows, resources


@pytest.mark.parametrize("step", NEEDS)
def test_a_larger_set_never_asks_for_less_and_a_repeated_attempt_for_more(step):
    small, wide, large = (resources(step, n, d) for n, d in ((1000, 512), (1000, 1152), (377_000, 1152)))
    for name in ("mem_mb", "runtime"):
        assert 0 < small[name] <= wide[name] <= large[name]
        assert resources(step, 377_000, 1152, attempt=2)[name] == pytest.approx(2 * large[name], abs=2)


def test_only_steps_that_encode_ask_for_an_accelerator():
    assert {s for s in NEEDS if resources(s)["gpu"]} == {"extract", "gather"}
    assert resources("extract", accelerators=0)["gpu"] == 0


def test_shards_share_the_rows():
    whole, part = (resources("extract", 377_000, 1152, parts=n) for n in (1, 16))
    assert part["runtime"] < whole["runtime"] / 8 and part["mem_mb"] < whole["mem_mb"]


def test_vectors_of_the_largest_set_fit_in_what_a_sweep_asks_for():
    rows, dimension = expected_rows("mimic_cxr", "clean"), expected_dimension("medsiglip")
    assert rows >= 377_000 and dimension == 1152
    assert resources("sweep", rows, dimension)["mem_mb"] * 1e6 > 2 * 4 * rows * dimension * 3
    assert expected_rows("own", "clean") > 0 and expected_dimension("my/encoder") == 1152


def test_the_summary_says_what_ran_what_was_skipped_and_with_which_sets(store, tmp_path):
    records = tmp_path / "steps"
    records.mkdir()
    step = {"kind": "sweep", "name": "a/b/c", "exit_code": 0, "started": "2026-01-01T00:00:00Z", "seconds": 60.0}
    step |= {"cpu_seconds": 90.0, "peak_mb": 1234, "machine": "secret-host", "accelerators": "0", "job": "7"}
    for name in ("one", "two"):
        (records / f"{name}.json").write_text(json.dumps(step | {"name": name}))
    skipped = {"brset/clean/clip": "no folder", "brset/authors/clip": "no folder", "daquar/clean/clip": "no weights"}
    run_summary.write_skipped(skipped, tmp_path / "skipped.json")
    before = (tmp_path / "skipped.json").stat().st_mtime_ns
    run_summary.write_skipped(skipped, tmp_path / "skipped.json")
    assert (tmp_path / "skipped.json").stat().st_mtime_ns == before
    found = run_summary.summary(str(store), records, tmp_path / "skipped.json")
    assert len(found["steps"]) == 2 and len(found["sets"]) == 6 and all(found["sets"].values()) and found["skipped"] == skipped
    page = run_summary.as_page(found)
    assert "secret-host" not in page and "3 embedding sets were skipped" in page
    assert "brset/authors/clip, brset/clean/clip: no folder" in page and "1234" in page
    assert "Nothing was skipped" in run_summary.as_page(run_summary.summary(str(store), records, tmp_path / "absent"))
