"""Where simulations take their samples from: a study, a run, a model and a table, with the temperatures of each."""

import numpy as np
import pytest

import eenas
from eenas.errors import PolicyError
from eenas.handle.recordings import RecordingSource
from eenas.policies.controllers.recording import Recording
from eenas.policies.scores import score
from eenas.programs.runtime import load
from eenas.testing.policy_contract import random_table
from eenas.testing.smallest import smallest_task

from ..exported import MACS
from ..smallest_study import backbone

TASK = "eenas.testing.smallest:smallest_task"


def test_a_study_gives_the_validation_split_of_its_network(smallest_study):
    source = RecordingSource(storage=smallest_study.storage, network=f"trial {smallest_study.trial}", trust_code=True)
    found = source.read(smallest_study.results.name)
    assert len(found) == len(smallest_task().validation)
    assert found.name.startswith(smallest_study.results.name)
    assert found.name.endswith(", validation")
    assert found.exits[-1] == "final"
    simulated = eenas.simulate(found, "adaee", rounds=100, seeds=1)
    assert simulated.outcomes[0].accuracy is not None
    with pytest.raises(PolicyError, match="no study of this name"):
        source.read("digits-none")


def test_a_model_gives_the_split_of_its_data_at_the_temperatures_of_its_manifest(exported):
    found = RecordingSource(data=TASK, split="validation", trust_code=True).read(exported)
    model, split = load(exported), smallest_task().validation
    raw = split.images(8, 3)[np.arange(len(split))].numpy()
    for k, logits in enumerate(model.logits(model.manifest.preprocessing(raw))):
        wanted = score(logits, model.manifest.temperatures[k])
        np.testing.assert_allclose(found.confidences[:, k], wanted, atol=1e-5)
    assert found.costs == tuple(MACS)
    assert found.thresholds == model.policy.thresholds
    with pytest.raises(PolicyError, match="add --data TASK"):
        RecordingSource().read(exported)


def test_a_recording_and_a_table_stand_for_themselves():
    table = random_table(3, 5)
    found = RecordingSource().read(table)
    assert RecordingSource().read(found) is found
    np.testing.assert_array_equal(found.confidences, Recording.of(table).confidences)


def test_what_a_source_does_not_use_is_refused(exported, tmp_path):
    file, table = tmp_path / "a.csv", random_table(3, 5)
    file.write_text("conf_branch_1,conf_branch_2\n0.5,0.9\n")
    for source, given in (
        (file, {"data": TASK}),
        (file, {"split": "tst"}),
        (table, {"network": "trial 1"}),
        (exported, {"network": "trial 1"}),
    ):
        with pytest.raises(PolicyError, match=f"'{next(iter(given))}' has no effect; leave it out"):
            RecordingSource(**given).read(source)
    assert len(RecordingSource(split="test").read(file)) == 1
    for read in (RecordingSource.read, RecordingSource.decided):
        with pytest.raises(PolicyError, match="'model/': no such file or folder, and no study of this name"):
            read(RecordingSource(data=TASK, storage=f"sqlite:///{tmp_path}/none.db"), "model/")


def test_a_study_has_samples_of_its_own(smallest_study):
    storage, name = smallest_study.storage, smallest_study.results.name
    for given in ({"data": TASK}, {"split": "train"}):
        with pytest.raises(PolicyError, match=f"the study '{name}': .*'{next(iter(given))}' has no effect; leave it"):
            RecordingSource(storage=storage, **given).read(name)


def test_unknown_options_are_named():
    with pytest.raises(eenas.EenasError, match="nearest: 'storage'"):
        eenas.simulate("x", storge="sqlite:///a.db")


def test_a_run_gives_the_test_split_at_the_temperatures_of_its_report(finished_run):
    source = RecordingSource(data=smallest_task(), backbone=backbone())
    found = source.read(finished_run.folder)
    assert len(found) == len(smallest_task().test)
    assert found.exits == tuple(each.name for each in finished_run.exits)
    assert found.correct.mean(axis=0).tolist() == pytest.approx([each.accuracy for each in finished_run.exits])
    with pytest.raises(eenas.EenasError, match="give it again: backbone="):
        RecordingSource(data=smallest_task()).read(finished_run.folder)
