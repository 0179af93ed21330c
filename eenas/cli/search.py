"""`eenas search`: search for early-exit designs of a backbone, or resume a search."""

from collections.abc import Sequence
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import BEGAN, say, suggest, write_json
from eenas.cli.terminal.failures import quiet_storage, status_of
from eenas.cli.terminal.progress import listening
from eenas.progress import Event, Stopped


def search(
    backbone: options.Backbone = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="digits (default), waves, phrases, rings, folder:PATH, webdataset:PATH, npz:PATH, ts:PATH, "
            "text:PATH, graphs:PATH or package.module:function.",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="none|pretrained|PATH", help="Initial weights (default: none).")
    ] = None,
    study: options.Study = None,
    space: Annotated[
        str | None, typer.Option(metavar="FILE", help="A search space file, or the name of a shipped space.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Total number of trials, also on resume (default: 16).")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", help="Stop after S seconds in total; the running trial finishes."),
    ] = None,
    storage: options.Storage = options.STORAGE,
    name: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Name of the study (default: backbone, task and a digest).")
    ] = None,
    device: options.Device = "auto",
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of splits, weights and sampler (default: 0).")
    ] = None,
    no_bank: Annotated[
        bool,
        typer.Option(
            "--no-bank", help="Train the branches of every trial from scratch, without the bank and its frozen front."
        ),
    ] = False,
    feature_cache: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Cache features of the frozen backbone on disk, up to SIZE, such as 2GB."),
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Repeat stored measurements of MACs and latency.")
    ] = False,
    latency_profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use the latencies in a file of eenas profile; time nothing.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes on this machine (default: one per GPU, else one).")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS|auto", help="Run the workers as tasks of this Ray cluster.")
    ] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(metavar="X", help="GPUs of each Ray worker (default: 1 if the cluster has GPUs).")
    ] = None,
    cpus_per_trial: Annotated[
        float | None, typer.Option(metavar="X", help="Cores of each Ray worker (default: 1).")
    ] = None,
    skip_bad: options.SkipBad = False,
    accept_changed_data: options.AcceptChangedData = False,
    overrides: options.Overrides = None,
    json: options.Json = False,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Search for early-exit designs of a backbone.

    Rerun the same command to resume a search. Ctrl-C ends it and prints the results so far, with exit status 130.

    \b
    Examples:
      eenas search --backbone resnet50 --trials 32
      eenas search --backbone mobilenetv2_100 --task folder:photos/ --weights pretrained
    """
    from eenas.cli.tables.results import print_results
    from eenas.reporting.dashboard.study_page import publish
    from eenas.reporting.facts.front_table import to_json
    from eenas.results.nothing_chosen import no_front
    from eenas.workers.parallel_search import parallel_search

    quiet_storage()
    stopped: list[Stopped] = []
    with listening() as shown:

        def listener(event: Event) -> None:
            if isinstance(event, Stopped):
                stopped.append(event)
            shown(event)

        results = parallel_search(
            backbone,
            task=task,
            weights=weights,
            study=study,
            space=space,
            trials=trials,
            timeout=timeout,
            storage=storage,
            name=name,
            device=device,
            seed=seed,
            overrides=assignments(overrides or (), no_bank=no_bank, skip_bad=skip_bad, feature_cache=feature_cache),
            remeasure=remeasure,
            latency_profile=latency_profile,
            workers=workers,
            ray=ray,
            gpus_per_trial=gpus_per_trial,
            cpus_per_trial=cpus_per_trial,
            accept_changed_data=accept_changed_data,
            artifacts=artifacts,
            trust_code=trust_code,
            listener=listener,
            reporters=[partial(publish, written={}, listener=listener)],
            started=BEGAN,
        )
    if json:
        write_json(to_json(results))
    else:
        print_results(results)
        if not results.front:
            say(no_front(results))
        else:
            flags = options.study_flags(storage, results.name, artifacts, trust_code=trust_code)
            if results.recommended:
                suggest("train", best=True, **flags)
            suggest("dashboard", **options.study_flags(storage, None, artifacts))
    if stopped:
        raise typer.Exit(status_of(stopped[0].interrupt))


def assignments(
    overrides: Sequence[str], *, no_bank: bool, skip_bad: bool, feature_cache: str | None
) -> tuple[str, ...]:
    """Return the assignments to keys of the study file that the flags of a search make, those of `--set` first."""
    found = ["bank.use=false"] if no_bank else []
    found += ["task.skip_bad=true"] if skip_bad else []
    if feature_cache is not None:
        found.append(f"bank.feature_cache={dumps(feature_cache)}")
    return (*overrides, *found)
