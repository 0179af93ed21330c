"""The finished experts of an interrupted training, kept as files until all are finished."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eenas.errors import WeightsError
from eenas.files import write_atomically
from eenas.networks.checkpoint import load_part, write_state
from eenas.networks.experts.expert_network import ExpertNetwork, own_state


@dataclass(frozen=True, kw_only=True)
class KeptExperts:
    """The files of finished experts in a `folder`. `key` is a digest of all that their weights depend on."""

    folder: Path
    key: str

    def load(self, network: ExpertNetwork, number: int) -> bool:
        """Give an expert its kept weights, in place. Return False if there are none that can be read."""
        path = self._path(number)
        if not path.is_file():
            return False
        try:
            load_part(network, path, _part(network, number))
        except WeightsError:
            return False
        return True

    def save(self, network: ExpertNetwork, number: int) -> None:
        """Keep the weights of a finished expert."""
        write_atomically(self._path(number), lambda file: write_state(_part(network, number), file))

    def remove(self) -> None:
        """Remove the files of all experts, those of other keys as well."""
        for path in self.folder.glob("expert-*.part"):
            path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"expert-{self.key}-{number}.part"


def _part(network: ExpertNetwork, number: int) -> dict[str, Any]:
    """Return the state of one expert."""
    own = (f"experts.{number}.", f"bodies.{number - 1}.")
    return {name: value for name, value in own_state(network).items() if name.startswith(own)}
