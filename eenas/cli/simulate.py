"""`eenas simulate`: replay a controller on recorded samples, with regret, accuracy and cost over time."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, write_json


def simulate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="TABLE|CSV|MODEL|RUN|STUDY",
            help="An exit table (.npz), recorded confidences (.csv), a folder of a model or run, or a study's name.",
        ),
    ],
    controller: Annotated[
        str, typer.Option(metavar="NAME[,KEY=VALUE...]", help="adaee, splitee, drift_guard, fixed, or one of your own.")
    ] = "adaee",
    stream: Annotated[
        str,
        typer.Option(
            metavar="PHASES", help="Phases of equal length: clean, halved, a factor such as 0.7, or a context's name."
        ),
    ] = "clean",
    rounds: Annotated[int, typer.Option(metavar="N", help="Samples of the stream.")] = 20_000,
    seeds: Annotated[int, typer.Option(metavar="N", help="Repetitions, with the seeds 0, 1, ...")] = 5,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="Take samples as recorded instead of drawing them at random.")
    ] = False,
    contexts: Annotated[
        bool, typer.Option("--contexts", help="Tell the controller the context of each sample (or its phase).")
    ] = False,
    data: options.Data = None,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="Split of --data: train, calibration, validation or test.")
    ] = "test",
    network: options.Network = None,
    storage: options.Storage = options.STORAGE,
    artifacts: options.Artifacts = None,
    threads: options.Threads = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the course over time to a .html or .png file.")
    ] = None,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Replay a controller on recorded samples.

    Samples pass one at a time; the controller learns from the confidences that it would have seen, never from
    labels. Prints its regret against the best arm of each phase (with --contexts: of each context), accuracy, cost
    and the share leaving early, beside fixed thresholds, a random arm and the final exit only.

    \b
    Examples:
      eenas simulate model --controller adaee --data folder:photos/
      eenas simulate confidences.csv --controller adaee,overhead=0.2 --stream clean,halved,clean
    """
    from json import dumps

    from eenas.cli.tables.simulation_tables import arms_table, strategies_table
    from eenas.handle.simulation import simulate as replay
    from eenas.policies.controllers.stream import Stream
    from eenas.reporting.facts.simulation_facts import simulation_summary, simulation_table
    from eenas.reporting.figures.figure_file import check_figure_file, write_figure
    from eenas.reporting.figures.regret_figure import draw_regret, regret_facts

    if figure is not None:
        check_figure_file(figure)
    found = replay(
        source,
        controller,
        stream=Stream.read(stream, rounds=rounds, in_order=in_order, contexts=contexts),
        seeds=seeds,
        data=data,
        split=split,
        network=network,
        storage=storage,
        artifacts=artifacts,
        threads=threads,
        trust_code=trust_code,
    )
    if figure is not None:
        write_figure(draw_regret(regret_facts(found)), figure)
    if json:
        write_json(dumps(simulation_table(found), indent=2))
    else:
        for line in simulation_summary(found):
            out().print(line, markup=False)
        out().print(strategies_table(found))
        out().print(arms_table(found))
    if figure is not None:
        say(f"written: {figure}")
