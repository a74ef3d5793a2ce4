"""The names users may rely on; a change here breaks their programs."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import amfzoo

PUBLIC = {
    "create_model", "list_models", "list_pretrained", "model_info", "register_model",
    "PairNetwork", "NetworkConfig", "Prediction", "predict_stream", "finetune",
    "create_predictor", "Predictor", "export_model",
    "Preprocess", "read_image", "Schema", "Task",
    "AmfzooError", "ConfigError", "ImageError", "PredictionError", "TableError", "UnknownModelError", "WeightsError",
    "__version__",
}  # fmt: skip
METHODS = {
    "forward", "forward_features", "forward_head", "get_classifier", "reset_heads", "remove_auxiliary_heads", "freeze",
    "set_grad_checkpointing", "param_groups", "predict", "preprocess", "tasks", "save_pretrained", "push_to_hub",
    "from_pretrained",
}  # fmt: skip
ANSWERS = {
    "probabilities", "model", "missing", "diagnosis", "checklist", "top", "seven_point_score", "seven_point_note",
    "seven_point_bounds",
    "expected_seven_point_score", "refer", "to_dict", "_repr_html_",
}  # fmt: skip
PACKAGES = ("", ".demo", ".evaluation", ".explain", ".guards", ".report", ".training")  # with names loaded on first use


def test_public_names():
    assert PUBLIC == set(amfzoo.__all__) == set(dir(amfzoo))
    assert all(getattr(amfzoo, name) is not None for name in PUBLIC)


def test_public_methods():
    assert [name for name in METHODS if not hasattr(amfzoo.PairNetwork, name)] == []
    network_free = amfzoo.Prediction({"diagnosis": {"a": 0.5, "b": 0.5}})
    assert [name for name in ANSWERS if not hasattr(network_free, name)] == []


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'create_modle'"):
        amfzoo.create_modle  # noqa: B018


def test_errors_have_one_base():
    errors = [getattr(amfzoo, name) for name in PUBLIC if name.endswith("Error")]
    assert len(errors) == 7 and all(issubclass(error, amfzoo.AmfzooError) for error in errors)


def test_looking_around_loads_no_torch():
    code = """
import sys, amfzoo
amfzoo.list_models(), amfzoo.list_pretrained(), amfzoo.model_info("amf_small"), amfzoo.Schema, amfzoo.ConfigError
print([name for name in ("torch", "timm", "numpy", "huggingface_hub") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


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
    root = Path(amfzoo.__file__).parent
    found = {
        f".{file.parent.name}"
        for file in root.glob("*/__init__.py")
        if "lazy_names(" in file.read_text(encoding="utf-8")
    }
    assert found | {""} == set(PACKAGES)


@pytest.mark.parametrize("package", ["", ".evaluation", ".explain", ".runtimes", ".training"])
def test_docstrings_name_every_optional_argument(package):
    """A function that only passes them on may say so by naming the other one."""
    module = importlib.import_module("amfzoo" + package)
    silent = {}
    for name in module.__all__:
        public = getattr(module, name)
        if callable(public) and not (isinstance(public, type) and issubclass(public, Exception)):
            optional = [p.name for p in inspect.signature(public).parameters.values() if p.default is not p.empty]
            silent[name] = [word for word in optional if not re.search(rf"\b{word}\b", inspect.getdoc(public) or "")]
    assert {name: words for name, words in silent.items() if words} == {}


# their annotations name `PairNetwork`, whose module imports theirs, or needs torch
_NO_HINTS = {"register_model", "predict_stream"}


@pytest.mark.parametrize("package", ["", ".evaluation", ".images", ".runtimes", ".training"])
def test_annotations_can_be_read_and_leave_nothing_open(package):
    module = importlib.import_module("amfzoo" + package)
    for name in set(module.__all__) - _NO_HINTS:
        public = getattr(module, name)
        if inspect.isfunction(public):
            hints = typing.get_type_hints(public)
            assert {"return", *inspect.signature(public).parameters} == set(hints), name
            bare = re.compile(r"\b(Callable|Iterable|Iterator|Mapping|Sequence|dict|list|tuple)\b(?!\[)")
            assert [text for text in public.__annotations__.values() if bare.search(str(text))] == [], name
        elif inspect.isclass(public):
            typing.get_type_hints(public.__init__)


def test_type_variables_are_assigned_one_by_one():
    """Type checkers do not know others: `finetune` was a function of no arguments to them."""
    several = re.compile(r"^\w+ *,.*= *(TypeVar|ParamSpec)\(", re.MULTILINE)
    files = Path(amfzoo.__file__).parent.rglob("*.py")
    assert [file.name for file in files if several.search(file.read_text(encoding="utf-8"))] == []
