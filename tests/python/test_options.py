"""Every option that the stubs promise is known, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import datalake

STUBS = ast.parse((Path(datalake.__file__).parent / "_datalake.pyi").read_text())


def keywords(name: str) -> Iterator[str]:
    """The keys of a typed dictionary of the stubs, with those of its bases."""
    (stub,) = (node for node in STUBS.body if isinstance(node, ast.ClassDef) and node.name == name)
    for base in stub.bases:
        if isinstance(base, ast.Name) and base.id != "TypedDict":
            yield from keywords(base.id)
    for node in stub.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    return path


@pytest.mark.parametrize("keyword", [*keywords("_ReadOptions"), "unheard_of"])
def test_reading_knows_the_keywords_of_the_stubs(table: Path, keyword: str) -> None:
    # A set is a value of no option, so none is taken.
    with pytest.raises((TypeError, datalake.Error)) as raised:
        datalake.read(table, **{keyword: {1j}})
    assert ("unexpected keyword" in str(raised.value)) == (keyword == "unheard_of")


@pytest.mark.parametrize("keyword", [*keywords("_ConvertOptions"), "unheard_of", "to_unheard_of"])
def test_converting_knows_the_keywords_of_the_stubs(table: Path, keyword: str) -> None:
    with pytest.raises((TypeError, datalake.Error)) as raised:
        datalake.convert(table, table.with_suffix(".ndjson"), **{keyword: {1j}})
    assert ("unexpected keyword" in str(raised.value)) == ("unheard_of" in keyword)


def test_an_option_that_nothing_heeds_is_refused(table: Path) -> None:
    with pytest.raises(datalake.Error, match="`rows`"):
        datalake.read(table, rows="x")
