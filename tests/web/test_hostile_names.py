"""Names that reach for what they must not: files of the server, other hosts, other repositories, whatever is packed."""

from __future__ import annotations

import base64
import io
import json
import socket
import stat
import threading
import zipfile

import pytest

from timmscope.registry.base.errors import InvalidInput
from timmscope.registry.photo_sets.sources import uploaded

from ..photos.test_sets import photo
from ..serving import ROOT

META = {"meta": {"_type": "gradio.FileData"}}
NAMES = [
    *("../../etc/passwd", "/etc/passwd", "local-dir:/etc", "hf-hub:owner/name", "hf_hub:owner/name", "owner/name"),
    *("file:///etc/passwd", "https://localhost/model", "resnet18\0", "rеsnet18", "ｒｅｓｎｅｔ１８", "resnet\u200b18"),
    *("folder:..", "folder:/etc", "folder:", "hub:..", "hub:/etc/passwd", "hub:a/../b", "sample:../chelsea"),
]


class Listener:
    """A socket of this machine that counts who connects."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1


@pytest.fixture
def listener():
    running = Listener()
    yield running
    running.socket.close()


def refusal(server, endpoint, values) -> str:
    kind, data = server.call(endpoint, values)
    assert kind == "error"
    assert data["error"]
    for secret in ("Internal error", "Traceback", "root:", str(ROOT)):
        assert secret not in data["error"]
    return data["error"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_of_a_model_photo_set_or_layer_leads_anywhere(server, cat, name):
    image = server.upload(cat)
    assert refusal(server, "filters", {"model": name}).startswith("model: got ")
    assert refusal(server, "filters", {"layer": name, "model": "test_resnet", "weights": "random"})
    assert refusal(server, "nearest_neighbors", {"image": image, "photos": name}).startswith("photos: got ")


def test_no_address_is_ever_asked_for_a_photo(server, listener):
    url = f"{listener.url}/photo.png"
    records = [url, {"path": url}, {"path": url, **META}, {"url": url, **META}, {"path": "a.png", "url": url, **META}]
    for record in records:
        assert refusal(server, "saliency", {"image": record})
        assert refusal(server, "embedding_map", {"files": [record]})
    for name in ("model", "layer"):
        refusal(server, "filters", {name: url})
    assert server.http.get(f"/proxy={url}").status_code == 400
    params = {"name": "saliency", "arguments": {"image": url}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = server.http.post("/mcp/", json=body, headers={"Accept": "application/json, text/event-stream"}).text
    assert json.loads(answer.partition("data: ")[2])["result"]["isError"]
    assert listener.connections == 0


@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(ROOT / "app.py"), "app.py", "/proc/self/environ", "/dev/zero", "."]
)
def test_no_file_but_an_uploaded_one_is_read(server, path):
    for more in ({}, META, {"url": "x", **META}):
        assert refusal(server, "saliency", {"image": {"path": path, **more}}).startswith("image: got ")
        assert refusal(server, "embedding_map", {"files": [{"path": path, **more}]}).startswith("files: got ")
    assert server.http.get(f"/file={path}").status_code in (403, 404)


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml"])
def test_a_data_url_of_a_document_is_no_photo(server, kind):
    content = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    url = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    assert "expected a photo" in refusal(server, "saliency", {"image": url})
    assert "expected photos" in refusal(server, "embedding_map", {"files": [url]})


@pytest.mark.parametrize(
    "name", ["../../../up.png", "/etc/cron.d/x", "a\\b.png", "\u202egnp.exe", "<b>.png", "x" * 300]
)
def test_an_upload_stays_in_its_folder(server, cat, name):
    path = server.http.post("/upload", files={"files": (name, cat)}).json()[0]
    usual = server.upload(cat, "photo.png")["path"]
    assert path.rpartition("/")[0] == usual.rpartition("/")[0]
    assert "<" not in path


@pytest.mark.case(56)
def test_a_photo_of_any_name_is_used_and_named(server):
    names = ["\U0001f408.png", "日本語.png", "a'b\".png", "<img src=x onerror=alert(1)>.png", "line\nbreak.png", "none"]
    names += ["a\0b.png", "..png", " .png", "con.png", "100%.png", "a;b&c.png", "$(id).png", "x" * 300, "é" * 150]
    values = {"model": "test_convnext", "weights": "random", "samples": 1}
    uploads = [server.upload(photo("red"), name.replace("\0", "")) | {"orig_name": name} for name in names]
    events = [server.start("saliency", {"image": upload, **values}).json()["event_id"] for upload in uploads]
    for name, event in zip(names, events):
        kind, data = server.finish("saliency", event)
        assert kind == "complete", (name, data)
        recorded = json.loads(server.get_file(data[-1]))["inputs"]["image"]["name"]
        assert recorded == name.replace("\n", "\\n").replace("\0", "\\x00"), name


def test_a_link_in_a_zip_is_text():
    buffer, link = io.BytesIO(), zipfile.ZipInfo("passwd.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.png", photo("red"))
    photos = uploaded([buffer.getvalue()])
    assert [photos[i].name for i, _ in photos.decoded()] == ["good.png"]
    assert "passwd.png" in photos.skipped


def test_a_zip_in_a_zip_is_not_opened():
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("photo.png", photo("red"))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("disguised.png", inner.getvalue())
    photos = uploaded([outer.getvalue()])
    with pytest.raises(InvalidInput, match="none of them a photo"):
        list(photos.decoded())
