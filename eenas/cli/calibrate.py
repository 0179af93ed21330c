"""`eenas calibrate`: refit the temperatures and thresholds of an exported model on new data."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say
from eenas.cli.terminal.failures import one_of


def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that eenas export wrote.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="TASK",
            help="New labelled samples: folder:PATH, webdataset:PATH, npz:PATH, ts:PATH, text:PATH, "
            "graphs:PATH or a function.",
        ),
    ],
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(metavar="X", help="Fit the cheapest policy that loses at most X (0.005 is half a point)."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(metavar="X", help="Guarantee --max-accuracy-drop with probability X on new data (0.95)."),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            metavar="gap|consistency",
            help="The guaranteed loss: wrong where the final exit is right, or another answer than its.",
        ),
    ] = "gap",
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="Fit the most accurate policy within a share X of the backbone's MACs."),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(metavar="X", help="Fit the most accurate policy within X ms per sample, measured here."),
    ] = None,
    limit: options.Limit = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="The model was not trained on TASK: fit on all splits except test.")
    ] = False,
    skip_bad: options.SkipBad = False,
    threads: options.Threads = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Refit an exported model on new data, without training.

    Temperatures and thresholds are fitted on the calibration split of TASK and evaluated on its test split. The
    manifest is rewritten; weights and programs do not change.

    With --confidence, a part of the calibration split tests the thresholds, and only those that pass are used.

    \b
    Examples:
      eenas calibrate model --data folder:new/ --max-accuracy-drop 0.01 --confidence 0.95
      eenas calibrate model --data folder:new/ --max-latency-ms 5
    """
    one_of(max_accuracy_drop=max_accuracy_drop, max_macs=max_macs, max_latency_ms=max_latency_ms, limit=limit or None)
    from eenas.cli.tables.exported_tables import calibration_table
    from eenas.deployment.calibration import calibrate as refit
    from eenas.tasks.sample_check import left_out_notice

    found = refit(
        folder,
        data,
        max_accuracy_drop=max_accuracy_drop,
        max_macs=max_macs,
        max_latency_ms=max_latency_ms,
        confidence=confidence,
        loss=loss,
        limits=options.limits(limit),
        unseen=unseen,
        skip_bad=skip_bad,
        threads=threads,
        trust_code=trust_code,
    )
    if found.left_out:
        say(left_out_notice(found.left_out))
    out().print(calibration_table(found))
    for sentence in found.declined:
        out().print(sentence, soft_wrap=False)
    if found.after.guarantee is not None:
        out().print(found.after.guarantee.sentence(), soft_wrap=False)
    if found.unused:
        say(
            f"fitted on the {found.fitted_on:,} samples of the calibration split; {found.unused:,} of the train "
            "and validation splits were not used; add --unseen if the model was trained on none of them"
        )
    for warning in (*(() if found.warning is None else (found.warning,)), *found.cautions):
        say(f"warning: {warning}")
    say(f"written: {folder}")
