"""The hub for real: its own client against a server of our own, in fresh processes that know no other hub."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from timmscope.registry.models.hub_cache import HubCache, NotFetched

ROOT = Path(__file__).parents[2]

# Loads a model for each name it reads, and answers what came of it.
CLIENT = """
import json, sys, time
import timmscope
from timmscope.registry.models import hub, loading
for line in sys.stdin:
    loading._cache.cache_clear()
    start = time.monotonic()
    try:
        with loading.lend(line.strip(), "pretrained", {}) as model:
            state = {name: float(tensor.double().sum()) for name, tensor in model.module.state_dict().items()}
            answer = {"origin": model.origin, "state": state, "config": list(model.module.pretrained_cfg)}
    except timmscope.TimmscopeError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer | {"seconds": time.monotonic() - start}), flush=True)
"""


# What writes longer files than these bytes is told that there is no room.
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
"""


class Hub:
    """A hub with the repositories it is given: name -> file -> content."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.go_on = threading.Event()  # where it is not set, a file stops half way
        self.go_on.set()
        self.half_way = threading.Event()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        repository, _, file = request.path.lstrip("/").partition("/resolve/main/")
        if file:
            self.asked.append(f"{request.command} {file}")
        content = self.repositories.get(repository, {}).get(file)
        if content is None:
            missing = "EntryNotFound" if repository in self.repositories else "RepoNotFound"
            request.send_response(404)
            request.send_header("X-Error-Code", missing)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("X-Repo-Commit", hashlib.sha1(repository.encode()).hexdigest())
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content[: len(content) // 2])
            self.half_way.set()
            self.go_on.wait(60)
            with contextlib.suppress(ConnectionError):  # of a client that was killed
                request.wfile.write(content[len(content) // 2 :])


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The hub's address, while it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            hub.answer(self)

        do_GET = do_HEAD

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def client(endpoint: str, cache: Path, script: str = CLIENT, **settings: str) -> Iterator[Callable[[str], dict]]:
    """A function that asks a fresh process which knows only this hub for a name; it always asks the same process.

    Args:
        endpoint: Address of the hub.
        cache: Where the process keeps what it has fetched.
        script: What answers each line with a line of JSON; the one of this file loads models.
        **settings: More environment variables.
    """
    unset = ("HF_", "TIMMSCOPE_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(unset) and not k.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=clean
        | {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "TIMMSCOPE_CACHE_FOLDER": str(cache),
        }
        | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(name: str) -> dict:
        print(name, file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    ask.process = process

    try:
        yield ask
    finally:
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def hub():
    return Hub()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder where the client keeps what it has fetched."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def load(hub, cache):
    with serving(hub) as endpoint, client(endpoint, cache) as load:
        yield load


def weights_of(architecture: str) -> dict[str, torch.Tensor]:
    """Random weights, none of which is the initialisation's."""
    torch.manual_seed(3)
    state = timm.create_model(architecture).state_dict()
    return {name: torch.rand(tensor.shape).to(tensor.dtype) for name, tensor in state.items()}


def test_found_is_what_was_served_and_is_fetched_once(hub, load):
    state = weights_of("test_convnext")
    hub.repositories["timm/test_convnext.r160_in1k"] = {"model.safetensors": save(state)}
    first = load("test_convnext")
    assert first["origin"] == "hub:timm/test_convnext.r160_in1k"
    assert first["state"] == {name: pytest.approx(float(tensor.double().sum())) for name, tensor in state.items()}
    assert "state_dict" not in first["config"]  # or every view would hold a copy of the weights
    assert hub.asked.count("GET model.safetensors") == 1
    asked = list(hub.asked)
    assert load("test_convnext.r160_in1k")["state"] == first["state"]
    assert hub.asked == asked  # the second time it is in the hub's cache
    assert {line.split()[1] for line in asked} == {"model.safetensors"}


@pytest.mark.parametrize(
    ("architecture", "files", "message"),
    [
        ("test_vit", None, "{name}: the hub has no open repository timm/{name}. The embedded models"),
        ("test_vit2", {"config.json": b"{}"}, "{name}: timm/{name} has no file model.safetensors."),
        ("test_vit3", {"pytorch_model.bin": pickle.dumps({})}, "only as a pickle, which can run code; safetensors are"),
        ("test_byobnet", {"open_clip_pytorch_model.bin": pickle.dumps({})}, "only as a pickle, which can run code"),
        (
            "test_resnet",
            {"model.safetensors": save({"conv.weight": torch.zeros(3)})},
            "{name}: its weights file does not fit the network",
        ),
    ],
)
def test_what_cannot_be_had_is_said(hub, load, architecture, files, message):
    name = f"{architecture}.r160_in1k"
    if files is not None:
        hub.repositories[f"timm/{name}"] = files
    hub.asked.clear()
    error = load(architecture)["error"]
    assert error.startswith("ModelUnavailable: ")
    assert message.format(name=name) in error
    assert "The embedded models and weights 'random' need no hub" in error
    assert not [line for line in hub.asked if line.startswith("GET") and line.endswith(".bin")]


@pytest.mark.parametrize(
    ("architecture", "damage"),
    [
        ("test_efficientnet", lambda data: data[:1000]),
        ("test_efficientnet_ln", lambda _: b"<html>not found</html>"),
        ("test_efficientnet_gn", lambda _: b""),
        ("test_nfnet", lambda _: pickle.dumps({"weights": [1]})),
    ],
)
def test_a_damaged_file_is_removed_and_the_next_try_is_good(hub, load, architecture, damage):
    name, good = f"{architecture}.r160_in1k", save(weights_of(architecture))
    hub.repositories[f"timm/{name}"] = {"model.safetensors": damage(good)}
    error = load(name)["error"]
    assert error.startswith(f"ModelUnavailable: {name}: the weights file of timm/{name} is damaged and was removed")
    assert not any(secret in error for secret in ("/tmp", "snapshots", "127.0.0.1"))
    hub.repositories[f"timm/{name}"] = {"model.safetensors": good}
    assert load(name)["origin"] == f"hub:timm/{name}"


def test_a_file_that_is_damaged_on_this_disk_is_fetched_again(hub, load, cache):
    name = "test_convnext2.r160_in1k"
    hub.repositories[f"timm/{name}"] = {"model.safetensors": save(weights_of("test_convnext2"))}
    good = load(name)
    (stored,) = cache.rglob(f"models--timm--{name}/blobs/*")
    stored.write_bytes(stored.read_bytes()[:2000])
    assert "is damaged and was removed" in load(name)["error"]
    assert load(name)["state"] == good["state"]


@pytest.fixture
def stopping():
    """A hub whose files stop half way until it may go on."""
    hub = Hub()
    hub.go_on.clear()
    yield hub
    hub.go_on.set()


@pytest.mark.slow
def test_killed_in_the_midst_of_a_download_the_next_one_starts_afresh(stopping, tmp_path):
    name, state = "test_byobnet.r160_in1k", weights_of("test_byobnet")
    stopping.repositories[f"timm/{name}"] = {"model.safetensors": save(state)}
    with serving(stopping) as endpoint:
        with client(endpoint, tmp_path) as load:
            print(name, file=load.process.stdin, flush=True)
            assert stopping.half_way.wait(60)
            load.process.kill()
        (left,) = tmp_path.rglob("*.incomplete")
        os.utime(left, (0, 0))  # long ago
        assert not list(tmp_path.rglob("*.safetensors"))
        stopping.go_on.set()
        with client(endpoint, tmp_path) as load:
            found = load(name)["state"]
    assert found == {key: float(tensor.double().sum()) for key, tensor in state.items()}
    assert not list(tmp_path.rglob("*.incomplete"))


@pytest.mark.slow
def test_a_download_without_end_is_given_up_and_found_when_it_has_ended(stopping, tmp_path):
    name = "test_resnet.r160_in1k"
    stopping.repositories[f"timm/{name}"] = {"model.safetensors": save(weights_of("test_resnet"))}
    with serving(stopping) as endpoint, client(endpoint, tmp_path, TIMMSCOPE_TIME_BUDGET="3") as load:
        answer = load(name)
        assert answer["error"].startswith(f"ModelUnavailable: {name}: model.safetensors of timm/{name} comes slowly")
        stopping.go_on.set()
        assert load(name)["origin"] == f"hub:timm/{name}"
    assert stopping.asked.count("GET model.safetensors") == 1


@pytest.mark.slow
def test_the_least_recently_used_files_go_and_what_is_too_large_is_not_fetched(hub, tmp_path):
    one, two, three, large = (f"test_{name}.r160_in1k" for name in ("convnext", "convnext2", "convnext3", "vit"))
    for name, size in ((one, 1000), (two, 1000), (three, 1000), (large, 3000)):
        weights = save({name: torch.zeros(size)})  # fetched, and then refused: they fit no network
        hub.repositories[f"timm/{name}"] = {"model.safetensors": weights}
    kept = {"TIMMSCOPE_HUB_BYTES": str(10_000)}  # of 4 and 12 kB

    def fetched(load, name):
        hub.asked.clear()
        load(name)
        return "GET model.safetensors" in hub.asked

    with serving(hub) as endpoint, client(endpoint, tmp_path, **kept) as load:
        assert [fetched(load, name) for name in (one, two, one)] == [True, True, False]
        assert [fetched(load, name) for name in (three, one, two)] == [True, False, True]
        assert sum(path.stat().st_size for path in tmp_path.glob("hub/*/blobs/*")) <= 10_000
        answer = load(large)["error"]
        assert f"{large}: model.safetensors of timm/{large} takes 0 MiB, more than the 0 MiB that are kept" in answer
        assert not list(tmp_path.glob(f"hub/*{large}/blobs/*"))


@pytest.mark.slow
def test_on_a_full_disk_it_is_said_and_nothing_half_written_stays(hub, tmp_path):
    name = "test_convnext.r160_in1k"
    hub.repositories[f"timm/{name}"] = {"model.safetensors": save(weights_of("test_convnext"))}
    with serving(hub) as endpoint:
        with client(endpoint, tmp_path, FULL + CLIENT) as load:
            assert "model.safetensors of timm/test_convnext.r160_in1k finds no room on the disk" in load(name)["error"]
        assert not list(tmp_path.rglob("*.safetensors"))
        with client(endpoint, tmp_path) as load:
            assert load(name)["origin"] == f"hub:timm/{name}"


@pytest.mark.slow
def test_what_the_user_has_in_the_hubs_own_cache_is_used_and_stays(hub, tmp_path):
    name, state = "test_convnext.r160_in1k", weights_of("test_convnext")
    hub.repositories[f"timm/{name}"] = {"model.safetensors": save(state)}
    with serving(hub) as endpoint, client(endpoint, tmp_path, TIMMSCOPE_CACHE_FOLDER="/dev/null/none") as load:
        assert load(name)["origin"] == f"hub:timm/{name}"  # an app that has no folder of its own keeps it there
    (users,) = tmp_path.rglob("model.safetensors")
    with (
        mute() as (endpoint, _),
        client(endpoint, tmp_path / "home", HF_HUB_CACHE=str(users.parents[3])) as load,
    ):
        assert load(name)["origin"] == f"hub:timm/{name}"
    assert users.is_file()
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def test_room_on_disk_is_taken_before_a_download(tmp_path):
    kept = HubCache(tmp_path / "hub", 10)
    full = pytest.raises(NotFetched, match="has no room beside what else is fetched")
    with kept.room("one", 6), kept.room("two", 4), full, kept.room("three", 1):
        pytest.fail("there is no room")
    with kept.room("three", 10):
        pass
    with pytest.raises(NotFetched, match="takes 0 MiB, more than the 0 MiB"), kept.room("four", 11):
        pytest.fail("there is no room")


@contextlib.contextmanager
def mute() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a port that is closed, and what opens it: from then on it takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{server.getsockname()[1]}", lambda: server.listen(16)


def quickest(ask: Callable[[str], dict], name: str) -> dict:
    """The quicker of two answers: the first question loads libraries."""
    return min((ask(name) for _ in range(2)), key=lambda answer: answer["seconds"])


@pytest.mark.case(58)
def test_out_of_reach_is_said_within_two_seconds(tmp_path):
    with mute() as (endpoint, listen), client(endpoint, tmp_path) as load:
        closed = quickest(load, "test_vit")
        listen()
        silent = quickest(load, "test_vit")
    for answer in (closed, silent):
        assert "the Hugging Face hub cannot be reached" in answer["error"]
        assert "The embedded models and weights 'random' need no hub" in answer["error"]
        assert answer["seconds"] < 2  # what the product promises
    assert silent["seconds"] > closed["seconds"]  # it was asked again
