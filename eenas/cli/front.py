"""`eenas front`: print the front of a study beside its baselines."""

from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import say, suggest, write
from eenas.cli.failures import one_of, quiet_optuna


def front(
    storage: options.Storage = options.STORAGE,
    name: options.Name = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every point of the front, not a dozen spaced over cost.")
    ] = False,
    json: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the front and the baselines as CSV on stdout.")] = False,
    trust_code: options.TrustCode = False,
) -> None:
    """Print the front of a study and its baselines.

    The front holds what no other design of the study beats. All operating points of all
    trained networks count, so this is more than Optuna's best trials.

    Example: eenas front --csv > front.csv
    """
    one_of(json=json, csv=csv)
    from eenas.cli.results import ROWS, print_results, without_front
    from eenas.reporting.front_table import baseline_rows, front_rows, to_csv, to_json
    from eenas.search.read import open_results

    quiet_optuna()
    results = open_results(storage, name, trust_code=trust_code)
    if json:
        write(to_json(results))
    elif csv:
        write(to_csv([*front_rows(results), *baseline_rows(results)]))
    else:
        print_results(results, rows=None if every else ROWS)
        if results.front:
            suggest("train", best=True, **options.told(storage, results.name, trust_code=trust_code))
        else:
            say(without_front(results))
