"""What type checkers see of the packages whose names are loaded on first use."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

PACKAGES = ("", ".demo", ".evaluation", ".explain", ".guards", ".report", ".training")


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_names_that_there_are(package):
    """`import X as X` alone makes a name public to a strict checker (PEP 484)."""
    module = importlib.import_module("amfzoo" + package)
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    seen = {name.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
            if name.name == name.asname}  # fmt: skip
    assert seen == set(module.__all__) - {"__version__"}
    lazy = getattr(module, "_PUBLIC", None) or module._LAZY
    assert set(lazy) == seen - {"InputWarning"}


def test_every_package_with_names_of_that_kind_is_looked_at():
    import amfzoo

    root = Path(amfzoo.__file__).parent
    found = {
        f".{file.parent.name}"
        for file in root.glob("*/__init__.py")
        if "lazy_names(" in file.read_text(encoding="utf-8")
    }
    assert found | {""} == set(PACKAGES)
