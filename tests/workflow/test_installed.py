"""The environment of `make`: what is not installed as locked is named, and each tool of the installation has a hash."""

import shutil
from importlib.metadata import distribution

import environment
import installed
import pytest
from conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def test_an_absent_package_and_one_of_another_version_are_named_and_others_are_not():
    here = distribution("numpy").version
    lock = f"# made by uv\nnumpy=={here} \\\n    --hash=sha256:00\n    # via scipy\nno-such-thing==1.0 \\\n    --hash=sha256:00\n"
    lock += "pandas==0.0.1\nno-windows==1 ; sys_platform == 'win32' and python_version < '3'\n"
    assert installed.missing(lock) == ["no-such-thing", "pandas"]


@pytest.mark.parametrize("gone", ["folder", "module", None])
def test_a_package_whose_files_are_gone_is_named_though_its_record_is_there(tmp_path, monkeypatch, gone):
    record = "tool/__init__.py,,\ntool_extra.py,,\ntool-1.0.dist-info/RECORD,,\n../../bin/tool,,\n__pycache__/tool_extra.pyc,,\n"
    for name, content in {"tool/__init__.py": "", "tool_extra.py": "", "tool-1.0.dist-info/RECORD": record}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "tool-1.0.dist-info/METADATA").write_text("Name: tool\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    if gone == "folder":
        shutil.rmtree(tmp_path / "tool")
    elif gone == "module":
        (tmp_path / "tool_extra.py").unlink()
    assert installed.missing("tool==1.0\n") == ([] if gone is None else ["tool"])


def test_every_locked_package_has_a_hash_and_the_build_tool_is_locked():
    entries = environment.entries(LOCK)
    assert len(entries) > 100 and all("==" in entry and "--hash=sha256:" in entry for entry in entries.values())
    assert "setuptools" in entries
