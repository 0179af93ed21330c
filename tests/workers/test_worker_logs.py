"""The logs of workers: those of a refused search go, others and what libraries wrote stay."""

from pathlib import Path

from eenas.workers.worker_logs import WorkerLogs

SHOWN = "13:28:48 measuring the backbone ...\n13:28:50 ended: error, wrong\n"


def test_logs_that_say_nothing_more_than_the_terminal_are_removed_with_their_new_folder(tmp_path: Path) -> None:
    logs = WorkerLogs(tmp_path / "eenas.workers", 3)
    logs.path(1).parent.mkdir()
    logs.path(1).write_text(SHOWN)
    logs.path(2).touch()  # was ended before it wrote anything; the third was not started
    logs.remove_shown()
    assert list(tmp_path.iterdir()) == []


def test_output_of_libraries_and_logs_of_earlier_searches_stay(tmp_path: Path) -> None:
    earlier = WorkerLogs(tmp_path, 1).path(1)
    earlier.write_text(SHOWN)
    logs = WorkerLogs(tmp_path, 3)
    for number, text in ((1, SHOWN), (2, SHOWN + "a library says more\n"), (3, SHOWN)):
        with logs.path(number).open("a") as stream:
            stream.write(text)
    logs.remove_shown()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker-1.log", "worker-2.log"]
    assert earlier.read_text() == 2 * SHOWN
    empty = WorkerLogs(tmp_path / "none", 2)
    empty.remove_shown()
    assert not (tmp_path / "none").exists()
