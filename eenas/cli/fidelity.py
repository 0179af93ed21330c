"""`eenas study fidelity`: train networks of a study for longer, and say what their brief scores were worth."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import out, write_json
from eenas.cli.failures import one_of, quiet_optuna
from eenas.cli.progress import listening


def fidelity(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    designs: Annotated[int, typer.Option(metavar="N", help="How many networks to train for longer.")] = 20,
    epochs: Annotated[
        float | None, typer.Option(metavar="E", help="Passes over the training split for each (default: 10).")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Training samples for each, in place of --epochs.")
    ] = None,
    device: options.Device = "auto",
    accept_changed_data: options.AcceptChangedData = False,
    overrides: options.Overrides = None,
    json: options.Json = False,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Say what brief scores are worth.

    Networks of the study, from its worst to its best, are trained as their trials did but for longer.
    Kendall's tau-b tells how far the brief score, and the one on the frozen backbone, order them as the full
    score does: 1 the same order, 0 chance. They are compared at equal budgets of MACs and by hypervolume.

    The same command goes on where it was cut off. --set reaches training.* of the longer training.

    Example: eenas study fidelity --designs 20 --epochs 10
    """
    one_of(epochs=epochs, samples=samples)
    from eenas.cli.tables.tables import table
    from eenas.reporting.facts.fidelity_facts import fidelity_json, fidelity_rows, fidelity_summary
    from eenas.runs.fidelity import measure_fidelity

    quiet_optuna()
    with listening() as listener:
        found = measure_fidelity(
            storage,
            name=name,
            designs=designs,
            epochs=epochs,
            samples=samples,
            device=device,
            accept_changed_data=accept_changed_data,
            overrides=tuple(overrides or ()),
            artifacts=artifacts,
            trust_code=trust_code,
            listener=listener,
        )
    if json:
        write_json(fidelity_json(found))
        return
    console = out()
    for line in fidelity_summary(found):
        console.print(line)
    console.print()
    title = "Scores by budget of MACs: Kendall's tau-b of two of them, and full minus brief in points"
    heads = ("", "networks", "left out", "brief, full", "frozen, full", "brief, frozen", "mean error", "absolute")
    made = table(title, *heads, right=range(1, len(heads)))
    for row in fidelity_rows(found):
        made.add_row(*vars(row).values())
    console.print(made)
