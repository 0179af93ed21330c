"""`eenas fleet` on every source, called as a user does."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from eenas.handle import tiered_source
from eenas.measurement.tiers.link import Link
from eenas.measurement.tiers.tiers import Tier, Tiers
from eenas.policies.costs import Costs
from eenas.policies.exit_table import ExitTable
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.manifest import MANIFEST
from eenas.results.read import open_results

TASK = "eenas.testing.smallest:smallest_task"
TIMES = 'device_ms = [4.0]\ncut_ms = 5.0\nsent_bytes = 8000\nserver_ms = [1.0, 2.0]\nanswer_bytes = 60\nname = "2"\n'


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=300)
    logits = generator.normal(size=(300, 3, 4))
    logits[np.arange(300), :, labels] += (1.0, 2.0, 3.0)
    found = ExitTable(logits=logits, labels=labels, exits=("0", "2", "final"), costs=Costs.of(macs=[1.0, 2.0, 4.0]))
    found.save(tmp_path / "t.npz")
    (tmp_path / "times.toml").write_text(TIMES)
    return tmp_path / "t.npz", "--times", tmp_path / "times.toml"


def refused(answer, *words):
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def test_a_table_with_times(call, table, tmp_path):
    figure = tmp_path / "f.html"
    answer = call(
        *("fleet", *table, "--threshold", 0.7, "--devices", "20,10,2000", "--rate", 2, "--seconds", 20),
        *("--target-accuracy", 0.8, "--target-ms", 90, "--figure", figure, "--deadline-ms", 300),
    )
    assert answer.status == 0, answer.err
    text = " ".join(answer.out.split())
    for word in (
        "3 exits, 1 of them on the device; split 2; decisions by threshold",
        "2 samples/s a device (poisson); link 4g (5.85 Mbit/s, 50 ms); server with 1 worker",
        "After 300 ms the last exit on the device answers.",
        "Unstable with 2,000 devices",
        "the time of the server",
        "edge inference outage (below 80.0 % on the device)",
    ):
        assert word in text
    assert "Tiers" not in text, "the times are given"
    assert figure.is_file()
    assert "kB sent: of a sample" in text
    assert "J and kB" not in text, "no energy is given"


def test_json_holds_every_number_and_seeds_repeat(call, table):
    words = ("fleet", *table, "--threshold", 0.7, "--devices", 30, "--arrivals", "regular", "--json", "--max-batch", 4)
    found, again = (json.loads(call(*words).out) for _ in range(2))
    assert found == again
    (run,) = found["runs"]
    assert run["devices"] == 30
    assert run["samples"] == pytest.approx(1800, abs=31)
    latencies = run["latency_ms"]
    assert 4 <= latencies["median"] <= latencies["p90"] <= latencies["p99"] <= latencies["max"]
    assert 0 < run["offload_rate"] < 1
    assert run["unstable"] == []
    assert found["times"]["name"] == "2"
    assert json.loads(call(*words, "--seed", 1).out)["runs"] != found["runs"]


def test_controllers_traces_and_moments(call, table, tmp_path):
    (tmp_path / "b.csv").write_text("seconds,mbit\n0,6\n10,1\n12,8\n")
    (tmp_path / "a.csv").write_text("seconds\n0.5\n1.25\n9\n")
    answer = call(
        *("fleet", *table, "--controller", "adaee", "--trace", tmp_path / "b.csv", "--devices", 10),
        *("--arrivals", tmp_path / "a.csv", "--json"),
    )
    found = json.loads(answer.out)
    assert found["decisions"] == "a controller (adaee)"
    assert found["runs"][0]["samples"] == 30
    assert found["fleet"]["link"]["trace"]["mean_mbit"] == pytest.approx((6 * 10 + 2 + 8 * 6) / 18)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--threshold", 0.7, "--rate", -1), ("rate of arrivals", "-1")),
        (("--threshold", 0.7, "--devices", "ten"), ("--devices", "'ten'")),
        (("--threshold", 0.7, "--devices", 0), ("devices", "0")),
        (("--threshold", 0.7, "--batch-cost", "8"), ("1:1,8:3.2",)),
        (("--threshold", 0.7, "--batch-cost", "2:1"), ("start with 1:1",)),
        (("--threshold", 0.7, "--arrivals", "sometimes"), ("unknown kind",)),
        (("--threshold", 0.7, "--arrivals", "no.csv"), ("no.csv",)),
        (("--threshold", 0.7, "--trace", "no.csv"), ("no.csv",)),
        (("--threshold", 0.7, "--target-ms", 5), ("both",)),
        (("--threshold", 0.7, "--cut", "2"), ("--cut or --times",)),
        (("--threshold", 0.7, "--link", "5g"), ("5g",)),
        (("--threshold", 7), ("[0, 1]",)),
        (("--threshold", 0.7, "--controller", "adaee"), ("threshold or the controller",)),
        ((), ("--threshold 0.8",)),
        (("--threshold", 0.7, "--data", "digits"), ("data",)),
    ],
)
def test_bad_flags_are_refused(call, table, more, words):
    refused(call("fleet", *table, *more), *words)


def test_times_that_do_not_fit_are_refused(call, table, tmp_path):
    refused(call("fleet", table[0], "--threshold", 0.7), "--times")
    for text, word in (
        (TIMES.replace("[1.0, 2.0]", "[1.0]"), "2 exits"),
        (TIMES.replace("[1.0, 2.0]", "[2.0, 1.0]"), "must not decrease"),
        (TIMES.replace("8000", "-1"), "sent_bytes"),
        (TIMES + "more = 1\n", "more"),
    ):
        (tmp_path / "times.toml").write_text(text)
        refused(call("fleet", *table, "--threshold", 0.7), word, "times.toml")
    (tmp_path / "empty.npz").write_bytes(b"")
    refused(call("fleet", tmp_path / "empty.npz", "--times", tmp_path / "times.toml"), "empty.npz")
    refused(call("fleet", tmp_path / "none", "--devices", 5), "none")


@pytest.fixture
def model(exported, tmp_path):
    """The smallest model as if its export had been timed: 1, 2 and 4 ms."""
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    timed = ProgramLatency(
        exits=tuple(manifest["exits"]), measured_ms=(1.0, 2.0, 4.0), conditions="CPU, 1 thread, batch 1, float32, onnx"
    )
    timed.write_into(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_an_exported_model(call, model):
    words = ("fleet", model, "--data", TASK, "--trust-code", "--devices", 20)
    answer = call(*words, "--cut", "2", "--edge", 5, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["times"] == {
        "device_ms": [5.0, 10.0],
        "cut_ms": 10.0,
        "sent_bytes": found["times"]["sent_bytes"],
        "server_ms": [2.0],
        "answer_bytes": 20 + 4 * 4,
        "name": "2",
    }
    assert found["runs"][0]["accuracy"] > 0.3
    best = json.loads(call("tiers", model, "--trust-code", "--json").out)["best"]["split"]
    assert json.loads(call(*words, "--json").out)["times"]["name"] == best
    refused(call(*words, "--cut", "3"), "'3'")
    refused(call("fleet", model), "--data")


def test_a_network_of_a_study(call, smallest_study):
    flags = ("--storage", smallest_study.storage, "--network", f"trial {smallest_study.trial}", "--trust-code")
    answer = call("fleet", smallest_study.results.name, *flags, "--cut", "", "--devices", 30, "--deadline-ms", 80)
    assert answer.status == 0, answer.err
    assert "everything on the server" in " ".join(answer.out.split())
    assert "After 80 ms" in answer.out
    assert "Tiers: edge: 10 x this machine, cloud: 1 x this machine." in " ".join(answer.out.split())


def test_the_tiers_of_a_study_are_those_of_its_fleet(call, smallest_study, monkeypatch, tmp_path):
    read = open_results(smallest_study.storage, smallest_study.results.name)
    edge = Tier(name="board", factor=40.0, watts=2.0)
    link = Link(mbit=3.0, round_trip_ms=7.0, codec="float16")
    tiers = Tiers(tiers=(edge, Tier(name="cloud", factor=0.5)), links=(link,))
    with_tiers = replace(read, settings=replace(read.settings, tiers=tiers))
    monkeypatch.setattr(tiered_source, "open_results", lambda *_, **__: with_tiers)
    flags = ("--storage", smallest_study.storage, "--network", f"trial {smallest_study.trial}", "--trust-code")
    words = ("fleet", smallest_study.results.name, *flags, "--devices", 5, "--cut", "2", "--seconds", 5)
    text = " ".join(call(*words).out.split())
    assert "link 3 Mbit/s, 7 ms" in text
    assert "Tiers of the study: board: 40 x this machine, cloud: 0.5 x this machine." in text
    own, other, slow = (
        json.loads(call(*words, *more, "--json").out) for more in ((), ("--edge", 80), ("--link", "3g"))
    )
    assert other["times"]["cut_ms"] == pytest.approx(2 * own["times"]["cut_ms"])
    assert other["fleet"]["watts"] == own["fleet"]["watts"] == 2.0
    assert slow["fleet"]["link"]["link"]["preset"] == "3g"
    assert slow["times"]["sent_bytes"] == own["times"]["sent_bytes"], "the codec stays"
    (tmp_path / "tiers.toml").write_text("[tiers.a]\nfactor = 3.0\n[tiers.a.link]\nmbit = 9.0\n[tiers.b]\n")
    given = " ".join(call(*words, "--tiers", tmp_path / "tiers.toml").out.split())
    assert "Tiers: a: 3 x this machine, b: 1 x this machine." in given
    refused(call(*words, "--tiers", tmp_path / "tiers.toml", "--edge", 3), "--tiers and --edge are mutually exclusive")
