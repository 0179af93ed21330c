"""`eenas experts`: add experts for distorted images to an exported network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out as console
from eenas.cli.terminal.console import say, write_json
from eenas.progress import Notice


def experts(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that eenas export wrote.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the network with experts.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="TASK", help="The images of its training: folder:PATH, webdataset:PATH, npz:PATH or a function."
        ),
    ],
    kind: Annotated[
        list[str], typer.Option(metavar="NAME", help="A kind of distortion (eenas list distortions); may be repeated.")
    ],
    severity: Annotated[
        list[int] | None, typer.Option(metavar="1..5", help="A severity to train for; may be repeated (default: all).")
    ] = None,
    samples: Annotated[int, typer.Option(metavar="N", help="Training images of each expert.")] = 50_000,
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="Mean MACs, as a share of the backbone's (default: the target of the design)."),
    ] = None,
    batch_norm: Annotated[
        str,
        typer.Option(
            metavar="auto|shared|per_kind|per_kind_tuned",
            help="Batch normalisation of the backbone: one for all experts, or one for each.",
        ),
    ] = "auto",
    format: Annotated[str, typer.Option(metavar="torch|onnx", help="onnx adds programs for eenas.runtime.")] = "torch",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the training.")] = 0,
    skip_bad: options.SkipBad = False,
    json: options.Json = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Add experts for distorted images to an exported network.

    Each kind gets its own copy of all exits, trained on a mix of clean and distorted images of TASK with the backbone
    frozen. A light classifier chooses the expert of each image before the first exit.

    \b
    Examples:
      eenas experts model robust --data folder:pets/ --kind gaussian_blur --kind jpeg
      eenas experts model robust --data folder:pets/ --kind gaussian_noise --format onnx
    """
    import dataclasses
    import json as writer

    from eenas.cli.tables.expert_tables import experts_table
    from eenas.cli.tables.exported_tables import parity_line
    from eenas.deployment.expert_addition import add_experts
    from eenas.frozen.experts.expert_building import ExpertSpec
    from eenas.frozen.experts.expert_training import ExpertTraining

    chosen: dict[str, Any] = {} if severity is None else {"severities": tuple(severity)}
    training = ExpertTraining(samples=samples)
    spec = ExpertSpec(kinds=tuple(kind), training=training, batch_norm=batch_norm, **chosen)  # type: ignore[arg-type]
    found = add_experts(
        folder,
        data,
        out,
        spec,
        format=format,  # type: ignore[arg-type]
        max_macs=max_macs,
        seed=seed,
        skip_bad=skip_bad,
        trust_code=trust_code,
        listener=lambda event: say(event.text) if isinstance(event, Notice) else None,
    )
    if json:
        parity = None if found.parity is None else dataclasses.asdict(found.parity)
        write_json(writer.dumps({"folder": str(found.folder), **found.figures.to_table(), "parity": parity}, indent=2))
        return
    console().print(experts_table(found.figures))
    if found.parity is not None:
        console().print(parity_line(found.parity))
    say(f"written: {out}")
