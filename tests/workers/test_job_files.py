"""Job files: what Slurm, Kubernetes and Ray read in them, and that each command is one of eenas itself."""

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import time

import pytest
import yaml

from eenas.cli.clusters.cluster import parsed
from eenas.errors import SpecError, StorageError
from eenas.workers.job_files.cluster_job import ClusterJob, without, written
from eenas.workers.job_files.kubernetes import KubernetesOptions, escaped, kubernetes_manifest
from eenas.workers.job_files.ray_job import RayOptions, ray_script
from eenas.workers.job_files.slurm import SlurmOptions, slurm_script

FLAGS = (
    *("--backbone", "resnet50", "--name", "it's mine", "--trials", "200", "--artifacts", "/shared/a b"),
    *("--set", 'search.objectives=["accuracy", "macs"]', "--set", "training.epochs=$(2)"),
)
SECRET = "postgresql://me:pa$$word@host/studies"
PUBLIC = "postgresql://me@host/studies"
BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")


def job(storage=PUBLIC, **options):
    return ClusterJob(
        **{"name": "it's mine", "storage": storage, "flags": (*FLAGS, "--storage", storage), "workers": 8, **options}
    )


def command_in(script):
    """The parameters of the search in a script, as bash splits its line."""
    line = next(line for line in script.replace("\\\n", "").splitlines() if "eenas search " in line)
    words = shlex.split(line.removesuffix("&").partition("eenas search ")[2])
    return parsed(words)


def check_flags(given, storage):
    assert (given["backbone"], given["name"], given["trials"]) == ("resnet50", "it's mine", 200)
    assert str(given["artifacts"]) == "/shared/a b"
    assert given["overrides"] == ['search.objectives=["accuracy", "macs"]', "training.epochs=$(2)"]
    assert given["storage"] == storage


def checked_by_bash(script):
    done = subprocess.run([BASH, "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_bash
def test_a_slurm_script_is_an_array_that_is_queued_again(tmp_path):
    options = SlurmOptions(time="1-02:00:00", before=60, partition="gpu,long", account="me", constraint="a100&nvme")
    script = slurm_script(job(gpus=2, cpus=6, memory="900M"), options, tmp_path / "a b'c")
    checked_by_bash(script)
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert lines[1 : 1 + len(directives)] == [f"#SBATCH {line}" for line in directives]  # before any command
    found = dict(line.removeprefix("--").partition("=")[::2] for line in directives)
    assert found == {
        **{"job-name": "eenas-it-s-mine", "array": "0-7", "ntasks": "1", "cpus-per-task": "6", "gres": "gpu:2"},
        **{"mem": "900M", "time": "1-02:00:00", "signal": "B:USR1@60", "requeue": "", "open-mode": "append"},
        **{"output": "eenas-it-s-mine-%A_%a.log", "partition": "gpu,long", "account": "me", "constraint": "a100&nvme"},
    }
    given = command_in(script)
    check_flags(given, PUBLIC)
    assert given["workers"] == 1
    assert "--gres" not in slurm_script(job(gpus=0), SlurmOptions(), tmp_path)


FAKE_EENAS = """#!/bin/bash
trap 'echo "gave back" >> log; exit 0' TERM
echo "started $EENAS_STORAGE $OMP_NUM_THREADS $*" >> log
while true; do sleep 0.02; done
"""


@needs_bash
@pytest.mark.parametrize(("sent", "last", "status"), [("USR1", "scontrol requeue 7_3", 0), ("TERM", "gave back", 143)])
def test_a_task_gives_its_trial_back_before_its_time_is_over(tmp_path, sent, last, status):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("eenas", FAKE_EENAS), ("scontrol", '#!/bin/bash\necho "scontrol $*" >> log\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    script = written(
        tmp_path / "job.slurm", slurm_script(job(SECRET), SlurmOptions(), tmp_path), force=False, mode=0o755
    )
    environment = {
        **{"PATH": f"{programs}:{os.environ['PATH']}", "EENAS_STORAGE": "the storage"},
        **{"SLURM_CPUS_PER_TASK": "5", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"},
    }
    log = tmp_path / "log"
    with subprocess.Popen([BASH, str(script)], env=environment, stderr=subprocess.PIPE) as task:
        deadline = time.monotonic() + 30
        while not log.exists() or "started" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        task.send_signal(getattr(signal, f"SIG{sent}"))
        assert task.wait(30) == status
    lines = log.read_text().splitlines()
    assert lines[0].startswith("started the storage 5 search --backbone resnet50")
    assert lines[0].endswith("--workers 1 --storage the storage")
    assert lines[1] == "gave back"
    assert lines[-1] == last


@needs_bash
def test_a_password_stays_out_of_scripts_which_ask_for_the_variable(tmp_path):
    script = slurm_script(job(SECRET), SlurmOptions(), tmp_path)
    assert "pa$$word" not in script
    check_flags(command_in(script), "$EENAS_STORAGE")
    done = subprocess.run(
        [BASH, "-c", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "export EENAS_STORAGE" in done.stderr
    assert "pa$$word" not in ray_script(job(SECRET), RayOptions(), tmp_path)


@needs_bash
def test_a_ray_script_submits_the_search(tmp_path):
    environment = tmp_path / "env.json"
    environment.write_text('{"pip": ["eenas[ray]"], "env_vars": {"A": "it\'s"}}')
    options = RayOptions(address="http://head:8265", runtime_env=environment)
    script = ray_script(job(gpus=0, cpus=2), options, tmp_path)
    checked_by_bash(script)
    line = next(line for line in script.replace("\\\n", "").splitlines() if line.startswith("ray job submit"))
    words = shlex.split(line)
    assert words[:5] == ["ray", "job", "submit", "--address", "http://head:8265"]
    assert words[5] == "--runtime-env-json"
    assert json.loads(words[6]) == {
        **{"working_dir": str(tmp_path), "pip": ["eenas[ray]"]},
        "env_vars": {"OMP_NUM_THREADS": "2", "A": "it's"},
    }
    assert words[7] == "--"
    given = command_in(script)
    check_flags(given, PUBLIC)
    asked = [given[name] for name in ("ray", "workers", "gpus_per_trial", "cpus_per_trial")]
    assert asked == ["auto", 8, 0.0, 2.0]


META = {"name": str, "namespace": str, "labels": {str: str}}
ENV = [
    {
        "name": str,
        "value": str,
        "valueFrom": {"secretKeyRef": {"name": str, "key": str}, "fieldRef": {"fieldPath": str}},
    }
]
CLAIM = {"accessModes": [str], "storageClassName": str, "resources": {"requests": {"storage": str}}}
CONTAINER = {
    **{"name": str, "image": str, "command": [str], "args": [str], "env": ENV},
    "ports": [{"name": str, "containerPort": int}],
    "readinessProbe": {"exec": {"command": [str]}, "periodSeconds": int},
    "resources": {"requests": {str: str}, "limits": {str: str}},
    "volumeMounts": [{"name": str, "mountPath": str}],
}
POD = {
    **{"restartPolicy": str, "terminationGracePeriodSeconds": int},
    **{"containers": [CONTAINER], "initContainers": [CONTAINER]},
    "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}, "emptyDir": {"medium": str}}],
}
TEMPLATE = {"metadata": {"labels": {str: str}}, "spec": POD}
SELECTED = {"matchLabels": {str: str}}
SPECS = {
    "Secret": ("v1", {"type": str, "stringData": {str: str}}),
    "Service": (
        "v1",
        {"spec": {"clusterIP": str, "selector": {str: str}, "ports": [{"name": str, "port": int, "targetPort": str}]}},
    ),
    "StatefulSet": (
        "apps/v1",
        {
            "spec": {
                **{"serviceName": str, "replicas": int, "selector": SELECTED, "template": TEMPLATE},
                "volumeClaimTemplates": [{"metadata": {"name": str}, "spec": CLAIM}],
            }
        },
    ),
    "PersistentVolumeClaim": ("v1", {"spec": CLAIM}),
    "Job": (
        "batch/v1",
        {
            "spec": {
                **{"completionMode": str, "completions": int, "parallelism": int, "backoffLimit": int},
                "template": TEMPLATE,
            }
        },
    ),
}
"""The fields of Kubernetes that a manifest may use, with their types."""


def check_fields(value, schema, where):
    if isinstance(schema, list):
        assert isinstance(value, list), where
        for index, each in enumerate(value):
            check_fields(each, schema[0], f"{where}[{index}]")
    elif isinstance(schema, dict):
        assert isinstance(value, dict), where
        for key, each in value.items():
            assert key in schema or str in schema, f"{where}.{key} is no field"
            check_fields(each, schema.get(key, schema.get(str)), f"{where}.{key}")
    else:
        assert type(value) is schema, f"{where}: {value!r}"


def manifest(**options):
    flags = without(without(job().flags, "--storage"), "--artifacts")
    text = kubernetes_manifest(
        job(flags=tuple(flags), cpus=6, gpus=2), KubernetesOptions(image="registry.org/eenas:1.0", **options)
    )
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_a_manifest_has_known_fields_and_its_parts_find_each_other():
    found = manifest(namespace="research", storage_class="nfs")
    assert list(found) == list(SPECS)
    for kind, (version, schema) in SPECS.items():
        check_fields(found[kind], {"apiVersion": str, "kind": str, "metadata": META, **schema}, kind)
        assert found[kind]["apiVersion"] == version
        assert found[kind]["metadata"]["namespace"] == "research"
    database, spec = found["StatefulSet"]["spec"], found["Job"]["spec"]
    assert found["Service"]["spec"]["selector"] == database["selector"]["matchLabels"]
    assert database["template"]["metadata"]["labels"] == database["selector"]["matchLabels"]
    assert database["serviceName"] == found["Service"]["metadata"]["name"] == "eenas-it-s-mine-postgres"
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 8, 8)
    pod = spec["template"]["spec"]
    worker = pod["containers"][0]
    assert pod["restartPolicy"] == "OnFailure"
    claim = found["PersistentVolumeClaim"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["storageClassName"] == "nfs"
    assert worker["resources"]["requests"] == {"cpu": "6", "memory": "16Gi", "nvidia.com/gpu": "2"}
    names = {each["name"]: each for each in worker["env"]}
    assert names["EENAS_NODE"]["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    assert names["PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == found["Secret"]["metadata"]["name"]
    assert worker["command"] == ["eenas"]
    assert worker["args"][0] == "search"
    given = parsed(worker["args"][1:])
    assert given["storage"] == "postgresql://eenas:$(PASSWORD)@eenas-it-s-mine-postgres/eenas"
    assert str(given["artifacts"]) == "/study/artifacts"
    assert given["workers"] == 1
    assert given["overrides"][1] == "training.epochs=$$(2)"  # Kubernetes reads $$( as $(


def test_each_manifest_has_a_password_of_its_own():
    one, two = (manifest()["Secret"]["stringData"]["password"] for _ in range(2))
    assert one != two
    assert len(one) >= 24


def test_a_manifest_is_what_the_client_of_kubernetes_reads():
    client = pytest.importorskip("kubernetes.client", reason="the client of Kubernetes is not installed")
    models = {"Secret": "V1Secret", "Service": "V1Service", "StatefulSet": "V1StatefulSet", "Job": "V1Job"}
    models["PersistentVolumeClaim"] = "V1PersistentVolumeClaim"
    api = client.ApiClient()

    for kind, value in manifest(namespace="research").items():
        read = api.deserialize(json.dumps(value), models[kind], "application/json")
        assert api.sanitize_for_serialization(read) == value  # unknown fields would be lost


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: job(workers=0), "--workers must be a whole number from 1 to 1024, got 0"),
        (lambda: job(gpus=-1), "--gpus must be a whole number from 0"),
        (lambda: job(memory="16GB"), "--memory must be a size such as 16G"),
        (lambda: job(flags=("--ray", "auto")), "--ray is set by the job"),
        (lambda: job(flags=("--workers=4",)), "--workers is set by the job"),
        (lambda: job(flags=("--name", "a\nb")), "must have no control characters"),
        (lambda: SlurmOptions(time="tomorrow"), "--time must be MINUTES, HH:MM:SS"),
        (lambda: SlurmOptions(time="00:04:00"), "--time 00:04:00 must be more than 60 s longer than --before (180 s)"),
        (lambda: SlurmOptions(time="04:00"), "else a task is queued again as soon as it starts"),
        (lambda: SlurmOptions(time="4"), "give a longer --time"),
        (lambda: SlurmOptions(before=5), "--before must be from 10 to 3600"),
        (lambda: SlurmOptions(partition="gpu\n#SBATCH --x"), "--partition must be a name of Slurm"),
        (lambda: KubernetesOptions(image="a b"), "--image must be an image"),
        (lambda: KubernetesOptions(image="a", namespace="A_b"), "--namespace must have lower-case letters"),
        (lambda: KubernetesOptions(image="a", disk="20"), "--disk must be a size such as 20Gi"),
        (lambda: job(memory="1\u0666G"), "--memory must be a size"),
        (lambda: job(memory="255M"), "--memory must be at least 256M, which a worker holds before it reads a network"),
        (lambda: SlurmOptions(time="\u0664"), "--time must be MINUTES"),
        *(
            (lambda image=image: KubernetesOptions(image=image), "--image must be an image")
            for image in ("a/B:1", "a:b:c", "a//b", "host:1a/b", "a@sha256:12", "a" * 300, "a:", "-a", "\u00fc")
        ),
        *(
            (lambda name=name: KubernetesOptions(image="a", namespace=name), "--namespace must have lower-case letters")
            for name in ("a.b", "-a", "a-", "a" * 64, "", "\u00fc")
        ),
        *(
            (lambda name=name: KubernetesOptions(image="a", storage_class=name), "--storage-class must have lower-case")
            for name in ("a..b", ".a", "a.", "a.-b", "a." * 126 + "aa", "A")
        ),
        (lambda: KubernetesOptions(image="a", disk="2\u0660Gi"), "--disk must be a size such as 20Gi"),
        (lambda: RayOptions(address="head:8265"), "--address must be a URL"),
        *(
            (lambda address=address: RayOptions(address=address), "--address must be a URL such as http://HOST:8265")
            for address in ("http://", "http://:::", "http://a:0", "http://a:65536", "ray://a:1", "http://a/x")
        ),
    ],
)
def test_what_a_cluster_would_misread_is_refused(make, said):
    with pytest.raises(SpecError) as error:
        make()
    assert said in str(error.value)


@pytest.mark.parametrize("time", ["0", "5", "04:01", "00:04:01", "0-00:05", "0-00:04:01", "04:00:00"])
def test_a_limit_of_slurm_leaves_time_before_the_signal(time):
    assert SlurmOptions(time=time).time == time


def test_sqlite_is_for_one_worker(tmp_path):
    with pytest.raises(StorageError, match="the nodes of a cluster cannot share an SQLite file"):
        slurm_script(job("sqlite:///eenas.db"), SlurmOptions(), tmp_path)
    with pytest.raises(StorageError, match="cannot share an SQLite file"):
        ray_script(job("sqlite:///eenas.db"), RayOptions(), tmp_path)
    assert "--array=0-0" in slurm_script(job("sqlite:///eenas.db", workers=1), SlurmOptions(), tmp_path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "Ünï", "...", "a" * 200, "x/y:z", "-rf"])
def test_the_name_of_a_job_is_one_that_clusters_take(name):
    label = job(name=name).label
    assert label.startswith("eenas")
    assert len(label) <= 43
    assert label.strip("-") == label
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_file_is_replaced_only_by_force(tmp_path):
    path = written(tmp_path / "new" / "job", "one", force=False, mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StorageError, match="the file exists; give --force"):
        written(path, "two", force=False)
    assert path.read_text() == "one"
    written(path, "two", force=True)
    assert path.read_text() == "two"
    assert [each.name for each in path.parent.iterdir()] == ["job"]
    with pytest.raises(StorageError, match="cannot be written"):
        written(path / "below", "three", force=False)


@pytest.mark.parametrize(
    "image", ["eenas", "a/b:1", "registry.org:5000/me/eenas_x:1.0-rc", "Host.org/a--b", f"a@sha256:{'0' * 64}"]
)
def test_images_that_registries_know_are_taken(image):
    assert KubernetesOptions(image=image, namespace="a-1", storage_class="fast.example.org").image == image


@pytest.mark.parametrize("address", ["http://head:8265", "https://head", "http://[::1]:8265", "http://10.0.0.1:8265/"])
def test_addresses_of_job_servers_are_taken(address):
    assert RayOptions(address=address).address == address


def test_the_variables_of_a_runtime_environment_are_texts(tmp_path):
    (tmp_path / "env.json").write_text('{"env_vars": {"A": 1}}')
    with pytest.raises(SpecError, match=r"env.json: env_vars.'A' must be a text, got 1; put it in quotation marks"):
        ray_script(job(), RayOptions(runtime_env=tmp_path / "env.json"), tmp_path)


def test_names_that_are_cut_stay_different_and_fit_a_stateful_set():
    one, two = (job(name="a" * 60 + end).label for end in ("b", "c"))
    assert one != two
    assert max(len(f"{each}-postgres") for each in (one, two, job(name="a" * 37).label)) == 52


def expanded(text):
    """What Kubernetes makes of an argument: $$ is a dollar, $(NAME) a variable."""
    return re.sub(r"\$(\$|\((\w+)\))", lambda found: "$" if found[1] == "$" else f"<{found[2]}>", text)


@pytest.mark.parametrize("flag", ["training.epochs=$(2)", "$$(PASSWORD)", "$$$(PASSWORD)", "$", "a$b$$", "$(PASSWORD)"])
def test_kubernetes_expands_no_variable_of_the_user(flag):
    assert expanded(escaped(flag)) == flag
    assert expanded(escaped("postgresql://eenas:$(PASSWORD)@host/eenas")) == "postgresql://eenas:<PASSWORD>@host/eenas"
