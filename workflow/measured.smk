# The stored measurements: one rule a study in studies/, made from the constants at its top. `make measured` runs those that are not
# newer than their inputs. They take many minutes, so the book reads their tables and never asks for them.
#
#   INPUTS    globs and folders that the study reads; those that start with MEASURED_ROOT lie in the folder of that variable
#   OUT       the table it writes, or a list of them; the study itself replaces them atomically, so a failure leaves the old ones
#   COMMANDS  argument lists of a study with several modes, run one after another; without it the study runs once without arguments
#   NEEDS     "MEASURED_ROOT" for one that reads vectors or images which the project does not ship; skipped where that is not set
import os
import runpy
import sys
from pathlib import Path

import pages as declared

PYTHON, ROOT = sys.executable, os.environ.get("MEASURED_ROOT", "")
STUDIES, SKIPPED = {}, []
sys.path.insert(0, "studies")
for path in sorted(Path("studies").glob("*.py")):
    constants = runpy.run_path(str(path))  # its name is not __main__, so it only defines
    if "OUT" in constants:
        needs = "NEEDS" in constants or any(str(i).startswith("MEASURED_ROOT") for i in constants["INPUTS"])
        SKIPPED += [path.stem] if needs and not ROOT else []
        STUDIES[path.stem] = constants


def inputs(study):
    """Files of the study's inputs; a folder stands for all files in it.

    Raises:
        WorkflowError: an input is not there.
    """
    found = []
    for pattern in STUDIES[study]["INPUTS"]:
        pattern = str(pattern).replace("MEASURED_ROOT", ROOT, 1) if str(pattern).startswith("MEASURED_ROOT") else str(pattern)
        anchor = Path(Path(pattern).anchor)
        matches = sorted(anchor.glob(str(Path(pattern).relative_to(anchor))))
        if not matches:
            raise WorkflowError(f"study {study}: its input {pattern} is not there")
        found += [str(f) for m in matches for f in (sorted(m.rglob("*")) if m.is_dir() else [m]) if f.is_file()]
    return found


def tables(study):
    out = STUDIES[study]["OUT"]
    return [str(out)] if isinstance(out, str | Path) else list(map(str, out))


if workflow.is_main_process:
    for study in SKIPPED:
        print(f"[skipped]  {study} ({', '.join(tables(study))}): it reads what is not shipped; set MEASURED_ROOT", file=sys.stderr)


rule measured:
    input:
        [f"runs/measured/{study}" for study in STUDIES if study not in SKIPPED],


for study in [study for study in STUDIES if study not in SKIPPED]:

    rule:
        name:
            f"study_{study}"
        input:
            inputs(study),
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
                shell("echo '[measured]' {wildcards} {params.script:q} {arguments:q} && {PYTHON:q} {params.script:q} {arguments:q} >> {log:q} 2>&1")
