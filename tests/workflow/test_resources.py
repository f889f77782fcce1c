"""What the steps ask of a scheduler, and the summary of a run."""

import pytest
import summary
from resources import NEEDS, expected_dimension, expected_rows, resources


@pytest.mark.parametrize("step", NEEDS)
def test_a_larger_set_never_asks_for_less_and_a_repeated_attempt_for_more(step):
    small, wide, large = (resources(step, n, d) for n, d in ((1000, 512), (1000, 1152), (377_000, 1152)))
    for name in ("mem_mb", "runtime"):
        assert 0 < small[name] <= wide[name] <= large[name]
        assert resources(step, 377_000, 1152, attempt=2)[name] == pytest.approx(2 * large[name], abs=2)
    assert bool(small["gpu"]) == (step in ("extract", "gather")) and resources(step, accelerators=0)["gpu"] == 0


def test_shards_share_the_rows_and_vectors_of_the_largest_set_fit_in_what_a_sweep_asks_for():
    whole, part = (resources("extract", 377_000, 1152, parts=n) for n in (1, 16))
    assert part["runtime"] < whole["runtime"] / 8 and part["mem_mb"] < whole["mem_mb"]
    rows, dimension = expected_rows("mimic_cxr", "clean"), expected_dimension("medsiglip")
    assert rows >= 377_000 and dimension == expected_dimension("my/encoder") == 1152 and expected_rows("own", "clean") > 0
    assert resources("sweep", rows, dimension)["mem_mb"] * 1e6 > 2 * 4 * rows * dimension * 3


def test_the_summary_says_what_ran_and_what_was_skipped_and_why(tmp_path):
    for name, measured in (("sweep/a/b/one", "60.0\t90.0\t1234"), ("sweep/a/b/two", "30.0\t-\t-"), ("html/_build", "5.0\t5.0\t99")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text(f"s\tcpu_time\tmax_rss\n{measured}\n")
    skipped = {"brset/clean/clip": "no folder", "brset/authors/clip": "no folder", "daquar/clean/clip": "no weights"}
    page = summary.summary(tmp_path, skipped)
    assert "3 embedding sets were skipped" in page and "brset/authors/clip, brset/clean/clip: no folder" in page
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    assert rows[2:] == [["html", "1", "5", "5", "5", "99"], ["sweep", "2", "90", "60", "90", "1,234"]]
    assert "Nothing was skipped" in summary.summary(tmp_path / "absent", {})
