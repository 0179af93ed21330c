"""Artifacts in buckets: the contract of every store, nothing lost where requests fail, and errors of one line."""

import os
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from eenas.errors import PluginError, StorageError
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.in_flight import InFlight
from eenas.records.stores.artifact_cache import ArtifactCache
from eenas.records.stores.folder_store import FolderStore
from eenas.records.stores.layered_store import LayeredStore
from eenas.records.stores.object_store import ObjectStore, TransientStoreError
from eenas.records.stores.places import open_place
from eenas.records.stores.retried_store import RetriedStore
from eenas.records.stores.study_artifacts import StudyArtifacts
from eenas.testing import StoreContract, check_store
from tests.bucket_servers import BUCKET, Faults, GoogleBucket, s3_environment, s3_server, served

PLACE = f"s3://{BUCKET}/a/study"
OWN_STORE = """
from eenas.records import ObjectStore

KEPT = {}


class Store(ObjectStore):
    label = "memory:kept"

    def check(self):
        pass

    def put(self, key, file):
        KEPT[key] = file.read_bytes()

    def get(self, key, file):
        if key not in KEPT:
            raise FileNotFoundError(key)
        file.write_bytes(KEPT[key])

    def exists(self, key):
        return key in KEPT

    def remove(self, key):
        KEPT.pop(key, None)


class Torn(Store):
    def put(self, key, file):
        KEPT[key] = b""
        for start in range(0, file.stat().st_size, 2**14):
            KEPT[key] += file.read_bytes()[start:start + 2**14]


def nothing():
    return None
"""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Faults]:
    """A server of S3 in the environment, with a cache of its own."""
    with s3_server() as (address, found):
        for name, value in s3_environment(address).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.setenv("EENAS_ARTIFACT_CACHE", str(tmp_path / "cache"))
        yield found


def objects() -> list[dict[str, str]]:
    import boto3

    return list(boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"])


def test_a_folder_keeps_the_contract(tmp_path: Path) -> None:
    check_store(lambda: FolderStore(tmp_path / "kept"))


def test_a_bucket_of_s3_keeps_the_contract(faults: Faults) -> None:
    check_store(lambda: open_place(PLACE))
    check_store(lambda: open_place(f"s3://{BUCKET}"))


def test_a_bucket_of_google_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = GoogleBucket()
    with served(bucket) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        check_store(lambda: open_place(f"gs://{BUCKET}/a/study"))
        with pytest.raises(StorageError, match="there is no bucket 'other'"):
            open_place("gs://other/x").check()
    with pytest.raises(TransientStoreError, match="does not answer"):
        open_place(f"gs://{BUCKET}/a").check()


def test_layers_and_retries_keep_the_contract(tmp_path: Path) -> None:
    upper, lower = FolderStore(tmp_path / "upper"), FolderStore(tmp_path / "lower")
    check_store(lambda: RetriedStore(LayeredStore(upper, lower)))
    (tmp_path / "below").write_bytes(b"below")
    lower.put("x", tmp_path / "below")
    both = LayeredStore(upper, lower)
    both.get("x", tmp_path / "found")
    assert (tmp_path / "found").read_bytes() == b"below"
    both.remove("x")
    assert lower.exists("x")


def test_a_store_of_ones_own_keeps_the_contract_or_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_store.py").write_text(OWN_STORE)
    monkeypatch.chdir(tmp_path)

    class TestOwn(StoreContract):
        store = "./own_store.py:Store"

    with pytest.raises(PluginError, match="--trust-code"):
        ArtifactStore("./own_store.py:Store")
    monkeypatch.setattr("eenas.testing.store_contract.home_of", lambda test: tmp_path)
    TestOwn().test_it_keeps_the_contract()
    store = ArtifactStore("./own_store.py:Store", cache=ArtifactCache(tmp_path / "cache", 10**6))
    assert store.read(store.write("x", b"mine")) == b"mine"
    assert store.label == "memory:kept"
    with pytest.raises(StorageError, match=r"derived from eenas\.records\.ObjectStore"):
        ArtifactStore("./own_store.py:nothing", trust_code=True)
    with pytest.raises(AssertionError, match="part of an object"):
        check_store(lambda: open_place("./own_store.py:Torn", trust_code=True))


def test_artifacts_of_a_bucket_are_read_by_another_worker(faults: Faults, tmp_path: Path) -> None:
    here = ArtifactStore(PLACE)
    there = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / "there", 10**6))
    first = here.write("weights.bin", b"abc")
    second = here.write("table.npz", lambda path: path.write_bytes(b"defg"))
    assert there.read(first) == b"abc"
    assert there.path(second).read_bytes() == b"defg"
    requests = faults.count
    assert there.read(first) == b"abc"  # from the copy
    assert here.read(second) == b"defg"
    assert there.exists(first)
    assert there.unverified_path(second).read_bytes() == b"defg"
    assert faults.count == requests
    assert there.holds(first)
    there.remove(first)
    assert not there.holds(first)
    assert not there.exists(first)
    with pytest.raises(StorageError, match="the artifact is missing; give the --artifacts that the study"):
        there.read(first)
    assert here.label == PLACE
    assert here.root.is_dir()


def test_one_url_on_two_servers_is_two_places(faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(f"sqlite:///{tmp_path}/eenas.db")
    (there := ArtifactStore(PLACE)).write("x", b"x")
    StudyArtifacts(database, "one", there.objects).keep()
    (key,) = (each["Key"].rpartition("/")[2] for each in objects() if "study-" in each["Key"])
    there.objects.remove(key)
    address = os.environ["AWS_ENDPOINT_URL_S3"]
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", address.replace("127.0.0.1", "ann:hush@localhost"))
        other = ArtifactStore(PLACE, create=False)
        assert other.objects.label_with_server.endswith("@localhost:" + address.rpartition(":")[2])
        assert "hush" not in other.objects.label_with_server
        patch.setenv("AWS_ENDPOINT_URL_S3", address.replace("127.0.0.1", "localhost"))
        other = ArtifactStore(PLACE, create=False)
        with pytest.raises(
            StorageError, match=f"not the artifacts of the study 'one'.*last at '{PLACE} on {address}';"
        ):
            StudyArtifacts(database, "one", other.objects).keep()
        assert other.root != there.root
    assert not there.objects.exists(key)
    StudyArtifacts(database, "one", there.objects).keep()  # emptied, and filled again
    assert there.objects.exists(key)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert ArtifactStore(PLACE, create=False).objects.label_with_server == PLACE


def test_one_url_of_google_on_two_servers_is_two_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    assert open_place("gs://bucket/x").label_with_server == "gs://bucket/x on http://127.0.0.1:9"
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    anonymous = import_module("google.auth.credentials").AnonymousCredentials()
    monkeypatch.setattr("google.auth.default", lambda *_, **__: (anonymous, None))
    assert open_place("gs://bucket/x").label_with_server == "gs://bucket/x"


def test_a_changed_object_and_a_changed_copy_are_noticed(faults: Faults, tmp_path: Path) -> None:
    here = ArtifactStore(PLACE)
    there = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / "there", 10**6))
    old = here.write("weights.bin", b"old")
    here.path(old).write_bytes(b"odl")
    assert here.read(old) == b"old"
    new = here.write("weights.bin", b"new")
    assert there.read(new) == b"new"
    with pytest.raises(StorageError, match="SHA-256 differs"):
        there.read(old)
    assert not there.holds(old)


def test_nothing_is_lost_where_one_request_in_ten_fails(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eenas.records.stores.retried_store.WAIT", 0.01)
    faults.count, faults.every = 0, 10
    written: dict[str, bytes] = {}
    wrong: list[object] = []

    def work(number: int) -> None:
        store = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / f"{number}", 10**9))
        other = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / f"other-{number}", 10**9))
        for each in range(15):
            content = os.urandom(1 + 4000 * each)
            reference = store.write(f"table-{number}-{each}", content)
            written[reference] = content
            if other.read(reference) != content:
                wrong.append(reference)

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(written) == 60
    assert faults.failed >= 12
    faults.every = 0
    last = ArtifactStore(PLACE, cache=ArtifactCache(tmp_path / "last", 10**9))
    assert all(last.read(reference) == content for reference, content in written.items())


def test_a_put_that_fails_leaves_the_old_object_and_no_copy(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eenas.records.stores.retried_store.WAIT", 0.001)
    store = ArtifactStore(PLACE)
    old = store.write("weights.bin", b"old")
    files = sorted(item.name for item in (tmp_path / "cache").iterdir())
    faults.said = ("503 Slow Down", "SlowDown")
    with pytest.raises(StorageError, match=r"the server fails .*\(tried 9 times\)"):
        store.write("weights.bin", b"new")
    faults.said = ("", "")
    assert sorted(item.name for item in (tmp_path / "cache").iterdir()) == files
    assert store.holds(old)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (("403 Forbidden", "AccessDenied"), "access denied .*check the credentials and their right"),
        (("400 Bad Request", "ExpiredToken"), "the credentials have expired .*renew them"),
        (("507 Insufficient Storage", "XMinioStorageFull"), "the store is full .*give another --artifacts"),
        (("403 Forbidden", "QuotaExceeded"), "the store is full"),
        (("404 Not Found", "NoSuchBucket"), "there is no bucket 'studies'; create it"),
        (("400 Bad Request", "InvalidArgument"), "the server refuses"),
    ],
)
def test_errors_of_the_server_are_one_line(faults: Faults, said: tuple[str, str], match: str) -> None:
    store = ArtifactStore(PLACE)
    faults.said = said
    before = faults.count
    with pytest.raises(StorageError, match=match) as caught:
        store.write("x", b"x")
    assert faults.count == before + 1  # repeating does not help
    assert "\n" not in str(caught.value)
    assert "very-secret-key" not in str(caught.value)


def test_a_missing_bucket_no_server_and_no_credentials_are_said_at_the_start(
    faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eenas.records.stores.retried_store.WAIT", 0.001)
    with pytest.raises(StorageError, match="there is no bucket 'nowhere'; create it, or correct the URL"):
        ArtifactStore("s3://nowhere/x")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        with pytest.raises(StorageError, match=r"does not answer .*AWS_ENDPOINT_URL_S3\) \(tried 3 times\)"):
            ArtifactStore(PLACE)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match=r"no credentials for S3 .*set AWS_ACCESS_KEY_ID"):
        ArtifactStore(PLACE)


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ("ftp://host/x", "unknown kind of store 'ftp'; give a folder, s3://BUCKET/PREFIX"),
        ("s3://", "'' is not a bucket; write s3://BUCKET/PREFIX"),
        ("s3:///x", "'' is not a bucket"),
        ("S3://ann:hush@bucket/x", r"s3://\*\*\*: credentials do not belong in the URL"),
        ("ftp://ann:hush@bucket/x", r"ftp://\*\*\*: unknown kind"),
        ("gs://bucket/x?key=hush", "takes no parameters"),
        ("s3://bucket/a b", "the prefix must be a path without spaces"),
        ("s3://bucket\n/x", "is not a bucket"),
    ],
)
def test_malformed_places_are_refused(place: str, match: str) -> None:
    with pytest.raises(StorageError, match=match) as caught:
        ArtifactStore(place)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
    with pytest.raises(StorageError):
        ArtifactStore.beside("sqlite://", place)


@pytest.mark.parametrize(("place", "extra"), [("s3://bucket/x", "eenas\\[s3\\]"), ("gs://bucket/x", "eenas\\[gcs\\]")])
def test_a_missing_library_names_the_extra(place: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    monkeypatch.setitem(__import__("sys").modules, "google.cloud", None)
    with pytest.raises(StorageError, match=f"pip install '{extra}'"):
        ArtifactStore(place)


class _Broken(ObjectStore):
    """A store whose first requests fail."""

    label = "broken"  # type: ignore[assignment]

    def __init__(self, errors: list[Exception]) -> None:
        self.errors, self.kept = errors, b"whole"

    def check(self) -> None:
        raise ConnectionError

    def put(self, key: str, file: Path) -> None:
        self._fail()

    def get(self, key: str, file: Path) -> None:
        file.write_bytes(self.kept[:2] if self.errors else self.kept)
        if self.errors:
            self.errors.pop()

    def exists(self, key: str) -> bool:
        self._fail()
        return True

    def remove(self, key: str) -> None:
        self._fail()

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop()


def test_faults_that_pass_are_repeated_and_others_are_not(tmp_path: Path) -> None:
    passing: list[Exception] = [ConnectionError("gone"), TimeoutError(), TransientStoreError("busy")]
    assert RetriedStore(_Broken(passing), wait=0.001).exists("x")
    with pytest.raises(StorageError, match=r"broken: the store does not answer \(ConnectionError\)"):
        RetriedStore(_Broken([]), wait=0.001).check()
    with pytest.raises(StorageError, match="full"):
        RetriedStore(_Broken([StorageError("full")]), wait=0.001).remove("x")
    with pytest.raises(StorageError, match=r"busy \(tried 2 times\)"):
        RetriedStore(_Broken([TransientStoreError("busy")] * 2), tries=2, wait=0.001).exists("x")


def test_a_transfer_that_loses_bytes_is_repeated(tmp_path: Path) -> None:
    broken = _Broken([])
    store = ArtifactStore(broken, create=False, cache=ArtifactCache(tmp_path / "one", 10**6))
    (tmp_path / "whole").write_bytes(b"whole")
    from eenas.records.artifacts import reference_to

    reference = reference_to("x", tmp_path / "whole")
    broken.errors = [ValueError()]
    assert store.read(reference) == b"whole"


def test_the_least_recently_used_copies_make_room(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path, 2500, grace=0)
    store = ArtifactStore(_Broken([]), create=False, cache=cache)
    first, second = (store.write(name, name.encode() * 500) for name in ("a", "b"))
    os.utime(store.path(first), (1000, 1000))
    os.utime(store.path(second), (900, 900))
    third = store.write("c", b"c" * 2000)
    held = [store._cache.find(*reference.split("@sha256:")) is not None for reference in (first, second, third)]
    assert held == [True, False, True]
    patient = ArtifactStore(_Broken([]), create=False, cache=ArtifactCache(tmp_path, 10, grace=60))
    kept = patient.write("d", b"d" * 100)
    assert patient.path(kept).exists()  # its reader may not have opened it yet


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EENAS_ARTIFACT_CACHE", str(tmp_path / "here"))
    monkeypatch.setenv("EENAS_ARTIFACT_CACHE_SIZE", "2KB")
    cache = ArtifactCache.usual()
    assert (cache.folder, cache.limit) == (tmp_path / "here", 2000)
    monkeypatch.setenv("EENAS_ARTIFACT_CACHE_SIZE", "much")
    with pytest.raises(StorageError, match="EENAS_ARTIFACT_CACHE_SIZE: a size is a number"):
        ArtifactCache.usual()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot create the cache of artifacts .*EENAS_ARTIFACT_CACHE"):
        ArtifactCache(tmp_path / "file" / "x", 10).check()


def test_markers_of_running_trials_are_seen_by_other_workers(faults: Faults) -> None:
    here, there = InFlight(ArtifactStore(PLACE).objects), InFlight(ArtifactStore(PLACE).objects)
    here.begin("study", 3)
    assert there.has_marker("study", 3)
    assert not there.has_marker("study", 4)
    here.end("study", 3)
    assert not there.has_marker("study", 3)
