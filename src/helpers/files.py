"""Write files that are either whole or absent: under a temporary name beside the target, flushed, then renamed."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where stale temporaries stay
    fcntl = None  # type: ignore[assignment]

LANDMARK = Path("src/helpers/__init__.py")
UNFINISHED = ".unfinished"  # ending of every temporary file and folder; the writer holds a lock on it
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
AT_FDCWD = -100
NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}


def project_root() -> Path:
    """Return the folder of this project: the working directory or the nearest one above that holds it, else the package's."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / LANDMARK).is_file():
            return folder
    return Path(__file__).resolve().parents[2]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, remove it on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(path.parent)
    with _temporary(path, folder=False) as temporary:
        yield temporary
        _set_usual_rights(temporary)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the place of ``path`` on success and is removed on failure.

    Where the system can exchange two folders, ``path`` exists at every moment. Two writers do not disturb each other: the
    last one wins. The caller checks that ``path`` may be replaced, see :func:`refuse_other_content`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path.parent)
    with _temporary(path, folder=True) as temporary:
        yield temporary
        for written in (*temporary.rglob("*"), temporary):
            _set_usual_rights(written)
            _flush(written)
        _put_in_place(temporary, path)
        _flush(path.parent)


def refuse_other_content(directory: Path, record: str, names: Iterable[str], what: str) -> None:
    """Raise unless ``directory`` is absent, empty, or holds a stored result and nothing else, damaged or not.

    Args:
        record: name of the file that every such result has.
        names: names of its other files.
        what: the result in words, with its article.

    Raises:
        FileExistsError: something else is there, which saving would remove.
    """
    directory = Path(directory)
    if not directory.exists() and not directory.is_symlink():
        return
    found = {path.name: path.is_file() for path in directory.iterdir()} if directory.is_dir() else {"": False}
    if found and not (all(found.values()) and record in found and set(found) <= {record, *names}):
        raise FileExistsError(f"{directory} holds something that is not {what}; give a new or empty folder")


def remove_stale(folder: Path) -> None:
    """Remove the temporary files and folders in ``folder`` whose writer has ended, for example because it was killed."""
    for stale in sorted(Path(folder).glob(f".*{UNFINISHED}")):
        with suppress(OSError), _locked(stale, wait=False) as is_locked:
            if is_locked:
                _restore_moved(stale)
                _remove(stale)


@lru_cache(maxsize=256)
def _sweep_once(folder: Path) -> None:
    """Remove stale temporaries of a folder once per process, because a folder may hold thousands of files."""
    remove_stale(folder)


@contextmanager
def _temporary(path: Path, folder: bool) -> Iterator[Path]:
    """Yield a new file or folder beside ``path`` and lock it while its writer lives; remove it afterwards."""
    while True:
        if folder:
            name = tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=UNFINISHED, dir=path.parent)
        else:
            handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=UNFINISHED, dir=path.parent)
            os.close(handle)
        temporary = Path(name)
        with _locked(temporary, wait=True) as is_locked:
            if not is_locked:
                continue  # another process removed it as stale before it was locked
            try:
                yield temporary
            finally:
                _remove(temporary)
            return


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold a lock on a file or folder, which the system frees when the process ends; yield whether this process holds it.

    On a system without locks, a writer goes on without one, and the clean-up treats nothing as stale.
    """
    if fcntl is None:
        yield wait
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_locked = path.exists()
        except OSError:
            is_locked = wait
        yield is_locked
    finally:
        os.close(handle)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename a folder to ``path``; if something is already there, exchange the two and remove the old one."""
    while True:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            try:
                temporary.rename(path)  # POSIX: replaces an empty folder only
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise  # else another writer was faster: exchange
        try:
            if not _exchange(temporary, path):
                _move_aside(temporary, path)
            return
        except FileNotFoundError:
            if not temporary.exists():
                raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if renameat2 is None:
        return False
    sys.audit("os.rename", str(one), str(other), -1, -1)
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _move_aside(temporary: Path, path: Path) -> None:
    """Replace a folder in two steps; after a kill between them, :func:`remove_stale` restores the old folder."""
    old = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=UNFINISHED, dir=path.parent))
    with _locked(old, wait=True):
        path.rename(old / f"moved--{path.name}")
        temporary.rename(path)
    _remove(old)


def _restore_moved(stale: Path) -> None:
    """Put back the folder that an interrupted :func:`_move_aside` left in a stale temporary."""
    for moved in stale.glob("moved--*") if stale.is_dir() else ():
        if not (stale.parent / moved.name.removeprefix("moved--")).exists():
            moved.rename(stale.parent / moved.name.removeprefix("moved--"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Write a file or folder through to the disk, so that no name outlives its content after a power cut."""
    with suppress(PermissionError):  # a folder that may be written but not read
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system flushes folders
                raise
        finally:
            os.close(handle)


def _set_usual_rights(path: Path) -> None:
    """Give a file or folder the permissions that the user's umask gives new ones; temporaries belong to the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


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


def write_json(path: Path, value) -> None:
    """Write ``value`` as indented, key-sorted JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


def read_json(path: Path):
    """Read a JSON file.

    Raises:
        FileNotFoundError, ValueError: the file is absent or not JSON; the error names it.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{path} is not valid JSON ({what}); restore or regenerate it") from None


def sealed(record: dict) -> dict:
    """Return a record together with its own checksum."""
    return {**record, "record_sha256": checksum_of(record)}


def is_sealed(record: dict) -> bool:
    """Tell whether a record holds the checksum of the rest of it."""
    try:
        return record.get("record_sha256") == checksum_of({k: v for k, v in record.items() if k != "record_sha256"})
    except (ValueError, RecursionError):  # NaN, lone surrogates
        return False


def write_checked_json(path: Path, value) -> None:
    """Write ``value`` as JSON together with its checksum."""
    write_json(path, {"sha256": checksum_of(value), "value": value})


def read_checked_json(path: Path):
    """Read what :func:`write_checked_json` wrote.

    Raises:
        FileNotFoundError, ValueError: the file is absent or damaged; the error names it.
    """
    found = read_json(path)
    try:
        if isinstance(found, dict) and found.get("sha256") == checksum_of(found.get("value")):
            return found["value"]
    except (ValueError, RecursionError):  # NaN, lone surrogates
        pass
    raise ValueError(f"{path} does not match its checksum; delete it, and the next run makes it again")
