"""The demo on a free port, with tiny weights of the test's own; the tests skip themselves where gradio is absent."""

from __future__ import annotations

import pytest
from cli_case import FEW_PIXELS, listed, pictures, record_of, tiny_model


class Server:
    """A page that is served, and the model behind it."""

    def __init__(self, url, model, folder):
        self.url, self.model, self.folder = url, model, folder

    def picture(self, name):
        return str(self.folder / name)


@pytest.fixture(scope="module")  # wider ones would leave the environment to tests elsewhere
def server(tmp_path_factory):
    from amfzoo.demo import build, launch
    from amfzoo.demo.server import uploads_until_exit

    folder = tmp_path_factory.mktemp("demo")
    pictures(folder)
    model = tiny_model(**FEW_PIXELS)
    saved = model.save_pretrained(folder / "weights" / "tiny")
    record = record_of("amf_test.tiny", saved, model.tasks)
    with pytest.MonkeyPatch.context() as patch, uploads_until_exit() as uploads:
        patch.setenv("GRADIO_TEMP_DIR", uploads)
        patch.setenv("AMFZOO_MANIFEST", str(listed(folder, record, "amf_test.tiny")))
        page = build("amf_test")
        _, url, _ = launch(page, prevent_thread_lock=True, quiet=True)
        yield Server(url, model, folder)
        page.close(verbose=False)
