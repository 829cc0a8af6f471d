"""What the documents show is what happens: docstrings, and the README's Python."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import datalake
import datalake.sklearn


@pytest.mark.parametrize("module", [datalake, datalake.sklearn], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_python_of_the_readme(root: Path, analyzed: datalake.Run, tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    # What wants a cluster runs where one is.
    examples = [example for example in examples if "Cluster" not in example]
    assert examples
    (tmp_path / "lake").symlink_to(analyzed.lake.url)
    for example in examples:
        subprocess.run([sys.executable, "-c", example], check=True, cwd=tmp_path)
