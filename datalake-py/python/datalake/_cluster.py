"""A cluster: a lake that is set up in it, pipelines and scripts that run there as Jobs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from datalake import _datalake
from datalake._datalake import Lake
from datalake._progress import Lines, display
from datalake._run import Run, load_run
from datalake.errors import Error, NotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Unpack


class SetupOptions(TypedDict, total=False):
    """How a lake is set up. What is left open is as in the last setup, else as said here."""

    store: Literal["minio", "versitygw", "external"]
    """Which server keeps the objects, `"minio"` by default; `"external"` is any S3 that is there already."""
    image: str | None
    """The image of that server, which has it as its entrypoint."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None
    """When nodes pull the image; `"Never"` for one that was imported on them."""
    storage_class: str | None
    """The storage class of the volume; by default that of the cluster."""
    size: str | None
    """The size of the volume; that of the volume that is there, else `"10Gi"`."""
    node_ports: tuple[int, int] | None
    """The ports at which every node opens the store, for S3 and the console: `(30900, 30901)`. `None` opens none."""
    ingress: str | None
    """The host name at whose port 80 the ingress controller opens the store."""
    bucket_prefix: str | None
    """What the real names of buckets begin with."""
    buckets: dict[str, str] | None
    """Real names of single buckets, as for :class:`Lake`; these are made and opened to Jobs, too."""
    more_buckets: Sequence[str]
    """Buckets that are made and opened to Jobs beside `"raw-data"`, `"processed-data"`, `"models"` and those of earlier
    setups."""
    no_more_buckets: bool
    """Whether those that earlier setups have added by `more_buckets` are closed to Jobs. They stay, with all that is in
    them; and those with a real name of their own stay open."""
    rotate: bool
    """Whether new keys are made; the old ones end at once."""
    timeout: float | str
    """How long the store may take to be ready: seconds, or a text such as `"2min"`, which is the default."""
    endpoint: str | None
    """`"external"`: where it is; by default `DATALAKE_URL`."""
    access_key_id: str | None
    """`"external"`: the key that Jobs are to have; by default `AWS_ACCESS_KEY_ID`."""
    secret_access_key: str | None
    """`"external"`: its secret; by default `AWS_SECRET_ACCESS_KEY`."""
    region: str | None
    """`"external"`: its region; by default `AWS_REGION`."""


class PodOptions(TypedDict, total=False):
    """What the pods of Jobs get."""

    image: str | None
    """The image. For pipelines it is made of this very version by `datalake image push`; by default that of the
    profile, else `localhost/datalake:VERSION`."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None
    """When nodes pull the image."""
    image_pull_secrets: Sequence[str]
    """Secrets with the credentials of registries."""
    cpu: str | float | None
    """CPUs that each pod is granted: `1`, `"500m"`; by default what is free."""
    memory: str
    """Memory that each pod gets and may not pass, `"1Gi"` by default."""
    node_selector: Mapping[str, str]
    """Labels that nodes must have."""
    tolerations: Sequence[str]
    """Taints of nodes that do not matter: `"key=value:Effect"`."""
    priority_class: str | None
    """The priority class."""
    queue: str | None
    """The queue of Kueue that admits the Jobs."""
    env: Mapping[str, str]
    """Variables of the environment, never secrets: they stand in the Job."""
    active_deadline: float | str | None
    """Ends a Job after this time: seconds, or a text such as `"30min"`."""
    ttl: float | str
    """Removes a Job so long after its end, an hour by default."""
    pending_limit: float | str
    """How long pods may wait for a node, five minutes by default."""


class Cluster:
    """A Kubernetes cluster, and a lake in one of its namespaces.

    `context` is one of kubectl's configuration. Without it, the cluster is that of the last setup, else kubectl's
    current one; the namespace is that of the last setup, else `big-data`. `lake` is the lake that pipelines run on,
    by whatever address this machine reaches it: Jobs have theirs from the setup. Without it, it is the one that
    :class:`Lake` opens without a URL, which is that of the last setup.

    Nothing is asked of the cluster yet.
    """

    def __init__(
        self,
        context: str | None = None,
        namespace: str | None = None,
        *,
        lake: Lake | str | os.PathLike[str] | None = None,
    ) -> None:
        """Name a cluster."""
        self._connection = _datalake.Connection(context, namespace)
        self._lake = lake
        self.context = context
        self.namespace = namespace

    @property
    def lake(self) -> Lake:
        """The lake that pipelines run on."""
        return self._lake if isinstance(self._lake, Lake) else Lake(self._lake)

    def __repr__(self) -> str:
        """Name what was named."""
        return f"datalake.Cluster(context={self.context!r}, namespace={self.namespace!r})"

    def setup(self, *, progress: bool | None = None, **options: Unpack[SetupOptions]) -> dict[str, Any]:
        """Bring up a lake, or bring the one that is there to these settings; the same again changes nothing.

        Waits until it is ready, makes its buckets and a key for Jobs, and remembers where it is, so that `Lake()` opens
        it. Returns what is there. Raises :class:`NotFoundError` for an image that nodes do not get,
        :class:`ExhaustedError` where a quota or the nodes are too small, :class:`DeniedError` with the rule to ask for.
        """
        return self._connection.setup(options, display(wanted=progress))

    def dry_run_setup(self, **options: Unpack[SetupOptions]) -> list[dict[str, Any]]:
        """Have the API server check all that :meth:`setup` would apply; say what would become of each object."""
        return self._connection.dry_run_setup(options)

    def setup_yaml(self, **options: Unpack[SetupOptions]) -> str:
        """Give what :meth:`setup` would apply, as YAML; needs no cluster. Secrets are named, not written."""
        return self._connection.setup_yaml(options)

    def teardown(self, *, delete_data: bool = False, progress: bool | None = None) -> dict[str, Any]:
        """Take the lake down. The volume, its data and the root key stay, unless `delete_data`.

        Returns what was removed, and what was kept and why. Nobody is asked first.
        """
        return self._connection.teardown(delete_data, display(wanted=progress))

    def run(
        self,
        pipeline: str | os.PathLike[str],
        *,
        settings: Mapping[str, object] | None = None,
        fresh: bool = False,
        workers: int = 2,
        shard_size: int | str = "64MiB",
        detach: bool = False,
        progress: bool | None = None,
        **pods: Unpack[PodOptions],
    ) -> Run:
        """Run a pipeline file, or `"food-calories"`, as Jobs: the results are the bits of :func:`datalake.run`.

        Up to `workers` pods are at work at a time; small objects are gathered for one worker up to `shard_size`. With
        `detach` a Job in the cluster drives the run, and this returns once it does: :meth:`Run.wait` waits for the end.
        An interrupt removes the Jobs; whoever runs the same again goes on with what is done.

        Raises the error of the first step that fails; the manifest in the lake then says so.
        """
        lake = self.lake
        values = [(name, str(value)) for name, value in (settings or {}).items()]
        arguments = (pipeline, lake, values, fresh, workers, shard_size, detach, pods)
        return Run(lake, self._connection.run(*arguments, display(wanted=progress)))

    def submit(
        self,
        name: str,
        *,
        script: str | os.PathLike[str] | None = None,
        command: Sequence[str] = (),
        follow: bool = False,
        **pods: Unpack[PodOptions],
    ) -> str:
        """Submit a Job of your own, and return its name: a command of any image, or a script, `.py` or `.sh`.

        The lake's endpoint and a key are in its environment (`DATALAKE_URL`, `AWS_*`), so that `Lake()` opens it there,
        too. Its user is not root, and its home is `/tmp`. `command` gives the arguments of a script. With `follow` it
        prints what the Job prints, until it ends, and raises if it fails.
        """
        return self._connection.submit(name, script, list(command), pods, Lines() if follow else None)

    def jobs(self) -> list[dict[str, Any]]:
        """Say which submitted Jobs are there, and how they stand, by name; runs have their own: :meth:`runs`."""
        return self._connection.submitted_jobs()

    def job_logs(self, name: str, *, follow: bool = False) -> None:
        """Print what a submitted Job has printed; with `follow` until it ends, and raise if it fails."""
        self._connection.job_log(name, follow, Lines())

    def delete_job(self, name: str) -> None:
        """Remove a submitted Job, whether it has ended or not."""
        self._connection.delete_job(name)

    def status(self) -> dict[str, Any]:
        """Say what is there: the lake, its buckets and their sizes, the last run, and how far it is; Jobs and pods.

        `cluster` is `None` where none is there, and with a warning where it cannot be asked: the lake alone tells of
        runs, too.
        """
        lake = self.lake
        found = {bucket: lake.ls(bucket) for bucket in lake.buckets()}
        buckets = [
            {"bucket": bucket, "objects": len(objects), "bytes": sum(item.size for item in objects)}
            for bucket, objects in found.items()
        ]
        try:
            last = load_run(lake)
        except NotFoundError:
            last = None
        try:
            cluster = self._connection.overview()
        except NotFoundError:
            cluster = None
        except Error as error:
            warnings.warn(f"the cluster: {error}", RuntimeWarning, stacklevel=2)
            cluster = None
        return {
            "lake": lake.url,
            "buckets": buckets,
            "last_run": last.manifest if last else None,
            "progress": last.progress() if last else None,
            "cluster": cluster,
        }

    def logs(self, run: str | None = None, *, follow: bool = False) -> Iterator[dict[str, Any]]:
        """Give the log of a run, or of the last one, line by line; see :meth:`Run.logs`."""
        return load_run(self.lake, run).logs(follow=follow)

    def runs(self) -> list[str]:
        """Give the names of all runs, oldest first."""
        return _datalake.runs(self.lake)

    def cancel(self, run: str) -> dict[str, Any]:
        """Ask a run to stop, and remove its Jobs; say how it stood, and how many Jobs those were."""
        told = self._connection.cancel(self.lake, run)
        if trouble := told.pop("trouble"):
            warnings.warn(f"Jobs may be left at work: {trouble}", RuntimeWarning, stacklevel=2)
        return told
