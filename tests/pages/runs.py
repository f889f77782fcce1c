"""Run each page on small parameters in a folder that holds its declared files and nothing else."""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import declarations as declared
import pandas as pd
import yaml
from configuration import set_files
from conftest import ROOT, small_set

from helpers.files import CHECKSUMS

MANIFEST = ROOT / "codecheck.yml"
FROZEN = Path(__file__).parent / "frozen"
PAGES = declared.read_pages(ROOT / "notebooks")
SWEEP = {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "alignments": ["shift", "centred"]}
SMALL = {
    "01_cone_effect": {"n_boot": 20, "points": 50, "lambdas": [0, 0.5, 1]},
    "02_r_table": {"n_boot": 20},
    "03_lambda_sweep": SWEEP | {"n_boot": 100},
    "04_discussion": {},
    "05_is_lambda_worth_it": {
        "dataset": "flickr8k", "backbone": "lit-natural", "protocol": "authors-code", "lambdas": [0, 0.5], "seeds": [1],
        "n_boot": 100, "alignments": ["centring"],
    },
    "07_leakage_audit": {"protocol": "authors-code", "n_pictures": 40, "n_fundus": 80, "n_draws": 1, "n_boot": 100},
    "08_adapt": {"n_images": 40, "protocol": "authors-code", "lambdas": [0, 1], "seeds": [1], "n_boot": 100},
    "09_data": {},
    "10_where_the_gap_comes_from": {"temperatures": [0.01], "epochs": [0, 1], "networks": 3, "depths": [1]},
    "11_what_lambda_closes": {"alignments": ["none", "lambda-1"], "task_alignments": ["lambda-1"], "n_boot": 100},
    "12_protocol_audit": {"updates": 12, "seeds": [1]},
    "13_information": {"lambdas": [0, 1], "n_boot": 20},
    "14_what_the_probe_lacks": {},
}  # fmt: skip
OTHER_MACHINE = {"rtol": 1e-4, "atol": 1e-6}  # of libraries of linear algebra; a changed method moves numbers more
REAL_SETS = ("05_is_lambda_worth_it", "10_where_the_gap_comes_from", "11_what_lambda_closes", "13_information")
"""Pages whose other files fit the shipped sets only, such as prompts; the others run on the synthetic sets of the tests."""
REPORT = "data/contributed/refused.json"
"""A file where others put reports; pages that read them refuse it with a sentence."""


@dataclass(frozen=True)
class Run:
    """One run of a page: its folder, its cells as JSON, and the decoys that lay there in the place of undeclared files."""

    folder: Path
    cells: list[dict]
    decoys: list[Path]

    @property
    def outputs(self) -> list[dict]:
        return [output for cell in self.cells for output in cell.get("outputs", ())]

    @property
    def texts(self) -> str:
        """Return the sentences that the page shows below its cells."""
        return "\n".join("".join(o.get("data", {}).get("text/markdown", "")) for o in self.outputs)

    @property
    def glued(self) -> dict[str, str]:
        found = [o for o in self.outputs if "scrapbook" in o.get("metadata", {})]
        return {o["metadata"]["scrapbook"]["name"]: o["data"].get("application/papermill.record/text/plain", "") for o in found}

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "results" / f"{name}.parquet")

    def has_read(self, glob: str) -> bool:
        """Return whether the page opened every file of this name, or any file of a pattern."""
        return any(is_read(path) for path in self.folder.glob(glob) if path.is_file())


def is_read(path: Path) -> bool:
    """Return whether a file was read after :func:`prepare` set its time of access to long ago."""
    return path.stat().st_atime >= path.stat().st_mtime


def stored_sets(folder: Path, name: str) -> None:
    """Put embedding sets where a page looks for them: of the declared variants, shipped or synthetic."""
    variants = PAGES[name].reads.sets
    names = [("flickr8k", "common"), ("ham10000", "authors"), ("ham10000", "clean")]
    for dataset, variant in [s for s in names if variants and s[1] in (*variants, "common")]:
        for seed, backbone in enumerate(("lit-natural", "lit-derm")):
            place = Path("data/embeddings", dataset, variant, backbone)
            if name in REAL_SETS:
                for file in set_files(str(ROOT / "data/embeddings"), dataset, variant, backbone):
                    copy(Path(file).relative_to(ROOT), folder)
            else:
                small_set(dataset, variant, backbone, dataset == "flickr8k", seed + 10 * (variant != "common")).save(folder / place)


def copy(file: Path, folder: Path) -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / file, folder / file)


def prepare(name: str, folder: Path, tables: Path | None) -> list[Path]:
    """Fill a folder with the package, the notebook, its declaration and its declared files; return decoys of undeclared ones.

    A page that needs an undeclared file fails on its decoy; one that would do without it has read the decoy.
    """
    shutil.copytree(ROOT / "src/helpers", folder / "src/helpers", ignore=shutil.ignore_patterns("__pycache__"))
    for glob in (f"notebooks/{name}.ipynb", "notebooks/pages.yml", *PAGES[name].reads.files):
        for path in ROOT.glob(glob):
            copy(path.relative_to(ROOT), folder)
    for path in ROOT.glob(f"data/*/{CHECKSUMS}"):
        copy(path.relative_to(ROOT), folder)
    stored_sets(folder, name)
    decoys = []
    for path in (*ROOT.glob("data/*/**/*"), ROOT / REPORT):
        place = folder / path.relative_to(ROOT)
        if path.suffix and not path.is_dir() and "embeddings" not in place.parts and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("{}")
            decoys.append(place)
    (folder / "results").mkdir()
    for table in PAGES[name].reads.tables:
        shutil.copy(tables / f"{table}.parquet", folder / "results")
    for path in (p for part in ("data", "book", "results") for p in (folder / part).rglob("*") if p.is_file()):
        os.utime(path, (1, path.stat().st_mtime))
    declares_reports = "data/contributed/*.json" in PAGES[name].reads.files
    return [path for path in decoys if path != folder / REPORT or not declares_reports]


def run_page(name: str, folder: Path, tables: Path | None = None, **parameters) -> Run:
    """Run a page on ``parameters``, ``SMALL`` where none are given, with the result tables of others from the folder ``tables``."""
    decoys = prepare(name, folder, tables)
    command = [sys.executable, "-m", "papermill", f"notebooks/{name}.ipynb", "out.ipynb", "--no-progress-bar"]
    values = json.dumps((parameters or SMALL[name]) | {"results": "results"})
    command += ["-y", values, "--kernel", "python3"]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr[-3000:])
    return Run(folder, json.loads((folder / "out.ipynb").read_text("utf-8"))["cells"], decoys)


def sample(table: pd.DataFrame, rows: int = 60) -> pd.DataFrame:
    """Return at most about ``rows`` rows of a table, evenly spread."""
    return table.iloc[:: -(-len(table) // rows) if len(table) else 1].reset_index(drop=True)


def compare(found: pd.DataFrame, path: Path) -> None:
    """Raise an AssertionError if a result table is not the frozen one."""
    name, rows = path.stem.rsplit("-", 1)
    expected = pd.read_csv(path)
    assert (len(found), list(found)) == (int(rows), list(expected)), name
    again = pd.read_csv(io.StringIO(sample(found).to_csv(index=False)))
    pd.testing.assert_frame_equal(again, expected, check_dtype=False, obj=name, **OTHER_MACHINE)


def manifest() -> dict:
    """Return what ``codecheck.yml`` says: the paper, and each frozen table with its page and the figures that show it."""
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["references"][0]
    listed = []
    for path in sorted(FROZEN.glob("*/*.csv")):
        page, (table, rows) = path.parent.name, path.stem.rsplit("-", 1)
        shown = [name for name, tables in declared.figures(ROOT / f"notebooks/{page}.ipynb").items() if table in tables]
        of_page = f"notebooks/{page}.ipynb ({PAGES[page].title}){', ' if shown else ''}{', '.join(shown)}"
        comment = f"result table {table}, {rows} rows of which at most 60 are stored, on small settings; {of_page}"
        listed.append({"file": path.relative_to(ROOT).as_posix(), "comment": comment})
    authors = [{"name": f"{author['given-names']} {author['family-names']}"} for author in paper["authors"]]
    return {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {"title": paper["title"], "authors": authors, "reference": paper["url"]},
        "manifest": listed,
        "codechecker": [],  # nobody but its authors has checked this edition
    }


def freeze(name: str, run: Run) -> None:
    """Write the page's result tables, with their number of rows in the file's name, and list them in the manifest."""
    folder = FROZEN / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for table in PAGES[name].writes.get("tables", []):
        content = run.table(table)
        sample(content).to_csv(folder / f"{table}-{len(content)}.csv", index=False, float_format="%.8g")
    lines = yaml.safe_dump(manifest(), sort_keys=False, allow_unicode=True, width=1000)
    MANIFEST.write_text(f"--- # written by pytest tests/pages --freeze; checked by make codecheck\n{lines}", encoding="utf-8")
