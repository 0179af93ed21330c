"""The facts of a report as JSON: the drawn network, the detection of errors, explanations, experts."""

import json
from collections.abc import Callable
from typing import Any

from eenas.errors import EenasError
from eenas.networks.explanations.explain import explain
from eenas.reporting.facts.explained_texts import word_measures
from eenas.reporting.figures.confusion_figure import confusion_facts
from eenas.reporting.report.report_source import ReportSource


def facts_json(source: ReportSource) -> str:
    """Return facts of the panels `confusion`, `explain` and `experts` as JSON, or the reason why there are none."""
    item = source.item
    drawn = None if item is None else {"network": item.name, **item.point.to_table()}
    table = {
        "study": source.results.name,
        "task": source.results.task,
        "drawn": drawn,
        "errors_of_the_final_exit": _found(lambda: _errors(source)),
        "explanation": _found(lambda: _explanation(source)),
        "experts": _found(lambda: _experts(source)),
    }
    return json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)


def _errors(source: ReportSource) -> dict[str, Any]:
    return {"auroc": {each.name: each.auroc for each in confusion_facts(source.picked()).detectors}}


def _explanation(source: ReportSource) -> dict[str, Any] | None:
    trained = source.network()
    if trained is None:
        return None
    name, network = trained
    if network.transform.inputs.kind == "text":
        return {"network": name, **word_measures(network, source.task()).to_table(network.exits)}
    return {"network": name, **explain(network, source.task()).to_table()}


def _experts(source: ReportSource) -> dict[str, Any] | None:
    run = source.run_with_experts()
    if run is None or run.experts is None:
        return None
    return {"network": run.network or run.folder.name, **run.experts.figures.to_table()}


def _found(make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the facts, or the reason why there are none."""
    try:
        return make()
    except EenasError as error:
        return {"reason": str(error)}
