"""The artifact store as Optuna and optuna-dashboard see it."""

import io
import tempfile
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from eenas.records.artifacts import ArtifactStore


class OptunaArtifacts:
    """Artifacts by name alone, with the three methods of Optuna's protocol. Each is written whole or not at all."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Store all of `content_body`. Raises StorageError."""
        self._store.write(artifact_id, content_body.read())

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return the content of an artifact. Raises ArtifactNotFound and StorageError."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "artifact"
            try:
                self._store.objects.get(artifact_id, file)
            except FileNotFoundError as error:
                raise ArtifactNotFound(f"{self._store.label}: has no artifact {artifact_id}") from error
            return io.BytesIO(file.read_bytes())

    def remove(self, artifact_id: str) -> None:
        """Delete an artifact. Raises StorageError."""
        self._store.objects.remove(artifact_id)
