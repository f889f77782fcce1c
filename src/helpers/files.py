"""Write files and folders atomically (in a temporary folder beside the target, flushed, then renamed) and with checksums.

Only this module replaces or removes anything, and only what carries the mark of this package.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

UNFINISHED, LOCK = ".unfinished", ".lock"  # ending of every temporary folder, and the file in it on which its writer holds a lock
MOVED = "moved--"  # prefix of a folder while another takes its place
MARK = "made-by-helpers"  # file that marks a working folder; a folder without it is the user's
RECORD = "provenance.json"  # file that marks the folder of a stored result
CHECKSUMS = "SHA256SUMS"  # file of a folder of shipped files, as the program sha256sum writes it
PROJECT = 'name = "modality-gap-book"'  # line of pyproject.toml that marks a checkout
ABOUT_THE_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
MEMORY = "HELPERS_MEMORY"  # variable of the environment, in GB


class Unwritable(OSError):
    """Error on a full disk or a folder that cannot be written; names the file."""


class TooLarge(ValueError):
    """Error for a file that would take more memory than the limit, or for a limit that is none."""


def project_root() -> Path:
    """Return ``$HELPERS_ROOT``, else the checkout around the working directory or of an editable install, else the former."""
    if given := os.environ.get("HELPERS_ROOT"):
        if not Path(given).is_dir():
            raise NotADirectoryError(f"HELPERS_ROOT is {given}, which is not a folder; name the folder that holds data and runs")
        return Path(given).resolve()
    here, own = Path.cwd(), Path(__file__).resolve().parents[2]
    around = (folder for folder in (here, *here.parents) if _is_checkout(folder))
    return next(around, own if (own / "src/helpers/__init__.py").is_file() else here)


def _is_checkout(folder: Path) -> bool:
    with suppress(OSError, ValueError):
        lines = check_file(folder / "pyproject.toml").read_text("utf-8").splitlines()
        return (folder / "src/helpers").is_dir() and PROJECT in lines
    return False


def shipped_file(name: str) -> Path:
    """Return a file that only the repository holds, such as ``data/published/table1.csv``, once its checksum is compared."""
    path = project_root() / name
    sums = path.parent / CHECKSUMS
    for file in (path, sums):
        if not file.is_file():
            what, how = f"{Path(name).parent}/{file.name}", "run in a checkout of the repository, or set HELPERS_ROOT to one"
            raise FileNotFoundError(f"there is no {what} in {project_root()}; only the repository holds it: {how}")
    if f"{sha256(path)}  {path.name}" not in sums.read_text("utf-8", "replace").splitlines():
        how = "restore it; if a study wrote it anew, accept it with `python studies/checksums.py`"
        raise ValueError(f"{path} does not match its checksum in {CHECKSUMS}; {how}")
    return path


def below(root, name: str) -> Path:
    """Return ``root / name``; refuse a name that is no plain file name and so may leave ``root``."""
    if name in ("", ".", "..") or re.search(r"[/\\\0]", name):
        raise ValueError(f"{name!r} is no file name; give one without slashes, for a file in {root}")
    return Path(root) / name


def check_file(path) -> Path:
    """Return a path; refuse a folder, and a pipe or a device, which might never end."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a folder, a pipe or a device; give the name of a regular file")
    return path


def memory_limit() -> float:
    """Return how many bytes of memory reading one file may take: 4 GB, or what the environment variable ``MEMORY`` says in GB."""
    given = os.environ.get(MEMORY, "4")
    with suppress(ValueError):
        if float(given) > 0:
            return float(given) * 1e9
    raise TooLarge(f"{MEMORY} is {given!r}; give the limit of memory in GB, such as 8")


def check_memory(what: str, needed: float) -> None:
    """Refuse, before it is read, what would take more bytes of memory than the limit."""
    if needed > (limit := memory_limit()):
        much = f"{what} would take at least {needed / 1e9:,.1f} GB of memory, and the limit is {limit / 1e9:g} GB"
        raise TooLarge(f"{much}; if you trust the file, raise it: `python -m helpers --memory GB ...`, or the variable {MEMORY}")


def unreadable(error: Exception, path, sentence: str, kind: type[Exception] = ValueError) -> Exception:
    """Return the error for a file that a library failed to read: the sentence, unless it is absent or too large."""
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return MemoryError(f"{path} does not fit into the free memory; end other programs, or read it on a larger machine")
    return error if isinstance(error, TooLarge | FileNotFoundError | NotADirectoryError) else kind(sentence)


def check_writable(path) -> Path:
    """Return a path if files can be made where it will lie; else raise an OSError, before anything is computed."""
    path = Path(path)
    with _naming_the_output(path), tempfile.TemporaryFile(dir=next(f for f in path.absolute().parents if f.exists())):
        return path


@contextmanager
def _naming_the_output(path: Path) -> Iterator[None]:
    """Turn an error on a full disk or a folder that cannot be written into one sentence that names the file."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # the writer of arrays raises the latter
        cause = error.__cause__ if isinstance(error, Unwritable) else error  # of a file in a folder, the folder is named
        if isinstance(cause, OSError) and cause.errno not in ABOUT_THE_OUTPUT:
            raise
        why = getattr(cause, "strerror", cause)
        raise Unwritable(f"{path} cannot be written ({why}); make room or give another output") from cause


def check_output(path) -> Path:
    """Return the path of a file to write; refuse what :func:`check_file` refuses, a file of a stored result, a read-only folder."""
    path = check_file(path).resolve()  # a link is written through, not replaced
    if (path.parent / RECORD).exists():
        raise FileExistsError(f"{path} would lie in {path.parent}, a folder of stored results; give an output elsewhere")
    return check_writable(path)


@contextmanager
def replacing(path: Path, part_of_result: bool = False, is_ours: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield a path to write a file to; on success it becomes ``path`` in one step, on failure it is removed.

    An output is checked by :func:`check_output`, unless it is ``part_of_result``. Where the user names it, ``is_ours`` reads our
    mark or the same fields in an earlier result; any other file that is not empty stays.
    """
    path = Path(path) if part_of_result else check_output(path)
    if is_ours and not part_of_result and path.exists() and path.stat().st_size:
        ours = False
        with suppress(Exception):  # whatever the library of the format raises on other bytes
            ours = is_ours(path)
        if not ours:
            raise FileExistsError(f"{path} is not an earlier version of this file; remove it, or give another name")
    with _folder_beside(path) as folder:
        yield folder / path.name
        _flush(folder / path.name)
        (folder / path.name).replace(path)
        _flush(path.parent)


@contextmanager
def replacing_folder(path: Path, record: str, names: Iterable[str], what: str) -> Iterator[Path]:
    """Yield a new folder that on success becomes ``path`` or what it links to; only ``what`` is replaced; a kill loses none."""
    refuse_other_content(path, record, names, what)
    path = Path(path).resolve()
    with _folder_beside(path) as folder:
        new, aside = folder / path.name, folder / f"{MOVED}{path.name}"
        new.mkdir()
        yield new
        for written in (*new.rglob("*"), new):
            _flush(written)
        while True:
            try:
                new.rename(path)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            shutil.rmtree(aside, ignore_errors=True)  # in a second round: another writer has replaced it meanwhile
            with suppress(FileNotFoundError):
                path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        _flush(path.parent)


def refuse_other_content(directory: Path, record: str, names: Iterable[str], what: str) -> None:
    """Refuse a folder unless it is absent, empty or ``what``: a ``record`` of ours and files of ``names`` alone."""
    directory = Path(directory)
    if not directory.exists() and not directory.is_symlink():
        return
    found = {path.name: path.is_file() for path in directory.iterdir()} if directory.is_dir() else {"": False}
    ours = record in found and all(found.values()) and set(found) <= {record, *names}
    content = (directory / record).read_bytes() if ours else b"no record"
    if found and content and b"sha256" not in content:  # a damaged record of ours is empty or has a part of its checksums
        raise FileExistsError(f"{directory} holds something that is not {what}; give a new or empty folder")


def claim_folder(folder: Path) -> None:
    """Make a working folder, or take up one with our mark; refuse any other that is not empty."""
    if folder.is_dir() or not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()) or (folder / MARK).is_file():  # in this order: another process may make it at the same time
            (folder / MARK).touch()
            return
    raise FileExistsError(f"{folder} is needed for unfinished work and holds something else; move it, or give another output")


def clear_folder(folder: Path, patterns: Iterable[str]) -> None:
    """Remove our files from a working folder with our mark, and the folder if it holds nothing else."""
    if (folder / MARK).is_file():
        remove_stale(folder)
        for file in {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}:
            file.unlink(missing_ok=True)
        if all(file.name == MARK or file.name.startswith(".nfs") for file in folder.iterdir()):  # locks until they are closed
            (folder / MARK).unlink()
    with suppress(OSError):
        folder.rmdir()


def remove_stale(folder: Path) -> None:
    """Remove what killed writers left in ``folder``, and put back a folder that one had moved aside."""
    for stale in Path(folder).glob(f".*{UNFINISHED}"):
        if stale.is_symlink() or not ((stale / LOCK).is_file() or all(left.name.startswith(MOVED) for left in stale.glob("*"))):
            continue  # no folder of ours
        with suppress(OSError), FileLock(stale / LOCK, timeout=0):
            _discard(stale)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """Yield a new, locked temporary folder beside ``path``; remove it at the end."""
    with _naming_the_output(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=UNFINISHED, dir=path.parent))
            lock = FileLock(folder / LOCK)
            with suppress(FileNotFoundError):  # another process took it for stale before it was locked
                lock.acquire()
                break
        try:
            yield folder
        finally:
            _discard(folder)
            lock.release()


def _discard(folder: Path) -> None:
    """Remove a temporary folder; what a writer had moved into it goes back if nothing took its place."""
    for moved in folder.glob(f"{MOVED}*"):
        target = folder.parent / moved.name.removeprefix(MOVED)
        if not target.exists():
            moved.rename(target)
    for left in folder.glob("*"):
        if left.name != LOCK:  # the mark goes last
            shutil.rmtree(left, ignore_errors=True)
            with suppress(OSError):
                left.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    """Write a file or folder through to the disk, so that no name outlives its content after a power cut."""
    with suppress(OSError if path.is_dir() else PermissionError):  # not every file system flushes folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_text(value) -> str:
    """Return ``value`` as indented, key-sorted JSON, so that equal values give equal bytes."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def checksum_of(value) -> str:
    """Return the SHA-256 of a JSON value, whatever its layout in a file."""
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def matches_checksum(content, key: str) -> bool:
    """Remove the checksum ``key`` from a JSON object, and return whether it is that of the rest."""
    with suppress(ValueError, RecursionError, LookupError, TypeError, AttributeError):  # among them NaN and lone surrogates
        return content.pop(key) == checksum_of(content)
    return False


def write_json(path: Path, value, part_of_result: bool = False) -> None:
    """Write ``value`` as indented, key-sorted JSON; an earlier version has the same keys."""
    with replacing(path, part_of_result, lambda file: set(read_json(file)) == set(value)) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


def parse_json(text: str | bytes):
    """Return the value of JSON text; refuse a key that stands twice, of which Python would take the last."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple]) -> dict:
    if twice := [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]:
        raise ValueError(f"the key {twice[0]!r:.60} stands twice")
    return dict(pairs)


def read_json(path: Path):
    """Read a JSON file; a ValueError names one that is not JSON."""
    check_file(path)
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); restore or regenerate it") from None


def write_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str], part_of_result: bool = False) -> Path:
    """Write arrays and metadata as one safetensors file, with a checksum over both; an earlier version has the same metadata."""
    keys = {*metadata, "sha256"}
    with replacing(path, part_of_result, lambda file: set(safe_open(file, "numpy").metadata()) == keys) as temporary:
        save_arrays(temporary, arrays, metadata | {"sha256": _checksum_of_arrays(arrays, metadata)})
    return Path(path)


def save_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Save arrays as safetensors with the permissions of any new file; the library gives its file to the owner alone."""
    path.touch()
    mode = path.stat().st_mode
    save_file(arrays, path, metadata)
    path.chmod(mode)


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return arrays and metadata that :func:`write_arrays` wrote; a ValueError says in a few words how a file is damaged."""
    check_file(path)
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata, arrays = dict(stream.metadata() or {}), {key: stream.get_tensor(key) for key in stream.keys()}
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        raise unreadable(error, path, type(error).__name__) from None
    expected = metadata.pop("sha256", None)
    if expected != _checksum_of_arrays(arrays, metadata):
        raise ValueError("its checksum does not match its content" if expected else "it has no checksum")
    return arrays, metadata


def _checksum_of_arrays(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
