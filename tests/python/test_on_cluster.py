"""Clusters from Python, on a real one: `KUBECONFIG` leads to it, `DATALAKE_CLI` is static, to make an image of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

import datalake

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif("DATALAKE_ON_CLUSTER" not in os.environ, reason="needs a cluster: make test-cluster")

MINIO = "localhost/minio-for-tests:1"
NAMESPACE = "test-python"


def done(*call: str | Path) -> str:
    return subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.fixture(scope="module")
def cluster(root: Path, profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[datalake.Cluster]:
    """A lake of its own in a namespace of its own, to which the profile leads; removed with all that is in it."""
    kube, tool, images = root / "tests/kube.sh", os.environ["DATALAKE_CLI"], tmp_path_factory.mktemp("images")
    minio, own = images / "minio.tar", images / "own.tar"
    program = done(root / "tests/minio.sh", "static")
    done(tool, "image", "pack", "--name", MINIO, "--entrypoint", "/minio", "-o", minio, program)
    done(tool, "image", "save", own)
    done(kube, "load", minio, own)
    done(kube, "volume", NAMESPACE, "1Gi", f"{NAMESPACE}/datalake-store")
    cluster = datalake.Cluster(namespace=NAMESPACE)
    made = cluster.setup(image=MINIO, image_pull_policy="Never", size="1Gi", node_ports=(30960, 30961))
    assert made["answers"]
    assert made["profile"] == str(profile)
    yield cluster
    gone = cluster.teardown(delete_data=True)
    assert f"Namespace {NAMESPACE}" in gone["removed"]
    assert not profile.exists()
    done(kube, "kubectl", "delete", "persistentvolume", NAMESPACE, "--ignore-not-found")


def test_a_lake_that_is_up_stays_as_it_is(cluster: datalake.Cluster) -> None:
    assert {found["action"] for found in cluster.dry_run_setup(size="1Gi", node_ports=(30960, 30961))} == {"keep"}
    assert datalake.Lake().buckets() == ["models", "processed-data", "raw-data"]


def test_jobs_give_the_digests_of_this_machine(cluster: datalake.Cluster, analyzed: datalake.Run) -> None:
    run = cluster.run("food-calories", workers=3, shard_size="300kB", memory="512Mi")
    assert run.status == "done"
    assert run.digests == analyzed.digests
    assert any(" grow-00002" in line["from"] for line in run.logs())
    status = cluster.status()
    assert status["last_run"]["run"] == run.id
    assert any(job["stage"] == "grow" and job["total"] == 3 for job in status["cluster"]["jobs"])
    assert any(pod["name"].startswith("datalake-store") for pod in status["cluster"]["pods"])


def test_a_detached_run_ends_by_itself(cluster: datalake.Cluster, analyzed: datalake.Run) -> None:
    run = cluster.run("food-calories", fresh=True, detach=True, env={"COLOUR": "red"})
    assert run.status in {"running", "done"}
    assert any(line["event"] == "end" for line in run.logs(follow=True))
    ended = run.wait(120)
    assert ended.status == "done"
    assert ended.digests == analyzed.digests
    assert cluster.cancel(run.id)["was"] == "done"


def test_a_run_that_waits_can_be_cancelled(cluster: datalake.Cluster) -> None:
    run = cluster.run("food-calories", fresh=True, detach=True, node_selector={"colour": "none"})
    told = cluster.cancel(run.id)
    assert (told["was"], told["jobs_removed"]) == ("waiting", 1)
    assert run.wait(30).status == "cancelled"
    # Who did not see that it was cancelled would wait for ever.
    assert list(run.logs(follow=True)) == []


def test_a_job_of_ones_own_prints_here_and_raises(
    cluster: datalake.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    image = f"localhost/datalake:{datalake.__version__}"
    assert cluster.submit("mine", image=image, command=["/datalake", "ls"], follow=True) == "mine"
    assert "raw-data" in capsys.readouterr().out
    with pytest.raises(datalake.AlreadyExistsError, match="mine"):
        cluster.submit("mine", image=image, command=["/datalake", "ls"])
    with pytest.raises(datalake.Error, match="no-such"):
        cluster.submit("wrong", image=image, command=["/datalake", "ls", "no-such"], follow=True)
    assert [(job["name"], job["status"]) for job in cluster.jobs()] == [("mine", "complete"), ("wrong", "failed")]
    for follow in (False, True):
        capsys.readouterr()
        cluster.job_logs("mine", follow=follow)
        assert "raw-data" in capsys.readouterr().out
    cluster.delete_job("mine")
    assert [job["name"] for job in cluster.jobs()] == ["wrong"]
    with pytest.raises(datalake.NotFoundError, match="mine"):
        cluster.job_logs("mine")


def test_the_python_of_the_readme(cluster: datalake.Cluster, root: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    (example,) = [example for example in examples if "Cluster" in example]
    before = len(cluster.runs())
    assert "grow" in done(sys.executable, "-c", example)
    assert len(cluster.runs()) == before + 1


def test_the_notebook_uses_the_cluster(cluster: datalake.Cluster, tmp_path: Path) -> None:
    path = Path(__file__).resolve().parent.parent / "notebooks/jobs.ipynb"
    notebook = nbformat.read(path, as_version=4)
    before = len(cluster.runs())
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    assert "grow" in shown
    assert "datalake-store" in shown
    assert len(cluster.runs()) == before + 2
