"""The runs of a study: folders in which `eenas train` trained its designs fully."""

from pathlib import Path

from eenas.bounds import read_json
from eenas.errors import SpecError
from eenas.records.studies import StudyRecord
from eenas.runs.run_report import ORIGIN, REPORT, RunReport, origin

RUNS = Path("runs")
"""The default folder for the runs of `eenas train`."""


def runs_of(record: StudyRecord, folder: Path, *, trust_code: bool = False) -> tuple[RunReport, ...]:
    """Return the finished runs of a study in `folder`, which may be a run itself, from the oldest to the newest.

    Raises ExportError for an incomplete report, PluginError for a design with code that is not trusted.
    """
    places = [folder] if (folder / REPORT).is_file() else sorted(folder.glob(f"*/{REPORT}"))
    found = [place if place == folder else place.parent for place in places]
    own = sorted((one for one in found if _is_of(one, record)), key=lambda one: (one / REPORT).stat().st_mtime)
    return tuple(RunReport.read(one, trust_code=trust_code) for one in own)


def _is_of(run: Path, record: StudyRecord) -> bool:
    """Whether a run belongs to the study with this record."""
    try:
        return bool(read_json(run / ORIGIN) == origin(record.name, record.identity))
    except SpecError:
        return False
