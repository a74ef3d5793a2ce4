"""What the README says is what the code does."""

import json
import re
from pathlib import Path

import pytest

from amfzoo.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="needs a checkout: a wheel has no README.md beside it")
of_a_checkout = pytest.mark.skipif(
    not (ROOT / "results").is_dir(), reason="needs a checkout: results are not in an sdist"
)


def text() -> str:
    return README.read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", text(), re.DOTALL)


def test_table_of_models_is_current(capsys):
    assert main(["list", "--markdown"]) == 0
    printed = capsys.readouterr().out.strip()
    stated = re.search(r"<!-- table:begin -->\n(.*?)<!-- table:end -->", text(), re.DOTALL).group(1).strip()
    assert stated == printed, "run `amfzoo list --markdown` and put its output into the README"


def test_sixty_seconds_of_python_run_and_say_what_is_stated():
    block = python_blocks()[0]
    scope = {}
    exec(compile(block, "README.md", "exec"), scope)
    answer = scope["answer"]
    stated = re.search(r"answer\.top\(\)\s+# \('(\w+)', ([\d.]+)\)", block)
    assert answer.top()[0] == stated.group(1)
    assert round(answer.top()[1], 2) == pytest.approx(float(stated.group(2)), abs=0.011)
    assert (
        answer.seven_point_score is None
        and "lack the classes" in answer.seven_point_note
        and len(answer.checklist) == 6
    )


def test_the_model_as_a_torch_module_gives_what_is_stated():
    before, block = python_blocks()[0], next(block for block in python_blocks() if "forward_features" in block)
    scope = {}
    exec(compile(before.split("answer =")[0] + block, "README.md", "exec"), scope)
    assert [tuple(image.shape) for image in scope["images"]] == [(1, 3, 192, 192)] * 2
    width = scope["model"].num_features
    assert f"(1, {width})" in block and tuple(scope["features"].shape) == (1, width)
    assert '{"diagnosis": (1, 11), ...}' in block and tuple(scope["logits"]["diagnosis"].shape) == (1, 11)
    assert not scope["model"].training and "freeze" in text() and "AmfzooError" in text()


def test_commands_named_in_the_readme_exist(capsys):
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text(), re.DOTALL))
    commands = set(re.findall(r"\bamfzoo (\w+)", blocks))
    assert {"list", "predict", "data", "train", "evaluate"} <= commands
    for command in sorted(commands):
        assert main([command, "--help"]) == 0, command
        assert command in capsys.readouterr().out


def test_first_two_commands_are_what_ci_runs():
    commands = re.findall(r"```bash\n(.*?)\n```", text(), re.DOTALL)[:2]
    assert commands == ["pip install . && amfzoo predict --example", "pip install '.[dev]' && pytest"]
    ci = ROOT / ".ci" / "run"
    if not ci.exists():
        pytest.skip("needs a checkout with .ci/run")
    script = ci.read_text()
    for part in ("pip install --quiet '.[dev]'", "amfzoo predict --example", "\npytest"):
        assert part in script


@of_a_checkout
def test_files_named_in_the_readme_exist():
    named = re.findall(r"`((?:examples|benchmarks|amfzoo|results|weights)/[\w./-]*)`", text())
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


@of_a_checkout
def test_figures_for_one_image_are_those_of_the_saved_predictions():
    pytest.importorskip("sklearn")
    from amfzoo.evaluation import Cases, task_scores

    folder = ROOT / "results" / "amf_small.open"
    for mode, stated in (
        ("clinical", r"for the clinical photo alone \(\.(\d+);"),
        ("dermoscopy", r"for dermoscopy alone \(\.(\d+);"),
    ):
        found = task_scores(Cases.read(folder / f"validation_{mode}.csv"), "diagnosis")["macro_f1"].value
        assert re.search(stated, " ".join(text().split())).group(1) == f"{found:.3f}"[2:]


@of_a_checkout
def test_figures_of_another_data_set_are_those_of_the_results():
    found = json.loads((ROOT / "results" / "external.json").read_text(encoding="utf-8"))
    scores, guards = found["weights"]["amf_small.open"]["scores"], found["guards"]
    stated = " ".join(text().split())
    for words, name in (
        ("its AUROC is {}", "auroc"),
        ("melanoma {}", "auroc:MEL"),
        ("accuracy {}", "accuracy"),
        ("macro-F1 {}", "macro_f1"),
    ):
        value, low, high = (f"{scores[name][key]:.3f}".lstrip("0") for key in ("value", "low", "high"))
        assert words.format(f"{value} [{low}, {high}]") in stated, name
    assert f"calibration error {scores['ece']['value']:.3f})".replace(" 0.", " .") in stated
    assert f"leaves {found['weights']['amf_small.open']['ece_refitted']:.3f} on".replace(" 0.", " .") in stated
    assert f"warns of {100 * guards['any']:.1f} % of the images of HAM10000" in stated
    assert f"{found['weights']['amf_small.open']['lesions']} lesions of HAM10000" in stated


@of_a_checkout
def test_figures_of_fine_tuning_are_those_of_the_results():
    files = [
        json.loads((ROOT / "results" / name).read_text()) for name in ("fine_tuning.json", "fine_tuning_1000.json")
    ]
    rows = {(one["row"], one["lesions"]): one for found in files for one in found["rows"]}
    sizes = (100, 300, 1000)

    def row(name: str, figure: str) -> str:
        first, second, third = (f"{rows[name, size][figure]['value']:.3f}".lstrip("0") for size in sizes)
        return f"{first}, {second} and {third}"

    stated = " ".join(text().split())
    zero = rows["as it is", 0]
    assert f"AUROC is {zero['auroc']['value']:.3f} with the weights as they are, ".replace(" 0.", " .") in stated
    assert f"{row('fine-tuned', 'auroc')} after fine-tuning on 100, 300 and 1000 others" in stated
    assert f"{row('ImageNet', 'auroc')} when training from ImageNet values" in stated
    assert (
        f"macro-F1 {zero['macro_f1']['value']:.3f}, then {row('fine-tuned', 'macro_f1')}".replace(" 0.", " .") in stated
    )
    assert f"against {row('ImageNet', 'macro_f1')}" in stated
    counts = ("no", "one seed", "two seeds", "three seeds")
    assert len(files[0]["seeds"]) == 3 and f"three seeds, with 1000 lesions {counts[len(files[1]['seeds'])]}" in stated
    assert sum(files[0]["test"].values()) == 2000
