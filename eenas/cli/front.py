"""`eenas front`: print the front of a study with its baselines."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import say, suggest, write, write_json
from eenas.cli.terminal.failures import one_of, quiet_storage


def front(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show every point of the front, even within noise of a cheaper one.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show the operating points of one network, such as 'static layer2.1'."),
    ] = None,
    json: options.Json = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print every point of the front and the baselines as CSV.")
    ] = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Print the front of a study.

    The front contains the operating points that no other network of the study beats. Networks are trained by
    trials, frozen with branches from the bank, static at any cut point, or the plain backbone. Of points within
    sampling noise of each other, only the cheapest is shown; --all shows every one.

    \b
    Examples:
      eenas front
      eenas front --csv > front.csv
    """
    one_of(json=json, csv=csv, network=network)
    one_of(network=network, all=every)
    from eenas.cli.tables.results import ROWS, print_network, print_results
    from eenas.reporting.facts.front_table import baseline_rows, front_rows, to_csv, to_json
    from eenas.results.nothing_chosen import no_front
    from eenas.results.read import open_results
    from eenas.study.rivals.known_networks import find_network
    from eenas.study.rivals.offered_points import STATIC, points_of

    quiet_storage()
    results = open_results(storage, name, trust_code=trust_code)
    if json:
        write_json(to_json(results))
    elif csv:
        write(to_csv([*front_rows(results), *baseline_rows(results)]))
    elif network is not None:
        wanted = " ".join(network.split())
        found = find_network(results.networks, wanted.removesuffix(STATIC), study=results.name)
        points = points_of(found, results.backbone)
        ended = [item for item in points if item.label == wanted]
        print_network(results, tuple(ended if wanted.endswith(STATIC) and ended else points))
    else:
        print_results(results, rows=None if every else ROWS)
        if results.recommended:
            trust = trust_code or results.settings.names_code
            suggest("train", best=True, **options.study_flags(storage, results.name, trust_code=trust))
        elif not results.front:
            say(no_front(results))
