"""`eenas fleet`: simulate many devices that share one server, on the samples of an exit table."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, write_json
from eenas.cli.terminal.failures import one_of, quiet_storage


def fleet(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN|STUDY|TABLE", help="A folder of a model or run, a study's name, or an exit table (.npz)."
        ),
    ],
    devices: Annotated[str, typer.Option(metavar="N[,N...]", help="Numbers of devices; several are compared.")] = "100",
    rate: Annotated[float, typer.Option(metavar="X", help="Samples per second that arrive at each device.")] = 1.0,
    arrivals: Annotated[
        str,
        typer.Option(metavar="poisson|regular|FILE", help="How samples arrive; a .csv file has a column seconds."),
    ] = "poisson",
    seconds: Annotated[float, typer.Option(metavar="S", help="Simulated time.")] = 60.0,
    warm_up: Annotated[float, typer.Option(metavar="S", help="Time at the start that is not counted.")] = 0.0,
    link: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|MBIT[,KEY=VALUE...]",
            help="Link of each device: 3g, 4g, wifi, ... or Mbit/s; keys: round_trip_ms, jitter_ms, loss, codec, ...",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Bandwidth over time: a .csv file with the columns seconds and mbit."),
    ] = None,
    edge: Annotated[
        str | None,
        typer.Option(metavar="FACTOR|FILE", help="Times of a device: a factor, a profile (.json) or a table."),
    ] = None,
    cloud: Annotated[
        str | None,
        typer.Option(metavar="FACTOR|FILE", help="Times of the server, likewise (1: those of this machine)."),
    ] = None,
    tiers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file with [tiers], instead of --link and so on.")
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option(metavar="CUT", help="Where to split: a cut point, '' or final (default: the lowest latency)."),
    ] = None,
    times: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file with the times of one split, for exit tables.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="X", help="One threshold for all exits, instead of the policy.")
    ] = None,
    controller: Annotated[
        str | None, typer.Option(metavar="NAME[,KEY=VALUE...]", help="A controller on each device: adaee, splitee, ...")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Batches that the server computes at once.")] = 1,
    max_batch: Annotated[int, typer.Option(metavar="N", help="Samples in a batch of the server, at most.")] = 1,
    batch_wait_ms: Annotated[float, typer.Option(metavar="X", help="Time that a batch waits to be full.")] = 0.0,
    batch_cost: Annotated[
        str,
        typer.Option(metavar="N:X[,N:X...]", help="Time of a batch of N, in times of one sample (1:1: N)."),
    ] = "1:1",
    deadline_ms: Annotated[
        float | None, typer.Option(metavar="X", help="Time after which the last exit on the device answers.")
    ] = None,
    target_accuracy: Annotated[
        float | None, typer.Option(metavar="X", help="Accuracy of batches for outage and missed deadlines.")
    ] = None,
    target_ms: Annotated[
        float | None, typer.Option(metavar="X", help="Mean latency of batches for missed deadlines.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed; equal seeds give equal simulations.")] = 0,
    data: options.Data = None,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="Split of --data: train, calibration, validation or test.")
    ] = "test",
    network: options.Network = None,
    storage: options.Storage = options.STORAGE,
    artifacts: options.Artifacts = None,
    threads: options.Threads = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw latencies, and shares over devices, to .html or .png.")
    ] = None,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Simulate many devices that share one server.

    Samples arrive at each device and leave at its exits as the policy decides; the others wait for its link and for the
    server. Prints latencies, offloaded and dropped samples, accuracy, energy, bytes and loads for each number of
    devices, and names queues that grow without end. The tiers are those of the study, or a 4g link and a device that
    takes ten times as long as this machine; --link, --edge and --cloud replace their part of them.

    \b
    Examples:
      eenas fleet model/ --data digits --devices 100,1000 --rate 0.5 --link 4g --max-batch 8
      eenas fleet runs/digits-trial8 --data digits --devices 500 --link wifi --deadline-ms 150
    """
    from json import dumps

    from eenas.cli.tables.fleet_tables import fleet_table
    from eenas.deployment.fleet.bandwidth_trace import BandwidthTrace
    from eenas.deployment.fleet.fleet import Fleet
    from eenas.deployment.fleet.fleet_link import FleetLink
    from eenas.deployment.fleet.fleet_text import arrivals_from_text, factors_from_text, target_of, whole_numbers
    from eenas.deployment.fleet.server_queue import ServerQueue
    from eenas.handle.fleet import FleetSource, simulate_devices
    from eenas.handle.recordings import RecordingSource
    from eenas.measurement.tiers.tiers import Tiers
    from eenas.reporting.facts.tiers.fleet_facts import fleet_data, fleet_summary
    from eenas.reporting.figures.figure_file import check_figure_file, write_figure
    from eenas.reporting.figures.tiers.fleet_figure import draw_fleet, fleet_facts

    quiet_storage()
    if figure is not None:
        check_figure_file(figure)
    for flag in ({"link": link}, {"edge": edge}, {"cloud": cloud}):
        one_of(tiers=tiers, **flag)
    counts = whole_numbers("--devices", devices)
    found = simulate_devices(
        source,
        Fleet(
            devices=counts[0],
            seconds=seconds,
            arrivals=arrivals_from_text(arrivals, rate),
            link=FleetLink(trace=None if trace is None else BandwidthTrace.read(trace)),
            server=ServerQueue(
                workers=workers,
                max_batch=max_batch,
                wait_ms=batch_wait_ms,
                batch_factors=factors_from_text(batch_cost),
            ),
            deadline_ms=deadline_ms,
            warm_up_s=warm_up,
            seed=seed,
        ),
        given=FleetSource(
            samples=RecordingSource(
                data=data,
                split=split,
                storage=storage,
                artifacts=artifacts,
                network=network,
                threads=threads,
                trust_code=trust_code,
            ),
            tiers=None if tiers is None else Tiers.read(tiers),
            folder=None if tiers is None else tiers.parent,
            link=link,
            edge=edge,
            cloud=cloud,
            cut=cut,
            times=times,
            threshold=threshold,
            controller=controller,
        ),
        devices=counts,
        target=target_of(target_accuracy, target_ms),
    )
    if figure is not None:
        write_figure(draw_fleet(fleet_facts(found)), figure)
    if json:
        write_json(dumps(fleet_data(found), indent=2))
    else:
        for line in fleet_summary(found):
            out().print(line, markup=False)
        out().print(fleet_table(found))
    if figure is not None:
        say(f"written: {figure}")
