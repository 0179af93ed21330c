"""The embedded series and a network for them pass the contracts that plug-ins of users pass."""

from eenas.tasks.load import load_task
from eenas.tasks.series.series_input import series_input
from eenas.testing.backbone_contract import BackboneContract
from eenas.testing.task_contract import TaskContract


class TestWaves(TaskContract):
    task = "waves"


class TestSeriesResNet(BackboneContract):
    backbone = "series_resnet_small"
    inputs = series_input(2, 40)


class TestSeriesResNetForTheWaves(BackboneContract):
    backbone = "series_resnet_small"
    inputs = load_task("waves").inputs
