"""optuna-dashboard on a study's storage, asked over HTTP."""

import json
import threading
import urllib.error
import urllib.request

import optuna
import pytest

from eenas.errors import EenasError, StorageError
from eenas.records.database import Database
from eenas.reporting.dashboard.dashboard import server
from eenas.reporting.dashboard.study_page import publish
from tests.reporting.studies import study


@pytest.fixture
def storage(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    Database(url).close()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(storage=url, study_name="the study", directions=["maximize", "minimize"])
    made.optimize(lambda trial: (trial.number, trial.number), n_trials=3)
    publish(study(3), made)
    return url


def ask(running, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{running.server_port}{path}", timeout=30) as answer:
        return answer.read()


def test_the_page_is_served_with_our_figures(storage):
    with server(storage, host="127.0.0.1", port=0, artifacts=None) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            assert b"<html" in ask(running, "/dashboard/").lower()
            (summary,) = json.loads(ask(running, "/api/studies"))["study_summaries"]
            assert summary["study_name"] == "the study"
            detail = json.loads(ask(running, f"/api/studies/{summary['study_id']}?after=0"))
            names = {graph["id"] for graph in detail["plotly_graph_objects"]}
            assert names == {"eenas-front_macs", "eenas-front_latency", "eenas-leaving"}
            assert "Best accuracy" in detail["note"]["body"]
        finally:
            running.shutdown()
            thread.join()


def test_a_taken_port_says_what_to_do(storage):
    with (
        server(storage, host="127.0.0.1", port=0, artifacts=None) as running,
        pytest.raises(EenasError, match="--port"),
    ):
        server(storage, host="127.0.0.1", port=running.server_port, artifacts=None)


def test_a_storage_that_is_missing_or_foreign_is_refused(tmp_path):
    missing = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(StorageError, match="none"):
        server(missing, host="127.0.0.1", port=0, artifacts=None)
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be looked at " * 20)
    with pytest.raises(StorageError, match="text"):
        server(f"sqlite:///{tmp_path}/text.db", host="127.0.0.1", port=0, artifacts=None)


def test_a_storage_that_breaks_while_it_is_served_is_one_line(storage, tmp_path):
    said = []
    with server(storage, host="127.0.0.1", port=0, artifacts=None, listener=said.append) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            ask(running, "/api/studies")
            for file in tmp_path.glob("study.db*"):  # the write-ahead log may hold all of it
                file.write_bytes(b"garbage" * 10_000)
            for _ in range(2):
                with pytest.raises(urllib.error.HTTPError):
                    ask(running, "/api/studies")
        finally:
            running.shutdown()
            thread.join()
    (notice,) = said
    assert "study.db: file is not a database" in notice.text


def test_a_folder_of_artifacts_that_is_missing_is_refused(storage, tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        server(storage, host="127.0.0.1", port=0, artifacts=tmp_path / "nowhere")
