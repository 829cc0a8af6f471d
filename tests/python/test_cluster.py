"""Clusters from Python, as far as none is needed: manifests, the profile, what is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import datalake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leads to a cluster."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def known(profile: Path) -> Iterator[Path]:
    """A profile that leads to a lake and a cluster."""
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(
        '[lake]\nurl = "http://127.0.0.1:9"\naccess_key_id = "id"\nsecret_access_key = "hush"\n'
        '[cluster]\nnamespace = "elsewhere"\n[images]\nstore = "localhost/minio:7"\nstore_pull_policy = "Never"\n'
    )
    yield profile
    profile.unlink()


def test_a_setup_can_be_read_first() -> None:
    yaml = datalake.Cluster().setup_yaml(image="localhost/minio:1", size="2Gi", node_ports=(31900, 31901))
    assert "kind: StatefulSet" in yaml
    assert "nodePort: 31900" in yaml
    assert "storage: 2Gi" in yaml
    assert "namespace: big-data" in yaml
    assert "nodePort" not in datalake.Cluster(namespace="mine").setup_yaml(image="localhost/minio:1", node_ports=None)


def test_jobs_open_the_buckets_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAKE_BUCKETS", "models=acme-forests")
    names = {"bucket_prefix": "a-", "buckets": {"sales": "acme-sales"}, "more_buckets": ["exports", "sales"]}
    yaml = datalake.Cluster().setup_yaml(image="localhost/minio:1", **names)
    assert "datalake/buckets: exports,sales,models=acme-forests,sales=acme-sales" in yaml
    assert "DATALAKE_BUCKETS: models=acme-forests,sales=acme-sales" in yaml
    with pytest.raises(datalake.InvalidError, match="No Bucket"):
        datalake.Cluster().setup_yaml(image="localhost/minio:1", more_buckets=["No Bucket"])


def test_no_image_is_guessed() -> None:
    with pytest.raises(datalake.InvalidError, match="none is guessed") as caught:
        datalake.Cluster().setup_yaml()
    assert "image pack" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"image": "x:1", "size": "much"}, datalake.InvalidError, "`much` is no size"),
        ({"image": "x:1", "node_ports": (1, 1)}, datalake.InvalidError, "two numbers"),
        ({"image": "x:1", "timeout": "soon"}, datalake.InvalidError, "`soon` as a time"),
        ({"image": "x:1", "colour": "red"}, TypeError, "`colour`"),
        ({"store": "ceph", "image": "x:1"}, datalake.InvalidError, "minio, versitygw or external"),
        ({"store": "external", "size": "1Gi", "endpoint": "http://h", "access_key_id": "a", "secret_access_key": "b"},
         TypeError, "`size` is of no use"),
        ({"store": "external", "endpoint": "http://h", "access_key_id": "a"}, datalake.InvalidError, "AWS_SECRET"),
    ],
)  # fmt: skip
def test_settings_that_are_wrong_are_named(
    options: dict[str, Any], error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(error, match=words):
        datalake.Cluster().setup_yaml(**options)


def test_an_external_store_keeps_its_key_out_of_sight() -> None:
    keys = {"access_key_id": "the-id", "secret_access_key": "hush-hush"}
    yaml = datalake.Cluster().setup_yaml(store="external", endpoint="https://s3.example.org", **keys)
    assert "https://s3.example.org" in yaml
    assert "hush-hush" not in yaml


@pytest.mark.usefixtures("known")
def test_the_profile_leads_to_lake_and_cluster() -> None:
    assert datalake.Lake().url == "http://127.0.0.1:9"
    assert datalake.Cluster().lake.url == "http://127.0.0.1:9"
    yaml = datalake.Cluster().setup_yaml()
    assert "namespace: elsewhere" in yaml
    assert "localhost/minio:7" in yaml
    assert "imagePullPolicy: Never" in yaml
    assert "namespace: here" in datalake.Cluster(namespace="here").setup_yaml()


@pytest.mark.usefixtures("known")
def test_what_is_said_goes_before_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert datalake.Lake("memory:").url == "memory:"
    monkeypatch.setenv("DATALAKE_URL", str(tmp_path))
    assert datalake.Lake().url == str(tmp_path)


def test_a_profile_that_is_broken_is_said_where_it_matters(known: Path) -> None:
    known.write_text("[lake]\nsecret_access_key = 'hush'\n")
    with pytest.raises(datalake.InvalidError, match="url") as caught:
        datalake.Lake()
    assert "hush" not in str(caught.value)
    assert datalake.Lake("memory:").buckets() == []


@pytest.mark.usefixtures("nowhere")
def test_where_no_cluster_is_that_is_said(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.NotFoundError, match="a Kubernetes cluster") as caught:
        datalake.Cluster().teardown()
    assert "KUBECONFIG" in (caught.value.hint or "")
    status = datalake.Cluster(lake=lake).status()
    assert status["cluster"] is None
    assert status["last_run"] is None
    assert status["buckets"] == [{"bucket": "raw-data", "objects": 0, "bytes": 0}]


@pytest.mark.usefixtures("nowhere")
def test_a_cluster_that_cannot_be_asked_is_a_warning(
    lake: datalake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.warns(RuntimeWarning, match="cannot read the configuration of the cluster, .*none"):
        assert datalake.Cluster(lake=lake).status()["cluster"] is None


@pytest.mark.usefixtures("nowhere")
def test_pods_do_not_see_a_lake_of_this_machine(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.InvalidError, match="of this machine alone"):
        datalake.Cluster(lake=lake).run("food-calories")
    with pytest.raises(TypeError, match="`colour`"):
        datalake.Cluster(lake=lake).run("food-calories", colour="red")  # type: ignore[call-arg]
    with pytest.raises(datalake.InvalidError, match="NoSchedule"):
        datalake.Cluster(lake=lake).run("food-calories", tolerations=["a=b:Never"])


def test_a_job_needs_an_image() -> None:
    with pytest.raises(datalake.InvalidError, match="it has no image"):
        datalake.Cluster().submit("mine", command=["true"])


def test_a_run_tells_of_itself(analyzed: datalake.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyzed.wait().digests == analyzed.digests
    lines = list(analyzed.logs())
    assert {line["from"] for line in lines} >= {"prepare-foods", "train-calories"}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert list(analyzed.logs(follow=True)) == lines
    assert list(datalake.Cluster(lake=analyzed.lake).logs()) == list(datalake.load_run(analyzed.lake).logs())
    assert set(analyzed.progress()) == {"driver", "workers"}
    assert analyzed.id in datalake.Cluster(lake=analyzed.lake).runs()
    assert capsys.readouterr() == ("", "")


def test_bars_are_shown_where_they_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = datalake.Lake(tmp_path / "lake")
    lake.create_bucket("raw-data")
    lake.land_sample(200)
    datalake.run("food-calories", lake, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "prepare foods 00:0" in shown.err
    assert re.search(r"grow.*\d+%", shown.err)
    datalake.run("food-calories", lake, fresh=True)
    assert capsys.readouterr() == ("", "")


def test_a_run_that_does_not_end_is_waited_for_no_longer_than_asked(
    analyzed: datalake.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = datalake.Run(analyzed.lake, {**analyzed.manifest, "status": "running"})
    monkeypatch.setattr(datalake.Run, "refresh", lambda _: waiting)
    with pytest.raises(TimeoutError, match="is running after 0 s"):
        waiting.wait(0)
