"""`eenas tiers` on a study, a run and an exported model, called as a user does."""

import json
import shutil
from dataclasses import replace

import pytest

from eenas.deployment import split_model
from eenas.measurement.latency import Latency, LatencySpec
from eenas.measurement.latency_profile import LatencyProfile, TimedBranch, branch_key
from eenas.programs.exit_latency import ProgramLatency
from eenas.programs.manifest import MANIFEST
from eenas.results.read import open_results
from eenas.runs.run_report import REPORT, RunReport


def refused(answer, *words):
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


@pytest.fixture
def study(smallest_study):
    flags = ("--storage", smallest_study.storage, "--trial", smallest_study.trial)
    return smallest_study, ("tiers", smallest_study.results.name, *flags)


@pytest.fixture
def model(exported, tmp_path):
    """The smallest model as if its export had been timed: 1, 2 and 4 ms."""
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    table = json.loads((folder / MANIFEST).read_text())
    timed = ProgramLatency(
        exits=tuple(table["exits"]), measured_ms=(1.0, 2.0, 4.0), conditions="CPU, 1 thread, batch 1, float32, onnx"
    )
    timed.write_into(table)
    (folder / MANIFEST).write_text(json.dumps(table))
    return folder


def test_a_network_of_a_study(call, study, tmp_path):
    smallest, command = study
    figure = tmp_path / "f.html"
    answer = call(*command, "--link", "wifi,codec=float16", "--edge", 20, "--figure", figure)
    assert answer.status == 0, answer.err
    text = " ".join(answer.out.split())
    for word in (
        f"{smallest.results.name}, trial {smallest.trial}",
        "edge: 20 x this machine, cloud: 1 x this machine; link: wifi (18.8 Mbit/s, 10 ms), float16.",
        "Best split: ",
        "Best split by bandwidth",
        "Best split by exit rates",
    ):
        assert word in text
    assert "Time over bandwidth" in figure.read_text()
    found = json.loads(call(*command, "--json").out)
    item = next(each for each in smallest.results.networks if each.name == f"trial {smallest.trial}")
    assert found["exits"] == list(item.design.exits)
    edge = found["edge_only"]["latency_ms"]
    point = [each for each in item.points if list(each.shares) == found["shares"]]
    assert edge == pytest.approx(10 * point[0].expected["latency"], rel=1e-6)
    assert found["best"]["latency_ms"] == min(each["latency_ms"] for each in found["splits"])


def test_a_run_and_runs_of_earlier_versions(call, finished_run, tmp_path):
    answer = call("tiers", finished_run.folder, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["edge_only"]["latency_ms"] == pytest.approx(10 * finished_run.reported.expected["latency"])
    assert RunReport.read(finished_run.folder).profile == finished_run.profile
    shutil.copy(finished_run.folder / REPORT, tmp_path / REPORT)
    table = json.loads((tmp_path / REPORT).read_text())
    del table["profile"]
    (tmp_path / REPORT).write_text(json.dumps(table))
    refused(call("tiers", tmp_path), "has no profile of its backbone; it was made by an earlier eenas; run it again")


def test_an_exported_model(call, model, exported):
    answer = call("tiers", model, "--edge", 1, "--cloud", 0.1, "--link", "1000,overhead_bytes=0", "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["cut_points"] == ["0", "2"]
    assert found["only_exits"] is True
    shares = found["shares"]
    assert found["edge_only"]["latency_ms"] == pytest.approx(shares[0] + 2 * shares[1] + 4 * shares[2])
    assert found["input_bytes"] == 3 * 8 * 8
    refused(call("tiers", exported), "its programs were not timed; export them again")


def test_half_a_model_is_refused_and_named(call, exported, tmp_path):
    split_model(exported, tmp_path / "edge", tmp_path / "cloud", at="0")
    for half in ("edge", "cloud"):
        refused(call("tiers", tmp_path / half), f"is the {half} half of a model split at '0'; give the whole model")


def profile_of(smallest, name, time):
    """A profile of another machine, `time` times as slow, in which every branch of a trial takes 1 ms."""
    results = open_results(smallest.storage, smallest.results.name)
    found = next(each for each in results.networks if each.name == name)
    profile = results.profile
    assert profile is not None
    assert profile.total_latency is not None

    def longer(latency: Latency) -> Latency:
        return replace(latency, median_ms=time * latency.median_ms)

    one = replace(profile.total_latency, median_ms=1.0)
    shapes = {point.name: point.shape for point in profile.cut_points}
    return LatencyProfile(
        profile=replace(
            profile,
            latency_ms=tuple(longer(each) for each in profile.latency_ms),
            total_latency=longer(profile.total_latency),
        ),
        input_shape=(3, 8, 8),
        num_classes=4,
        spec=LatencySpec(),
        conditions_there=["a board"],
        branches={
            branch_key(each.branch, shapes[each.cut_point]): TimedBranch(macs=7, latency=one)
            for each in found.design.branches
        },
        cascade_ms=0.0,
    )


def test_a_profile_taken_on_the_device(call, study, tmp_path):
    smallest, command = study
    there = profile_of(smallest, f"trial {smallest.trial}", 30.0)
    there.save(tmp_path / "board.json")
    answer = call(*command, "--edge", tmp_path / "board.json", "--json")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["tiers"][0]["profile"] == str(tmp_path / "board.json")
    other = replace(there, profile=replace(there.profile, backbone="another"))
    other.save(tmp_path / "other.json")
    refused(call(*command, "--edge", tmp_path / "other.json"), "other.json: a latency profile must match", "another")


def test_tiers_of_a_file(call, study, tmp_path):
    _, command = study
    file = tmp_path / "tiers.toml"
    file.write_text(
        '[tiers.device]\nfactor = 50\n[tiers.device.link]\npreset = "wifi"\n[tiers.gateway]\nfactor = 5\n'
        '[tiers.gateway.link]\npreset = "paris"\nprice_per_gb = 0.1\n[tiers.cloud]\n'
    )
    found = json.loads(call(*command, "--tiers", file, "--json").out)
    assert [each["name"] for each in found["tiers"]] == ["device", "gateway", "cloud"]
    assert len(found["best"]["split"]) == 2
    assert found["cloud_only"]["price"] > 0
    file.write_text("[task]\n")
    refused(call(*command, "--tiers", file), "tiers.toml: has no [tiers]; add [tiers.edge]")


def test_bad_input(call, study, tmp_path):
    _, command = study
    refused(call(*command, "--link", "5g"), "unknown preset '5g' of a link; known: '3g', '4g'")
    refused(call(*command, "--link=-3"), "mbit must be above 0")
    refused(call(*command, "--edge", "0"), "the factor of tier 'edge' must be above 0")
    refused(call(*command, "--edge", "none.json"), "none.json", "give a file that `eenas profile` wrote")
    refused(call(*command, "--cost", "tier_energy"), "give watts to a tier")
    refused(call(*command, "--cost", "latency"), "nearest: 'tier_latency'")
    refused(call("tiers", tmp_path), "is neither an exported model nor a run")
    refused(call("tiers", "nothing", *command[2:4]), "no such folder, and no study of this name")
    refused(call(*command, "--network", "backbone"), "mutually exclusive")
