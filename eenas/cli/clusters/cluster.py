"""`eenas cluster`: write a job file that starts the workers of a search on Slurm, Kubernetes or Ray."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from eenas import shipped
from eenas.cli import options
from eenas.cli.search import assignments
from eenas.cli.terminal.console import say
from eenas.errors import DeviceError, SpecError
from eenas.names import check_name, file_part
from eenas.workers.job_files.cluster_job import ClusterJob, written
from eenas.workers.job_files.kubernetes import KubernetesOptions, kubernetes_manifest
from eenas.workers.job_files.ray_job import RayOptions, ray_script
from eenas.workers.job_files.slurm import USUAL_TASKS, SlurmOptions, slurm_script

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
    workers: Annotated[
        int, typer.Option(metavar="N", help="The number of workers, within the cluster's MaxArraySize (often 1001).")
    ] = 4,
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

    \b
    Examples:
      eenas cluster slurm --backbone resnet50 --storage postgresql://host/db --artifacts /shared
      eenas cluster slurm --workers 1 --time 12:00:00 --backbone resnet50 --trials 200
    """
    job = _job(context.args, workers=workers, gpus=gpus, cpus=cpus, memory=memory)
    chosen = SlurmOptions(time=time, before=before, partition=partition, account=account, constraint=constraint)
    path = _write(slurm_script(job, chosen, Path.cwd()), out or Path(f"{file_part(job.label)}.slurm"), force, 0o755)
    if job.has_secret:
        say("export EENAS_STORAGE with the storage's URL before sbatch: its password stays out of the file")
    if workers > USUAL_TASKS:
        say(
            f"an array has at most MaxArraySize tasks, {USUAL_TASKS} unless the cluster sets it; "
            "`scontrol show config` shows it, and sbatch refuses more"
        )
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

    \b
    Examples:
      eenas cluster kubernetes --image registry.org/eenas:1.0 --backbone resnet50 --trials 200
      eenas cluster kubernetes --image registry.org/eenas:1.0 --workers 8 --gpus 0 --backbone resnet18
    """
    job = _job(context.args, in_image=True, workers=workers, gpus=gpus, cpus=cpus, memory=memory)
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

    \b
    Examples:
      eenas cluster ray --backbone resnet50 --storage postgresql://host/db --artifacts /shared
      eenas cluster ray --address http://head:8265 --workers 1 --backbone resnet50 --trials 200
    """
    job = _job(context.args, workers=workers, gpus=gpus, cpus=cpus)
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


def _job(flags: Sequence[str], *, in_image: bool = False, **resources: Any) -> ClusterJob:
    """Return the job of the flags. `in_image`: its files, storage and artifacts are those of a container.

    Raises an EenasError for what the workers would refuse, as far as it shows here.
    """
    from eenas.measurement.devices import check_device
    from eenas.measurement.latency_profile import read_latency_profile
    from eenas.records.artifacts import check_places

    given = parsed(flags)
    name = given["name"] or given["study"] or given["backbone"]
    if name is None:
        raise SpecError("a job needs the flags of its search, such as --backbone resnet50, got none; add them")
    check_name(name, "a study")
    storage = given["storage"] or options.STORAGE
    if given["name"] is None:
        name = Path(name).stem
    job = ClusterJob(name=name, flags=tuple(flags), storage=storage, **resources)
    _check_settings(given, in_image)
    check_device(given["device"])
    kind, _, index = given["device"].partition(":")
    if kind == "cuda" and int(index or 0) >= job.gpus:
        raise DeviceError(
            f"--device {given['device']} must be among the GPUs of a worker, of which it has --gpus {job.gpus}; leave "
            "--device out"
        )
    if not in_image:
        job.check_shared()
        check_places(storage, given["artifacts"])
        if given["latency_profile"] is not None:
            read_latency_profile(given["latency_profile"])
    return job


def _check_settings(given: Mapping[str, Any], in_image: bool) -> None:
    """Raise SpecError for settings that no search takes, in the files of this folder, too.

    A container may have files that are not here. Settings of such files are not checked, as a line says.
    """
    from eenas.study.settings.shortcuts import Shortcuts
    from eenas.study.settings.study_spec import load_settings

    files: tuple[tuple[shipped.Kind, str | None], ...]
    files = (("studies", given["study"]), ("search_spaces", given["space"]))
    for kind, name in files:
        if in_image and name is not None and name not in shipped.names(kind) and not os.path.isfile(name):
            say(f"{name}: not in this folder, so the settings of the search are not checked; the image must have it")
            return
    names = ("study", "backbone", "task", *Shortcuts.__annotations__)
    flags = {name: given[name] for name in ("no_bank", "skip_bad", "feature_cache")}
    load_settings(**{name: given[name] for name in names}, overrides=assignments(given["overrides"] or (), **flags))


def _write(text: str, path: Path, force: bool, mode: int) -> Path:
    found = written(path, text, force=force, mode=mode)
    say(f"{found}: written")
    return found
