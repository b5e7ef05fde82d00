"""Hostile calls of the app over HTTP, generated from the app's own schemas: what `benchmarks.fuzz` sends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

# What makes a run short, by parameter. What is not here takes the least that its description allows, or its default.
CHEAP: dict[str, Any] = {
    "model": "test_resnet",
    "weights": "random",
    "second_model": "",
    "window": 56,
    "stride": 56,
    "octave_scale": 1.4,
    "strength": 0.01,
    "jitter": 0,
    "perplexity": 2,
    "epsilon": 1,
}
LONG = "x" * 5_000_000
NAMES = (
    *(
        "",
        " ",
        "0",
        "-1",
        "281",
        "tabby",
        "layer4",
        "conv1",
        "3, 3",
        "0, 99999",
        "a; b; c",
        ";;;",
        "NaN",
        "null",
        "None",
    ),
    *("../../../etc/passwd", "/etc/passwd", "..\\..\\windows", "file:///etc/passwd", "C:\\boot.ini", "~/.ssh/id_rsa"),
    *("local-dir:/etc", "hf-hub:timm/resnet18.a1_in1k", "hf_hub:owner/name", "hf-hub:../..", "timm/resnet18"),
    *("folder:", "folder:..", "folder:/etc", "folder:../..", "hub:", "hub:owner/name", "hub:../../x", "hub:a/b:c/d"),
    *("sample:chelsea", "sample:../chelsea", "sample:", "embedded", "EMBEDDED", "uploaded", "hub:owner/name:train"),
    *("http://127.0.0.1:22/", "http://[::1]/", "http://169.254.169.254/latest/meta-data/", "https://localhost/a.png"),
    *("<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "'; DROP TABLE runs; --", "{{7*7}}", "${7*7}"),
    *("%s%n%d", "{0.__class__}", "__class__", "self", "a\0b", "\0", "\x1b[31mred", "\r\nSet-Cookie: a=b", "\ud800"),
    *("rеsnet18", "ｒｅｓｎｅｔ１８", "resnet\u200b18", "\u202egnp.tac", "resnet18\n", "é" * 300, "🐱" * 99, "٣", "²"),
    *("maco", "linf", "guided", "tsne", "mean", "random", "pretrained", "test_vit", "test_resnet.r160_in1k", "None"),
)
NUMBERS = (
    *(float("nan"), float("inf"), float("-inf"), 0, -0.0, -1, 1, 2, 0.5, 1.5, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1),
    *(-(2**63), 2**64, 10**30, 10**400),
)
DATA_URLS = (
    *("data:", "data:,", "data:image/png;base64,", "data:image/png;base64,AAAA", "data:image/png;base64,@@@"),
    *("data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "data:image/svg+xml,<svg onload=alert(1)>"),
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=",
)
PATHS = (
    *("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/mem", "/dev/zero", "/dev/stdin", "/", ".", ""),
    *("app.py", "./app.py", "registry/settings.py", "../../etc/passwd", "\0", "a\0.png", "x" * 5000, "/tmp", "~"),
    *("http://127.0.0.1:9/x.png", "http://169.254.169.254/", "https://localhost/", "file:///etc/passwd", "ftp://a/b"),
)
FILE_NAMES = (
    *(
        "photo.png",
        "../../../evil.png",
        "/etc/cron.d/evil",
        "..",
        ".",
        "",
        "a\0b.png",
        "\x1b[2J.png",
        "con.png",
        "x" * 300,
    ),
    *("<img src=x onerror=alert(1)>.png", "a/b/c.png", "é🐱.png", "\u202egnp.exe", "photo.php", "photo.html", "a.zip"),
)
CONTENTS = (
    b"",
    b"\0" * 100,
    b"text",
    b"<html><script>alert(1)</script>",
    b"<svg onload='alert(1)'/>",
    b"PK\x03\x04",
    b"GIF89a",
)
ROUTES = (
    *("file={}", "file/{}", "proxy={}", "stream/{}", "custom_component/{}/client/component/{}", "call/saliency/{}"),
    *("queue/status/{}", "startup-events?{}", "queue/data?session_hash={}", "openapi.json?page={}", "info?page={}"),
    *(
        "../static/{}",
        "../assets/{}",
        "../svelte/{}",
        "../{}",
        "../config?page={}",
        "../theme.css?{}",
        "../monitoring/{}",
    ),
    *("../pwa_icon/{}", "deep_link?session_hash={}", "../?deep_link={}", "../manifest.json?{}", "runs?{}", "app_id?{}"),
)
POSTED = (
    *("reset", "cancel", "component_server", "process_recording", "queue/join", "login", "vibe-edit", "stream/x"),
    *("api/saliency", "run/saliency", "upload", "mcp/"),
)
BODIES = (
    *(b"", b"{", b"null", b"[]", b"3", b'"text"', b"{broken", b"\xff\xfe", b"\0", b"[" * 100_000, b'{"a":' * 20_000),
    *(b'{"data": "text"}', b'{"data": {}}', b'{"data": null}', b'{"data": [NaN]}', b'{"data": ["\\ud800"]}'),
    b'{"data": [' + b"0," * 200_000 + b"0]}",
)


@dataclass(frozen=True)
class Parameter:
    """A parameter as the app's schemas describe it.

    Args:
        name: Its name.
        component: The kind of its input.
        default: Its default.
        bounds: The numbers and words that its description names.
    """

    name: str
    component: str
    default: Any
    bounds: tuple[Any, ...]

    @property
    def cheap(self) -> Any:
        """A value that is accepted and makes the run short."""
        if self.name in CHEAP:
            return CHEAP[self.name]
        numbers = [bound for bound in self.bounds if isinstance(bound, (int, float))]
        return min(numbers) if self.component == "Number" and len(numbers) > 1 else self.default


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        form: How it is sent: "named", "listed", "join", "run", "tool", "upload", "get" or "post".
        target: The endpoint, the path, or the file's name.
        body: Values by name, a list of values, bytes, or None. The value `Photo()` stands for an uploaded photo.
    """

    form: str
    target: Any
    body: Any


@dataclass(frozen=True)
class Photo:
    """The uploaded photo, with more in its record."""

    more: tuple[tuple[str, Any], ...] = ()


def endpoints(http: httpx.Client) -> dict[str, list[Parameter]]:
    """The endpoints of a running app and their parameters, from /info and the descriptions of its MCP tools."""
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = http.post("/mcp/", json=ask, headers={"Accept": "application/json, text/event-stream"}).text
    tools = {tool["name"]: tool for tool in json.loads(answer.partition("data: ")[2])["result"]["tools"]}
    found = {}
    for path, endpoint in http.get("/info").json()["named_endpoints"].items():
        described = tools[path[1:]]["inputSchema"]["properties"]
        found[path[1:]] = [
            Parameter(
                p["parameter_name"],
                p["component"],
                p["parameter_default"],
                _bounds(described.get(p["parameter_name"], {}).get("description", "")),
            )
            for p in endpoint["parameters"]
        ]
    return found


def _bounds(description: str) -> tuple[Any, ...]:
    accepts = description.rpartition("Accepts ")[2]
    numbers = [float(n) if "." in n else int(n) for n in re.findall(r"-?\d+(?:\.\d+)?", accepts)]
    words = re.findall(r"\w+", accepts.partition("one of ")[2] or accepts.partition("any of ")[2])
    return (*numbers, *words)


def generate(schema: dict[str, list[Parameter]], functions: dict[int, int], count: int, start: int) -> list[Call]:
    """Calls drawn by hypothesis; the same seed gives the same calls.

    Args:
        schema: From `endpoints`.
        functions: Every function of the page by its index, with its number of inputs.
        count: How many calls.
        start: The seed.
    """
    calls: list[Call] = []

    @seed(start)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_calls(schema, functions))
    def draw(call: Call) -> None:
        calls.append(call)

    draw()
    return calls[:count]


def _calls(schema: dict[str, list[Parameter]], functions: dict[int, int]) -> st.SearchStrategy[Call]:
    named = st.sampled_from(sorted(schema)).flatmap(lambda name: _named(name, schema[name]))
    wrong = st.builds(Call, st.just("named"), st.sampled_from(NAMES), st.dictionaries(st.sampled_from(NAMES), JUNK))
    listed = named.flatmap(lambda call: _listed(call, schema[call.target]))
    joined = st.sampled_from(sorted(functions)).flatmap(lambda index: _joined(index, functions[index]))
    tools = named.map(lambda call: Call("tool", call.target, call.body))
    uploads = st.builds(
        Call,
        st.just("upload"),
        st.sampled_from(FILE_NAMES) | st.text(max_size=40),
        st.sampled_from(CONTENTS) | st.binary(max_size=200),
    )
    gets = st.builds(Call, st.just("get"), st.sampled_from(ROUTES), st.sampled_from((*PATHS, *NAMES)))
    posts = st.builds(
        Call,
        st.just("post"),
        st.sampled_from((*POSTED, *(f"call/{name}" for name in schema), *(f"call/v2/{name}" for name in schema))),
        st.sampled_from(BODIES) | st.binary(max_size=60) | JUNK.map(_json),
    )
    return st.one_of(named, named, named, listed, joined, tools, wrong, uploads, gets, posts)


def _named(name: str, parameters: list[Parameter]) -> st.SearchStrategy[Call]:
    """Values that are accepted but for a few; sometimes with an unknown name among them."""
    usual = {p.name: Photo() if p.component == "Image" else p.cheap for p in parameters}
    some = st.lists(st.sampled_from(parameters), min_size=1, max_size=3, unique_by=lambda p: p.name)
    few = st.one_of(*[some] * 15, st.just([]))  # runs that are carried out take long
    changed = few.flatmap(lambda these: st.fixed_dictionaries({p.name: _value(p) for p in these}))
    unknown = st.one_of(*[st.just({})] * 15, st.dictionaries(st.sampled_from(NAMES), JUNK, min_size=1, max_size=2))
    missing = st.one_of(
        *[st.just(())] * 8, st.sets(st.sampled_from(sorted(set(usual) - set(CHEAP)) or ["?"]), max_size=2)
    )
    return st.builds(
        lambda new, more, less: Call("named", name, {k: v for k, v in (usual | new | more).items() if k not in less}),
        changed,
        unknown,
        missing,
    )


def _listed(call: Call, parameters: list[Parameter]) -> st.SearchStrategy[Call]:
    """The same values in order, sometimes too few or too many, by one of the ways that take a list."""
    values = [call.body.get(p.name, p.default) for p in parameters]
    lengths = st.sampled_from((0, 0, 0, 0, -1, 1, -len(values), 50))
    return st.builds(
        lambda form, by: Call(form, call.target, values[: len(values) + by] + [None] * max(0, by)),
        st.sampled_from(("listed", "listed", "run")),
        lengths,
    )


def _joined(index: int, inputs: int) -> st.SearchStrategy[Call]:
    """A call of a function of the page, of whose values little is known, sometimes with an event."""
    item = st.one_of(JUNK, st.sampled_from(("test_resnet", "random", Photo(), "", 1, False)))
    row = st.lists(item, min_size=inputs, max_size=inputs) | st.lists(item, max_size=3)
    event = st.one_of(st.none(), JUNK, st.fixed_dictionaries({"index": JUNK, "value": JUNK}))
    return st.builds(lambda data, told: Call("join", index, {"data": data, "event_data": told}), row, event)


def _value(parameter: Parameter) -> st.SearchStrategy[Any]:
    numbers = [n for n in parameter.bounds if isinstance(n, (int, float))]
    near = [*parameter.bounds, *(n + step for n in numbers for step in (-1, -0.25, 1e-9))]
    if parameter.component == "Number":  # the upper bounds make runs long
        near = [n for n in near if not isinstance(n, str) and (n <= 40 or n > max(numbers))]
    options = [JUNK, st.sampled_from(near)] if near else [JUNK]
    if parameter.component in ("Image", "File"):
        options = [JUNK, RECORDS, st.sampled_from(DATA_URLS), st.lists(RECORDS, max_size=3)]
    return st.one_of(*options)


def _json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode()


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(),
    st.floats(),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.text(max_size=30),
    st.text(st.characters(categories=("Cc", "Cf", "Co", "Cs", "Zl", "Sk")), max_size=10),
    st.one_of(*[st.just("y" * 201)] * 9, st.just(LONG)),
)
JUNK = st.one_of(
    _SCALARS,
    _SCALARS,
    st.recursive(
        _SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("path", "meta", "url", "")), inner)
        ),
        max_leaves=6,
    ),
    st.integers(1, 200).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)
RECORDS = st.one_of(
    st.builds(lambda name: Photo((("orig_name", name),)), st.sampled_from(FILE_NAMES) | JUNK),
    st.builds(lambda key, value: Photo(((key, value),)), st.sampled_from(("url", "meta", "size", "is_stream")), JUNK),
    st.builds(lambda path, meta: {"path": path, **meta}, st.sampled_from(PATHS) | JUNK,
              st.sampled_from(({}, {"meta": {"_type": "gradio.FileData"}}, {"meta": {"_type": 3}}, {"url": "data:,"}))),
)  # fmt: skip
