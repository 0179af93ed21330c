"""A network trained with the full budget, from a checkpoint where there is one."""

from collections.abc import Sequence
from pathlib import Path

from eenas.designs.design import TrainingChoice
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.truncated import TruncatedNetwork
from eenas.progress import Advanced, Finished, Listener, Notice, Started
from eenas.search.preparation import Ground
from eenas.search.run_report import CHECKPOINT, WEIGHTS
from eenas.seeding import derive
from eenas.specs import digest
from eenas.training.spec import TrainingSpec
from eenas.training.trainer import RoundReport, Verdict, train_network
from eenas.training.world import World


def train_fully(
    network: EarlyExitNetwork | TruncatedNetwork,
    ground: Ground,
    *,
    choice: TrainingChoice,
    spec: TrainingSpec,
    costs: Sequence[float],
    folder: Path,
    phase: str,
    world: World,
    listener: Listener,
) -> int:
    """Train `network` with `spec`; gives the samples that were seen (0 where `folder` held finished weights).

    A checkpoint in `folder` is gone on from; afterwards the folder holds the weights and the checkpoint is deleted.
    """
    if (folder / WEIGHTS).exists():
        load_weights(network, folder / WEIGHTS)
        return 0
    checkpoint = folder / CHECKPOINT
    listener(Started(phase, 100))
    if checkpoint.exists():
        listener(Notice(f"{phase}: going on from {checkpoint}"))

    def report(round_: RoundReport) -> Verdict:
        listener(Advanced(phase, 100 * round_.progress, f"loss {round_.loss:.3f}"))
        return Verdict.CONTINUE

    training = train_network(
        network,
        ground.task,
        choice=choice,
        spec=spec,
        costs=costs,
        seed=derive(ground.settings.seed, "full", digest([choice, sorted(network.exits)])),
        execution=ground.execution,
        after_epoch=report,
        checkpoint=checkpoint,
        world=world,
    )
    world.wait()
    if world.rank == 0:
        save_weights(network, folder / WEIGHTS)
        checkpoint.unlink(missing_ok=True)
    world.wait()
    listener(Finished(phase))
    return training.samples
