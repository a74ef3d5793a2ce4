"""examples/pool_rare_class.py: one class's logit becomes the mean of others', as probable as it is frequent, and nothing else changes."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from cli_case import pictures
from networks import build, settle

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError

pytest.importorskip("scipy", reason="needs amfzoo[train]")
FILE = Path(__file__).parents[1] / "examples" / "pool_rare_class.py"
sys.path.insert(0, str(FILE.parent))  # as for a script
SCRIPT = runpy.run_path(str(FILE))
CLASSES = ("NV", "MEL", "BCC", "MAL_OTH")


def model():
    return settle(build(tasks={"diagnosis": CLASSES, "streaks": ("absent", "present")}))


def lesion_set(*lesions):
    return LesionSet("drawn", lesions, {"diagnosis": CLASSES, "streaks": ("absent", "present")})


def test_the_logit_is_a_share_of_its_own_and_of_the_mean_of_the_others_and_all_else_stays():
    network = model()
    torch.nn.init.normal_(network.heads["diagnosis"].bias)
    features = torch.randn(5, network.num_features, generator=torch.Generator().manual_seed(0))
    before, state = network.heads["diagnosis"](features), {k: v.clone() for k, v in network.state_dict().items()}
    SCRIPT["pool"](network, "diagnosis", "MAL_OTH", ("BCC", "MEL"), 0.75)
    after = network.heads["diagnosis"](features)
    torch.testing.assert_close(after[:, 3], 0.25 * before[:, 3] + 0.375 * (before[:, 1] + before[:, 2]))
    torch.testing.assert_close(after[:, :3], before[:, :3])
    changed = {name for name, values in network.state_dict().items() if not torch.equal(values, state[name])}
    assert changed == {"heads.diagnosis.weight", "heads.diagnosis.bias"}


def test_the_class_is_as_probable_on_average_as_it_is_frequent(tmp_path):
    pictures(tmp_path)
    seen = [Lesion(str(i), tmp_path / f"c{i}.jpg", tmp_path / f"d{i}.jpg", {"diagnosis": "NV"}) for i in range(2)]
    seen.append(Lesion("other data", None, tmp_path / "d0.jpg", {"streaks": "absent"}))  # of no diagnosis: not asked
    train = [Lesion(str(i), None, None, {"diagnosis": name}) for i, name in enumerate(("MAL_OTH", "NV", "BCC", "BCC"))]
    train.append(Lesion("one of two", None, None, {"diagnosis": ("MAL_OTH", "NV")}))
    network = model()
    network.config = network.config.replace(temperatures={"diagnosis": 1.5})
    SCRIPT["set_bias"](network, "diagnosis", "MAL_OTH", lesion_set(*train), lesion_set(*seen))
    answers = [network.predict(lesion.clinical, lesion.dermoscopy, guards=False) for lesion in seen[:2]]
    mean = sum(answer.probabilities["diagnosis"]["MAL_OTH"] for answer in answers) / 2
    assert mean == pytest.approx(0.25, abs=1e-4)


def test_what_it_cannot_do_is_said():
    with pytest.raises(ConfigError, match="diagnosis has no class 'SCCKA'; it has NV, MEL, BCC, MAL_OTH"):
        SCRIPT["pool"](model(), "diagnosis", "MAL_OTH", ("BCC", "SCCKA"), 0.5)
    with pytest.raises(ConfigError, match="veil has no class 'MAL_OTH'; it has none: no such task"):
        SCRIPT["pool"](model(), "veil", "MAL_OTH", ("BCC",), 0.5)
    with pytest.raises(ConfigError, match="no training lesion is MAL_OTH"):
        none = lesion_set(Lesion("0", None, Path("d.jpg"), {"diagnosis": "NV"}))
        SCRIPT["set_bias"](model(), "diagnosis", "MAL_OTH", none, lesion_set())


def test_wrong_usage_is_said_without_a_traceback(tmp_path, monkeypatch, capsys):
    model().save_pretrained(tmp_path / "model")
    (tmp_path / "data.csv").write_text("clinical,dermoscopy,lesion_id\n,d.jpg,0\n")
    (tmp_path / "d.jpg").write_bytes(b"")
    (tmp_path / "split.csv").write_text("lesion_id,split\n0,valid\n")
    usage = f"--run {tmp_path} --data {tmp_path / 'data.csv'} --out y --class MAL_OTH --like SCCKA --share".split()
    for share, said in (("2", "--share 2 is not from 0 to 1"), ("0.5", "diagnosis has no class 'SCCKA'")):
        monkeypatch.setattr(sys, "argv", [str(FILE), *usage, share])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(FILE), run_name="__main__")
        assert ended.value.code == 2 and said in capsys.readouterr().err
