"""`eenas serve`: answer requests of the Open Inference Protocol with exported models."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import say
from eenas.cli.terminal.progress import Lines


def serve(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Folders of exports, or NAME=FOLDER.")],
    cut: Annotated[
        str | None,
        typer.Option("--from", metavar="CUT", help="Serve the part behind this cut point: features in, answers out."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to serve on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="HTTP port; 0 selects a free one.")] = 8000,
    grpc_port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="gRPC port (default: 8001; 0 selects a free one)."),
    ] = None,
    no_grpc: Annotated[bool, typer.Option("--no-grpc", help="Serve HTTP only.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate for TLS, with its chain, in PEM.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key of the certificate, in PEM.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the token of all requests (default: $EENAS_SERVE_TOKEN)."),
    ] = None,
    max_body_mb: Annotated[float, typer.Option(metavar="X", help="Largest body of a request.")] = 64.0,
    max_memory_mb: Annotated[float, typer.Option(metavar="X", help="Largest sum of all bodies in memory.")] = 1000.0,
    max_samples: Annotated[int, typer.Option(metavar="N", min=1, help="Most samples of a request.")] = 1024,
    max_batch: Annotated[int, typer.Option(metavar="N", min=1, help="Most samples in one run of a segment.")] = 64,
    max_queue: Annotated[int, typer.Option(metavar="N", min=1, help="Most samples of a model in work.")] = 4096,
    max_connections: Annotated[int, typer.Option(metavar="N", min=1, help="Most open connections.")] = 1000,
    rate: Annotated[
        float | None, typer.Option(metavar="X", help="Requests per second of each client address (default: no limit).")
    ] = None,
    deadline: Annotated[float, typer.Option(metavar="S", help="Seconds until a request is refused.")] = 30.0,
    receive: Annotated[float, typer.Option(metavar="S", help="Seconds for the head and for the body.")] = 10.0,
    stop: Annotated[float, typer.Option(metavar="S", help="Seconds for accepted requests after SIGTERM.")] = 30.0,
    controller: Annotated[
        str | None, typer.Option(metavar="NAME", help="Let a controller choose thresholds and learn, such as adaee.")
    ] = None,
    provider: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device for the computation.")] = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Segments that run at the same time (default: one per core, at most 4)."),
    ] = None,
    threads: options.Threads = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Serve exported models over HTTP and gRPC.

    The protocol is the Open Inference Protocol, version 2. Requests are joined to batches. Samples leave at their
    exits, and a request is answered as soon as all its samples have left. Thresholds that change in a folder are taken
    without a restart. SIGTERM and Ctrl-C answer what was accepted and end with exit status 0.

    \b
    Examples:
      eenas serve model
      eenas serve small=model large=other --host 0.0.0.0 --token-file token
    """
    from eenas.deployment.serving.limits import ServingLimits
    from eenas.deployment.serving.metrics import ServingMetrics
    from eenas.deployment.serving.opening import Opening, named_folders, open_models
    from eenas.deployment.serving.server import Address, need_serving, read_token
    from eenas.deployment.serving.server import serve as run
    from eenas.deployment.serving.service import Service
    from eenas.errors import EenasError

    need_serving()
    if no_grpc and grpc_port is not None:
        raise EenasError("--grpc-port and --no-grpc are mutually exclusive; use only one")
    if not no_grpc:
        from eenas.deployment.serving.grpc_service import need_grpc

        need_grpc()
    limits = ServingLimits(
        body_mb=max_body_mb,
        memory_mb=max_memory_mb,
        samples=max_samples,
        batch=max_batch,
        queue=max_queue,
        connections=max_connections,
        rate=rate,
        deadline_s=deadline,
        receive_s=receive,
        stop_s=stop,
    )
    address = Address(
        host=host,
        port=port,
        grpc_port=None if no_grpc else 8001 if grpc_port is None else grpc_port,
        certificate=certificate,
        key=key,
        token=read_token(token_file),
    )
    opening = Opening(
        cut=cut,
        provider=provider,
        threads=threads,
        trust_code=trust_code,
        controller=controller,
        workers=workers,
    )
    if not address.is_local and address.token is None:
        say(f"warning: everyone who reaches {host} can use this server; give --token-file, or --host 127.0.0.1")
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    metrics = ServingMetrics()
    found = open_models(named_folders(models), opening, limits, metrics)
    if not run(Service(found, limits, metrics), address, listener=Lines(say)):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # an interpreter that ends beside a thread inside C++ aborts
