"""The job file for a Ray cluster: a script that submits the search as a job of Ray."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas import bounds
from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.workers.job_files.cluster_job import STORAGE, ClusterJob

_ADDRESS = re.compile(r"https?://([\w.-]{1,240}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>\d{1,5}))?/?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """The options of a job on Ray.

    `address` is that of the cluster's job server. `runtime_env` is a JSON file with Ray's runtime environment, such as
    {"pip": ["eenas[postgresql,ray]"]}; by default the nodes have eenas installed. Raises SpecError.
    """

    address: str = "http://127.0.0.1:8265"
    runtime_env: Path | None = None

    def __post_init__(self) -> None:
        """Check the address."""
        found = _ADDRESS.fullmatch(self.address)
        if found is None or not 0 < int(found["port"] or 80) < 65536:
            raise SpecError(f"--address must be a URL such as http://HOST:8265, got {shortened(self.address)}")

    def environment(self, job: ClusterJob, folder: Path) -> dict[str, Any]:
        """Return the runtime environment: the user's, with the working folder and the threads of a worker."""
        given = {} if self.runtime_env is None else bounds.read_json(self.runtime_env)
        if not isinstance(given, dict):
            raise SpecError(f"{self.runtime_env}: a runtime environment is a table of JSON, got {shortened(given)}")
        variables = given.get("env_vars", {})
        if not isinstance(variables, dict):
            raise SpecError(f"{self.runtime_env}: env_vars must be a table of texts, got {shortened(variables)}")
        for name, value in variables.items():
            if not isinstance(value, str):
                raise SpecError(
                    f"{self.runtime_env}: env_vars.{shortened(name)} must be a text, got {shortened(value)}; put it in "
                    "quotation marks"
                )
        threads = {"OMP_NUM_THREADS": str(job.cpus)}
        return {"working_dir": str(folder), **given, "env_vars": {**threads, **variables}}


def ray_script(job: ClusterJob, options: RayOptions, folder: Path) -> str:
    """Return the script, whose job holds the search with --ray auto. `folder` travels to the nodes.

    Raises StorageError for a storage that nodes cannot share.
    """
    job.check_shared()
    environment = shlex.quote(json.dumps(options.environment(job, folder)))
    numbers = ("--workers", str(job.workers), "--gpus-per-trial", str(job.gpus), "--cpus-per-trial", str(job.cpus))
    check = f': "${{{STORAGE}:?export {STORAGE} with the URL of the storage}}"\n' if job.has_secret else ""
    return f"""#!/bin/bash
# Submits the study to a Ray cluster; `ray job stop ID` gives the trials in flight back.

set -eu
{check}
ray job submit --address {shlex.quote(options.address)} --runtime-env-json {environment} -- \\
    {job.command("--ray", "auto", *numbers)}
"""
