# The stored measurements: one rule a study in studies/, made from the constants at its top. `make measured` runs those that are older
# than their inputs. They take many minutes, so the book reads their tables and never asks for them.
#
#   INPUTS    globs and folders that the study reads; one that starts with $MEASURED_ROOT lies in the folder of that variable, and the
#             study is skipped where it is not there
#   OUT       the table it writes, or a list of them; the study replaces them itself, so that a failure leaves the old ones
#   COMMANDS  argument lists of a study with several modes, run one after another; without it the study runs once, without arguments
import os
import runpy
import sys
from pathlib import Path

import declarations as declared

PYTHON = sys.executable
ROOT = os.environ.get("MEASURED_ROOT", "")


def matches(pattern):
    """Files that a glob or a folder in INPUTS stands for, sorted."""
    path = Path(pattern.removeprefix("$").replace("MEASURED_ROOT", ROOT or "MEASURED_ROOT", 1))
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    return sorted({str(f) for m in found for f in (m.rglob("*") if m.is_dir() else [m]) if f.is_file()})


sys.path.insert(0, "studies")
STUDIES, INPUTS = {}, {}
for path in sorted(Path("studies").glob("*.py")):
    constants = runpy.run_path(str(path))  # not as __main__, so it only defines
    if "OUT" in constants:
        name, out = path.stem, constants["OUT"]
        tables = ", ".join([out] if isinstance(out, str) else out)
        inputs = {pattern: matches(pattern) for pattern in constants["INPUTS"]}
        absent = [pattern for pattern, files in inputs.items() if not files]
        if not absent:
            STUDIES[name], INPUTS[name] = constants, [f for files in inputs.values() for f in files]
        elif workflow.is_main_process:
            print(f"[skipped]  {name} ({tables}): {absent[0]} is not there; set MEASURED_ROOT to its folder", file=sys.stderr)


onsuccess:
    print("[measured]  once the tables in data/ are as they should be, accept them: python studies/checksums.py", file=sys.stderr)


rule measured:
    input:
        [f"runs/measured/{study}" for study in STUDIES],


for study in STUDIES:

    rule:
        name:
            f"study_{study}"
        input:
            INPUTS[study],
            f"studies/{study}.py",
            declared.code_of(*declared.imported(Path(f"studies/{study}.py").read_text("utf-8"))),
        output:
            touch(f"runs/measured/{study}"),
        params:
            script=f"studies/{study}.py",
            commands=STUDIES[study].get("COMMANDS", [[]]),
        log:
            f"runs/logs/measured/{study}.log",
        benchmark:
            f"runs/benchmarks/measured/{study}.tsv"
        run:
            for arguments in params.commands:
                shell("echo '[measured]' {params.script:q} {arguments:q} && {PYTHON:q} {params.script:q} {arguments:q} >> {log:q} 2>&1")
