"""Install what a lock file pins into ``.venv``: ``python workflow/environment.py requirements.lock``.

uv installs: the one of this machine, else the one that the lock file pins. Where uv fails, as behind a mirror that only pip is
told of, pip installs. A CPU build of torch that is in ``.venv`` already is kept, and no CUDA package is installed.
A locked package without a wheel is built by the locked setuptools, which comes first; no tool without a hash is fetched.
"""

import re
import subprocess
import sys
import venv
from pathlib import Path
from shutil import which

OF_CUDA = ("nvidia-", "triton")
KEPT = ("torch", "torchvision")


def entries(lock: str) -> dict[str, str]:
    """Return the text of each package of a lock file by the package's name; a second version of one, with its markers, is added."""
    found: dict[str, str] = {}
    for entry in re.findall(r"(?m)^[a-z0-9][^\n]*(?:\n +[^\n]*)*", lock):
        name = entry.partition("==")[0]
        found[name] = found.get(name, "") + entry + "\n"
    return found


def cpu_builds(environment: Path) -> dict[str, str]:
    """Return the versions of torch and torchvision in an environment, such as ``2.9.1+cpu``, if they are CPU builds."""
    places = environment.glob("lib/python*/site-packages/torch*+cpu.dist-info")
    return dict(place.name.removesuffix(".dist-info").split("-") for place in places)


def to_install(lock: str, present: dict[str, str]) -> str:
    """Return the lock file, without torch and what belongs to CUDA if CPU builds of the pinned versions are ``present``."""
    pinned = entries(lock)
    if not present or "torch" not in pinned:
        return "".join(pinned.values())
    wanted = {name: re.search(r"==([^ ;+]+)", pinned[name])[1] for name in KEPT}
    if present != {name: f"{version}+cpu" for name, version in wanted.items()}:
        found = ", ".join(f"{name} {version}" for name, version in present.items())
        needed = " ".join(f"{name}=={version}" for name, version in wanted.items())
        raise SystemExit(f"[env]      .venv holds {found}; install the CPU builds of {needed} there, or remove .venv")
    return "".join(entry for name, entry in pinned.items() if name not in KEPT and not name.startswith(OF_CUDA))


def install(lock: Path, environment: Path) -> None:
    """Install the packages of ``lock`` into an environment that has pip."""
    python, requirements = environment / "bin/python", environment / "requirements.txt"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    requirements.write_text(to_install(lock.read_text("utf-8"), cpu_builds(environment)), "utf-8")
    pinned, first = entries(requirements.read_text("utf-8")), environment / "first.txt"
    first.write_text(pinned.get("setuptools", ""), "utf-8")
    if first.read_text("utf-8"):
        subprocess.run([*pip, "-r", first], check=True)
    own = environment / "bin/uv"
    uv = which("uv") or own
    if uv == own and not own.exists():
        only = environment / "uv.txt"
        only.write_text(entries(lock.read_text("utf-8")).get("uv", ""), "utf-8")
        subprocess.run([*pip, "-r", only], check=True)
    try:
        words = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--no-deps",
            "--no-build-isolation",
            "--require-hashes",
            "-r",
            requirements,
        ]
        subprocess.run(words, check=True)
    except (OSError, subprocess.CalledProcessError):
        print("[env]      uv could not install; pip does", file=sys.stderr)
        subprocess.run([*pip, "--no-build-isolation", "-r", requirements], check=True)


if __name__ == "__main__":
    lock, environment = Path(sys.argv[1]), Path(".venv")
    print(f"[env]      .venv from {lock}")
    if "--new" in sys.argv and not cpu_builds(environment):
        venv.create(environment, clear=True, symlinks=True, with_pip=True)
    try:
        install(lock, environment)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"[env]      {' '.join(map(str, error.cmd[:4]))} failed; its message stands above") from None
