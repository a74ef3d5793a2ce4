"""list, info, download and verify: what is known of models and weights, and whether it holds."""

from __future__ import annotations

import json
import shutil

import pytest
from cli_case import listed, record_of, tiny_model

import amfzoo
from amfzoo.cli import exit_codes


def test_list_names_every_public_model(run):
    assert [model["name"] for model in run("list", "--json").json] == amfzoo.list_models()
    text = run("list").out
    assert all(f"\n{name} " in text for name in amfzoo.list_models()) and "amf_test" not in text


def test_list_filters_by_model_and_by_weights(run, saved, tmp_path, monkeypatch):
    record = record_of("amf_small.noise", saved, tiny_model().tasks)
    monkeypatch.setenv("AMFZOO_MANIFEST", str(listed(tmp_path, record, "amf_small.noise")))
    assert [model["name"] for model in run("list", "symm", "--json").json] == ["symmetric_baseline", "symmetric_small"]
    assert [model["name"] for model in run("list", "*_small", "--json").json] == ["amf_small", "symmetric_small"]
    (model,) = run("list", "noise", "--json").json
    size = sum(file["bytes"] for file in record["files"].values())
    assert model["weights"] == [
        {
            "name": "amf_small.noise",
            "tag": "noise",
            "default": True,
            "source": "repository",
            "license": "CC-BY-NC-4.0",
            "bytes": size,
        }
    ]
    lines = run("list", "*_small").out.splitlines()
    assert lines[2].split() == [
        "weights",
        "amf_small.noise",
        "repository",
        "CC-BY-NC-4.0",
        f"{size / 1e6:.1f}",
        "MB",
        "default",
    ]
    assert lines[4] == "  no weights yet"


def test_the_table_of_weights_has_figures_with_and_without_an_interval(run, saved, tmp_path, monkeypatch):
    record = record_of("amf_test.tiny", saved, tiny_model().tasks)
    task = next(iter(record["tasks"]))
    of = {"task": task, "data": "some lesions"}
    record["metrics"] = [
        {**of, "name": "macro_f1", "value": 0.5, "low": 0.25, "high": 0.75, "uncertain": True},
        {**of, "name": "auroc", "value": 0.8125},
    ]
    monkeypatch.setenv("AMFZOO_MANIFEST", str(listed(tmp_path, record, "amf_test.tiny")))
    (line,) = (line for line in run("list", "--markdown").out.splitlines() if line.startswith("| `amf_test.tiny`"))
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[3:7] == ["0.500 [0.250, 0.750] †", "", "0.812", ""]


def test_list_without_a_match(run):
    ended = run("list", "zzz")
    assert (ended.code, ended.out) == (0, "") and "'zzz'" in ended.err
    assert run("list", "zzz", "--json").json == []


def test_info_of_a_model(run, released):
    data = run("info", "amf_test", "--json").json
    model = amfzoo.create_model("amf_test")
    assert data["parameters"] == sum(p.numel() for p in model.parameters())
    assert (data["settings"]["dermoscopy"], data["weights"]) == ("test_resnet", ["amf_test.tiny"])
    text = run("info", "amf_test").out
    assert (
        f"{data['parameters'] / 1e6:.2f} million" in text
        and "test_resnet" in text
        and "amfzoo info amf_test.tiny" in text
    )


def test_info_of_weights(run, released):
    text = run("info", "amf_test.tiny").out
    for part in (
        "CC-BY-NC-4.0", "the test suite", "noise", "1.23 million", "0.500", "[0.250, 0.750]", "8 cases",
        "0.125", "not validated for: anything at all", "streaks: absent, regular, irregular",
    ):  # fmt: skip
        assert part in text
    data = run("info", "amf_test.tiny", "--json").json
    assert data["metrics"][0]["high"] == 0.75 and data["tasks"]["streaks"] == ["absent", "regular", "irregular"]
    missing = run("info", "amf_test.other")
    assert missing.code == exit_codes.NO_WEIGHTS and "tiny" in missing.err


def test_info_of_a_folder_without_its_prefix_says_how_it_is_written(run):
    assert "no model named './mine'; a folder is written 'local-dir:./mine'" in run("info", "./mine").err


def test_info_of_weights_says_from_where_on_a_finding_is_called(run):
    points = amfzoo.create_model("amf_small.open").config.operating_points
    text = run("info", "amf_small.open").out
    assert f"streaks: absent, present (present from a probability of {points['streaks']['present']:.3f} on)" in text
    assert run("info", "amf_small.open", "--json").json["operating_points"] == points


def test_info_of_a_folder_is_what_its_card_says(run, tmp_path):
    start = tiny_model()
    start.reset_heads({"streaks": ("absent", "present"), "veil\x1b[2J": ("a\x1b[2J", "b")})
    metric = {"task": "streaks", "name": "auroc", "value": 0.75, "data": "ours", "cases": 12}
    about = {"name": "ours\x1b[2J", "license": "private", "metrics": [metric, {"task": "no figure", "value": "good"}]}
    start.config = start.config.replace(info=about, operating_points={"streaks": {"present": 0.25}})
    folder = start.save_pretrained(tmp_path / "model")
    text = run("info", f"local-dir:{folder}").out
    for part in ("ours[2J\n", "private", str(folder), "training data  not stated", "auroc  0.750    12 cases",
                 "streaks: absent, present (present from a probability of 0.250 on)", "not validated for: anything"):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text and "no figure" not in text and "intervals" not in text
    data = run("info", f"local-dir:{folder}", "--json").json
    assert data["parameters"] == sum(p.numel() for p in start.parameters())
    assert data["operating_points"] == start.config.operating_points
    size = sum((folder / name).stat().st_size for name in ("config.json", "model.safetensors"))
    assert sum(file["bytes"] for file in data["files"].values()) == size
    ended = run("info", f"local-dir:{tmp_path}")
    assert ended.code == exit_codes.NO_WEIGHTS and "config.json" in ended.err


def test_download_prints_the_verified_folder(run, saved, released, tiny):
    assert run("download", tiny).out == f"{saved}\n"
    assert run("download", "amf_test", "--offline", "--json").json == {"name": "amf_test", "folder": str(saved)}


@pytest.mark.parametrize("name", ["amf_smal", "amf_base", "local-dir:/nowhere", "hf-hub:x"])
def test_download_of_what_is_not_there(run, released, name):
    ended = run("download", name)
    assert (ended.code, ended.out) == (exit_codes.NO_WEIGHTS, "") and ended.err.count("\n") == 1


def test_offline_is_told_to_the_hub_client(run, tiny, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    run("download", tiny, "--offline")
    assert __import__("os").environ["HF_HUB_OFFLINE"] == "1"


def test_verify_recomputes_the_example(run, released, tiny, tmp_path):
    ended = run("verify")
    assert ended.code == 0 and ended.out.startswith("amf_test.tiny  OK ") and "answered as released" in ended.out
    (report,) = run("verify", tiny, "--json").json
    assert report["state"] == "OK" and 0 <= report["difference"] < 1e-4
    bare = tiny_model().save_pretrained(tmp_path / "bare")
    assert "no released answers" in run("verify", f"local-dir:{bare}").out


def damage_weights(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def change_golden(folder):
    path = folder / "example" / "golden.json"
    golden = json.loads(path.read_text())
    for row in golden["outputs"]["clinical"].values():
        row.update(zip(row, reversed([*row.values()])))
    path.write_text(json.dumps(golden))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(damage_weights, "sha256"), (change_golden, "differ from the released"), (shutil.rmtree, "does not exist")],
)
def test_verify_reports_what_failed_and_goes_on(run, saved, tiny, tmp_path, damage, reason):
    bad = tmp_path / "bad"
    shutil.copytree(saved, bad)
    damage(bad)
    ended = run("verify", f"local-dir:{bad}", tiny)
    first, second = ended.out.splitlines()
    assert ended.code == exit_codes.SOME_FAILED
    assert "failed" in first.split() and reason in first and second.split()[1] == "OK"


def test_verify_says_which_name_is_unknown_and_goes_on(run, tiny):
    ended = run("verify", "amf_smal", tiny)
    assert ended.code == exit_codes.SOME_FAILED
    assert [line.split()[1] for line in ended.out.splitlines()] == ["failed", "OK"] and "amf_small" in ended.out


def test_verify_leaves_out_what_is_not_here(run, saved, tmp_path, monkeypatch):
    record = record_of("amf_test.tiny", saved, tiny_model().tasks)
    monkeypatch.setenv("AMFZOO_MANIFEST", str(listed(tmp_path, record, "amf_test.tiny")))  # no weights/ beside it
    ended = run("verify")
    assert ended.code == 0 and "not here" in ended.out
    assert run("verify", "amf_test.tiny").code == exit_codes.SOME_FAILED
    record["source"] = {"type": "hub", "repo": "org/name", "revision": "0" * 40}
    listed(tmp_path, record, "amf_test.tiny")
    ended = run("verify", "--cache-dir", tmp_path)
    assert ended.code == 0 and "`amfzoo download amf_test.tiny`" in ended.out
