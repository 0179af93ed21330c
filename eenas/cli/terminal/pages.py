"""The page of the documentation for each verb and each kind of error."""

from collections.abc import Mapping

from eenas import errors
from eenas.errors import EenasError

_CONCEPTS, _DEPLOYMENT = "docs/concepts", "docs/start/deployment.md"
VERB_PAGES: Mapping[str, str] = {
    "search": "docs/start/first_search.md",
    "front": f"{_CONCEPTS}/front.md",
    "train": "docs/how-to/limits.md",
    "export": _DEPLOYMENT,
    "verify": _DEPLOYMENT,
    "run": f"{_DEPLOYMENT}#the-runtime",
    "serve": "docs/how-to/serving.md",
    "calibrate": "docs/how-to/guarantees.md",
    "simulate": "docs/how-to/controllers.md",
    "experts": "docs/how-to/expert_branches.md",
    "profile": "docs/how-to/board.md",
    "tiers": "docs/how-to/edge_cloud.md",
    "dashboard": "dashboards/README.md",
    "backbone": "docs/how-to/module.md#cut-points",
    "fleet": "docs/how-to/fleet_simulation.md",
    "spaces": "search_spaces/README.md",
    "split": "docs/how-to/edge_client.md",
    "list": "docs/how-to/plugins.md",
    "release": "docs/how-to/cluster.md",
    "slurm": "docs/how-to/cluster.md",
    "kubernetes": "docs/how-to/cluster.md",
    "ray": "docs/how-to/cluster.md",
    "status": "docs/how-to/cluster.md",
    "report": "dashboards/README.md",
    "fidelity": f"{_CONCEPTS}/fidelity.md",
    "explain": "docs/reference/keys.md",
    "init": "docs/how-to/folder.md",
}
"""The page of each verb, as a path in the repository; the site has the same pages."""
ERROR_PAGES: Mapping[type[EenasError], str] = {
    errors.SpecError: "docs/reference/keys.md",
    errors.PluginError: "docs/how-to/plugins.md",
    errors.TaskError: "docs/how-to/folder.md",
    errors.PictureError: "docs/how-to/folder.md",
    errors.BackboneError: "docs/how-to/module.md",
    errors.WeightsError: "docs/how-to/weights.md",
    errors.CutError: "docs/how-to/module.md#cut-points",
    errors.BranchError: "search_spaces/README.md",
    errors.DesignError: "search_spaces/README.md",
    errors.MeasurementError: f"{_CONCEPTS}/costs.md",
    errors.SimulationError: "docs/how-to/controllers.md",
    errors.FrontError: "docs/how-to/limits.md",
    errors.StorageError: f"{_CONCEPTS}/studies.md",
    errors.StudyError: "docs/how-to/resume.md",
    errors.LinkError: "docs/how-to/edge_client.md",
    errors.ExportError: _DEPLOYMENT,
    errors.InputError: f"{_DEPLOYMENT}#the-runtime",
    errors.ProtocolError: "docs/how-to/serving.md",
}
"""The page that explains each kind of error and those derived from it. Kinds without a page are left out."""


def page_of(error: BaseException) -> str | None:
    """Return the page that explains an error, or None."""
    return next((ERROR_PAGES[each] for each in type(error).__mro__ if each in ERROR_PAGES), None)
