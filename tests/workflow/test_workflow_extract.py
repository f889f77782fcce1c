"""The workflow's extraction in shards, really run: a miniature of HAM10000 to a stored set, and nothing left over."""

import json
import subprocess

import miniatures as miniature
import pytest
from small_project import SET, small_project, start

from helpers import EmbeddingSet

pytestmark = pytest.mark.heavy


def run(project, *arguments: str, targets=(f"{SET}/provenance.json",)) -> str:
    """Run the workflow up to the stored set; return what it said."""
    (project / "said.txt").unlink(missing_ok=True)
    code = start(project, "local", "--cores", "2", "--nolock", *arguments, targets=targets).wait()
    said = (project / "said.txt").read_text()
    assert code == 0, said
    return said


def change(module) -> None:
    module.write_text(module.read_text() + "\n")


@pytest.fixture
def project(tmp_path):
    miniature.write("ham10000", tmp_path / "data/ham10000", n=300)  # two chunks of images
    return small_project(tmp_path / "project", tmp_path / "data", shards=2)


def test_shards_of_the_workflow_end_as_one_set(project):
    run(project)
    logs = project / "runs/logs/extract/ham10000/clean/lit-natural"
    assert all(f"part {k}/2 is done" in (logs / f"{k}-of-2.log").read_text() for k in (1, 2))
    assert "300" in (project / "runs/checks/ham10000/clean.txt").read_text()
    folder = project / SET
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # no marker, no work folder
    record = json.loads((folder / "provenance.json").read_text())
    command = "python -m helpers extract ham10000 --backbone lit-natural --variant clean --root ROOT"
    assert record["run"]["command"].startswith(command)
    assert "Nothing to be done" in run(project)
    joined = EmbeddingSet.load(folder)
    assert len(joined) == len(joined.image) == 300
    before = (folder / "provenance.json").stat().st_mtime_ns
    change(project / "src/helpers/datasets/natural.py")
    assert "Nothing to be done" in run(project)  # the reader of another data set
    change(project / "src/helpers/datasets/metadata.py")
    assert "gather" in run(project, "--config", "shards=1") and (folder / "provenance.json").stat().st_mtime_ns > before
    assert EmbeddingSet.load(folder).fingerprint == joined.fingerprint
    assert json.loads((folder / "provenance.json").read_text()) == record
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_full_disk_stops_a_step_and_leaves_nothing_and_with_space_the_run_goes_on(project, store):
    (project / "config/small.yml").write_text((project / "config/small.yml").read_text().replace("runs/embeddings", str(store)))
    cone = "runs/cones/ham10000/clean/lit-derm.csv"
    (project / "runs/cones").mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", project / "runs/cones"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["dd", "if=/dev/zero", f"of={project}/runs/cones/full", "bs=4k", "count=1"], capture_output=True)
        settings = ["--config", "datasets=[ham10000]", "backbones=[lit-derm]", "data_root=null"]
        assert start(project, "local", "--nolock", *settings, targets=(cone,)).wait() != 0
        assert "No space left" in (project / "said.txt").read_text()
        assert [path.name for path in (project / "runs/cones").rglob("*") if path.is_file()] == ["full"]
    finally:
        subprocess.run(["umount", project / "runs/cones"], check=True)
    run(project, *settings, targets=(cone,))
