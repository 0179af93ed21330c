"""What publishes the project names what there is: workflow, issue templates, citation, container, changelog."""

import re
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")  # comes with timm

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
JOBS = WORKFLOW["jobs"]


def test_the_workflow_runs_every_version_of_python_that_is_named() -> None:
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", line)}
    steps = [step for job in JOBS.values() for step in job["steps"]]
    fixed = {step["with"]["python-version"] for step in steps if "python-version" in step.get("with", {})}
    drawn = {each for job in JOBS.values() for each in job.get("strategy", {}).get("matrix", {}).get("python", [])}
    assert named == {each for each in fixed | drawn if re.fullmatch(r"3\.\d+", each)}


def test_the_workflow_runs_the_three_systems_and_files_that_exist() -> None:
    systems = {job["runs-on"] for job in JOBS.values()} | set(JOBS["systems"]["strategy"]["matrix"]["system"])
    assert {"ubuntu-latest", "macos-latest", "windows-latest"} <= systems
    commands = " ".join(step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step)
    paths = re.findall(r"(?:tests|\.ci)/[\w./]+", commands)
    assert "tests/policies" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["bug_report", "feature_request"])
def test_an_issue_template_has_its_fields(name: str) -> None:
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids) > 0
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_citation_says_what_the_project_file_says() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert cited["license"] == PROJECT["license"]
    assert [each["name"] for each in cited["authors"]] == [each["name"] for each in PROJECT["authors"]]
    assert cited["keywords"] == PROJECT["keywords"]
    assert " ".join(cited["abstract"].split()) == PROJECT["description"]
    assert [page for page in re.findall(r"docs/[\w/-]+\.md", cited["message"]) if not (ROOT / page).is_file()] == []


def test_the_container_copies_what_the_package_is_built_from() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "eenas", "search_spaces", "studies", "dashboards"}
    assert all((ROOT / name).exists() for name in copied)
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


def test_the_changelog_keeps_to_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "https://keepachangelog.com" in text
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", each) for each in versions[1:])
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_changelog_names_files_that_exist_and_says_nothing_twice() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:docs|studies|search_spaces|dashboards)/[\w./-]+)`", text))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    sentences = [each for each in re.split(r"(?<=\.)\s+|^- ", text, flags=re.MULTILINE) if len(each) > 30]
    assert {each for each in sentences if sentences.count(each) > 1} == set()
    items = re.findall(r"^- .*(?:\n  .*)*", text, re.MULTILINE)
    assert [item for item in items if not item.endswith((".", ".`"))] == []
