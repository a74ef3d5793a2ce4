"""torch.hub entry points, each case in a fresh process as a user would run it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "hubconf.py").exists(), reason="needs a checkout: a wheel has no hubconf.py"
)


def run(code: str, cwd: Path) -> subprocess.CompletedProcess:
    # -P (Python 3.11) keeps the working folder off the path; -I would also drop the venv's own settings
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    return subprocess.run([sys.executable, *safe, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_load_and_predict(tmp_path):
    code = f"""
import torch
repo = {str(ROOT)!r}
plain = torch.hub.load(repo, "amf_small", source="local", trust_repo=True, pretrained=False, fusion="none")
assert plain.config.fusion == "none"
model = torch.hub.load(repo, "amf_small", source="local", trust_repo=True, pretrained=True)
from amfzoo.data import example_pair
answer = model.predict(*map(str, example_pair()))
print("ANSWER", answer.top()[0], round(sum(answer.diagnosis.values()), 6))
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ANSWER" in done.stdout and done.stdout.strip().endswith("1.0")


def test_entry_points_are_the_public_models(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r}); import hubconf
# what torch.hub.list shows
names = [name for name in dir(hubconf) if callable(getattr(hubconf, name)) and not name.startswith("_")]
assert "amf_small" in names and "amf_test" not in names, names
assert all("pretrained" in getattr(hubconf, name).__doc__ for name in names), names
print("NAMES", len(names))
"""
    done = run(code, tmp_path)
    assert done.stdout.startswith("NAMES"), done.stderr


def test_importing_hubconf_loads_no_timm(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import hubconf; print('timm' in sys.modules, 'torch' in sys.modules)"
    assert run(code, tmp_path).stdout.split() == ["False", "False"]


def test_dependencies_are_importable_names(tmp_path):
    code = f"""
import sys, importlib.util; sys.path.insert(0, {str(ROOT)!r}); import hubconf
print([name for name in hubconf.dependencies if importlib.util.find_spec(name) is None])
"""
    assert run(code, tmp_path).stdout.strip() == "[]"


def test_warns_when_another_amfzoo_came_first(tmp_path):
    other = tmp_path / "site" / "amfzoo"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '9.9'\n")
    (other / "registry.py").write_text("def list_models():\n    return ['amf_small']\n")
    code = f"""
import sys, warnings
sys.path.insert(0, {str(other.parent)!r}); import amfzoo
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    sys.path.insert(0, {str(ROOT)!r}); import hubconf
print(len(caught), caught[0].message)
"""
    done = run(code, tmp_path)
    assert done.stdout.startswith("1 another amfzoo (9.9"), done.stdout + done.stderr
