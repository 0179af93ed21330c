"""The backbone that trials use: as given, from an earlier study, or prepared now."""

from dataclasses import replace
from uuid import uuid4

import numpy as np

from eenas.backbones.memory_format import PLAIN, lay_out
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.tables import exit_table
from eenas.percent import percent
from eenas.progress import Notice
from eenas.records.prepared import PreparedRecord, PreparedRecords
from eenas.specs import digest
from eenas.study.context.backbone.backbone_training import train_plain
from eenas.study.context.backbone.given_backbone import prepare_given
from eenas.study.context.stages import Stages
from eenas.study.context.study_context import StudyContext
from eenas.training.distillation import KeptAnswers


def prepare_backbone(context: StudyContext) -> StudyContext:
    """Return the study context with its backbone prepared by `[prepare]`. A notice describes the preparation."""
    settings, backbone = context.settings, context.backbone
    spec = settings.prepare
    if spec.when == "never":
        if backbone.untrained or backbone.fresh_classifier:
            state = "the backbone is untrained" if backbone.untrained else "the backbone's classifier is new"
            context.listener(
                Notice(
                    f"{state} and prepare.when is 'never', so its predictions stay guesses; "
                    "set prepare.when to 'auto' to train it"
                )
            )
        return context
    kept = replace(spec, training=spec.training.to_key())
    key = digest(
        [
            context.identity_backbone,
            context.task.digest,
            kept,
            settings.seed,
            backbone.transform,
            str(context.execution),
        ]
    )
    return context.leases.once(
        f"backbone/{key}",
        "preparing the backbone",
        lambda: _prepared(context, key),
        is_made=lambda: _is_whole(context, PreparedRecords(context.database).find(key)),
    )


def _is_whole(context: StudyContext, record: PreparedRecord | None) -> bool:
    """Whether the weights that a record names are there."""
    return record is not None and (not record.artifact or context.artifacts.holds(record.artifact))


def _prepared(context: StudyContext, key: str) -> StudyContext:
    """Return the study context with the backbone stored under `key`, or prepare one and store it."""
    settings, backbone = context.settings, context.backbone
    spec = settings.prepare
    records = PreparedRecords(context.database)
    known = records.find(key)
    if known is not None and _is_whole(context, known):
        Stages(context, key).remove()  # left by a command that was killed after storing the backbone
        how = f"; {known.how}" if known.how else ""
        context.listener(Notice(f"backbone: prepared before ({percent(known.accuracy)} on validation){how}"))
        if not known.artifact:
            return context
        network = context.build(context.plain_design())
        load_weights(network, context.artifacts.path(known.artifact))
    else:
        if known is not None:
            context.listener(Notice("backbone: the prepared weights are missing or changed; it is prepared again"))
        network, stages = context.build(context.plain_design()), Stages(context, key)
        if backbone.untrained or spec.when == "always":
            train_plain(context, network, stages)
            changed, how = True, "trained on all of train"
        else:
            changed, how = prepare_given(context, network, stages)
        artifact = ""
        if changed:
            name = f"backbone-{key}-{uuid4().hex[:8]}.safetensors"
            artifact = context.artifacts.write(name, lambda path: save_weights(network, path))
        table = exit_table(network, context.task.validation, context.costs(context.plain_design()))
        accuracy = float(np.mean(table.logits[:, -1].argmax(axis=1) == table.labels))
        context.listener(Notice(f"backbone: {how}; {percent(accuracy)} on validation"))
        record = PreparedRecord(
            key=key,
            backbone=backbone.name,
            task=context.task.digest,
            training=digest(spec),
            seed=settings.seed,
            artifact=artifact,
            accuracy=accuracy,
            how=how,
        )
        is_kept = records.save(record, replacing=known)
        stages.remove()
        if not is_kept:  # another worker prepared it while this one was suspended
            if artifact:
                context.artifacts.remove(artifact)
            return _prepared(context, key)
        context.limit.check()
        if not changed:
            return context
    module = network.backbone
    module.cpu()
    lay_out(module, PLAIN)
    return replace(context, backbone=replace(backbone, module=module), plain={}, taught=KeptAnswers())
