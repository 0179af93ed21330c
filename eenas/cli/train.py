"""`eenas train`: train a chosen design of a study with the full budget and report once on the test split."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import is_first_process, out, suggest, write
from eenas.cli.failures import one_of, quiet_optuna
from eenas.cli.progress import listening


def train(
    best: Annotated[bool, typer.Option("--best", help="The knee of the front (the default).")] = False,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(metavar="X", help="The cheapest design that loses at most X (0.01 is one point).")
    ] = None,
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="The most accurate design within a share X of the backbone's MACs."),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="The design of trial N.")] = None,
    design: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A design in JSON, trained as the study does.")
    ] = None,
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The run's folder (default: runs/STUDY-TRIAL).")
    ] = None,
    device: options.Device = "auto",
    overrides: options.Overrides = None,
    json: options.Json = False,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Train a chosen design with the full budget.

    The same command goes on from the checkpoint of a run that was cut off; the test split is looked at once.
    --set reaches full_training.* and baselines.*. Under torchrun all processes train together.

    Example: eenas train --max-accuracy-drop 0.01 --set full_training.epochs=60
    """
    one_of(best=best, max_accuracy_drop=max_accuracy_drop, max_macs=max_macs, trial=trial, design=design)
    from eenas.cli.run_tables import print_report
    from eenas.reporting.run_facts import report_json
    from eenas.search.choice import Choice
    from eenas.search.full_training import train as run

    quiet_optuna()
    chosen = Choice(trial=trial, design_file=design, max_accuracy_drop=max_accuracy_drop, max_macs=max_macs)
    with listening() as listener:
        report = run(
            storage,
            name=name,
            choice=chosen,
            out=folder,
            device=device,
            overrides=tuple(overrides or ()),
            artifacts=artifacts,
            trust_code=trust_code,
            listener=listener,
        )
    if not is_first_process():
        return
    if json:
        write(report_json(report))
        return
    print_report(report, out())
    suggest("export", str(report.folder), "model", trust_code=trust_code)
