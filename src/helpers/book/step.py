"""Run one step of the workflow: ``python -m helpers.book.step KIND NAME -- COMMAND``.

The step is quiet when it works. When it fails, its whole log is shown. ``runs/logs`` keeps the log, and ``runs/steps`` a record of
what ran, when, how long and on what, from which the summary of a run is made.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

from ..files import write_json

LOGS, RECORDS = Path("runs/logs"), Path("runs/steps")


def main(arguments: list[str]) -> int:
    """Run the command after ``--``, record it, and return its exit code (128 + signal of a killed one)."""
    (kind, name), command = arguments[: (cut := arguments.index("--"))], arguments[cut + 1 :]
    label = f"{kind}-{name}".replace("/", "-")
    print(f"{f'[{kind}]':<11}{name}", flush=True)
    log = LOGS / f"{label}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    with open(log, "wb") as stream:
        code = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT).returncode
    write_json(RECORDS / f"{label}.json", {"kind": kind, "name": name, "exit_code": code} | _measured(started))
    if code:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
        print(f"[failed]   the log is {log}", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _measured(started: float) -> dict:
    """Return when, how long and on what the finished child ran; memory in megabytes is that of its largest process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1000),
        "machine": platform.node(),
        "accelerators": os.environ.get("CUDA_VISIBLE_DEVICES") or os.environ.get("SLURM_JOB_GPUS", ""),
        "job": os.environ.get("SLURM_JOB_ID", ""),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
