#!/usr/bin/env python3
"""Makes a container image with one layer of a root file system in a folder; the same folder gives the same bytes.

The archive is an OCI image layout that carries Docker's `manifest.json` as well, so that `ctr images import` and
`docker load` both take it. Times are 0 and all belongs to root. Device nodes, sockets and pipes are left out: container
engines make those that a container needs. Programs of one static file need none of this: see `datalake image pack`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "1970-01-01T00:00:00Z"


class Hashed(io.RawIOBase):
    """What is written goes on to a file, and into a digest."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Nothing else."""
        return True

    def write(self, data: Any) -> int:
        """Take all of `data`, which are bytes in whatever form."""
        self._sha256.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    @property
    def hex(self) -> str:
        """The digest of what was written so far."""
        return self._sha256.hexdigest()


def plain(name: str, mode: int) -> tarfile.TarInfo:
    """Make an entry that says nothing of who made it, and when."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry


def paths_below(folder: Path) -> Iterator[Path]:
    """All that lies in a folder, parents first, in an order that the file system has no say in."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from paths_below(path)


def write_layer(folder: Path, to: Hashed) -> None:
    """Write the layer's archive, as it is before compression."""
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in paths_below(folder):
            name = path.relative_to(folder).as_posix()
            entry = plain(name, path.lstat().st_mode & 0o7777)
            if path.is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777  # noqa: PTH115 - as it is
                archive.addfile(entry)
            elif path.is_dir():
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            elif path.is_file():
                entry.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def as_json(value: Any) -> bytes:
    """Give the shortest form, with sorted keys."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def described(kind: str, digest: str, size: int) -> dict[str, Any]:
    """How a layout points at one of its blobs."""
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": size}


def write_image(folder: Path, name: str, command: list[str], environment: list[str], out: IO[bytes]) -> str:
    """Write the image's archive; return its digest."""
    with tempfile.TemporaryFile() as packed_file:
        packed = Hashed(packed_file)
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as zipped:
            layer = Hashed(zipped)
            write_layer(folder, layer)
        architecture = ARCHITECTURES[os.uname().machine]
        config = as_json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": EPOCH,
                "config": {
                    "Cmd": command,
                    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *environment],
                    "WorkingDir": "/",
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.hex}"]},
                "history": [{"created": EPOCH, "created_by": "image_of_folder.py"}],
            },
        )
        manifest = as_json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described("config.v1+json", hashlib.sha256(config).hexdigest(), len(config)),
                "layers": [described("layer.v1.tar+gzip", packed.hex, packed.size)],
            },
        )
        digest = hashlib.sha256(manifest).hexdigest()
        pointer = {
            **described("manifest.v1+json", digest, len(manifest)),
            "platform": {"architecture": architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            },
        }
        config_name = f"blobs/sha256/{hashlib.sha256(config).hexdigest()}"
        layer_name = f"blobs/sha256/{packed.hex}"
        texts = {
            "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
            "index.json": as_json(
                {
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.oci.image.index.v1+json",
                    "manifests": [pointer],
                },
            ),
            "manifest.json": as_json([{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]),
            config_name: config,
            f"blobs/sha256/{digest}": manifest,
        }
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, text in texts.items():
                entry = plain(path, 0o644)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
            entry = plain(layer_name, 0o644)
            entry.size = packed.size
            packed_file.seek(0)
            archive.addfile(entry, packed_file)
    return digest


def main() -> None:
    """Read the command line; the image appears whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="the image's name, with a tag")
    parser.add_argument("--out", required=True, type=Path, help="the archive to write")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE, as often as wanted")
    parser.add_argument("folder", type=Path, help="the root file system")
    parser.add_argument("command", nargs="*", help="what containers run, unless told otherwise")
    told = parser.parse_args()
    fresh = told.out.with_name(told.out.name + ".new")
    with fresh.open("wb") as out:
        digest = write_image(told.folder, told.name, told.command, told.env, out)
    fresh.replace(told.out)
    sys.stderr.write(f"{told.out}: {told.name}, sha256:{digest}\n")


if __name__ == "__main__":
    main()
