"""The job file for Slurm: an array with one task for each worker, which is queued again before its time is over."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.workers.job_files.cluster_job import STORAGE, ClusterJob

_TIME = re.compile(
    r"((?P<days>\d{1,3})-)?(?P<first>\d{1,3})(:(?P<second>[0-5]\d))(:(?P<third>[0-5]\d))?|\d{1,7}",
    re.ASCII,
)
_WORD = re.compile(r"[\w.,:@&|*()\[\]+-]{1,200}", re.ASCII)
USUAL_TASKS = 1001
"""The most tasks of an array where a cluster does not set `MaxArraySize`."""
GRANULARITY = 60
"""The seconds by which Slurm may send a signal too early."""


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """The options of a job in Slurm.

    `time` is the limit of a task in Slurm's form. `before` seconds earlier it gives its trial back and is queued again.
    Raises SpecError for values that Slurm would misread.
    """

    time: str = "04:00:00"
    before: int = 180
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None

    def __post_init__(self) -> None:
        """Check the forms."""
        if not (found := _TIME.fullmatch(self.time)):
            raise SpecError(f"--time must be MINUTES, HH:MM:SS or DAYS-HH:MM, got {shortened(self.time)}")
        if not 10 <= self.before <= 3600:
            raise SpecError(f"--before must be from 10 to 3600 seconds, got {self.before}")
        if 0 < _seconds(found) <= self.before + GRANULARITY:  # 0 is no limit
            raise SpecError(
                f"--time {self.time} must be more than {GRANULARITY} s longer than --before ({self.before} s), else a "
                "task is queued again as soon as it starts; give a longer --time"
            )
        for name in ("partition", "account", "constraint"):
            value = getattr(self, name)
            if value is not None and not _WORD.fullmatch(value):
                raise SpecError(f"--{name} must be a name of Slurm without blanks, got {shortened(value)}")


def _seconds(time: re.Match[str]) -> int:
    """Return the seconds of a limit: MINUTES, MINUTES:SECONDS, HH:MM:SS, DAYS-HH:MM or DAYS-HH:MM:SS."""
    if time["first"] is None:
        return 60 * int(time[0])
    first, second, third = int(time["first"]), int(time["second"]), int(time["third"] or 0)
    if time["days"] is None and time["third"] is None:
        return 60 * first + second
    return 86_400 * int(time["days"] or 0) + 3600 * first + 60 * second + third


def slurm_script(job: ClusterJob, options: SlurmOptions, folder: Path) -> str:
    """Return the script for `sbatch`. Each task runs in `folder`.

    Raises StorageError for a storage that nodes cannot share.
    """
    job.check_shared()
    directives = [
        f"job-name={job.label}",
        f"array=0-{job.workers - 1}",
        "ntasks=1",
        f"cpus-per-task={job.cpus}",
        *([f"gres=gpu:{job.gpus}"] if job.gpus else []),
        f"mem={job.memory}",
        f"time={options.time}",
        f"signal=B:USR1@{options.before}",
        "requeue",
        "open-mode=append",
        f"output={job.label}-%A_%a.log",
        *(
            f"{name}={value}"
            for name in ("partition", "account", "constraint")
            if (value := getattr(options, name)) is not None
        ),
    ]
    head = "\n".join(f"#SBATCH --{line}" for line in directives)
    storage = (
        f': "${{{STORAGE}:?export {STORAGE} with the URL of the storage before sbatch}}"\n' if job.has_secret else ""
    )
    return f"""#!/bin/bash
{head}

# One task of this array is one worker of the study; all of them run the same command. {options.before} s before the
# time limit, Slurm sends USR1: the worker gives its trial back, and the task is queued again.
# A task that is preempted or cancelled gets TERM and gives its trial back, too.

set -u
{storage}cd {shlex.quote(str(folder))} || exit 1
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-{job.cpus}}}"

give_back() {{
    trap '' USR1 TERM
    for worker in $(jobs -p); do
        kill -TERM "$worker" 2>/dev/null
        wait "$worker"
    done
}}

queue_again() {{
    give_back
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
    exit 0
}}

trap queue_again USR1
trap 'give_back; exit 143' TERM

{job.command("--workers", "1")} &
wait "$!"
"""
