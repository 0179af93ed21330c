"""The command `eenas` and its verbs, each in its own file."""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from eenas import __version__
from eenas.cli.backbone import backbone
from eenas.cli.calibrate import calibrate
from eenas.cli.clusters.cluster import PASSED, kubernetes, ray, slurm
from eenas.cli.clusters.release import release
from eenas.cli.clusters.status import status
from eenas.cli.dashboard import dashboard
from eenas.cli.experts import experts
from eenas.cli.export import export
from eenas.cli.fidelity import fidelity
from eenas.cli.front import front
from eenas.cli.list import list_names
from eenas.cli.profile import profile
from eenas.cli.report import report
from eenas.cli.run import run
from eenas.cli.search import search
from eenas.cli.serve import serve
from eenas.cli.serving.split import split
from eenas.cli.simulate import simulate
from eenas.cli.simulations.fleet import fleet
from eenas.cli.study_files.explain import explain
from eenas.cli.study_files.init import init
from eenas.cli.tables.spaces import spaces
from eenas.cli.terminal.console import replace_unencodable, say
from eenas.cli.terminal.failures import WRONG_INPUT, end_on_sigterm, guarded, status_of
from eenas.cli.terminal.pages import VERB_PAGES
from eenas.cli.tiers import tiers
from eenas.cli.train import train
from eenas.cli.verify import verify
from eenas.escaping import one_line


def _group(name: str, text: str, *, completes: bool = False) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=text,
        no_args_is_help=True,
        add_completion=completes,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


app = _group(
    "eenas",
    "Find where a neural network may stop early.\n\nStart with: eenas search --backbone resnet50",
    completes=True,
)
cluster = _group(
    "cluster",
    "Write a job file that starts the workers of a search.\n\nExample: eenas cluster slurm --backbone resnet50",
)
study = _group("study", "Examine a finished study.\n\nExample: eenas study fidelity")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eenas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _add(group: typer.Typer, verb: Callable[..., None], name: str | None = None, **options: Any) -> None:
    """Add a verb to a group. Its help ends with its page."""
    name = name or verb.__name__
    text = f"{inspect.cleandoc(verb.__doc__ or '')}\n\nPage: {VERB_PAGES[name]}"
    group.command(name, help=text, **options)(guarded(verb))


_VERBS = (
    *(search, status, front, train, export, verify, run, serve, calibrate, simulate, experts, profile, tiers),
    dashboard,
    backbone,
    explain,
    fleet,
    release,
    init,
    spaces,
    split,
)
for _verb in _VERBS:
    _add(app, _verb)
_add(app, list_names, "list")
_add(app, report, context_settings={"allow_extra_args": True})  # report explains how to pass a run's folder
_add(study, fidelity)
app.add_typer(study)
for _job_file in (slurm, kubernetes, ray):
    _add(cluster, _job_file, context_settings=PASSED)
app.add_typer(cluster)


def main() -> None:
    """Run the console script."""
    replace_unencodable()
    for word in sys.argv[1:]:
        flag = word.partition("=")[0]
        if word.startswith("-") and one_line(flag) != flag:  # typer would print it unescaped
            say(f"error: {flag!r} is not a flag; eenas --help lists the verbs, and eenas VERB --help their flags")
            sys.exit(WRONG_INPUT)
    end_on_sigterm()
    try:
        app()
    except KeyboardInterrupt as error:  # before a verb runs, which says so itself
        sys.exit(status_of(error))


if __name__ == "__main__":
    main()
