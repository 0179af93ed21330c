"""The one handle on a study in Python: `eenas.Study`, and `eenas.search`, which returns it."""

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
    from eenas.results.choice import Choice
    from eenas.results.results import StudyResults
    from eenas.runs.fidelity import Fidelity
    from eenas.runs.run_report import RunReport
    from eenas.study.rivals.offered_points import FrontPoint
    from eenas.study.settings.reference import UnnamedOptions
    from eenas.study.settings.study_spec import StudySpec
    from eenas.tasks.task import Task


class Study:
    """A study in a storage: what it found, and what can be made of it.

    `name` None is the newest study there. `options` are the other fields of a `StudyReference`: storage, artifacts,
    trust_code, and backbone and task, which repeat what was given to `search` as objects. Raises
    StorageError when the storage cannot be read, StudyError when it has no such study.
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
        """What the study has found so far, read anew each time. Raises StorageError, StudyError."""
        from eenas.results.read import read_results

        return read_results(self._database, self.name, trust_code=self.reference.trust_code)

    @property
    def optuna_study(self) -> "optuna.Study":
        """The same study as Optuna has it, for its own tools. Raises StorageError."""
        import optuna

        from eenas.study.study import open_storage

        return optuna.load_study(study_name=self.name, storage=open_storage(self._database))

    def to_dataframe(self, of: Literal["trials", "points"] = "points") -> "pd.DataFrame":
        """A row for each operating point of every network, or for each trial.

        Accuracies are in [0, 1], shares are of the plain backbone, latencies in milliseconds; what is not known is NaN
        or None. Raises StudyError where pandas is not installed.
        """
        from eenas.results.rows import point_rows, trial_rows

        if of not in ("trials", "points"):
            raise StudyError(f"a data frame is of trials or points, got {of!r}")
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise StudyError(f"a data frame needs pandas ({error}); pip install 'eenas[pandas]'") from None
        return pandas.DataFrame((trial_rows if of == "trials" else point_rows)(self.results))

    def recommend(self, choice: "Choice | None" = None) -> "FrontPoint":
        """The point that a choice picks: by default the cheapest network that loses at most one point.

        Raises FrontError where nothing holds what is asked, naming the nearest.
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
        """Train the chosen network with the full budget and report once on the test split; as `eenas.train`."""
        from eenas.runs.full_training import train

        with _heard(listener) as heard:
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
    ) -> Path:
        """Export a run of this study, or an untrained `network` of it by name; as `eenas.export`.

        By default the only run of this study in `runs/`. Raises StudyError where there is none, or more than one.
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
            **fields_of(self.reference),
        )

    def report(self, out: str | Path = "report.html", *, choice: "Choice | None" = None) -> Path:
        """Write the study as one HTML page that opens without a connection."""
        from eenas.reporting.report.report_page import write_report
        from eenas.reporting.report.report_source import Asked

        asked = Asked(choice=choice, artifacts=self.reference.folder, trust_code=self.reference.trust_code)
        return write_report(self.reference.storage, Path(out), name=self.name, asked=asked)

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
        """Train networks of the study for longer and compare the scores; as `eenas study fidelity`."""
        from eenas.runs.fidelity import measure_fidelity

        with _heard(listener) as heard:
            return measure_fidelity(
                replace(self.reference, listener=heard),
                designs=designs,
                epochs=epochs,
                samples=samples,
                device=device,
                overrides=overrides,
            )

    def __repr__(self) -> str:
        """The name and the storage, without a password."""
        return f"Study({self.name!r}, storage={self._database.label!r})"

    def _repr_html_(self) -> str:
        """The summary and the front, for notebooks."""
        from eenas.reporting.report.notebook import notebook_html

        return notebook_html(self.results)

    def _only_run(self) -> Path:
        from eenas.reporting.facts.runs import RUNS, runs_of
        from eenas.results.read import study_record

        found = runs_of(study_record(self._database, self.name), RUNS, trust_code=self.reference.trust_code)
        if len(found) != 1:
            names = f" ({', '.join(str(each.folder) for each in found)})" if found else ""
            raise StudyError(f"{RUNS}/ holds {len(found)} runs of {self.name!r}{names}; call train(), or give run=...")
        return found[0].folder


def search(
    backbone: "str | nn.Module | None" = None,
    *,
    task: "str | Task | None" = None,
    study: "str | Path | StudySpec | None" = None,
    **options: "Unpack[HandleOptions]",
) -> Study:
    """Search for early-exit designs of `backbone` on `task`, or go on with a search, and return the study.

    `backbone` is a name (timm, `torchvision:NAME`, `cifar_resnet20`, `package.module:factory`) or an `nn.Module`,
    `task` a specification such as "digits" or "folder:PATH", or a Task, `study` a study file, its shipped name, or a
    `StudySpec`; `options` are those of `HandleOptions` and override it. Progress is shown as bars. Ctrl-C ends the
    search and returns what was found. Raises an EenasError for whatever cannot work, before anything is trained.
    """
    from torch import nn

    from eenas.results.search import search as run
    from eenas.tasks.task import Task

    given: dict[str, Any] = dict(options)
    is_shown, logs = given.pop("progress", True), given.pop("optuna_log", False)
    with _heard(given.pop("listener", None), is_shown=is_shown) as heard, _optuna_log(shown=logs):
        results = run(backbone, task=task, study=study, listener=heard, **given)
    kept = {key: value for key, value in given.items() if key in ("storage", "artifacts", "trust_code")}
    return Study(
        results.name,
        backbone=backbone if isinstance(backbone, nn.Module) else None,
        task=task if isinstance(task, Task) else None,
        **kept,
    )


@contextmanager
def _heard(listener: Listener | None, *, is_shown: bool = True) -> Iterator[Listener]:
    """The listener that was given, or bars."""
    if listener is not None or not is_shown:
        yield listener or silent
        return
    with bars() as shown:
        yield shown


@contextmanager
def _optuna_log(*, shown: bool) -> Iterator[None]:
    """Keep Optuna's lines off the screen inside the block, unless they were asked for."""
    import optuna

    level = optuna.logging.get_verbosity()
    if not shown:
        optuna.logging.set_verbosity(max(level, optuna.logging.ERROR))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
