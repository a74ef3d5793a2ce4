"""From a verified model folder on this disk to a repository on a Hub, in one commit."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .card import PLACEHOLDER
from .checks import is_repo_id
from .errors import ConfigError, WeightsError
from .folder import CARD_FILE, EXAMPLE_FOLDER
from .folder_check import check_folder, inside
from .hub_errors import TOKEN, explain, needs_login, status_of
from .hub_fetch import is_offline, patiently, server_name
from .manifest import CONFIG_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FROM_ELSEWHERE = "push from a connected computer: the folder is complete and can be copied"

_log = logging.getLogger("amfzoo")


def push(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | bool | None = None,
    commit_message: str | None = None,
    create: bool = True,
    other_way: str = FROM_ELSEWHERE,
) -> str:
    """Verify a model folder and upload it in one commit; returns that commit (40 hex).

    Examples that the repository holds and the folder does not are removed, so that both
    are the same, but for the card: where it says how to load the folder, it names the repository
    instead. `create` makes the repository if it does not exist (`private` or not).
    An unreachable server is given up as in `hub_fetch`, but once the upload has begun the
    client sets no time limit. `other_way` is what an error advises if the server stays out of reach.

    Args:
        folder: config.json, model.safetensors and README.md, as `save_pretrained` and training write them.
        repo_id: "organisation/name".
        token: default HF_TOKEN, or that of `hf auth login`.
        commit_message: default names the architecture.

    Raises:
        ConfigError: an ill-formed name or config.json.
        WeightsError: the folder is damaged or links to files outside, the Hub refuses or cannot be reached, or the
            repository is public where it was to be `private`.
    """
    root = Path(folder).expanduser()
    if not is_repo_id(repo_id):
        raise ConfigError(f"A repository is written 'organisation/name', got {repo_id!r}.")
    config = check_folder(root)
    what = f"Cannot push {root} to {repo_id} at {server_name()}"
    if is_offline():
        raise WeightsError(f"{what}: HF_HUB_OFFLINE is set. To do: unset it, or {other_way}.")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(token=token.strip() if isinstance(token, str) else token, library_name="amfzoo")
    files = {path.relative_to(root).as_posix(): _content(path, repo_id) for path in _to_push(root)}
    try:
        there = _remote_files(api, repo_id, private, create)
        stale = [file for file in there if file.startswith(f"{EXAMPLE_FOLDER}/") and file not in files]
        operations = [CommitOperationDelete(path) for path in stale]
        operations += [CommitOperationAdd(name, content) for name, content in files.items()]
        # One commit: upload_folder may split into several, and then no single revision is the model.
        commit = api.create_commit(
            repo_id, operations, commit_message=commit_message or f"Upload {config.get('architecture', 'model')}"
        )
    except WeightsError:
        raise
    except Exception as error:
        raise explain(error, what, other_way) from error
    _log.info("pushed %s to %s at commit %s", root, repo_id, commit.oid)
    return commit.oid


def _remote_files(api: HfApi, repo_id: str, private: bool, create: bool) -> list[str]:
    """Paths in the repository, which is made if it is missing and `create` is set."""
    from huggingface_hub import constants

    try:
        # Asked first because this request, unlike the client's writing ones, has a time limit.
        info = patiently(lambda: api.model_info(repo_id, timeout=constants.HF_HUB_ETAG_TIMEOUT))
        if private and info.private is False:
            raise WeightsError(
                f"{repo_id} is there already, and public: nothing was uploaded. Make it private on its page, name another "
                "repository, or push without asking for a private one."
            )
        return [file.rfilename for file in info.siblings or []]
    except WeightsError:
        raise
    except Exception as error:
        if not create or status_of(error) not in (401, 404):
            raise
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
    except Exception as error:
        if not needs_login(error):
            raise
        raise WeightsError(
            f"{repo_id} is not there, and to make it needs a login (HTTP 401). To do: {TOKEN}."
        ) from error
    return []


def _to_push(root: Path) -> list[Path]:
    names = [CONFIG_FILE, WEIGHTS_FILE, CARD_FILE]
    names += sorted(f"{EXAMPLE_FOLDER}/{path.name}" for path in (root / EXAMPLE_FOLDER).glob("*"))
    return [inside(root, root / name) for name in names if (root / name).is_file()]


def _content(path: Path, repo_id: str) -> str | bytes:
    """What the client uploads: the path, or the text of a card that says how to load it from where it was."""
    if path.name != CARD_FILE:
        return str(path)
    return path.read_bytes().replace(PLACEHOLDER.encode(), f"hf-hub:{repo_id}".encode())
