"""The manifest for Kubernetes: an indexed Job of workers, and the PostgreSQL service and the volume that they share."""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import yaml

from eenas.errors import SpecError
from eenas.escaping import shortened
from eenas.workers.job_files.cluster_job import ClusterJob, in_cluster

_HOST = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*(:\d{1,5})?"
_PART = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(rf"({_HOST}/)?{_PART}(/{_PART})*(:\w[\w.-]{{0,127}})?(@[a-z0-9]+:[0-9a-f]{{32,128}})?", re.ASCII)
_LONGEST_IMAGE = 255
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMES = {
    "namespace": (re.compile(_LABEL), 63, "lower-case letters, digits and hyphens"),
    "storage_class": (re.compile(rf"{_LABEL}(\.{_LABEL})*"), 253, "lower-case letters, digits, hyphens, single dots"),
}
"""The form of each name, its largest length, and its characters in words."""
_SIZE = re.compile(r"[1-9]\d{0,6}[MGT]i", re.ASCII)
POSTGRES = "postgres:16"
ARTIFACTS = "/study/artifacts"
GRACE = 180
"""The seconds that a worker has to give its trial back before it is killed."""


@dataclass(frozen=True, kw_only=True)
class KubernetesOptions:
    """The options of a job in Kubernetes.

    `image` holds eenas with the extra postgresql. `disk` is the size of the volume of artifacts, which several nodes
    must be able to write to; `storage_class` names its class (None: the default of the cluster). Raises SpecError.
    """

    image: str
    namespace: str | None = None
    disk: str = "20Gi"
    storage_class: str | None = None

    def __post_init__(self) -> None:
        """Check the forms."""
        if len(self.image) > _LONGEST_IMAGE or not _IMAGE.fullmatch(self.image):
            raise SpecError(f"--image must be an image such as registry.org/eenas:1.0, got {shortened(self.image)}")
        if not _SIZE.fullmatch(self.disk):
            raise SpecError(f"--disk must be a size such as 20Gi, got {shortened(self.disk)}")
        for name, (form, longest, characters) in _NAMES.items():
            value = getattr(self, name)
            if value is not None and not (len(value) <= longest and form.fullmatch(value)):
                raise SpecError(
                    f"--{name.replace('_', '-')} must have {characters}, at most {longest} in all, and begin "
                    f"and end with a letter or digit, got {shortened(value)}"
                )


def kubernetes_manifest(job: ClusterJob, options: KubernetesOptions) -> str:
    """Return the manifest as YAML. It holds a new password of the database."""
    parts = _Parts(job, options)
    comment = (
        "# kubectl apply -f FILE starts the study; kubectl logs -f job/"
        f"{job.label} follows it.\n# Keep this file private: it holds the password of the database.\n"
    )
    text: str = yaml.safe_dump_all(parts.all(), sort_keys=False, width=1000)
    return comment + text


class _Parts:
    """The objects of a manifest."""

    def __init__(self, job: ClusterJob, options: KubernetesOptions) -> None:
        self.job, self.options, self.database = job, options, f"{job.label}-postgres"

    def all(self) -> list[dict[str, Any]]:
        return [self.secret(), self.service(), self.stateful_set(), self.volume_claim(), self.workers()]

    def meta(self, name: str, part: str) -> dict[str, Any]:
        place = {} if self.options.namespace is None else {"namespace": self.options.namespace}
        return {"name": name, **place, "labels": self.labels(part)}

    def labels(self, part: str) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": "eenas",
            "app.kubernetes.io/instance": self.job.label,
            "app.kubernetes.io/component": part,
        }

    def secret(self) -> dict[str, Any]:
        data = {"password": secrets.token_urlsafe(24)}
        meta = self.meta(self.database, "database")
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}

    def service(self) -> dict[str, Any]:
        ports = [{"name": "postgres", "port": 5432, "targetPort": "postgres"}]
        spec = {"clusterIP": "None", "selector": self.labels("database"), "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self.meta(self.database, "database"), "spec": spec}

    def stateful_set(self) -> dict[str, Any]:
        ready = {"exec": {"command": ["pg_isready", "-U", "eenas", "-d", "eenas"]}, "periodSeconds": 5}
        container = {
            "name": "postgres",
            "image": POSTGRES,
            "env": [
                {"name": "POSTGRES_USER", "value": "eenas"},
                {"name": "POSTGRES_DB", "value": "eenas"},
                self.password("POSTGRES_PASSWORD"),
                {"name": "PGDATA", "value": "/var/lib/postgresql/data/eenas"},
            ],
            "args": ["-c", f"max_connections={max(100, 8 * self.job.workers)}"],
            "ports": [{"name": "postgres", "containerPort": 5432}],
            "readinessProbe": ready,
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
        }
        spec = {
            "serviceName": self.database,
            "replicas": 1,
            "selector": {"matchLabels": self.labels("database")},
            "template": {"metadata": {"labels": self.labels("database")}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": self.claim("ReadWriteOnce", "10Gi", None)}],
        }
        meta = self.meta(self.database, "database")
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}

    def volume_claim(self) -> dict[str, Any]:
        spec = self.claim("ReadWriteMany", self.options.disk, self.options.storage_class)
        meta = self.meta(f"{self.job.label}-artifacts", "artifacts")
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}

    def claim(self, mode: str, size: str, storage_class: str | None) -> dict[str, Any]:
        kind = {} if storage_class is None else {"storageClassName": storage_class}
        return {"accessModes": [mode], **kind, "resources": {"requests": {"storage": size}}}

    def password(self, variable: str) -> dict[str, Any]:
        return {"name": variable, "valueFrom": {"secretKeyRef": {"name": self.database, "key": "password"}}}

    def workers(self) -> dict[str, Any]:
        job = in_cluster(self.job, f"postgresql://eenas:$(PASSWORD)@{self.database}/eenas", ARTIFACTS)
        own = {"cpu": str(job.cpus), "memory": f"{job.memory}i"}
        gpus = {"nvidia.com/gpu": str(job.gpus)} if job.gpus else {}
        artifacts = {"name": "artifacts", "persistentVolumeClaim": {"claimName": f"{job.label}-artifacts"}}
        container = {
            "name": "worker",
            "image": self.options.image,
            "command": ["eenas"],
            "args": ["search", *(escaped(flag) for flag in job.flags), "--workers", "1"],
            "env": [
                self.password("PASSWORD"),
                {"name": "EENAS_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "OMP_NUM_THREADS", "value": str(job.cpus)},
            ],
            "resources": {"requests": {**own, **gpus}, "limits": {"memory": own["memory"], **gpus}},
            "volumeMounts": [
                {"name": "artifacts", "mountPath": "/study"},
                {"name": "memory", "mountPath": "/dev/shm"},
            ],
        }
        waits = {
            "name": "wait-for-database",
            "image": POSTGRES,
            "command": ["sh", "-c", f"until pg_isready -h {self.database} -U eenas; do sleep 2; done"],
        }
        pod = {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": GRACE,
            "initContainers": [waits],
            "containers": [container],
            "volumes": [artifacts, {"name": "memory", "emptyDir": {"medium": "Memory"}}],
        }
        spec = {
            "completionMode": "Indexed",
            "completions": job.workers,
            "parallelism": job.workers,
            "backoffLimit": 3 * job.workers,
            "template": {"metadata": {"labels": self.labels("worker")}, "spec": pod},
        }
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": self.meta(job.label, "worker"), "spec": spec}


def escaped(flag: str) -> str:
    """Return an argument in which Kubernetes expands no variable of the user; that of the password stays."""
    return flag if flag.startswith("postgresql://eenas:$(PASSWORD)@") else flag.replace("$", "$$")
