"""The environment: test tools apart, a CPU build of torch kept without the CUDA packages, uv first and pip where it fails."""

import subprocess
import tomllib

import environment
import pytest
from conftest import ROOT

BOOK, TESTS = ((ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-test.lock"))
TORCH = {"torch": "2.9.1+cpu", "torchvision": "0.24.1+cpu"}


def pins(lock: str) -> dict[str, str]:
    """Return the first line of each package: name, version and markers."""
    return {name: entry.partition(" \\\n")[0] for name, entry in environment.entries(lock).items()}


def test_the_book_needs_no_test_tool_and_both_locks_pin_the_same_versions():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["test"]
    assert {"playwright", "mypy", "ruff", "pytest"} <= set(named) <= set(pins(TESTS)) and not set(named) & set(pins(BOOK))
    both = set(pins(TESTS)) & set(pins(BOOK))
    assert len(both) > 5 and all(pins(TESTS)[name].split()[0] == pins(BOOK)[name].split()[0] for name in both)


def test_a_cpu_build_of_torch_is_kept_and_nothing_of_cuda_is_installed(tmp_path):
    every, kept = (environment.entries(environment.to_install(BOOK, present)) for present in ({}, TORCH))
    assert environment.entries(BOOK) == every and set(every) - set(kept) >= {"torch", "torchvision", "triton", "nvidia-cudnn-cu12"}
    assert not [name for name in kept if name.startswith(("nvidia", "triton", "torch"))] and "open-clip-torch" in kept
    assert environment.to_install(TESTS, TORCH).count("--hash") == TESTS.count("--hash")
    for name in ("torch-2.9.1+cpu", "torchvision-0.24.1+cpu", "torch-geometric-2.6.1"):
        (tmp_path / f"lib/python3.11/site-packages/{name}.dist-info").mkdir(parents=True)
    assert environment.cpu_builds(tmp_path) == TORCH


@pytest.mark.parametrize("present", [TORCH | {"torch": "2.13.0+cpu"}, {"torch": "2.9.1+cpu"}], ids=["other", "alone"])
def test_a_cpu_build_that_the_lock_does_not_name_is_refused_and_not_replaced(present):
    with pytest.raises(SystemExit, match=r"install the CPU builds of torch==2.9.1 torchvision==0.24.1 there, or remove .venv"):
        environment.to_install(BOOK, present)


def test_uv_installs_and_pip_does_where_uv_fails(tmp_path, monkeypatch, capsys):
    calls = []

    def run(words, check):
        calls.append([str(word) for word in words])
        if calls[-1][0] == "uv":
            raise subprocess.CalledProcessError(1, words)

    monkeypatch.setattr(environment, "which", lambda name: "uv")
    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.install(ROOT / "requirements-test.lock", tmp_path)
    assert [call[0] for call in calls] == ["uv", f"{tmp_path}/bin/python"] and "pip does" in capsys.readouterr().err
    assert all("--no-build-isolation" in call for call in calls)
    assert all({"--require-hashes", "--no-deps"} <= set(call) for call in calls)
    assert environment.entries((tmp_path / "requirements.txt").read_text()) == environment.entries(TESTS)
    monkeypatch.setattr(environment, "which", lambda name: None)
    calls.clear()
    environment.install(ROOT / "requirements.lock", tmp_path)
    assert [call[-1] for call in calls[:2]] == [f"{tmp_path}/{name}.txt" for name in ("first", "uv")] and len(calls) == 3
    assert calls[2][0] == f"{tmp_path}/bin/uv" and (tmp_path / "uv.txt").read_text().startswith("uv==")
    assert (tmp_path / "first.txt").read_text().startswith("setuptools==")  # before what it builds
