"""What pyproject.toml says of the files that are handed on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"


@pytest.mark.skipif(not PROJECT.exists(), reason="needs a checkout: a wheel has no pyproject.toml beside it")
def test_what_the_sdist_takes_is_meant_at_the_root_alone():
    """A bare README.md is also that of weights/amf_base.open, whose folder would come without its weights, as if damaged."""
    section = PROJECT.read_text(encoding="utf-8").partition("[tool.hatch.build.targets.sdist]")[2]
    taken = re.findall(r'"([^"]+)"', section.partition("include = [")[2].partition("]")[0])
    assert "/amfzoo" in taken and all(name.startswith("/") and (ROOT / name[1:]).exists() for name in taken)
