"""A model folder with programs: written aside, compared with its network on real samples, then moved into place."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from eenas.deployment.network_segments import as_model
from eenas.errors import ExportError
from eenas.files import write_text
from eenas.measurement.stopwatch import restored_threads
from eenas.programs.exit_latency import ProgramLatency, Timing, time_programs
from eenas.programs.experts.expert_folder import load_experts
from eenas.programs.experts.expert_parity import compare_experts, first_samples
from eenas.programs.manifest import read_table
from eenas.programs.model_folder import CARD, Package, fill_folder, load, new_model_folder, write_manifest
from eenas.programs.parity import Parity, ParitySamples, compare, validation_samples
from eenas.programs.programs import Programs
from eenas.programs.runtime import load as open_model
from eenas.progress import Listener, Notice, silent
from eenas.tasks.load import given_task
from eenas.tasks.sample_check import left_out_notice
from eenas.tasks.task import Task


@restored_threads()
def write_model(
    package: Package,
    out: Path,
    programs: Programs,
    samples: ParitySamples,
    *,
    timing: Callable[[], Timing] | None = None,
    card: Callable[[ProgramLatency], str] | None = None,
) -> Path:
    """Write `package` with programs to the folder `out`, unless a program differs from the network.

    An older export in `out` remains until the new one is compared, timed and complete. With `timing`, which is called
    after the comparison, the programs are timed here end to end, and every latency in the manifest is theirs; `card`
    returns the section for the model card. Raises ParityError for a difference, ExportError for an unsupported program
    and an `out` in use, StorageError if the folder cannot be written.
    """
    package.network.eval()
    with new_model_folder(out) as work:
        fill_folder(package, work, programs)
        parity = compare(package.network, open_model(work, trust_code=True), samples)
        table = read_table(work)
        table["program"]["parity"] = parity.to_table()
        if timing is not None:
            how = timing()
            kind, threads = how.device.type, how.spec.threads or 1
            model = open_model(work, provider=kind, threads=threads, trust_code=True)
            time_programs(model, table, how, samples.inputs.numpy())
        write_manifest(table, work)
        if timing is not None and card is not None:
            text = package.card + card(ProgramLatency.of(work))
            write_text(work / CARD, text)
    return out


def verify(
    folder: str | Path,
    *,
    data: str | Task | None = None,
    skip_bad: bool = False,
    trust_code: bool = False,
    backbone: nn.Module | None = None,
    listener: Listener = silent,
) -> Parity:
    """Compare the programs in a folder with its network again, including checksums.

    Without programs, the network with early stopping is compared with its full forward pass. `data` is a task or its
    spec; the default is the data that the export compared on. `skip_bad` skips unreadable images, and `listener`
    receives their names. `trust_code` and `backbone` are those of `eenas.load`. Raises ParityError for a difference,
    ExportError for an incomplete folder.
    """
    path = Path(folder)
    table = read_table(path)
    if table.get("experts") is not None:
        return _verify_experts(path, data, skip_bad=skip_bad, trust_code=trust_code, backbone=backbone)
    network = load(path, trust_code=trust_code, backbone=backbone)
    if table.get("program") is None:
        model, known = as_model(network, path), table["measured"].get("data")
    else:
        model, known = open_model(path, trust_code=trust_code), Parity.of(path).data
    given = data if data is not None else known
    if not given:
        raise ExportError(f"{path}: does not name the samples of its comparison; give some as --data (data=...)")
    task = given_task(given, network.transform.inputs, skip_bad=skip_bad, trust_code=trust_code)
    if task.left_out:
        listener(Notice(left_out_notice(task.left_out)))
    return compare(network, model, validation_samples(network, task, data=given if isinstance(given, str) else ""))


def _verify_experts(
    path: Path, data: str | Task | None, *, skip_bad: bool, trust_code: bool, backbone: nn.Module | None
) -> Parity:
    """Compare the programs of a network with experts with it, on validation samples as they are."""
    network = load_experts(path, trust_code=trust_code, backbone=backbone)
    known = Parity.of(path).data
    given = data if data is not None else known
    if not given:
        raise ExportError(f"{path}: does not name the samples of its comparison; give some as --data (data=...)")
    task = given_task(given, network.transform.inputs, skip_bad=skip_bad, trust_code=trust_code)
    samples = first_samples(network.transform, task, data=given if isinstance(given, str) else "")
    return compare_experts(network, open_model(path), samples)
