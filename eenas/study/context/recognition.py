"""The distortion classifier of a study whose trials draw experts: fitted once, timed, and kept in the records."""

import statistics
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from eenas.designs.space import may_have_experts, values_of
from eenas.designs.training_choice import NO_EXPERTS
from eenas.errors import PolicyError, TaskError
from eenas.frozen.experts.expert_building import ExpertSpec, has_own_norms, scale_of
from eenas.measurement.stopwatch import Stopwatch
from eenas.policies.costs import LATENCY
from eenas.policies.experts.expert_fit import FEW
from eenas.seeding import derive
from eenas.specs import digest
from eenas.study.context.study_context import StudyContext
from eenas.study.settings.expert_settings import ExpertSettings
from eenas.tasks.distortions.distorted_splits import pristine_split
from eenas.tasks.distortions.distortion import check_distortable
from eenas.tasks.recognition.classifier_fit import fit_distortion_classifier
from eenas.tasks.recognition.distortion_classifier import DistortionClassifier, check_image_shape
from eenas.tasks.task import Task

_WARMUP, _RUNS = 5, 50


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The classifier of a study, and its median milliseconds for a batch as the study times them, or None."""

    classifier: DistortionClassifier
    latency_ms: float | None


def check_expert_spec(spec: ExpertSpec, context: StudyContext) -> None:
    """Raise an EenasError, before any training, if a study's networks cannot have these experts."""
    task, transform = context.task, context.backbone.transform
    scale_of(transform)
    check_image_shape(transform.shape)
    has_own_norms(spec, context.backbone.module)
    for kind in spec.kinds:
        check_distortable(kind, transform.shape[0])
    if len(task.train) < spec.training.batch_size:
        raise TaskError(
            f"{len(task.train)} training images do not fill a batch of {spec.training.batch_size} of the experts; "
            "set a smaller experts.training.batch_size"
        )
    if len(task.calibration) < FEW:
        raise PolicyError(f"experts need at least {FEW} calibration samples, got {len(task.calibration)}; give more")


def pristine_task(context: StudyContext) -> Task:
    """Return the task of a study without distorted versions among its training images."""
    return replace(context.task, train=pristine_split(context.task.train))


def recognition_of(context: StudyContext, spec: ExpertSpec) -> Recognition:
    """Return the study's classifier for the kinds of `spec`, from the records, or fit, time and keep it."""
    task, transform = pristine_task(context), context.backbone.transform
    facts = [task.digest, transform, tuple(spec.kinds), tuple(spec.severities), context.settings.seed]
    key = digest(facts)

    def fit() -> dict[str, Any]:
        return fit_distortion_classifier(
            task.train,
            scale_of(transform),
            tuple(spec.kinds),
            severities=tuple(spec.severities),
            seed=derive(context.settings.seed, "distortion classifier"),
        ).to_table()

    table = context.cache.once(f"distortion classifier/{key}", "fitting the distortion classifier", fit)
    classifier = DistortionClassifier.from_table(table, key="distortion classifier")
    return Recognition(classifier=classifier, latency_ms=_latency_ms(context, classifier))


def _latency_ms(context: StudyContext, classifier: DistortionClassifier) -> float | None:
    """Return the milliseconds of the classifier on a batch, or None if the study measures no latency."""
    if context.plain_costs().get(LATENCY) is None:
        return None
    batch = context.settings.latency.batch
    key = f"latency/distortion classifier/{context.device_text}/{len(classifier.kinds)}/{classifier.shape}/{batch}"

    def measure() -> dict[str, Any]:
        stopwatch = Stopwatch(torch.device("cpu"), 1)
        x = np.random.default_rng(0).normal(size=(batch, *classifier.shape)).astype(np.float32)
        times = [stopwatch.time(lambda: classifier.choose(x)).wall_ms for _ in range(_WARMUP + _RUNS)]
        return {"ms": statistics.median(times[_WARMUP:])}

    return float(context.cache.once(key, "timing the distortion classifier", measure)["ms"])


def prepare_recognition(context: StudyContext) -> None:
    """Check the experts that trials of a study may draw, and fit the classifier that they share.

    Raises an EenasError for a task or backbone without such experts. Does nothing if no trial draws experts.
    """
    space, settings = context.settings.space, context.settings.experts or ExpertSettings()
    if not may_have_experts(space):
        return
    for drawn in values_of(space, "training.experts"):
        if drawn != NO_EXPERTS:
            check_expert_spec(settings.brief(drawn).spec(context.settings.task.distortions), context)  # type: ignore[arg-type]
    recognition_of(context, settings.brief("shared").spec(context.settings.task.distortions))
