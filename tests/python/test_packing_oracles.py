"""Compressed and encoded text, as others write and read it: Python's modules and codecs, and pyarrow."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datalake

ROWS = 40_000


def text() -> str:
    """A table of text and numbers, longer than any block but xz's."""
    random_ = random.Random(7)  # noqa: S311
    return "id,name\n" + "".join(f"{row},food {random_.randrange(10**9)}\n" for row in range(ROWS))


def arrow(codec: str) -> Callable[[bytes], bytes]:
    def pack(plain: bytes) -> bytes:
        packed = pa.BufferOutputStream()
        with pa.CompressedOutputStream(packed, codec) as stream:
            stream.write(plain)
        return packed.getvalue().to_pybytes()

    return pack


def unarrow(codec: str) -> Callable[[bytes], bytes]:
    return lambda packed: pa.CompressedInputStream(io.BytesIO(packed), codec).read()


PACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gz": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lzma.compress, lzma.decompress),
    "zst": (arrow("zstd"), unarrow("zstd")),
    "lz4": (arrow("lz4"), unarrow("lz4")),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_others_pack_is_read(suffix: str, tmp_path: Path) -> None:
    pack, _ = PACKERS[suffix]
    plain = text().encode()
    half = len(plain) // 2
    # Of one member or stream, and of several.
    for packed in [pack(plain), pack(plain[:half]) + pack(plain[half:])]:
        source = tmp_path / f"a.csv.{suffix}"
        source.write_bytes(packed)
        table = datalake.read(source).to_pyarrow()
        assert table.column("id").to_pylist() == list(range(ROWS))
        assert table.column("name").to_pylist() == [line.split(",")[1] for line in text().splitlines()[1:]]


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_is_packed_is_read_by_others(suffix: str, tmp_path: Path) -> None:
    _, unpack = PACKERS[suffix]
    source, target = tmp_path / "a.csv", tmp_path / f"b.csv.{suffix}"
    source.write_text(text())
    datalake.convert(source, target)
    assert unpack(target.read_bytes()).decode() == text()


@pytest.mark.parametrize("compression", ["none", "gzip(9)", "zstd(3)", "snappy", "lz4"])
def test_parquet_is_compressed_as_it_is_said(compression: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_text(text())
    datalake.convert(source, target, to_compression=compression)
    assert pq.read_table(target).column("id").to_pylist() == list(range(ROWS))
    codec = pq.read_metadata(target).row_group(0).column(0).compression
    assert codec.lower() in {"none": ["uncompressed"], "lz4": ["lz4", "lz4_raw"]}.get(
        compression, [compression.partition("(")[0]]
    )


def test_archives_of_python_are_read(tmp_path: Path) -> None:
    for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]:
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w", method) as archive:
            archive.writestr("a.csv", "id,name\n1,x\n")
            archive.writestr("b.csv", "id,name\n2,y\n")
        if method == zipfile.ZIP_LZMA:
            with pytest.raises(datalake.UnsupportedError, match="packed by method 14"):
                datalake.read(source)
            continue
        assert datalake.read(source).to_pyarrow().to_pydict() == {"id": [1, 2], "name": ["x", "y"]}
        assert datalake.read(source, member="b.csv").to_pyarrow().to_pydict() == {"id": [2], "name": ["y"]}


@pytest.mark.parametrize(
    ("codec", "word"),
    [
        ("cp1252", "Crème brûlée €"),
        ("iso8859-15", "Crème brûlée €"),
        ("koi8-r", "Борщ"),
        ("shift_jis", "味噌汁"),
        ("gb18030", "豆腐"),
        ("big5", "豆腐"),
        ("euc-kr", "김치"),
    ],
)
def test_encodings_of_python_are_read_where_they_are_said(codec: str, word: str, tmp_path: Path) -> None:
    label = {"cp1252": "windows-1252", "iso8859-15": "iso-8859-15"}.get(codec, codec)
    source = tmp_path / "a.csv"
    source.write_bytes(f'id,{word}\n1,"{word}\n{word}"\n'.encode(codec))
    table = datalake.read(source, encoding=label).to_pyarrow()
    assert table.to_pydict() == {"id": [1], word: [f"{word}\n{word}"]}
    with pytest.raises(datalake.InvalidError, match="encoding"):
        datalake.read(source)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_a_byte_order_mark_tells(codec: str, name: str, tmp_path: Path) -> None:
    rows = "\ufeffid,name\n1,Bröd 🍞\n" if name.endswith("csv") else '\ufeff{"id":1,"name":"Bröd 🍞"}\n'
    source = tmp_path / name
    source.write_bytes(rows.encode(codec))
    assert datalake.read(source).to_pyarrow().to_pydict() == {"id": [1], "name": ["Bröd 🍞"]}
