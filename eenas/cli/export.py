"""`eenas export`: export a network, trained from a run or untrained from a study or a design."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, say, suggest
from eenas.cli.terminal.failures import one_of, quiet_storage
from eenas.errors import EenasError, plural
from eenas.progress import Notice


def export(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN] OUT", help="Folder of a run or model (not with --network or --design), then OUT."
        ),
    ],
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help="Untrained network of a study, by name as in `train`.")
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", help="Untrained network of trial N.")] = None,
    design: Annotated[Path | None, typer.Option(metavar="FILE", help="Untrained network of a design in JSON.")] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict from your own training of this network.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", metavar="torch|onnx|pt2", help="torch, or also one program per segment.")
    ] = "torch",
    single_file: Annotated[
        bool, typer.Option("--single-file", help="Also write one ONNX model that stops by itself (batch size 1).")
    ] = False,
    data: options.Data = None,
    skip_bad: options.SkipBad = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to time the programs.")] = "cpu",
    experts: Annotated[
        bool, typer.Option("--experts/--no-experts", help="Whether to include the experts of a run that has some.")
    ] = True,
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Export a network as a folder of files.

    OUT contains the design, weights, policy, measurements and model card. eenas.load("OUT") returns the network as a
    torch.nn.Module. --format onnx or pt2 adds programs that run without eenas (runtime.py). The programs are
    compared with the network on samples of the study's task or of --data, and are written only if they match.
    Then they are timed here, exit by exit. The manifest contains these latencies and the predicted ones.

    A run with experts for distorted images is exported with them; eenas.load_experts("OUT") returns the network.

    --weights turns an untrained network into a trained one. Its thresholds are fitted on the calibration split
    of --data, and its figures refer to the test split.

    \b
    Examples:
      eenas export runs/resnet50-digits-trial7 model --format onnx
      eenas export model --network "trial 7" --format onnx --single-file
    """
    source = one_of(network=network, trial=trial, design=design)
    if len(paths) != (1 if source else 2):
        wanted = f"with --{source}, give only OUT" if source else "give RUN and OUT, or OUT with --network or --design"
        raise EenasError(f"export got {plural(len(paths), 'path')}; {wanted}")
    from eenas.deployment.export import export as write_export

    quiet_storage()
    folder = write_export(
        paths[-1],
        run=paths[0] if source is None else None,
        storage=storage,
        name=name,
        network=network if trial is None else f"trial {trial}",
        design_file=design,
        weights=weights,
        trust_code=trust_code,
        format=format,  # type: ignore[arg-type]  # export checks the value
        single_file=single_file,
        data=data,
        skip_bad=skip_bad,
        device=device,
        experts=experts,
        listener=lambda event: say(event.text) if isinstance(event, Notice) else None,
    )
    say(f"written: {folder}")
    if format != "torch":
        from eenas.cli.tables.exported_tables import latency_table, parity_line
        from eenas.programs.exit_latency import ProgramLatency
        from eenas.programs.parity import Parity

        say(parity_line(Parity.of(folder)))
        out().print(latency_table(ProgramLatency.of(folder)))
        suggest("run", str(folder), "FILE", trust_code=format == "pt2")
        return
    from eenas.programs.manifest import read_table

    trust, load = ", trust_code=True" if trust_code else "", "load"
    if read_table(folder).get("experts") is not None:
        load = "load_experts"
    say(f'next: python -c "import eenas; print(eenas.{load}({str(folder)!r}{trust}))"')
