"""What pyproject.toml says of the files that are handed on, and of versions."""

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


@pytest.mark.skipif(not PROJECT.exists(), reason="needs a checkout: a wheel has no pyproject.toml beside it")
def test_the_lowest_versions_are_listed_for_all_that_is_asked_for():
    """What is not pinned comes in its newest version, which may refuse the others that are: the list cannot be installed then."""
    lines = PROJECT.read_text(encoding="utf-8").splitlines()
    asked = " ".join(line for line in lines if not line.startswith(("requires", "ray =", "demo =")))
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r'"([\w-]+)>=', asked)) <= {*pinned}
