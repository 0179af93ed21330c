"""The handle of a study in Python: `eenas.Study`, and `eenas.search`, which returns it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from eenas.errors import StudyError
from eenas.handle.bars import bars
from eenas.progress import Listener, silent

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from torch import nn

    from eenas.handle.options import HandleOptions
    from eenas.reporting.figures.figure_style import Drawing
    from eenas.results.choice import Choice
    from eenas.results.results import StudyResults
    from eenas.results.status import StudyStatus
    from eenas.runs.fidelity import Fidelity
    from eenas.runs.run_report import RunReport
    from eenas.study.rivals.offered_points import FrontPoint
    from eenas.study.settings.reference import UnnamedOptions
    from eenas.study.settings.study_spec import StudySpec
    from eenas.tasks.task import Task


class Study:
    """A study in a storage, with its results and the actions on it.

    `name` None is the newest study. `options` are the other fields of a `StudyReference`: storage, artifacts,
    trust_code, and the objects backbone and task if they were given to `search`.

    Raises StorageError if the storage cannot be read, and StudyError if it has no such study.
    """

    def __init__(
        self,
        name: str | None = None,
        **options: "Unpack[UnnamedOptions]",
    ) -> None:
        from eenas.records.database import Database
        from eenas.results.read import study_record
        from eenas.study.settings.reference import referred

        given = referred(None, {**options, "name": name})
        self._database = Database(given.storage, create=False)
        self.reference = replace(given, name=study_record(self._database, name).name)

    @property
    def name(self) -> str:
        """The name of the study."""
        return str(self.reference.name)

    @property
    def results(self) -> "StudyResults":
        """The current results of the study, read again at each access.

        Raises StorageError and StudyError.
        """
        from eenas.results.read import read_results

        return read_results(self._database, self.name, trust_code=self.reference.trust_code)

    @property
    def optuna_study(self) -> "optuna.Study":
        """The study as an Optuna study, for Optuna's own tools.

        Raises StorageError.
        """
        import optuna

        from eenas.study.study import open_storage

        return optuna.load_study(study_name=self.name, storage=open_storage(self._database))

    def to_dataframe(self, of: Literal["trials", "points"] = "points") -> "pd.DataFrame":
        """Return a data frame with a row for each operating point of every network, or for each trial.

        Accuracies are in [0, 1], shares are relative to the plain backbone, and latencies are in milliseconds. Unknown
        values are NaN or None.

        Raises StudyError if pandas is not installed.
        """
        from eenas.results.rows import point_rows, trial_rows

        if of not in ("trials", "points"):
            raise StudyError(f"of must be 'trials' or 'points', got {of!r}")
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise StudyError(f"a data frame needs pandas ({error}); pip install 'eenas[pandas]'") from None
        return pandas.DataFrame((trial_rows if of == "trials" else point_rows)(self.results))

    def status(self) -> "StudyStatus":
        """Return the current status: workers, trials by state, pace, time left and the best trial.

        Raises StorageError and StudyError.
        """
        from eenas.results.status import Watch

        return Watch(self.reference.storage, self.name).status()

    def recommend(self, choice: "Choice | None" = None) -> "FrontPoint":
        """Return the point that `choice` selects.

        The default is the cheapest network that loses at most one point of accuracy.

        Raises FrontError, which names the nearest point, if no point meets the choice.
        """
        from eenas.results.choice import Choice, choose_point

        return choose_point(self.results, choice or Choice())

    def train(
        self,
        choice: "Choice | None" = None,
        *,
        compare: bool = False,
        out: str | Path | None = None,
        device: str = "auto",
        overrides: Sequence[str] = (),
        listener: Listener | None = None,
    ) -> "RunReport":
        """Train the chosen network with the full budget and report on the test split, as `eenas.train`."""
        from eenas.runs.full_training import train

        with _listening(listener) as heard:
            return train(
                replace(self.reference, listener=heard),
                choice=choice,
                compare=compare,
                out=out,
                device=device,
                overrides=overrides,
            )

    def export(
        self,
        out: str | Path,
        *,
        run: "str | Path | RunReport | None" = None,
        network: str | None = None,
        format: Literal["torch", "onnx", "pt2"] = "torch",
        single_file: bool = False,
        device: str = "cpu",
        experts: bool = True,
    ) -> Path:
        """Export a run of this study, or an untrained `network` of it by name, as `eenas.export`.

        The default is the only run of this study in `runs/`. With `experts` False, a run with experts for distorted
        images is exported without them.

        Raises StudyError if there is none, or more than one.
        """
        from eenas.deployment.export import export
        from eenas.runs.run_report import RunReport
        from eenas.study.settings.reference import fields_of

        folder = run.folder if isinstance(run, RunReport) else run
        if folder is None and network is None:
            folder = self._only_run()
        return export(
            out,
            run=folder,
            network=network,
            format=format,
            single_file=single_file,
            data=self.reference.task,
            device=device,
            experts=experts,
            **fields_of(self.reference),
        )

    def figure(self, cost: str = "macs") -> "Drawing":
        """Return the front as a plotly figure: accuracy over a cost of the study, as a share of the plain backbone's.

        Raises StudyError for another cost.
        """
        from eenas.reporting.figures.front_figure import draw_front, front_facts

        found = self.results
        if cost not in (names := [each.name for each in found.all_costs]):
            raise StudyError(f"cost must be one of {', '.join(names)}, got {cost!r}")
        return draw_front(front_facts(found, cost))

    def report(self, out: str | Path = "report.html", *, choice: "Choice | None" = None) -> Path:
        """Write the study as a self-contained HTML page."""
        from eenas.reporting.report.report_page import write_report
        from eenas.reporting.report.report_source import Asked

        return write_report(self.reference, out, asked=Asked(choice=choice))

    def fidelity(
        self,
        designs: int = 20,
        *,
        epochs: float | None = None,
        samples: int | None = None,
        device: str = "auto",
        overrides: Sequence[str] = (),
        listener: Listener | None = None,
    ) -> "Fidelity":
        """Train networks of the study for longer and compare the scores, as `eenas study fidelity`."""
        from eenas.runs.fidelity import measure_fidelity

        with _listening(listener) as heard:
            return measure_fidelity(
                replace(self.reference, listener=heard),
                designs=designs,
                epochs=epochs,
                samples=samples,
                device=device,
                overrides=overrides,
            )

    def __repr__(self) -> str:
        """Return the name and the storage, without a password."""
        return f"Study({self.name!r}, storage={self._database.label!r})"

    def _repr_html_(self) -> str:
        """Return the summary and the front, for notebooks."""
        from eenas.reporting.report.notebook import notebook_html

        return notebook_html(self.results)

    def _only_run(self) -> Path:
        from eenas.reporting.facts.runs import RUNS, runs_of
        from eenas.results.read import study_record

        found = runs_of(study_record(self._database, self.name), RUNS, trust_code=self.reference.trust_code)
        if len(found) != 1:
            names = f" ({', '.join(str(each.folder) for each in found)})" if found else ""
            raise StudyError(
                f"{RUNS}/ must hold one run of {self.name!r}, got {len(found)}{names}; call train() or give run="
            )
        return found[0].folder


def search(
    backbone: "str | nn.Module | None" = None,
    *,
    task: "str | Task | None" = None,
    study: "str | Path | StudySpec | None" = None,
    **options: "Unpack[HandleOptions]",
) -> Study:
    """Search for early-exit designs of `backbone` on `task`, or resume a search, and return the study.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`.
    `task` is a spec such as "digits" or "folder:PATH", or a Task. `study` is a study file, the name of a shipped one,
    or a `StudySpec`. `options` are those of `HandleOptions` and override the study. Progress is shown as bars. Ctrl-C
    ends the search and returns the results so far. A script with several workers needs `if __name__ == "__main__":`.

    Raises an EenasError for invalid inputs, before any training.
    """
    from torch import nn

    from eenas.tasks.task import Task
    from eenas.workers.parallel_search import parallel_search

    given: dict[str, Any] = dict(options)
    is_shown, logs = given.pop("progress", True), given.pop("optuna_log", False)
    with _listening(given.pop("listener", None), is_shown=is_shown) as heard, _optuna_log(shown=logs):
        results = parallel_search(backbone, task=task, study=study, listener=heard, **given)
    kept = {key: value for key, value in given.items() if key in ("storage", "artifacts", "trust_code")}
    return Study(
        results.name,
        backbone=backbone if isinstance(backbone, nn.Module) else None,
        task=task if isinstance(task, Task) else None,
        **kept,
    )


@contextmanager
def _listening(listener: Listener | None, *, is_shown: bool = True) -> Iterator[Listener]:
    """Yield the given listener, or bars."""
    if listener is not None or not is_shown:
        yield listener or silent
        return
    with bars() as shown:
        yield shown


@contextmanager
def _optuna_log(*, shown: bool) -> Iterator[None]:
    """Suppress Optuna's log inside the block, unless `shown`."""
    import optuna

    level = optuna.logging.get_verbosity()
    if not shown:
        optuna.logging.set_verbosity(max(level, optuna.logging.ERROR))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
