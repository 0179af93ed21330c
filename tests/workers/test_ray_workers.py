"""Workers on a Ray cluster of several nodes on this machine, and the refusals that need none."""

import socket
import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from eenas.errors import StudyError
from eenas.progress import Advanced, Notice
from eenas.records.database import Database
from eenas.workers import ray_cluster as joining
from eenas.workers import ray_workers as module
from eenas.workers.job import SearchJob
from eenas.workers.parallel_search import parallel_search
from eenas.workers.places import WORKER_BYTES
from eenas.workers.ray_workers import local_paths
from tests.smallest_study import SETTINGS, url
from tests.workers.test_parallel_search import OWN

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: 240 MB, which the extra test leaves out")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20})
    found.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    found.wait_for_nodes()
    yield found
    ray.shutdown()
    found.shutdown()


def run(folder, address, **options):
    (folder / "own.py").write_text(OWN)
    options = {
        **{"space": "small", "name": "shared", "device": "cpu", "trials": 5, "trust_code": True, "ray": address},
        **{"storage": url(folder), "overrides": (*SETTINGS, "bank.designs=0")},
        **options,
    }
    return parallel_search(f"{folder}/own.py:backbone", task=f"{folder}/own.py:task", **options)


def states(folder):
    with Database(url(folder)).transaction() as connection:
        return Counter(connection.execute(text("SELECT state FROM trials")).scalars())


@pytest.mark.slow
def test_workers_on_two_nodes_reach_the_exact_total(cluster, tmp_path):
    heard = []
    results = run(tmp_path, cluster.address, listener=heard.append)
    assert len(results.trials) == 5
    assert states(tmp_path) == {"COMPLETE": 5}
    notices = [event.text for event in heard if isinstance(event, Notice)]
    assert "2 workers on 2 Ray nodes, each with 0 GPUs and 1 cores" in notices
    assert not [text for text in notices if "died" in text]
    assert [event.done for event in heard if isinstance(event, Advanced) and event.phase == "searching"][-1] == 5


@pytest.mark.slow
def test_ctrl_c_gives_the_trials_back(cluster, tmp_path):
    def listener(event):
        if isinstance(event, Advanced) and event.phase == "searching" and event.done >= 1:
            raise KeyboardInterrupt

    results = run(tmp_path, cluster.address, trials=40, listener=listener)
    assert 1 <= len(results.trials) < 40
    assert states(tmp_path)["RUNNING"] == 0


@pytest.mark.slow
def test_what_the_cluster_lacks_is_said_before_anything_runs(cluster, tmp_path, monkeypatch):
    with pytest.raises(StudyError, match=r"no node of the Ray cluster has 1 GPUs, 1 cores and 256 MiB for"):
        run(tmp_path, cluster.address, gpus_per_trial=1)
    with pytest.raises(StudyError, match=r"--gpus-per-trial above 1 must be a whole number, got 1.5"):
        run(tmp_path, cluster.address, gpus_per_trial=1.5)
    monkeypatch.setattr(module, "local_paths", lambda arguments: ["/no/such/data"])
    with pytest.raises(StudyError, match=rf"/no/such/data: is missing on the Ray node {socket.gethostname()}; put it"):
        run(tmp_path, cluster.address)
    monkeypatch.undo()
    monkeypatch.setattr(module.socket, "gethostname", lambda: "elsewhere")
    with pytest.raises(StudyError, match=r"cannot share an SQLite file; give a PostgreSQL --storage"):
        run(tmp_path, cluster.address)
    assert not (tmp_path / "eenas.db").exists()


def with_ray(monkeypatch):
    """A stand-in for the package: an address is checked before it is joined."""
    if "ray" not in sys.modules:
        monkeypatch.setitem(sys.modules, "ray", type(sys)("ray"))
    monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False, raising=False)


def test_an_address_that_does_not_answer_ends_in_time_with_one_line(tmp_path, monkeypatch):
    with_ray(monkeypatch)
    monkeypatch.setattr(joining, "ANSWER", 2.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(StudyError, match=rf"the Ray cluster at '?{address}'? did not answer within 2 s"):
            run(tmp_path, address)
    assert time.monotonic() - start < 10


def test_a_server_that_is_no_cluster_ends_in_time(tmp_path, monkeypatch):
    with_ray(monkeypatch)
    monkeypatch.setattr(joining, "CONNECT", 0.5)
    monkeypatch.setattr(joining, "_JOIN", "import time; time.sleep(60)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(StudyError, match=r"did not answer within 0.5 s; start it with `ray start --head`"):
            run(tmp_path, address)
        monkeypatch.setattr(joining, "CONNECT", 60.0)
        monkeypatch.setattr(joining, "_JOIN", "raise ConnectionError('no cluster here')")
        with pytest.raises(StudyError, match=r"cannot be joined \(ConnectionError: no cluster here\); start it"):
            run(tmp_path, address)


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "localhost:", "localhost:0", "localhost:99999", ":6379", "a:b", "a:" + "1" * 5000, "a:\u0663"],
)
def test_an_address_of_another_form_is_refused(tmp_path, monkeypatch, address):
    with_ray(monkeypatch)
    with pytest.raises(StudyError, match=r"--ray must be auto, HOST:PORT or ray://HOST:PORT, got"):
        run(tmp_path, address)


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r"--ray needs the package ray .*; pip install 'eenas\[ray\]'"):
        run(tmp_path, "auto")


def test_the_paths_of_a_search_are_found_in_its_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own.py", "study.toml", "weights.pt"):
        (tmp_path / name).touch()
    (tmp_path / "images").mkdir()
    arguments = {
        "backbone": "./own.py:backbone",
        "task": "folder:images",
        "study": tmp_path / "study.toml",
        "weights": "weights.pt",
        "space": "small",
        "overrides": ('backbone.weights="weights.pt"', "training.epochs=1"),
    }
    names = ("own.py", "images", "study.toml", "weights.pt")
    assert local_paths(arguments) == [str(tmp_path), *(str(tmp_path / name) for name in names)]
    assert SearchJob(arguments).to_bytes()


class RayError(Exception):
    """The base of Ray's errors, in the stand-in."""


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for the package with two nodes. Tasks never run; once it is `gone`, answers are errors."""
    found = type(sys)("ray")
    found.exceptions = SimpleNamespace(RayError=RayError, TaskCancelledError=type("Cancelled", (RayError,), {}))
    found.exceptions.GetTimeoutError = type("GetTimeout", (RayError,), {})
    found.gone, found.asked, found.answer = False, [], {}

    class Task:
        def options(self, **options):
            found.asked.append(options)
            return self

        def remote(self, *arguments):
            return self

        take = property(lambda self: self)

    def answered(value):
        if found.gone:
            raise RayError("Failed to connect to GCS.\n\nThe head is gone\n")
        return value

    resources = {"CPU": 4.0, "memory": 2.5 * WORKER_BYTES}
    node = {"Alive": True, "NodeID": "x", "NodeManagerHostname": socket.gethostname(), "Resources": resources}
    found.nodes = lambda: answered([node, node])
    found.remote = lambda what: Task()
    found.wait = lambda tasks, timeout: answered(([], tasks))
    found.get = lambda task, timeout=None: answered([("here", found.missing)] if isinstance(task, list) else {})
    found.cancel = lambda task, force: answered(None)
    found.is_initialized = lambda: True
    found.missing = []
    monkeypatch.setitem(sys.modules, "ray", found)
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
    monkeypatch.setitem(sys.modules, "ray.util", SimpleNamespace(scheduling_strategies=strategies))
    monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", strategies)
    return found


def test_an_installation_that_is_broken_is_said_in_one_line(tmp_path, monkeypatch):
    def broken(name):
        raise OSError("libray.so: cannot open shared object file\nand more")

    monkeypatch.setattr(joining, "import_module", broken)
    with pytest.raises(StudyError, match=r"--ray needs the package ray \(and more\); pip install 'eenas\[ray\]'$"):
        run(tmp_path, "auto")


def test_a_cluster_that_ends_before_it_is_joined_is_said_in_one_line(tmp_path, monkeypatch):
    def init(**options):
        raise RuntimeError("the head went away\n")

    with_ray(monkeypatch)
    monkeypatch.setattr(joining, "_JOIN", "")
    monkeypatch.setattr(sys.modules["ray"], "init", init, raising=False)
    with pytest.raises(
        StudyError, match=r"the Ray cluster at 'auto' cannot be joined \(the head went away\); start it"
    ):
        run(tmp_path, "auto")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus_per_trial": -1}, "--gpus-per-trial must be a number from 0 to 1024, got -1"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial above 1 must be a whole number"),
        ({"cpus_per_trial": float("nan")}, "--cpus-per-trial must be a number from 0 to 1024, got nan"),
        ({"workers": 0}, "workers must be a whole number from 1 to 1024, got 0"),
    ],
)
def test_numbers_are_checked_before_the_cluster_is_joined(tmp_path, options, said):
    with pytest.raises(StudyError, match=said):
        run(tmp_path, "no.such.host.invalid:1", **options)


@pytest.mark.parametrize("name", ["gpus_per_trial", "cpus_per_trial"])
def test_resources_of_ray_are_refused_without_ray(tmp_path, name):
    flag = "--" + name.replace("_", "-")
    with pytest.raises(StudyError, match=f"{flag} is for workers on Ray, got no --ray"):
        run(tmp_path, None, **{name: 1.0})


def launched(folder, **options):
    return module.ray_workers("auto", SearchJob({}), 0.0, {"storage": url(folder), **options}, lambda event: None)


def test_a_node_has_as_many_workers_as_its_memory_holds(tmp_path, stand_in):
    launch, count = launched(tmp_path)
    assert count == 4  # two of 256 MiB in the 640 MiB of each node, which has four cores
    launch(1)
    assert stand_in.asked[-1]["memory"] == WORKER_BYTES
    assert launched(tmp_path, cpus_per_trial=4)[1] == 2
    stand_in.nodes()[0]["Resources"]["memory"] = WORKER_BYTES - 1
    (tmp_path / "eenas.artifacts").rmdir()
    with pytest.raises(StudyError, match="no node of the Ray cluster has 0 GPUs, 1 cores and 256 MiB for a worker"):
        launched(tmp_path)
    assert list(tmp_path.iterdir()) == []
    del stand_in.nodes()[0]["Resources"]["memory"]  # an unknown memory is not asked for
    launch, count = launched(tmp_path)
    launch(1)
    assert (count, "memory" in stand_in.asked[-1]) == (8, False)


def test_a_cluster_that_is_lost_ends_the_search_with_one_line(tmp_path, stand_in):
    launch, _ = launched(tmp_path)
    worker = launch(1)
    assert worker.messages() == []
    stand_in.gone = True
    said = r"the Ray cluster at 'auto' does not answer any more \(The head is gone\); finished trials are kept"
    with pytest.raises(StudyError, match=said):
        worker.messages()
    worker.stop()
    worker.kill()
    with pytest.raises(StudyError, match=said):
        launched(tmp_path)


def test_a_refused_search_on_ray_leaves_no_folder(tmp_path, stand_in):
    stand_in.missing = ["/no/such/data"]
    with pytest.raises(StudyError, match="/no/such/data: is missing on the Ray node here"):
        launched(tmp_path, artifacts=tmp_path / "new" / "artifacts")
    assert list(tmp_path.iterdir()) == []
    stand_in.missing = []
    launched(tmp_path, artifacts="./own.py:Store")
    assert list(tmp_path.iterdir()) == []
