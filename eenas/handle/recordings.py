"""The recording that a simulation replays: from an exit table, a CSV file, a study, a run or an exported model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from eenas.deployment.calibration import exit_table as table_of_model
from eenas.deployment.network_segments import inputs_of, open_network
from eenas.deployment.network_sources import is_model_folder, of_run
from eenas.errors import EenasError, PolicyError
from eenas.escaping import shortened
from eenas.networks.exit_costs import ExitCosts
from eenas.networks.tables import exit_table
from eenas.policies.controllers.recording import Recording
from eenas.policies.controllers.recording_file import read_recording
from eenas.policies.costs import MACS, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.kinds.threshold import own_thresholds
from eenas.policies.policy import Policy
from eenas.policies.temperatures import fit_temperatures
from eenas.programs.manifest import read_table
from eenas.programs.runtime import load as open_model
from eenas.records.artifacts import existing_store
from eenas.records.stores.places import ArtifactPlace
from eenas.reporting.facts.picked import drawn_item, exit_table_of, load_picked
from eenas.results.choice import Choice
from eenas.results.read import open_results
from eenas.runs.run_report import REPORT, RunReport
from eenas.tasks.distortions.contexts import CLEAN
from eenas.tasks.distortions.distorted_splits import PREFIX
from eenas.tasks.load import given_task
from eenas.tasks.task import Task

VALIDATION = "validation"
_ROWS = ("logits", "labels")


@dataclass(frozen=True, kw_only=True, eq=False)
class DecidedTable:
    """An exit table by `name`, the policy of its network (None: not fitted), and the temperatures [K] of its exits."""

    name: str
    table: ExitTable
    policy: Policy | None
    temperatures: Sequence[float]

    def recording(self) -> Recording:
        """Return the confidences, with the thresholds of the policy if it has any."""
        thresholds = own_thresholds(self.policy)
        return Recording.of(self.table, self.temperatures, name=self.name, thresholds=thresholds)


@dataclass(frozen=True, kw_only=True)
class RecordingSource:
    """Where the samples of a simulation come from, beside its source.

    `data` (a task or its spec) is what an exported model or a run is asked, on its split `split`. For the name of a
    study, `storage` is its database, `artifacts` the store of its exit tables (default: beside the SQLite file), and
    `network` the network, by default the recommended one. `backbone` is the module of a run whose backbone was given as
    one. `threads` and `trust_code` are those of `eenas.runtime.load`.
    """

    data: str | Task | None = None
    split: str = "test"
    storage: str = "sqlite:///eenas.db"
    artifacts: ArtifactPlace | None = None
    network: str | None = None
    backbone: nn.Module | None = None
    threads: int | None = None
    trust_code: bool = False

    def read(self, source: Recording | ExitTable | str | Path) -> Recording:
        """Return the recording of a source.

        A source is a recording, an exit table or its `.npz` file, a `.csv` file of confidences (`read_recording`), a
        folder of an exported model or of a run (with `data`), or the name of a study, whose validation split is used.
        Temperatures are those of the model, the run, or the study's calibration split; for an exit table they are
        fitted on the table itself. Raises EenasError for anything else.
        """
        if isinstance(source, Recording | ExitTable):
            self._check_unused("a recording", "data", "split", "network")
            return source if isinstance(source, Recording) else Recording.of(source)
        path = Path(source)
        if path.suffix.lower() in (".csv", ".npz"):
            self._check_unused(str(path), "data", "split", "network")
        if path.suffix.lower() == ".csv":
            return read_recording(path)
        if path.suffix.lower() == ".npz":
            return Recording.of(load_exit_table(path), name=path.name)
        if path.is_dir():
            self._check_unused(str(path), "network")
            return self._of_folder(path).recording()
        if path.is_file():
            raise PolicyError(f"{path}: must end in .npz (an exit table) or .csv (recorded confidences)")
        return self._of_study(str(source)).recording()

    def decided(self, source: str | Path) -> DecidedTable:
        """Return the exit table and the policy of a model, a run or a study, as `read` finds them, or a table alone.

        Raises EenasError for anything else.
        """
        path = Path(source)
        if path.suffix.lower() == ".npz":
            self._check_unused(str(path), "data", "split", "network")
            table = load_exit_table(path)
            return DecidedTable(name=path.name, table=table, policy=None, temperatures=fit_temperatures(table).tolist())
        if path.is_file():
            raise PolicyError(f"{path}: must be an exit table (.npz), a folder of a model or run, or a study's name")
        if path.is_dir():
            self._check_unused(str(path), "network")
            return self._of_folder(path)
        return self._of_study(str(source))

    def _check_unused(self, source: str, *names: str) -> None:
        """Raise PolicyError if a value is given that a source does not use."""
        for name in names:
            if getattr(self, name) != getattr(RecordingSource, name):
                raise PolicyError(f"{source}: has its own samples and exits, {name!r} has no effect; leave it out")

    def _task(self, path: Path) -> str | Task:
        if self.data is None:
            raise PolicyError(f"{path}: a model needs samples to replay; add --data TASK (data= in Python)")
        return self.data

    def _of_folder(self, path: Path) -> DecidedTable:
        if is_model_folder(path):
            return self._of_model(path)
        if (path / REPORT).is_file():
            return self._of_run(path)
        raise PolicyError(f"{path}: is neither an exported model nor a run; give a table, a model, a run or a study")

    def _of_model(self, path: Path) -> DecidedTable:
        data = self._task(path)
        if read_table(path).get("program") is None:
            model = open_network(path, trust_code=self.trust_code, backbone=self.backbone)
        else:
            model = open_model(path, threads=self.threads, trust_code=self.trust_code)
        if model.manifest.experts is not None:
            raise PolicyError(f"{path}: the thresholds belong to its experts; simulate one without experts")
        task = given_task(data, inputs_of(model), trust_code=self.trust_code)
        split, macs = task.split(self.split), model.manifest.exit_macs
        costs = Costs.of({MACS: np.array(macs or range(1, len(model.exits) + 1), dtype=np.float64)})
        table = table_of_model(model, [split], costs)
        return DecidedTable(
            name=f"{path.name}, {self.split}",
            table=replace(table, contexts=split.contexts),
            policy=model.policy,
            temperatures=model.manifest.temperatures,
        )

    def _of_run(self, path: Path) -> DecidedTable:
        data, report = self._task(path), RunReport.read(path, trust_code=self.trust_code)
        network = of_run(path, self.backbone, self.trust_code)[0].network
        task = given_task(data, network.transform.inputs, trust_code=self.trust_code)
        costs = ExitCosts(Costs.of({MACS: np.array([each.costs[MACS] for each in report.exits])}), 0)
        table = exit_table(network, task.split(self.split), costs)
        return DecidedTable(
            name=f"{path.name}, {self.split}",
            table=table,
            policy=network.policy,
            temperatures=[each.temperature for each in report.exits],
        )

    def _of_study(self, name: str) -> DecidedTable:
        try:
            results = open_results(self.storage, name, trust_code=self.trust_code)
        except EenasError as error:
            raise PolicyError(
                f"{shortened(name)}: no such file or folder, and no study of this name ({error}); give a table, a "
                "model, a run or a study"
            ) from None
        self._check_unused(f"the study {shortened(name)}", "data", "split")
        item = drawn_item(results, None if self.network is None else Choice(network=self.network))
        store = existing_store(self.storage, self.artifacts, trust_code=self.trust_code)
        picked = load_picked(results, item, store)
        table, split = picked.validation, VALIDATION
        if results.settings.task.distortions is not None:
            distorted = exit_table_of(results, picked.item.name, PREFIX + VALIDATION, store)
            table, split = with_contexts(table, distorted), f"{VALIDATION}, pristine and distorted"
        return DecidedTable(
            name=f"{results.name}, {picked.item.label}, {split}",
            table=table,
            policy=picked.item.point.policy,
            temperatures=picked.temperatures.tolist(),
        )


def with_contexts(pristine: ExitTable, distorted: ExitTable) -> ExitTable:
    """Return the samples of both tables of one network, the pristine ones in the context "clean"."""
    contexts = np.concatenate([np.full(len(pristine), CLEAN), np.asarray(distorted.contexts)])
    logits, labels = (np.concatenate([getattr(each, name) for each in (pristine, distorted)]) for name in _ROWS)
    return replace(pristine, logits=logits, labels=labels, contexts=contexts)
