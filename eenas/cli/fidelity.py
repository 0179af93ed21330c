"""`eenas study fidelity`: train networks of a study for longer, and compare with their brief scores."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, write_json
from eenas.cli.terminal.failures import one_of, quiet_storage
from eenas.cli.terminal.progress import listening


def fidelity(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    designs: Annotated[int, typer.Option(metavar="N", help="Number of networks to train for longer.")] = 20,
    epochs: Annotated[float | None, typer.Option(metavar="E", help="Epochs for each network (default: 10).")] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Training samples for each network, instead of --epochs.")
    ] = None,
    device: options.Device = "auto",
    accept_changed_data: options.AcceptChangedData = False,
    overrides: options.Overrides = None,
    json: options.Json = False,
    artifacts: options.Artifacts = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Measure how reliable brief scores are.

    Trains networks of the study, from the worst to the best, as in their trials but for longer. Kendall's tau-b
    measures how well the brief scores, and those on the frozen backbone, agree with the full scores: 1 is the
    same order, 0 is chance. Scores are compared at equal budgets of MACs and by hypervolume.

    An interrupted command resumes when rerun. --set overrides training.* for the longer training.

    \b
    Examples:
      eenas study fidelity
      eenas study fidelity --designs 20 --epochs 10
    """
    one_of(epochs=epochs, samples=samples)
    from eenas.cli.tables.tables import table
    from eenas.reporting.facts.fidelity_facts import fidelity_json, fidelity_rows, fidelity_summary
    from eenas.runs.fidelity import measure_fidelity

    quiet_storage()
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
    title = "Scores by budget of MACs: Kendall's tau-b between two, and full minus brief in points"
    heads = ("", "networks", "left out", "brief, full", "frozen, full", "brief, frozen", "mean error", "absolute")
    made = table(title, *heads, right=range(1, len(heads)))
    for row in fidelity_rows(found):
        made.add_row(*vars(row).values())
    console.print(made)
