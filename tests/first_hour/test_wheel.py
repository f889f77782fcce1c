"""The package without a checkout: a wheel in a fresh environment and an empty folder, by the console command and from Python."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

pytestmark = pytest.mark.heavy
SMALL = ["--protocol", "authors-code", "--lambdas", "0,1", "--seeds", "1", "--features", "joint", "--alignments", ""]


def run(*words, where: Path) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "HELPERS_ROOT", "VIRTUAL_ENV")}
    return subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=where, env=kept | {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from the committed files and those changed since, outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "src", "pyproject.toml", "README.md", "LICENSE"], cwd=ROOT, capture_output=True, text=True
    )
    for name in files.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder / "dist", folder]
    built = run(sys.executable, "-m", *words, where=folder)
    assert built.returncode == 0, built.stderr
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Return the programs of an environment that holds the wheel, and the dependencies of this one but not its editable install."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    done = run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "-q", "--no-deps", wheel, where=folder)
    assert done.returncode == 0, done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "base.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    return folder / "bin"


def test_the_wheel_holds_the_data_that_the_package_reads_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("helpers/") and not name.endswith(".py")}
    own = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/helpers").rglob("*") if path.is_file()}
    assert held == {name for name in own if "__pycache__" not in name and not name.endswith(".py")} and len(held) >= 5


def test_own_vectors_are_imported_swept_judged_reported_saved_and_loaded(installed, tmp_path):
    rng, n, d = np.random.default_rng(1), 300, 6
    label = rng.integers(0, 2, n)
    image, text = (rng.normal(size=(n, d)) + 0.5 * label[:, None] + shift for shift in (2, -2))
    np.savez(tmp_path / "mine.npz", image=image, text=text, labels=label.astype(str))
    names = ["mine", "theirs"]
    steps = [
        ["import", "mine.npz", "--dataset", "mine", "--backbone", "theirs"],
        ["cone", *names, "--n-boot", "20", "--out", "cone.csv"],
        ["sweep", *names, *SMALL],
        ["recommend", *names, "--alignments", "lambda-1", "--n-boot", "20"],
        ["report", *names, "--variant", "clean", "--by", "N", "--how", "H", "--n-boot", "20"],
    ]  # fmt: skip
    said = {}
    for step in steps:
        done = run(installed / "modality-gap", *step, where=tmp_path)
        assert done.returncode == 0, f"{step[0]}: {done.stderr}"
        said[step[0]] = done.stdout
    assert "whether it fills a cell of the paper is not known here" in said["report"]
    for place in ("runs/embeddings/mine/clean/theirs", "runs/sweeps/mine/clean/theirs/authors-code/lambda"):
        assert (tmp_path / place / "provenance.json").is_file()
    code = (
        "import helpers\nfrom pathlib import Path\n"
        "from helpers import EmbeddingSet, sweep\nfrom helpers.alignment.registry import load_alignment\n"
        "own = EmbeddingSet.load('runs/embeddings/mine/clean/theirs')\nown.save('copy')\n"
        "assert EmbeddingSet.load('copy').fingerprint == own.fingerprint\n"
        "(file,) = Path('runs/alignments').glob('mine--clean--theirs--*.safetensors')\n"
        "load_alignment(file).transform(own.image, own.text)\n"
        "print(helpers.__file__, len(sweep(own, [0], [1], protocol='authors-code', progress=False).table))\n"
    )
    done = run(installed / "python", "-c", code, where=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(str(installed.parent / "lib")), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "mine.npz", "cone.csv", "runs", "copy", "mine--clean--theirs.json"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["extract", "easy_vqa", "--backbone", "lit-natural"], "'lit-natural' cannot be loaded"),
        (["cone", "ham10000", "lit-derm"], "no embeddings of ham10000 clean under lit-derm"),
    ],
    ids=["heads", "sets"],
)
def test_what_only_the_repository_holds_is_named_with_how_to_get_it(installed, tmp_path, words, told):
    done = run(installed / "modality-gap", *words, where=tmp_path)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1 and told in lines[0] and "HELPERS_ROOT" in lines[0], done.stderr


def test_a_checkout_named_by_the_variable_gives_its_sets(installed, tmp_path):
    code = f"import os; os.environ['HELPERS_ROOT'] = {str(ROOT)!r}; from helpers.cli import main; "
    code += "raise SystemExit(main(['cone', 'ham10000', 'lit-derm', '--n-boot', '0']))"
    done = run(installed / "python", "-c", code, where=tmp_path)
    assert done.returncode == 0 and "gap_norm" in done.stdout and not list(tmp_path.iterdir()), done.stderr
