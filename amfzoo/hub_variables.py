"""Environment variables that would end the import of the Hub's client, which timm imports too, in a ValueError that names none."""

from __future__ import annotations

import os

from .errors import ConfigError

_SECONDS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")


def check_variables() -> None:
    """To be called before the client is imported.

    Raises:
        ConfigError: a timeout is no whole number.
    """
    for name in _SECONDS:
        try:
            int(os.environ.get(name, 0))
        except ValueError:
            raise ConfigError(
                f"the environment variable {name} is {os.environ[name]!r}: set it to a whole number of seconds, or unset it"
            ) from None
