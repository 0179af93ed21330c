"""`eenas train`: train one design of a study with the full budget, and report once on the test split."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.choosing import choice_of
from eenas.cli.terminal.console import is_first_process, out, suggest, write_json
from eenas.cli.terminal.failures import quiet_storage
from eenas.cli.terminal.progress import listening


def train(
    best: options.Best = False,
    knee: options.Knee = False,
    network: options.Network = None,
    trial: options.Trial = None,
    design: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A design in JSON, trained with the study's settings.")
    ] = None,
    max_accuracy_drop: options.MaxAccuracyDrop = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Guarantee the drop (default 0.01) against the network's final exit with probability X (0.95).",
        ),
    ] = None,
    max_macs: options.MaxMacs = None,
    max_latency_ms: options.MaxLatency = None,
    max_worst_macs: options.MaxWorstMacs = None,
    max_worst_latency_ms: options.MaxWorstLatency = None,
    limit: options.Limit = None,
    min_accuracy: options.MinAccuracy = None,
    max_parameters: options.MaxParameters = None,
    max_branches: options.MaxBranches = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also train the baselines: static networks and branches placed by hand.")
    ] = False,
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Folder of the run (default: runs/STUDY-NETWORK).")
    ] = None,
    device: options.Device = "auto",
    accept_changed_data: options.AcceptChangedData = False,
    overrides: options.Overrides = None,
    json: options.Json = False,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Train a network of a study with the full budget.

    The default is the recommended network: the cheapest one that loses at most one point against the backbone and
    saves something. If there is none, the command says so and reports the plain backbone. Limits apply in
    addition to those of the study, and the result is checked against them on the test split, which is used
    once. Rerun the same command to resume from the last checkpoint. --set overrides full_training.*,
    baselines.* and experts.*. Under torchrun, all processes of all nodes train together, and
    full_training.batch_size is that of all of them: docs/how-to/cluster.md.

    \b
    Examples:
      eenas train
      eenas train --max-worst-latency-ms 5 --set full_training.epochs=60
    """
    from eenas.cli.tables.run_tables import print_report
    from eenas.reporting.facts.run_facts import report_json
    from eenas.runs.full_training import train as run

    quiet_storage()
    choice = choice_of(
        best=best,
        knee=knee,
        network=network,
        trial=trial,
        design=design,
        max_accuracy_drop=max_accuracy_drop,
        confidence=confidence,
        max_macs=max_macs,
        max_latency_ms=max_latency_ms,
        max_worst_macs=max_worst_macs,
        max_worst_latency_ms=max_worst_latency_ms,
        min_accuracy=min_accuracy,
        max_parameters=max_parameters,
        max_branches=max_branches,
        others=options.limits(limit),
    )
    with listening() as listener:
        report = run(
            storage,
            name=name,
            choice=choice,
            compare=compare,
            out=folder,
            device=device,
            accept_changed_data=accept_changed_data,
            overrides=tuple(overrides or ()),
            artifacts=artifacts,
            trust_code=trust_code,
            listener=listener,
        )
    if not is_first_process():
        return
    if json:
        write_json(report_json(report))
        return
    print_report(report, out())
    suggest("export", str(report.folder), "model", **options.study_flags(storage, None, trust_code=trust_code))
