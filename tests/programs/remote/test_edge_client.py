"""The edge client: it answers like the whole model, and by the last exit here when the server does not."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from eenas.errors import ExportError, InputError, LinkError, PolicyError
from eenas.policies.kinds.patience import PatiencePolicy
from eenas.policies.kinds.threshold import ThresholdPolicy
from eenas.policies.kinds.vote import VotePolicy
from eenas.programs.remote.edge_client import EdgeClient
from eenas.programs.remote.split_table import SplitRow, SplitTable
from eenas.programs.runtime import load

from .model_server import ModelServer, serving


@pytest.fixture
def server(exported):
    return ModelServer(exported)


@pytest.fixture
def whole(exported):
    return load(exported, threads=1)


@pytest.fixture
def opened(request):
    """`opened(folder, url, **options)` loads a model, whose connection is closed after the test."""
    models = []

    def open_(folder, url, *, connected=True, **options):
        models.append(model := load(folder, threads=1, remote=url, **{"deadline_ms": 20_000, **options}))
        if connected:
            model.remote.connect(20)
        return model

    yield open_
    for model in models:
        model.remote.close()


def same(found, expected):
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_array_equal(found.exits, expected.exits)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)


@pytest.mark.parametrize("split", ["", "0", "2", "final"])
def test_it_answers_like_the_whole_model_for_every_split(exported, server, whole, opened, batch, split):
    expected = whole.predict(batch)
    assert set(expected.exits) == {0, 1, 2}
    with serving(server) as url:
        model = opened(exported, url, split=split)
        found = model.predict(batch)
        same(found, expected)
        local = {"": 0, "0": 1, "2": 2, "final": 3}[split]
        assert found.answered == tuple("edge" if exit_ < local else "cloud" for exit_ in expected.exits)
        alone = [model.predict(batch[index : index + 1]) for index in range(6)]
        assert [int(one.exits[0]) for one in alone] == expected.exits[:6].tolist()
        counts = model.remote.statistics
        assert (counts.samples, counts.fallback) == (66, {})
        assert counts.local == sum(map(found.answered.count, ["edge"])) + sum(
            one.answered == ("edge",) for one in alone
        )
        assert max(server.sizes, default=0) <= 16  # the limit that the server states
        assert set(server.splits) <= {split}
        left = [one.left for one in model.statistics]
        exits = np.concatenate([expected.exits, expected.exits[:6]])
        assert left == np.bincount(exits, minlength=3).tolist()
        assert [one.reached for one in model.statistics] == [int((exits >= k).sum()) for k in range(3)]


def test_the_halves_of_a_model_answer_like_the_whole(halves, whole, opened, batch):
    edge, cloud = halves
    with serving(ModelServer(cloud)) as url:
        model = opened(edge, url)
        same(model.predict(batch), whole.predict(batch))
        assert model.remote.splits == ("0", "final")
        model.warm_up()
        model.remote.set_split("final")
        assert set(model.predict(batch).exits) == {0}
        assert set(model.predict(batch).answered) == {"edge"}


def test_each_half_alone_says_what_it_is(halves):
    import eenas

    edge, cloud = halves
    with pytest.raises(
        ExportError, match=r"is the edge half of a model split at '0'; give the server .* \(--remote URL"
    ):
        load(edge)
    for options in ({}, {"remote": "http://127.0.0.1:1"}):
        with pytest.raises(ExportError, match="is the cloud half of a model split at '0'; run it with `eenas serve`"):
            load(cloud, **options)
    for folder in halves:
        with pytest.raises(
            ExportError, match="half of a model split at '0' and holds programs only; use the whole model"
        ):
            eenas.load(folder)


@pytest.mark.parametrize(
    "policy",
    [PatiencePolicy(exits=3, patience=1), VotePolicy(exits=3, ratio=0.6, least=2)],
    ids=lambda policy: policy.kind,
)
def test_a_policy_with_a_memory_gets_the_logits_of_earlier_exits(exported, opened, whole, batch, policy):
    server = ModelServer(exported, policy=policy)
    server.wants_logits = True
    whole.set_policy(policy)
    with serving(server) as url:
        model = opened(exported, url, split="0")
        model.set_policy(policy)
        same(model.predict(batch), whole.predict(batch))
        assert server.seen


@pytest.mark.parametrize("codec", ["float16", "int8", "int8_channel"])
@pytest.mark.parametrize("compression", ["none", "deflate", "gzip"])
def test_codecs_and_compression(exported, server, opened, whole, batch, codec, compression):
    plain = whole.predict(batch)
    with serving(server) as url:
        model = opened(exported, url, split="0", codec=codec, compression=compression)
        found = model.predict(batch)
        assert (found.classes == plain.classes).mean() > 0.95
        np.testing.assert_allclose(found.logits, plain.logits, atol=0.2)
        sent = model.remote.statistics.link.bytes_sent
        full = 4 * 8 * 8 * 8 * found.answered.count("cloud")
        assert sent < full * {"float16": 0.7, "int8": 0.5, "int8_channel": 0.6}[codec]
        assert set(server.encodings) == {"" if compression == "none" else compression}


def test_nothing_is_lost_without_a_server(exported, whole, opened, batch):
    model = opened(exported, "http://127.0.0.1:1", split="2", connected=False)
    found = model.predict(batch)
    expected = whole.predict(batch)
    stays = expected.exits == 2
    assert found.answered == tuple("edge: link lost" if one else "edge" for one in stays)
    assert set(found.exits[stays]) == {1}  # the last exit before the split
    np.testing.assert_array_equal(found.classes[stays], np.stack(whole.logits(batch))[1][stays].argmax(axis=1))
    same(
        replace(found, classes=found.classes[~stays], exits=found.exits[~stays], logits=found.logits[~stays]),
        replace(
            expected, classes=expected.classes[~stays], exits=expected.exits[~stays], logits=expected.logits[~stays]
        ),
    )
    began = time.perf_counter()
    for _ in range(50):
        assert "edge: link lost" in model.predict(batch).answered
    assert time.perf_counter() - began < 10  # a link that is known to be down costs nothing
    assert model.remote.statistics.fallback == {"link lost": 51 * int(stays.sum())}
    with pytest.raises(LinkError, match=r"http://127.0.0.1:1: link lost; answers come from the edge"):
        model.remote.connect(0.2)
    first = opened(exported, "http://127.0.0.1:1", split="", connected=False).predict(batch)
    assert (set(first.exits), set(first.answered)) == ({0}, {"edge: link lost"})


def test_a_server_that_is_too_slow_is_not_waited_for(exported, server, opened, batch):
    with serving(server) as url:
        model = opened(exported, url, split="0", deadline_ms=300, retries=0)
        server.delay = 1.0
        for _ in range(2):
            began = time.perf_counter()
            assert set(model.predict(batch[:16]).answered) <= {"edge", "edge: too slow"}
            assert time.perf_counter() - began < 0.9
        assert model.remote.fault == "too slow"
        assert "edge: too slow" in model.predict(batch).answered
        server.delay = 0.0
        wait_for(model, batch)


def wait_for(model, batch, seconds=15.0):
    """The seconds until the server answers again."""
    began = time.perf_counter()
    while "cloud" not in model.predict(batch).answered:
        assert time.perf_counter() - began < seconds, model.remote.fault
        time.sleep(0.01)
    return time.perf_counter() - began


def lie(name, change):
    return lambda outputs: {**outputs, name: change(outputs[name])}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lie("classes", lambda a: a + 4), "classes must be from 0 to 3, got 4"),
        (lie("classes", lambda a: a[:-1]), "classes must be int64 [16], got int64 [15]"),
        (lie("classes", lambda a: a.astype(np.int32)), "classes must be int64 [16], got int32 [16]"),
        (lie("exits", lambda a: a * 0), "exits must be from 1 to 2, got 0"),
        (
            lie("logits", lambda a: a * np.float32(np.nan)),
            "logits must be finite, got NaN or infinity in sample 0 of 16",
        ),
        (lie("logits", lambda a: a[:, :3]), "logits must be float32 [16, 4], got float32 [16, 3]"),
        (lambda outputs: {"classes": outputs["classes"]}, "exits must be int64 [16], got none"),
    ],
)
def test_a_server_that_lies_is_not_believed(exported, server, opened, batch, wrong, text):
    server.wrong = wrong
    with serving(server) as url:
        model = opened(exported, url, split="0")
        found = model.predict(batch)
        reasons = {one for one in found.answered if one != "edge"}
        assert len(reasons) == 1
        assert text in reasons.pop()
        assert set(found.exits) == {0}
        assert model.remote.fault.startswith("wrong answer (")
        server.wrong = None
        assert wait_for(model, batch) < 10


def test_the_answer_to_another_request_is_not_applied(exported, server, opened, batch):
    server.answer_id = "another"
    with serving(server) as url:
        found = opened(exported, url, split="0").predict(batch)
        assert "edge: wrong answer (the answer to another request, 'another')" in found.answered


def test_a_server_of_another_model_is_refused_with_both_identities(exported, server, opened, batch):
    server.identity = "0123456789abcdef"
    with serving(server) as url:
        model = opened(exported, url, split="0", connected=False)
        with pytest.raises(
            LinkError, match=r"the server has the model '0123456789abcdef', this is .*; use its other half"
        ):
            model.remote.connect(20)
        assert any("the server has the model" in one for one in model.predict(batch).answered)
        server.identity = server.manifest.identity
        wait_for(model, batch)


def test_a_token_is_sent_and_missed(exported, server, opened, batch):
    server.token = "secret"
    with serving(server) as url:
        model = opened(exported, url, split="0", connected=False)
        with pytest.raises(LinkError, match=r"server refused \(401 'a token is missing'\)"):
            model.remote.connect(20)
        assert "cloud" in opened(exported, url, split="0", token="secret").predict(batch).answered


@pytest.mark.parametrize(("status", "is_down"), [(400, True), (500, True), (429, False), (503, False)])
def test_a_refusal_is_named_and_a_busy_server_is_asked_again(exported, server, opened, batch, status, is_down):
    with serving(server) as url:
        model = opened(exported, url, split="0", retries=1)
        server.status = status
        assert f"edge: server refused ({status} 'told to refuse')" in model.predict(batch).answered
        assert bool(model.remote.fault) is is_down
        server.status = 200
        wait_for(model, batch)


def test_among_several_models_the_one_with_the_identity_and_the_split_is_used(exported, server, opened, batch):
    server.models = ("other", "model")
    server.start = "0"
    with serving(server) as url:
        model = opened(exported, url, split="0")
        assert "cloud" in model.predict(batch).answered
        model.remote.set_split("2")
        assert "edge: server refused (it starts at '0', not at '2')" in model.predict(batch).answered
        model.remote.set_split("0")
        assert "cloud" in model.predict(batch).answered
        assert "cloud" in opened(exported, f"{url}/v2/models/model", split="0").predict(batch).answered
        named = opened(exported, f"{url}/v2/models/other", split="0", connected=False)
        with pytest.raises(LinkError, match="the server has the model 'of others'"):
            named.remote.connect(20)
        server.models = ()
        with pytest.raises(LinkError, match=r"server refused \(it serves no models\)"):
            opened(exported, url, split="0", connected=False).remote.connect(20)


def test_it_waits_for_a_server_that_starts(exported, server, opened, batch):
    with serving(server) as url:
        port = int(url.rpartition(":")[2])
    model = opened(exported, url, split="0", connected=False)
    assert "edge: link lost" in model.predict(batch).answered
    timer = threading.Timer(0.3, lambda: threads.append(serving(server, port)) or threads[0].__enter__())
    threads = []
    timer.start()
    model.remote.connect(20)
    assert "cloud" in model.predict(batch).answered
    timer.join()
    threads[0].__exit__(None, None, None)


def test_features_that_overflow_are_not_sent(exported, server, opened, whole, batch):
    x = whole.manifest.preprocessing(batch)[:4].copy()
    x[2] = np.where(np.random.default_rng(0).random(x[2].shape) < 0.5, -3e38, 3e38)
    with serving(server) as url:
        model = opened(exported, url, split="0")
        model.set_thresholds(None)
        with pytest.raises(InputError, match=r"of sample 2 of 4 overflow in the network: the features at '0' are not"):
            model.predict(x)
        assert server.seen == []


def test_threads_share_a_model(exported, server, opened, whole, batch):
    expected = whole.predict(batch)
    with serving(server) as url:
        model = opened(exported, url, split="0")
        found = {}
        threads = [
            threading.Thread(target=lambda k=k: found.update({k: model.predict(batch[k * 10 : k * 10 + 10])}))
            for k in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for k in range(6):
            np.testing.assert_array_equal(found[k].classes, expected.classes[k * 10 : k * 10 + 10])
        assert len(set(server.seen)) == len(server.seen)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, r"a whole model needs a split \(split=\.\.\., --split CUT\): '', '0', '2', 'final'"),
        ({"split": "1"}, "this model has no split '1'; known: '', '0', '2', 'final'"),
        ({"split": "0", "codec": "int4"}, "unknown codec 'int4'; nearest: 'int8'"),
        ({"split": "0", "compression": "zip"}, "unknown compression 'zip'; nearest: 'gzip'"),
        ({"split": "0", "deadline_ms": 0}, "deadline_ms must be a positive number of milliseconds, got 0"),
        ({"split": "0", "retries": -1}, "retries must be a whole number from 0 to 100, got -1"),
        ({"split": "0", "max_batch": True}, "max_batch must be a whole number from 1"),
        ({"split": "0", "deadline": 3}, "load has no option 'deadline'; nearest: 'deadline_ms'"),
        ({"split": "0", "token": "a\r\nb"}, "a token consists of printable ASCII characters"),
        ({"table": SplitTable(rows=(SplitRow(split="1"),))}, "the table has the split '1'; known"),
        ({"table": SplitTable(rows=(SplitRow(split="0", point=99),))}, "the table has the point 99, this model has"),
        (
            {"split": "0", "table": SplitTable(rows=(SplitRow(split="0"),))},
            "a table chooses the split; leave split out",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(exported, options, match):
    with pytest.raises(InputError, match=match):
        load(exported, remote="http://127.0.0.1:1", **options)


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host", "http://a:b@host", "http://host/?a=1", "http://h:x", 3]
)
def test_a_server_is_a_url(exported, url):
    with pytest.raises(InputError, match="the server is a URL such as http://host:8000"):
        load(exported, remote=url, split="0")


def test_what_belongs_to_a_server_is_refused_without_one(exported, opened):
    with pytest.raises(InputError, match=r"split belongs to a server; give remote='http://host:8000'"):
        load(exported, split="0")
    model = opened(exported, "http://127.0.0.1:1", split="0", connected=False)
    with pytest.raises(PolicyError, match="a controller learns from every exit"):
        model.adapt("adaee")


def test_the_split_and_the_point_follow_a_table(exported, server, opened, batch):
    rows = (SplitRow(split="", min_mbit=1e9), SplitRow(split="2", min_mbit=0.0, point=0))
    with serving(server) as url:
        model = opened(exported, url, table=SplitTable(rows=rows))
        assert model.remote.split == ""  # the first row that sends something measures the link
        for _ in range(4):
            model.predict(batch)
        assert model.remote.split == "2"
        (event,) = [one for one in model.remote.events if one.kind == "split"]
        assert (event.old, event.new) == ("", "2 at point 0")
        assert "Mbit/s" in event.why
        with pytest.raises(InputError, match="a table chooses the split"):
            model.remote.set_split("0")


def test_an_edge_without_exits_says_that_nothing_can_answer(exported, batch):
    model = load(exported, threads=1)
    manifest = model.manifest
    from eenas.programs.remote.remote_settings import RemoteSettings
    from eenas.programs.remote.split_facts import SplitFacts

    facts = SplitFacts(at="x", half="edge", model="m", partner="p", exits=0, shape=(3, 8, 8), sends_logits=False)
    settings = RemoteSettings(url="http://127.0.0.1:1")
    client = EdgeClient(replace(manifest, split=facts, segments=()), (), settings, tail=lambda x: x)
    x = manifest.preprocessing.checked(batch)
    with pytest.raises(LinkError, match=r"no exit here can answer \(link lost\); try again, or split the model behind"):
        client.answer(x, ThresholdPolicy(score="margin", temperatures=(1.0,) * 3, thresholds=(0.5, 0.5)), model._counts)
    client.close()


ALONE = """
import sys
from importlib.abc import MetaPathFinder
allowed = {"numpy", "onnxruntime", "runtime", *sys.stdlib_module_names}
needed = {"flatbuffers", "google", "packaging", "coloredlogs", "humanfriendly", "sympy", "mpmath"}  # by onnxruntime
class Only(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed | needed:
            raise ImportError(f"{name} is not on this device")
sys.meta_path.insert(0, Only())
sys.path.insert(0, sys.argv[1])
import json, numpy, runtime
x = numpy.load("x.npy")
model = runtime.load(sys.argv[1], threads=1, remote=sys.argv[2], codec="int8", compression="deflate", deadline_ms=20000)
model.remote.connect(20)
found = model.predict(x)
try:
    runtime.load(sys.argv[1], remote=sys.argv[2], compression="zstd")
except runtime.InputError as error:
    refused = str(error)
print(json.dumps([found.classes.tolist(), sorted(set(found.answered)), refused]))
"""


def test_runtime_alone_on_a_device(halves, whole, batch, tmp_path):
    edge, cloud = halves
    np.save(tmp_path / "x.npy", batch)
    with serving(ModelServer(cloud)) as url:
        command = [sys.executable, "-I", "-c", ALONE, str(edge), url]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    classes, answered, refused = json.loads(done.stdout)
    assert (np.array(classes) == whole.predict(batch).classes).mean() > 0.95
    assert answered == ["cloud", "edge"]
    assert "zstd needs the package zstandard" in refused
