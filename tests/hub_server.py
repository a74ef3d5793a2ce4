"""A Hub on 127.0.0.1 that speaks the protocol of the real client, for tests.

    with HubServer() as hub:
        commit = hub.commit("org/name", {"config.json": b"{}", "model.safetensors": b"..."})
        hub.fault("GET", "model.safetensors", body="cut", times=1)
        ...                                   # use the client with endpoint hub.url
        hub.requests                          # [("HEAD", "/org/name/resolve/main/config.json"), ...]

Files ending in .safetensors are large files: their download is redirected to another
origin ("localhost" in place of "127.0.0.1"), as the Hub does to its content servers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repo:
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit -> path -> bytes
    branches: dict[str, str] = field(default_factory=dict)  # branch -> commit
    private: bool = False

    def find(self, revision: str) -> str | None:
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


@dataclass
class Fault:
    """What happens to the next `times` requests of `method` whose path contains `path`."""

    method: str
    path: str
    times: int = 10**9
    status: int | None = None  # answer this status instead
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None  # "cut": half of it, "wrong": other bytes, as many, "stall": half of it, "none": no answer


class HubServer:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # sha256 -> large file
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []  # of the same requests, names in lower case
        self.faults: list[Fault] = []
        self.card_error = ""  # what is wrong with every card
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._server.handle_error = self._handle_error
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> HubServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle_error(self, *_: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may hang up
            traceback.print_exc()

    def commit(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit with exactly these files; returns its 40-hex name."""
        entry = self.repos.setdefault(repo, Repo())
        name = hashlib.sha1(f"{repo}{len(entry.commits)}{sorted(files)}".encode()).hexdigest()
        entry.commits[name] = dict(files)
        entry.branches[branch] = name
        self.objects.update({_sha256(data): data for path, data in files.items() if _is_large(path)})
        return name

    def fault(self, method: str, path: str, **how: object) -> None:
        self.faults.append(Fault(method, path, **how))

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        self.path_only = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path_only == "/api/agent-harnesses":  # the client asks this once in a while, for its user agent
            self.fault = None
            self._send(404, b"")
            return
        self.hub.requests.append((self.command, self.path_only))
        self.hub.headers.append({key.lower(): value for key, value in self.headers.items()})
        # A HEAD fault on a large file must match its /resolve/ path, a GET fault its name after the redirect.
        self.fault = self.hub.take_fault(self.command, self.path)
        if self.fault and self.fault.body == "none":
            self.hub.stopping.wait(60)
            self.close_connection = True
            return
        if self.fault and self.fault.status:
            self._send(self.fault.status, b'{"error": "scripted"}', self.fault.headers)
            return
        for pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, f"{self.command} {self.path_only}")
            if match:
                answer(self, **match.groupdict())
                return
        self._send(404, b"{}")

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    # --- reading

    def resolve(self, repo: str, revision: str, file: str) -> None:
        found, commit, data = self._lookup(repo, revision, file)
        if not found:
            return
        common = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not _is_large(file):
            sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # as git names it
            self._send(200, data, {**common, "ETag": f'"{sha1}"'})
            return
        linked = {"X-Linked-Etag": f'"{_sha256(data)}"', "X-Linked-Size": str(len(data))}
        location = f"http://localhost:{self.hub.port}/objects/{_sha256(data)}?name={file}"
        self._send(302, b"", {**common, **linked, "Location": location})

    def object(self, sha256: str) -> None:
        if sha256 in self.hub.objects:
            self._send(200, self.hub.objects[sha256], {"ETag": f'"{sha256}"'})
        else:
            self._send(404, b"")

    def info(self, repo: str, revision: str = "main") -> None:
        found, commit, _ = self._lookup(repo, revision)
        if found:
            files = [{"rfilename": path} for path in self.hub.repos[repo].commits[commit]]
            self._json({"id": repo, "sha": commit, "siblings": files, "private": False, "tags": []})

    # --- writing

    def create(self) -> None:
        asked = json.loads(self.body)
        repo = f"{asked['organization']}/{asked['name']}"
        known = repo in self.hub.repos
        if not known:
            self.hub.commit(repo, {".gitattributes": b""})
            self.hub.repos[repo].private = asked.get("visibility") == "private"
        self._json({"url": f"{self.hub.url}/{repo}"}, 409 if known else 200)

    def yaml(self) -> None:
        errors = [{"message": self.hub.card_error}] if self.hub.card_error else []
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, repo: str, revision: str) -> None:
        found, _, _ = self._lookup(repo, revision)
        if found:
            paths = [file["path"] for file in json.loads(self.body)["files"]]
            modes = {path: "lfs" if _is_large(path) else "regular" for path in paths}
            self._json({"files": [{"path": p, "uploadMode": modes[p], "shouldIgnore": False} for p in paths]})

    def batch(self, repo: str) -> None:
        objects = [{"oid": o["oid"], "size": o["size"]} for o in json.loads(self.body)["objects"]]
        for entry in objects:
            if entry["oid"] not in self.hub.objects:
                entry["actions"] = {"upload": {"href": f"http://localhost:{self.hub.port}/objects/{entry['oid']}"}}
        self._json({"transfer": "basic", "objects": objects})

    def put(self, sha256: str) -> None:
        assert _sha256(self.body) == sha256
        self.hub.objects[sha256] = self.body
        self._send(200, b"")

    def store(self, repo: str, revision: str) -> None:
        found, commit, _ = self._lookup(repo, revision)
        if not found:
            return
        files = dict(self.hub.repos[repo].commits[commit])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        new = self.hub.commit(repo, files, revision)
        self._json({"commitUrl": f"{self.hub.url}/{repo}/commit/{new}", "commitOid": new})

    # --- answers

    def _lookup(self, repo: str, revision: str, file: str | None = None) -> tuple[bool, str, bytes]:
        """(found, commit, content); when something is not found, the answer has been sent."""
        entry = self.hub.repos.get(repo)
        commit = entry.find(revision) if entry else None
        missing = "RepoNotFound" if entry is None else "RevisionNotFound" if commit is None else None
        if missing is None and file is not None and file not in entry.commits[commit]:
            missing = "EntryNotFound"
        if missing:
            self._send(404, b"{}", {"X-Error-Code": missing, **({"X-Repo-Commit": commit} if commit else {})})
            return False, "", b""
        return True, commit, entry.commits[commit][file] if file else b""

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        how = self.fault.body if self.fault else None
        if how == "wrong":
            body = bytes(byte ^ 1 for byte in body)
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start and status == 200:
            total, body, status = len(body), body[int(start[1]) :], 206
            headers = {**(headers or {}), "Content-Range": f"bytes {start[1]}-{total - 1}/{total}"}
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if how in ("cut", "stall"):
            body, self.close_connection = body[: len(body) // 2], True
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()
        if how == "stall":
            self.hub.stopping.wait(60)


_REPO, _REVISION = r"(?P<repo>[^/ ]+/[^/ ]+)", r"(?P<revision>.+)"
_ROUTES = [
    (rf"(?:GET|HEAD) /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _Handler.resolve),
    (r"(?:GET|HEAD) /objects/(?P<sha256>[0-9a-f]{64})", _Handler.object),
    (rf"GET /api/models/{_REPO}", _Handler.info),
    (rf"GET /api/models/{_REPO}/revision/{_REVISION}", _Handler.info),
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.yaml),
    (rf"POST /api/models/{_REPO}/preupload/{_REVISION}", _Handler.preupload),
    (rf"POST /{_REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /objects/(?P<sha256>[0-9a-f]{64})", _Handler.put),
    (rf"POST /api/models/{_REPO}/commit/{_REVISION}", _Handler.store),
]


def _is_large(path: str) -> bool:
    return path.endswith(".safetensors")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
