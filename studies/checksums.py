"""Accept the shipped tables as they are: write the SHA256SUMS of their folders anew, as ``sha256sum`` would.

python studies/checksums.py
"""

from pathlib import Path

from helpers.files import CHECKSUMS, project_root, replacing, sha256

FOLDERS = ("audit", "diversity", "measured", "published", "text_lengths")


def accept(folder: Path) -> Path:
    """Write the checksums of the tables and statements in a folder, and return the file that lists them."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".csv", ".yml"))
    with replacing(folder / CHECKSUMS) as temporary:
        temporary.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")
    return folder / CHECKSUMS


if __name__ == "__main__":
    for name in FOLDERS:
        print(accept(project_root() / "data" / name))
