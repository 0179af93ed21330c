"""The network whose splits are examined: of a study, a run or an exported model."""

from dataclasses import dataclass, replace
from pathlib import Path

from eenas.deployment.network_sources import is_model_folder
from eenas.errors import EenasError, FrontError, MeasurementError
from eenas.escaping import shortened
from eenas.measurement.tiers.tiers import Tiers
from eenas.records.artifacts import existing_store
from eenas.records.database import Database
from eenas.records.stores.places import ArtifactPlace
from eenas.reporting.facts.picked import drawn_item, exit_table_of
from eenas.reporting.facts.tiers.tiered_sources import subject_of_model, subject_of_point, subject_of_run
from eenas.reporting.facts.tiers.tiered_subject import TieredSubject
from eenas.results.choice import Choice
from eenas.results.nothing_chosen import no_front
from eenas.results.read import code_folder, open_results, study_record
from eenas.runs.run_report import REPORT, RunReport


@dataclass(frozen=True, kw_only=True)
class TieredSource:
    """Where the network to split comes from, beside its source.

    For the name of a study, `storage` is its database, `artifacts` the store of its exit tables (default: beside the
    SQLite file), and `network` the network, by default the recommended one. `input_bytes` replaces the bytes of a raw
    sample. `trust_code` allows code that a design names.
    """

    storage: str = "sqlite:///eenas.db"
    artifacts: ArtifactPlace | None = None
    network: str | None = None
    input_bytes: int | None = None
    trust_code: bool = False

    def read(self, source: str | Path) -> TieredSubject:
        """Return the network of a source: the folder of an exported model or of a run, or the name of a study.

        Raises EenasError for anything else.
        """
        path = Path(source)
        if path.is_dir():
            if self.network is not None:
                raise MeasurementError(f"{path}: is one network, 'network' has no effect; leave it out")
            if is_model_folder(path):
                return subject_of_model(path, trust_code=self.trust_code).with_input_bytes(self.input_bytes)
            if (path / REPORT).is_file():
                report = RunReport.read(path, trust_code=self.trust_code)
                return subject_of_run(report).with_input_bytes(self.input_bytes)
            raise MeasurementError(f"{path}: is neither an exported model nor a run; give one of them, or a study")
        return self._of_study(str(source)).with_input_bytes(self.input_bytes)

    def tiers_of(self, name: str) -> tuple[Tiers | None, Path | None]:
        """Return the tiers of a study (None: it has none) and the folder of their files. Raises EenasError without it.

        They are known without latencies, too.
        """
        record = study_record(Database(self.storage, create=False), name)
        return open_results(self.storage, name, trust_code=self.trust_code).settings.tiers, code_folder(record)

    def _of_study(self, name: str) -> TieredSubject:
        try:
            record = study_record(Database(self.storage, create=False), name)
            results = open_results(self.storage, name, trust_code=self.trust_code)
        except EenasError as error:
            raise MeasurementError(
                f"{shortened(name)}: no such folder, and no study of this name ({error}); give a study, run or model"
            ) from None
        item = drawn_item(results, None if self.network is None else Choice(network=self.network))
        if item is None:
            raise FrontError(no_front(results))
        store = existing_store(self.storage, self.artifacts, trust_code=self.trust_code)
        subject = subject_of_point(results, item, exit_table_of(results, item.name, "validation", store))
        return replace(subject, tiers=results.settings.tiers, folder=code_folder(record))
