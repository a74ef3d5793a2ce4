"""A Hugging Face Space: the page of `amfzoo demo`. Its settings are in README.md, its packages in requirements.txt."""

import os

from amfzoo.demo import build, launch

demo = build(os.environ.get("AMFZOO_MODEL", "amf_small"))

if __name__ == "__main__":
    launch(demo)
