"""`eenas tiers`: print the best split of a network between a device and a server, and how it moves."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, write_json
from eenas.cli.terminal.failures import one_of, quiet_storage


def tiers(
    source: Annotated[
        str, typer.Argument(metavar="STUDY|RUN|MODEL", help="A study's name, or the folder of a run or a model.")
    ],
    link: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|MBIT[,KEY=VALUE...]",
            help="The link: 3g, 4g, wifi, sao_paulo, fremont, paris or Mbit/s; keys: codec, loss, ...",
        ),
    ] = None,
    edge: Annotated[
        str | None,
        typer.Option(metavar="FACTOR|FILE", help="Times of the device: a factor, a profile (.json) or a table (.csv)."),
    ] = None,
    cloud: Annotated[
        str | None, typer.Option(metavar="FACTOR|FILE", help="Times of the server (1: those of this machine).")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--tiers", metavar="FILE", help="A TOML file with [tiers] tables, instead of --link and so on."),
    ] = None,
    cost: Annotated[
        str, typer.Option(metavar="NAME", help="Cost to minimise: tier_latency, bytes_sent, tier_energy or price.")
    ] = "tier_latency",
    input_bytes: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Bytes of a raw sample (default: uncompressed).")
    ] = None,
    network: options.Network = None,
    trial: options.Trial = None,
    storage: options.Storage = options.STORAGE,
    artifacts: options.Artifacts = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw time over bandwidth to a .html or .png file.")
    ] = None,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Print the best split between a device and a server.

    The device runs the segments and branches up to the split. What has not left by then crosses the link, and the
    server runs the rest. Prints the expected time by part, bytes, and energy and price where given; then how the
    best split moves with the bandwidth and with the share that leaves at each exit. Without flags, the tiers are
    those of the study, or a 4g link and a device that takes ten times as long as this machine; a flag replaces its
    part of them.

    \b
    Examples:
      eenas tiers runs/digits-trial8 --link 4g,codec=float16 --edge 10
      eenas tiers model/ --link wifi --edge board.json
    """
    from json import dumps

    from eenas.cli.tables.tier_tables import bandwidth_table, rates_table, splits_table
    from eenas.handle.wanted_tiers import WantedTiers, best_splits
    from eenas.reporting.facts.tiers.tier_rows import tier_summary, tier_table
    from eenas.reporting.figures.figure_file import check_figure_file, write_figure
    from eenas.reporting.figures.tiers.bandwidth_figure import draw_bandwidth

    quiet_storage()
    one_of(network=network, trial=trial)
    if figure is not None:
        check_figure_file(figure)
    one_of(tiers=table, link=link)
    one_of(tiers=table, edge=edge)
    one_of(tiers=table, cloud=cloud)
    found = best_splits(
        source,
        WantedTiers(link=link, edge=edge, cloud=cloud, file=table),
        cost=cost,
        storage=storage,
        artifacts=artifacts,
        network=f"trial {trial}" if trial is not None else network,
        input_bytes=input_bytes,
        trust_code=trust_code,
    )
    if figure is not None:
        write_figure(draw_bandwidth(found), figure)
    if json:
        write_json(dumps(tier_table(found), indent=2))
    else:
        for line in tier_summary(found):
            out().print(line, markup=False)
        for each in (splits_table(found), bandwidth_table(found), rates_table(found)):
            if each.row_count:
                out().print(each)
    if figure is not None:
        say(f"written: {figure}")
