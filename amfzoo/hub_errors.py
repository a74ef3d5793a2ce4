"""What went wrong between here and a Hub, in words that say what to do.

The client raises some twenty kinds of errors over two HTTP libraries (depending on
its version); they are told apart by class name so that none of them is imported.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import Any

from .errors import WeightsError
from .files import NO_ROOM

TOKEN = "set HF_TOKEN, run 'hf auth login', or pass token=... in Python"
OTHER_WAY_TO_FETCH = (
    "set HF_ENDPOINT to a mirror you can reach, or fetch it once on a connected computer, "
    "copy the folder here and load it as 'local-dir:/folder'"
)
_BAD_LOGIN = "Invalid credentials in Authorization header"  # as the Hub says it, and the client looks for it
_SAID = 300  # characters of what a server says, at most
_BAD_TOKEN = ("LocalTokenNotFoundError", "LocalProtocolError", "UnicodeEncodeError")  # a header that cannot be sent


def explain(error: BaseException, what: str, other_way: str = OTHER_WAY_TO_FETCH) -> WeightsError:
    """WeightsError for a client error; `what` says what failed ("Cannot fetch ... from ...").

    `other_way` is what remains to be done if the server stays out of reach. The caller
    raises the result `from error`.
    """
    reason, remedy = _reason(error, other_way)
    return WeightsError(f"{what}: {reason}. To do: {remedy}.")


def explained(error: BaseException, what: str) -> tuple[str, str]:
    """What failed and why, where nothing need be done about it."""
    return what, _reason(error, "")[0]


def status_of(error: BaseException) -> int | None:
    """HTTP status behind a client error, None if the server gave no answer."""
    for link in _chain(error):
        status = getattr(getattr(link, "response", None), "status_code", None)
        if status is not None:
            return int(status)
    return None


def retry_after(error: BaseException) -> float | None:
    """Seconds the server asks to wait before the next request; None if it does not say."""
    for link in _chain(error):
        seconds = pause_asked(getattr(link, "response", None))
        if seconds is not None:
            return seconds
    return None


def pause_asked(response: Any) -> float | None:
    """Seconds to wait by the headers of an answer: Retry-After, or the Hub's RateLimit."""
    headers = getattr(response, "headers", None) or {}
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    used_up = re.search(r"\br=0\b.*\bt=(\d+)", headers.get("RateLimit", "").replace(" ", ""))
    return float(used_up[1]) if used_up else None


def is_server_fault(error: BaseException) -> bool:
    """The server answered that it is down or busy."""
    status = status_of(error)
    return status is not None and (status in (408, 429) or status >= 500)


def is_unreachable(error: BaseException) -> bool:
    """No usable answer: no connection, a timeout, or a server that is down or busy."""
    if status_of(error) is not None:
        return is_server_fault(error)
    return _is(error, "TransportError", "TimeoutException", "FileMetadataError") and not _is(
        error, "UnsupportedProtocol", *_BAD_TOKEN
    )


def needs_login(error: BaseException) -> bool:
    """The server wants to know who asks (HTTP 401), and has not refused a token already."""
    return status_of(error) == 401 and _BAD_LOGIN not in _said(error)


def is_unwritable(error: BaseException) -> bool:
    """The cache is there, but not to be written."""
    return status_of(error) is None and any(
        isinstance(link, OSError) and link.errno in (errno.EACCES, errno.EPERM, errno.EROFS) for link in _chain(error)
    )


def _reason(error: BaseException, other_way: str) -> tuple[str, str]:
    status = status_of(error)
    found = _local_reason(error, status) or _access_reason(error, status) or _transport_reason(error, status, other_way)
    if found:
        return found
    if "Invalid metadata in README.md" in str(error):
        return " ".join(str(error).split())[:_SAID].rstrip("."), "mend the block between --- at the head of the card"
    if status is not None:
        return (
            f"the server answered HTTP {status}{_said(error)}",
            "check the name and HF_ENDPOINT; if both are right, try again later",
        )
    if any("xet" in str(link).lower() for link in _chain(error)):
        return (
            f"the transfer by Xet storage failed ({error})",
            "set HF_HUB_DISABLE_XET=1 to use plain HTTP, and try again",
        )
    return f"{type(error).__name__}: {error}", f"try again; if it repeats, {other_way}"


def _local_reason(error: BaseException, status: int | None) -> tuple[str, str] | None:
    if _is_saved_token(error):
        return f"the saved token cannot be read ({error})", "mend the permissions of that file, or set HF_TOKEN"
    code = next((link.errno for link in _chain(error) if isinstance(link, OSError) and link.errno), None)
    if code in NO_ROOM:
        return "the disk of the cache is full", "free some space, or set cache_dir= or HF_HUB_CACHE to a larger disk"
    unusable = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST)
    if code in unusable and status is None and not _is(error, "TransportError"):
        return f"the cache cannot be written ({error})", "set cache_dir= or HF_HUB_CACHE to a folder you may write to"
    if status is None and _is(error, *_BAD_TOKEN):
        return "there is no token, or it holds characters that cannot be sent", f"{TOKEN}, without blanks or line ends"
    if _is(error, "HFValidationError"):
        return f"the client refuses the name ({error})", "write it as 'hf-hub:organisation/name@revision'"
    return None


def _access_reason(error: BaseException, status: int | None) -> tuple[str, str] | None:
    if _is(error, "GatedRepoError"):
        return "access to this repository must be granted first", f"accept its terms on its web page, then {TOKEN}"
    if _is(error, "DisabledRepoError"):
        return "the repository has been disabled", "ask its owner, or use other weights"
    if _is(error, "RevisionNotFoundError"):
        return "the repository has no such revision", "check the branch, tag or commit"
    if _is(error, "RemoteEntryNotFoundError"):
        return "the repository has no such file", "check that it is an amfzoo model (config.json and model.safetensors)"
    if status == 401 and not needs_login(error):
        return (
            "the server does not accept the token (HTTP 401): it is wrong, expired or revoked",
            f"{TOKEN}, with a valid one; public repositories need none (unset HF_TOKEN, 'hf auth logout')",
        )
    if status == 401 or _is(error, "RepositoryNotFoundError"):
        return "there is no such repository, or it is private", f"check the spelling; if it is private, {TOKEN}"
    if status == 403:
        return (
            f"the server refuses access (HTTP 403{_said(error)})",
            f"{TOKEN}, with a token that has the right; or ask for access",
        )
    if status == 404:
        return "the server does not know it (HTTP 404)", "check the name, the revision and HF_ENDPOINT"
    return None


def _transport_reason(error: BaseException, status: int | None, other_way: str) -> tuple[str, str] | None:
    if status == 429:
        seconds = retry_after(error)
        when = f"in {seconds:.0f} s" if seconds is not None else "in some minutes"
        return (
            "the server limits the number of requests (HTTP 429)",
            f"try again {when}; {TOKEN}, which raises the limit",
        )
    if status is not None and status >= 500:
        return f"the server has a fault (HTTP {status})", f"try again later, or {other_way}"
    text = " ".join(str(link) for link in _chain(error))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            "the certificate of the server is not trusted (often a network that inspects traffic)",
            "set SSL_CERT_FILE to your network's certificate bundle",
        )
    if _is(error, "ProxyError"):
        return (
            f"the proxy refuses the connection ({error})",
            "check HTTPS_PROXY and NO_PROXY with your network's administrators",
        )
    if _is(error, "FileMetadataError"):
        return (
            "the answer is not that of a Hub (a login page, a filter or a wrong HF_ENDPOINT)",
            f"log in to the network or correct HF_ENDPOINT; or {other_way}",
        )
    if _is(error, "UnsupportedProtocol", "InvalidURL"):
        return f"the address is not one ({error})", "let HF_ENDPOINT begin with https://"
    if _is(error, "TimeoutException"):
        return "the server does not answer in time", f"try again; if it repeats, {other_way}"
    if _is(error, "ConnectError", "NetworkError"):
        return f"no connection ({_innermost(error)})", f"check the network; else {other_way}"
    if _is(error, "TransportError") or "Consistency check failed" in text:
        return "the transfer broke off", f"try again; if it repeats, {other_way}"
    if _is(error, "OfflineModeIsEnabled", "LocalEntryNotFoundError"):
        return (
            "it is not in the cache, and nothing was to be fetched (offline)",
            f"fetch it first, with `amfzoo download`; or {other_way}",
        )
    return None


def _is_saved_token(error: BaseException) -> bool:
    """Whether what cannot be read is the file that `hf auth login` writes."""
    from huggingface_hub import constants

    names = (link.filename for link in _chain(error) if isinstance(link, OSError) and link.filename is not None)
    return any(os.fspath(name) == constants.HF_TOKEN_PATH for name in names)


def _said(error: BaseException) -> str:
    """What the server itself says of it, to be put behind the status."""
    for link in _chain(error):
        text = (getattr(getattr(link, "response", None), "headers", None) or {}).get("X-Error-Message", "")
        if text := " ".join(text.split())[:_SAID].rstrip("."):
            return f': "{text}"'
    return ""


def _is(error: BaseException, *names: str) -> bool:
    return any(cls.__name__ in names for link in _chain(error) for cls in type(link).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; the client often hides the real one as a cause."""
    link: BaseException | None = error
    for _ in range(10):
        if link is None:
            return
        yield link
        link = link.__cause__


def _innermost(error: BaseException) -> str:
    return str(list(_chain(error))[-1]) or type(error).__name__
