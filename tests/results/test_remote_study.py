"""A whole search with its artifacts in a bucket where one request in ten fails, and all that reads them."""

from pathlib import Path

import pytest

from eenas.errors import StorageError
from eenas.records.artifacts import ArtifactStore
from eenas.records.stores.artifact_cache import ArtifactCache
from eenas.reporting.report.report_source import open_source
from eenas.results.choice import Choice
from eenas.runs.full_training import train
from eenas.study.settings.reference import StudyReference
from eenas.testing.smallest import smallest_task
from tests.bucket_servers import BUCKET, s3_environment, s3_server
from tests.smallest_study import backbone, run_search, url

PLACE = f"s3://{BUCKET}/studies/one"

pytestmark = pytest.mark.slow


def test_a_study_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eenas.records.stores.retried_store.WAIT", 0.01)
    monkeypatch.setenv("EENAS_ARTIFACT_CACHE", str(tmp_path / "cache"))
    with s3_server(every=10) as (address, faults):
        for name, value in s3_environment(address).items():
            monkeypatch.setenv(name, value)
        results = run_search(tmp_path, artifacts=PLACE, trials=3, name="one")
        assert len(results.trials) == 3
        assert faults.failed > 0
        faults.every = 0
        there = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / "there", 10**9))  # another machine
        references = [each for network in results.networks for each in network.artifacts.values()]
        assert references
        assert all(there.holds(reference) for reference in references)
        assert not (tmp_path / "eenas.artifacts").exists()

        more = run_search(tmp_path, artifacts=PLACE, trials=4, name="one")
        assert len(more.trials) == 4
        monkeypatch.setenv("EENAS_ARTIFACT_CACHE", str(tmp_path / "elsewhere"))
        report = train(
            url(tmp_path),
            choice=Choice(knee=True),
            out=tmp_path / "run",
            device="cpu",
            artifacts=PLACE,
            task=smallest_task(),
            backbone=backbone(),
        )
        assert report.samples > 0
        assert (tmp_path / "elsewhere").is_dir()
        with pytest.raises(StorageError, match="give the --artifacts of the search"):
            open_source(StudyReference(storage=url(tmp_path), artifacts=f"s3://{BUCKET}/empty")).picked()
        assert open_source(StudyReference(storage=url(tmp_path), artifacts=PLACE)).picked().validation.labels.size
    for file in tmp_path.glob("eenas.db*"):
        assert b"very-secret-key" not in file.read_bytes()
