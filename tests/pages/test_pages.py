"""Each page runs on what it declares, reads all of it, and its result tables are the frozen ones."""

import os

import pandas as pd
import pytest
from conftest import ROOT

from runs import FROZEN, PAGES, SMALL, freeze, run_page, sample

OTHER_MACHINE = {"rtol": 1e-4, "atol": 1e-6}  # of libraries of linear algebra; a changed method moves numbers more


@pytest.fixture(scope="module")
def executed(tmp_path_factory, request):
    """Return a function that runs a page once, after those whose tables it reads."""
    done, tables = {}, tmp_path_factory.mktemp("tables")

    def run(name: str):
        if name not in done:
            makers = [m for m, page in PAGES.items() if set(PAGES[name].reads.tables) & set(page.writes.get("tables", []))]
            for maker in makers:
                for path in (run(maker).folder / "results").glob("*.parquet"):
                    (tables / path.name).write_bytes(path.read_bytes())
            done[name] = run_page(name, tmp_path_factory.mktemp(name), tables)
            if request.config.getoption("freeze"):
                freeze(name, done[name])
        return done[name]

    return run


@pytest.fixture(params=PAGES)
def page(request, executed):
    return request.param, executed(request.param)


def test_every_page_is_tested():
    assert list(PAGES) == list(SMALL) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_it_reads_every_file_that_it_declares(page, tmp_path):
    (tmp_path / "file").write_text("")
    os.utime(tmp_path / "file", (1, 2))
    (tmp_path / "file").read_text()
    if (tmp_path / "file").stat().st_atime < 2:
        pytest.skip("this file system keeps no times of access")
    name, run = page
    assert run.unread() == [], f"{name} declares files that it does not read, or no longer"


def test_it_writes_what_it_declares(page):
    name, run = page
    written = {path.stem for path in (run.folder / "results").glob("*.parquet")} - set(PAGES[name].reads.tables)
    assert written == set(PAGES[name].writes.get("tables", []))
    others = {path.name for path in (run.folder / "results").iterdir() if path.suffix != ".parquet"}
    assert all(
        any(path.match(glob) for glob in PAGES[name].writes.get("files", [])) for path in map(__import__("pathlib").Path, others)
    )


def test_its_result_tables_are_the_frozen_ones(page):
    name, run = page
    frozen = sorted((FROZEN / name).glob("*.csv"))
    assert frozen, f"no frozen tables of {name}; run pytest tests/pages --freeze and look at the difference"
    for path in frozen:
        table, rows = path.stem.rsplit("-", 1)
        found, expected = run.table(table), pd.read_csv(path, keep_default_na=True)
        assert (len(found), list(found)) == (int(rows), list(expected)), table
        again = pd.read_csv(__import__("io").StringIO(sample(found).to_csv(index=False)))
        pd.testing.assert_frame_equal(again, expected, check_dtype=False, obj=table, **OTHER_MACHINE)
