"""A model that is calibrated while it is served: its temperatures change with its thresholds, its programs do not."""

import json
import shutil
import threading

import numpy as np
import pytest

from eenas.deployment.calibration import calibrate
from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.opening import Opening, open_models
from eenas.errors import EenasError
from eenas.programs.manifest import MANIFEST
from eenas.programs.remote.open_inference import InferenceRequest
from eenas.programs.runtime import load
from eenas.testing.smallest import smallest_task


def test_thresholds_and_temperatures_of_a_calibration_are_taken(exported, x, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "model")
    before = load(folder, threads=1)
    opened = open_models({"m": folder}, Opening(threads=1, workers=1), ServingLimits(), ServingMetrics())["m"]
    request = InferenceRequest(inputs={"image": x})
    early = opened.job(request)  # a request keeps the policy and the temperatures with which it started
    calibrate(folder, smallest_task(seed=5), max_accuracy_drop=0.02, unseen=True)
    after = load(folder, threads=1)
    assert after.manifest.temperatures != before.manifest.temperatures
    assert opened.reload()
    assert not opened.reload()
    for job, model in ((early, before), (opened.job(request), after)):
        ended = threading.Event()
        job.finished = lambda _, ended=ended: ended.set()
        opened.engine.submit(job)
        assert ended.wait(30)
        found, expected = opened.response(job, request).outputs, model.predict(x)
        np.testing.assert_array_equal(found["exits"], expected.exits)
        np.testing.assert_array_equal(found["classes"], expected.classes)
        np.testing.assert_allclose(found["confidences"], expected.confidences, atol=1e-5)
    table = json.loads((folder / MANIFEST).read_text())
    table["classes"][0] = "another"
    (folder / MANIFEST).write_text(json.dumps(table))
    with pytest.raises(EenasError, match="holds another model now; restart the server"):
        opened.reload()
    opened.engine.stop(10)
