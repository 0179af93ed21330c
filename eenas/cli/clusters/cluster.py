"""`eenas cluster`: write a job file that starts the workers of a search on Slurm, Kubernetes or Ray."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from eenas.cli import options
from eenas.cli.terminal.console import say
from eenas.errors import SpecError
from eenas.names import check_name, file_part
from eenas.workers.job_files.cluster_job import ClusterJob, written
from eenas.workers.job_files.kubernetes import KubernetesOptions, kubernetes_manifest
from eenas.workers.job_files.ray_job import RayOptions, ray_script
from eenas.workers.job_files.slurm import SlurmOptions, slurm_script

PASSED = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The settings of commands that pass the flags of `eenas search` on."""
WRONG_FLAGS: type[Exception] = typer.BadParameter.__mro__[1]
"""The base of all errors of typer about flags."""

Workers = Annotated[int, typer.Option(metavar="N", help="The number of workers.")]
Gpus = Annotated[int, typer.Option(metavar="N", help="GPUs of each worker (0 for none).")]
Cpus = Annotated[int, typer.Option(metavar="N", help="Cores of each worker.")]
Memory = Annotated[str, typer.Option(metavar="SIZE", help="Memory of each worker, such as 16G.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="The file to write (default: named by the study).")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def slurm(
    context: typer.Context,
    workers: Workers = 4,
    gpus: Gpus = 1,
    cpus: Cpus = 4,
    memory: Memory = "16G",
    time: Annotated[str, typer.Option(metavar="HH:MM:SS", help="Time limit of a task.")] = "04:00:00",
    before: Annotated[
        int, typer.Option(metavar="S", help="Seconds before the limit at which a task gives its trial back.")
    ] = 180,
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Partition of Slurm.")] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Account of Slurm.")] = None,
    constraint: Annotated[str | None, typer.Option(metavar="FEATURE", help="Features of the nodes.")] = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Write an array job for Slurm: one task for each worker, queued again before its time is over.

    All other flags are those of eenas search.

    Example: eenas cluster slurm --workers 8 --backbone resnet50 --trials 200 --storage postgresql://host/db
    --artifacts /shared/study
    """
    job = _job(_checked(context.args), workers=workers, gpus=gpus, cpus=cpus, memory=memory)
    chosen = SlurmOptions(time=time, before=before, partition=partition, account=account, constraint=constraint)
    path = _write(slurm_script(job, chosen, Path.cwd()), out or Path(f"{file_part(job.label)}.slurm"), force, 0o755)
    if job.has_secret:
        say("export EENAS_STORAGE with the storage's URL before sbatch: its password stays out of the file")
    say(f"next: sbatch {path}")


def kubernetes(
    context: typer.Context,
    image: Annotated[str, typer.Option(metavar="IMAGE", help="Container image with eenas and its extra postgresql.")],
    workers: Workers = 4,
    gpus: Gpus = 1,
    cpus: Cpus = 4,
    memory: Memory = "16G",
    namespace: Annotated[str | None, typer.Option(metavar="NAME", help="Namespace of the job.")] = None,
    disk: Annotated[str, typer.Option(metavar="SIZE", help="Size of the volume of artifacts.")] = "20Gi",
    storage_class: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Class of that volume, which several nodes write to."),
    ] = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Write a manifest for Kubernetes: a Job of workers, with a PostgreSQL service and a volume of artifacts.

    All other flags are those of eenas search; --storage and --artifacts are those of the manifest.

    Example: eenas cluster kubernetes --image registry.org/eenas:1.0 --workers 8 --backbone resnet50 --trials 200
    """
    job = _job(context.args, workers=workers, gpus=gpus, cpus=cpus, memory=memory)
    chosen = KubernetesOptions(image=image, namespace=namespace, disk=disk, storage_class=storage_class)
    for name in ("storage", "artifacts"):
        if any(flag.partition("=")[0] == f"--{name}" for flag in job.flags):
            raise SpecError(f"--{name} is set by the manifest, which has a database and a volume; leave it out")
    path = _write(kubernetes_manifest(job, chosen), out or Path(f"{file_part(job.label)}.yaml"), force, 0o600)
    say(f"next: kubectl apply -f {path}")


def ray(
    context: typer.Context,
    workers: Workers = 4,
    gpus: Gpus = 1,
    cpus: Cpus = 4,
    address: Annotated[
        str, typer.Option(metavar="URL", help="Job server of the Ray cluster.")
    ] = "http://127.0.0.1:8265",
    runtime_env: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with Ray's runtime environment (default: this folder).")
    ] = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Write a script that submits the search to a Ray cluster as a job.

    All other flags are those of eenas search.

    Example: eenas cluster ray --address http://head:8265 --workers 8 --backbone resnet50 --trials 200
    --storage postgresql://host/db --artifacts /shared/study
    """
    job = _job(_checked(context.args), workers=workers, gpus=gpus, cpus=cpus)
    chosen = RayOptions(address=address, runtime_env=runtime_env)
    path = _write(ray_script(job, chosen, Path.cwd()), out or Path(f"{file_part(job.label)}.sh"), force, 0o755)
    if job.has_secret:
        say("export EENAS_STORAGE with the storage's URL first; Ray's dashboard shows the command of a job")
    say(f"next: bash {path}")


def parsed(flags: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `eenas search` for these flags. Raises SpecError for flags that it does not take."""
    from eenas.cli.search import search

    application = typer.Typer(add_completion=False)
    application.command()(search)
    command = typer.main.get_command(application)
    try:
        return dict(command.make_context("eenas search", list(flags)).params)
    except typer.Exit:
        raise SpecError("--help is no flag of a job; `eenas search --help` lists the flags of a search") from None
    except WRONG_FLAGS as error:
        text = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
        raise SpecError(f"a flag of the search: {text}; `eenas search --help` lists them") from None


def _checked(flags: Sequence[str]) -> Sequence[str]:
    """Return the flags. Raises SpecError for settings that no search takes, in the files of this folder, too."""
    from eenas.study.settings.shortcuts import Shortcuts
    from eenas.study.settings.study_spec import load_settings

    given = parsed(flags)
    if given["study"] or given["backbone"]:  # else `_job` says what is missing
        names = ("study", "backbone", "task", *Shortcuts.__annotations__)
        load_settings(**{name: given[name] for name in names}, overrides=given["overrides"] or ())
    return flags


def _job(flags: Sequence[str], **resources: Any) -> ClusterJob:
    given = parsed(flags)
    name = given["name"] or given["study"] or given["backbone"]
    if name is None:
        raise SpecError("a job needs the flags of its search, such as --backbone resnet50, got none; add them")
    check_name(name, "a study")
    storage = given["storage"] or options.STORAGE
    if given["name"] is None:
        name = Path(name).stem
    return ClusterJob(name=name, flags=tuple(flags), storage=storage, **resources)


def _write(text: str, path: Path, force: bool, mode: int) -> Path:
    found = written(path, text, force=force, mode=mode)
    say(f"{found}: written")
    return found
