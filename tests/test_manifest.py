"""weights_manifest.json: what is accepted, and how the rest is refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from amfzoo import manifest as module
from amfzoo.errors import ConfigError, UnknownModelError
from amfzoo.manifest import is_plain_name, load_manifest

FILE = {"sha256": "a" * 64, "bytes": 3}
ENTRY = {
    "architecture": "amf_small",
    "tag": "milk10k",
    "source": {"type": "bundled", "folder": "amf_small.milk10k"},
    "files": {"model.safetensors": FILE, "config.json": FILE},
    "parameters": 3_300_000,
    "license": "CC-BY-NC-4.0",
    "attribution": "ISIC",
    "training_data": "MILK10k",
    "tasks": {"diagnosis": ["AKIEC", "BCC"]},
    "metrics": [
        {
            "task": "diagnosis",
            "name": "macro_f1",
            "value": 0.5,
            "low": 0.4,
            "high": 0.6,
            "data": "test part",
            "cases": 880,
        }
    ],
    "not_validated_for": "children",
}


def data(**entries: dict) -> dict:
    return {
        "schema_version": 1,
        "default_tags": {"amf_small": "milk10k"},
        "weights": {"amf_small.milk10k": ENTRY, **entries},
    }


def load(tmp_path: Path, content: object):
    path = tmp_path / "manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_manifest(path)


def changed(*keys: object, value: object) -> dict:
    """The valid manifest with the entry's value at `keys` replaced."""
    whole = copy.deepcopy(data())
    where = whole["weights"]["amf_small.milk10k"]
    for key in keys[:-1]:
        where = where[key]
    where[keys[-1]] = value
    return whole


def test_records(tmp_path):
    other = {**ENTRY, "tag": "x-2", "source": {"type": "hub", "repo": "org/name", "revision": "b" * 40}, "metrics": []}
    manifest = load(tmp_path, data(**{"amf_small.x-2": other}))
    record = manifest.entry("amf_small")
    assert record is manifest.entry("amf_small.milk10k") is manifest.find("amf_small")
    assert record.tasks == {"diagnosis": ("AKIEC", "BCC")} and record.metrics[0].low == 0.4
    assert record.files["config.json"].bytes == 3
    assert manifest.find("nothing") is None and manifest.find("amf_small.none") is None
    assert manifest.names() == ["amf_small.milk10k", "amf_small.x-2"]
    assert manifest.names("*.x-?") == manifest.names("x-2") == ["amf_small.x-2"]
    assert manifest.tags("amf_small") == ["milk10k", "x-2"] and manifest.tags("none") == []
    assert manifest.find_hub("org/name", "b" * 40).tag == "x-2" and manifest.find_hub("org/name", "main") is None
    with pytest.raises(AttributeError):
        record.tag = "y"


def test_folders(tmp_path, monkeypatch):
    manifest = load(tmp_path, data())
    record = manifest.entry("amf_small")
    assert manifest.folder_of(record) == Path(module.__file__).parent / "weights/amf_small.milk10k"
    manifest = load(tmp_path, changed("source", "type", value="repository"))
    assert manifest.folder_of(manifest.entry("amf_small")) == tmp_path / "weights/amf_small.milk10k"
    # a packaged manifest lies inside the package, weights/ of a checkout beside it
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    assert manifest.folder_of(manifest.entry("amf_small")) == tmp_path.parent / "weights/amf_small.milk10k"
    hub = load(tmp_path, changed("source", value={"type": "hub", "repo": "o/n", "revision": "0" * 40}))
    assert hub.folder_of(hub.entry("amf_small")) is None


@pytest.mark.parametrize(
    "name, words",
    [
        ("amf_smal", "'amf_small'"),
        ("amf_small.milk", "tags are: milk10k"),
        ("zzz", "local-dir:"),
        ("amf_smal.milk10k", "amf_small.milk10k"),
    ],
)
def test_unknown_names_get_suggestions(tmp_path, name, words):
    with pytest.raises(UnknownModelError, match=words):
        load(tmp_path, data()).entry(name)


def test_empty_manifest(tmp_path):
    empty = load(tmp_path, {"schema_version": 1, "default_tags": {}, "weights": {}})
    with pytest.raises(UnknownModelError, match="lists none"):
        empty.entry("amf_small")


BAD_NAMES = ["../x", "a/b", "a\\b", "/x", "C:x", "", ".", "..", ".hidden", "a..b", "a\n", "a b", 3, None]

BAD = [
    (("source", "folder"), BAD_NAMES),
    (("source", "type"), ["url", None]),
    (("source", "url"), ["http://x"]),
    (
        ("source",),
        [
            "x",
            {"type": "hub", "repo": "org/name", "revision": "main"},
            {"type": "hub", "repo": "../name", "revision": "0" * 40},
        ],
    ),
    (("source",), [{"type": "hub", "repo": "a/b/c", "revision": "0" * 40}, {"type": "hub", "repo": "org/name"}]),
    (("files", "../x"), [FILE]),
    (("files",), [{}, {"config.json": FILE}, []]),
    (
        ("files", "config.json"),
        [{"sha256": "A" * 64, "bytes": 1}, {"sha256": "a" * 63, "bytes": 1}, {"sha256": "a" * 64, "bytes": 0}],
    ),
    (
        ("files", "config.json"),
        [{"sha256": "a" * 64, "bytes": True}, {"sha256": "a" * 64, "bytes": 1, "md5": ""}, None],
    ),
    (("parameters",), [0, -1, 1.5, True, "3"]),
    (("license",), ["", " ", None]),
    (("architecture",), ["other", "A b", 3]),
    (("tag",), ["other", "a.b", None]),
    (("tasks",), [{}, [], {"diagnosis": []}, {"diagnosis": ["a", "a"]}, {"diagnosis": ["a", 1]}, {"diagnosis": "ab"}]),
    (("metrics",), [{}, [{"task": "a"}], ["x"]]),
    (("metrics", 0, "value"), ["0.5", None, float("nan"), True]),
    (("metrics", 0, "low"), [0.55, None, "x"]),
    (("metrics", 0, "cases"), [0, 1.5]),
    (("metrics", 0, "uncertain"), ["yes", 1]),
    (("metrics", 0, "spread"), [1]),
    (("colour",), ["red"]),
]


@pytest.mark.parametrize("keys, value", [(keys, value) for keys, values in BAD for value in values])
def test_bad_values_are_refused_by_name(tmp_path, keys, value):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, changed(*keys, value=value))
    assert "amf_small.milk10k" in str(caught.value) and "manifest.json" in str(caught.value)


@pytest.mark.parametrize("key", ENTRY)
def test_every_key_is_required(tmp_path, key):
    whole = copy.deepcopy(data())
    del whole["weights"]["amf_small.milk10k"][key]
    with pytest.raises(ConfigError, match=f"lacks keys: {key}"):
        load(tmp_path, whole)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "Cannot read"),
        ("[]", "must be an object"),
        ('{"schema_version": 1, "schema_version": 1}', "repeated"),
        ({**data(), "schema_version": 2, "new": 1}, "upgrade"),
        ({**data(), "schema_version": True}, "schema_version"),
        ({**data(), "extra": 1}, "unknown keys: extra"),
        ({**data(), "default_tags": {"amf_small": "none"}}, "default_tags"),
        ({**data(), "default_tags": []}, "default_tags"),
        ({**data(), "weights": []}, "weights"),
        (data(**{"amf_small.other": ENTRY}), "must be named"),
    ],
)
def test_bad_files(tmp_path, content, words):
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, content)


def test_which_manifest_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv(module.ENVIRONMENT_VARIABLE, raising=False)
    package = tmp_path / "root/package"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "_PACKAGE", package)
    with pytest.raises(ConfigError, match="missing"):
        load_manifest()
    (package.parent / module.FILE_NAME).write_text(json.dumps(data()))
    assert load_manifest().path == package.parent / module.FILE_NAME
    (package / module.FILE_NAME).write_text(json.dumps(data()))
    assert load_manifest().path == package / module.FILE_NAME
    monkeypatch.setenv(module.ENVIRONMENT_VARIABLE, str(tmp_path / "nowhere.json"))
    with pytest.raises(ConfigError, match="nowhere.json"):
        load_manifest()


def test_the_manifest_of_this_package_is_valid(monkeypatch):
    monkeypatch.delenv(module.ENVIRONMENT_VARIABLE, raising=False)
    load_manifest()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_plain_names(name):
    assert not is_plain_name(name) and is_plain_name("amf_small.milk10k")


def test_light_import():
    code = (
        "import sys, amfzoo.manifest as m; m.load_manifest();"
        "print(sorted({'torch', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    root = Path(module.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "[]", run.stderr


def test_a_model_without_weights_is_known_as_a_model():
    with pytest.raises(UnknownModelError, match="the model 'amf_swin' has no weights; pretrained=False builds it"):
        load_manifest().entry("amf_swin")
