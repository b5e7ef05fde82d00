"""The page: shared controls at the side, techniques in tabs by family, the plugins, and the public endpoints."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from ..base.settings import settings
from ..declare.ports import Photo, Target, Targets
from ..declare.technique import FAMILIES, FILES, FIT, MODEL, WEIGHTS
from ..models import catalogue, loading
from ..plugins.discovery import Plugins, plugins
from . import links, plugins_page
from .answers import answered
from .endpoints import add_endpoint
from .gradio_fixes.blocks import Page
from .gradio_fixes.queues import bound_queue
from .inputs import photo_input, read_photo, unchecked
from .samples import FIRST, Samples
from .tab import Shared, Tab

TITLE = "timmscope"
TAGLINE = "A microscope for vision networks"
PHONE = 900  # below this width, in CSS pixels, the side bar covers the page and starts closed
CLOSE_ON_PHONE = f"() => ({{open: innerWidth > {PHONE}, __type__: 'update'}})"
# A click into a combobox selects its old text, so that typing replaces it instead of adding to it.
HEAD = """<script>
document.addEventListener('focusin', e => {
  if (e.target.matches('input[role=combobox], [role=combobox] input, input[aria-autocomplete]')) e.target.select();
});
</script>"""


def theme() -> gr.themes.Base:
    """Colours and fonts of the page; no font is fetched from anywhere."""
    sans = ["ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    base = gr.themes.Soft(
        primary_hue="teal", secondary_hue="cyan", neutral_hue="slate", radius_size="md", font=sans, font_mono=mono
    )
    return base.set(button_primary_background_fill="*primary_600", button_primary_text_color="white")


def build() -> Page:
    """Build the page and its endpoints from the registry."""
    found = plugins()
    with Page(
        title=f"{TITLE}: {TAGLINE.lower()}", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)
    ) as page:
        gr.HTML(f"<header><h1>{TITLE}</h1><p>{TAGLINE}: see inside any timm model.</p></header>", elem_id="header")
        with gr.Sidebar(width=330, elem_id="side") as side:
            shared, prediction = _shared_controls(found)
        line = gr.HTML(elem_id="line")
        tabs: list[Tab] = []
        with gr.Tabs(elem_id="families") as families:
            inner: dict[str, gr.Tabs] = {}
            for family in FAMILIES:
                techniques = [t for t in found.techniques.values() if t.family == family]
                if techniques:
                    with gr.Tab(family, id=family), gr.Tabs() as inner[family]:
                        for technique in techniques:
                            with gr.Tab(technique.title, id=technique.name):
                                tabs.append(Tab(technique, shared))
                                tabs[-1].build()
            with gr.Tab("Plugins", id="plugins") as tab:
                plugins_page.build(tab, found)
        with gr.Column(visible=False):
            for technique in found.techniques.values():
                add_endpoint(technique)
        _connect(page, side, shared, prediction, line, tabs, families, inner)
    page.queue(max_size=None, default_concurrency_limit=settings().parallel_runs, api_open=False)
    bound_queue(page)
    return page


def _shared_controls(found: Plugins) -> tuple[Shared, gr.Label]:
    photo = photo_input(label="Photo", sources=["upload", "clipboard", "webcam"], height=230, elem_id="photo")
    sample_photos = Samples()
    sample_photos.buttons(photo)
    names = catalogue.model_names(found.model_sources)
    model = unchecked(gr.Dropdown(names, value=MODEL.default, label="Model", allow_custom_value=True, elem_id="model"))
    kinds = list(WEIGHTS.port.choices)  # type: ignore[attr-defined]
    weights = unchecked(gr.Radio(kinds, value=WEIGHTS.default, label="Weights", elem_id="weights"))
    classes = [("top prediction", "")]
    target = unchecked(
        gr.Dropdown(classes, value="", label="Class to explain", allow_custom_value=True, elem_id="target")
    )
    fit = unchecked(gr.Checkbox(FIT.default, label="Fit the whole photo (squash instead of crop)", elem_id="fit"))
    prediction = gr.Label(label="What the network says", num_top_classes=5, elem_id="prediction")
    return Shared(photo, sample_photos, model, weights, fit, target), prediction


def _connect(
    page: Page,
    side: gr.Sidebar,
    shared: Shared,
    prediction: gr.Label,
    line: gr.HTML,
    tabs: list[Tab],
    families: gr.Tabs,
    inner: dict[str, gr.Tabs],
) -> None:
    """Wire the events that belong to the page as a whole."""
    layer_controls = [pair for tab in tabs for pair in tab.layer_controls()]
    # Gradio makes whatever `restore` gives an update anew, with its own checks; files are never in a link.
    restored = [(tab, name, control) for tab in tabs for name, control in tab.controls.items()]
    own_controls = [part for part in restored if part[1] != FILES.name]

    def look(photo: Any, model: Any, weights: Any, fit: Any, target: Any) -> tuple[Any, Any]:
        """What the model says of the photo, and the line above the tabs."""
        with answered():
            _check(model, weights, fit, target)
            if not photo:
                return None, _line(model, weights, "no photo yet")
            seen = read_photo("image", photo)
            with loading.lend(model, weights, plugins().model_sources) as lent:
                scores = lent.score_photo(seen.picture, bool(fit))
                explained = target or next(iter(scores.top(1)))
                return scores.top(), _line(
                    lent.name, weights, f"{'explains' if target else 'top prediction'}: {explained}"
                )

    def choices(model: Any, weights: Any) -> list[Any]:
        """The classes and layers to choose from."""
        with answered():
            _check(model, weights)
            with loading.lend(model, weights, plugins().model_sources) as lent:
                classes = [("top prediction", ""), *((label, label) for label in lent.labels.short)]
                layers = [(layer.title, name) for name, layer in lent.layers.items() if layer.grid]
            return [
                gr.Dropdown(choices=classes, value=""),
                *(
                    gr.Dropdown(choices=classes[1:] if isinstance(port, Targets) else [("default", ""), *layers])
                    for _, port in layer_controls
                ),
            ]

    def restore(request: gr.Request) -> dict[Any, Any]:
        """Set what the address asks for; without a photo of its own, the page starts with a sample."""
        params = dict(request.query_params)
        updates: dict[Any, Any] = {shared.photo: shared.samples.file(params.get("sample", ""), FIRST)}
        for parameter, control in ((MODEL, shared.model), (WEIGHTS, shared.weights), (FIT, shared.fit)):
            value = links.value_from(parameter, params)
            updates[control] = gr.skip() if value is None else value
        updates |= {control: gr.skip() for _, _, control in own_controls}
        updates |= {part: gr.skip() for part in (families, *inner.values())}
        for tab in tabs:
            named_here = params if tab.technique.name == params.get("technique") else {}
            for parameter in tab.technique.own_parameters:
                if isinstance(parameter.port, Photo) and parameter.name in tab.controls:
                    photo = shared.samples.file(named_here.get(parameter.name, ""), parameter.port.sample)
                    updates[tab.controls[parameter.name]] = photo
            if named_here:
                updates[families] = gr.Tabs(selected=tab.technique.family)
                updates[inner[tab.technique.family]] = gr.Tabs(selected=tab.technique.name)
                for parameter in tab.technique.parameters:
                    value = links.value_from(parameter, params)
                    if parameter.name in tab.controls and value is not None:
                        updates[tab.controls[parameter.name]] = value
        return updates

    def restore_target(request: gr.Request) -> Any:
        """The class comes last: the list of classes resets it."""
        return str(request.query_params.get("target", ""))[:200]

    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_id": "looks"}
    watched: list[Any] = [shared.photo, shared.model, shared.weights, shared.fit, shared.target]
    class_and_layers = [shared.target, *(control for control, _ in layer_controls)]
    named = [shared.model, shared.weights]
    everything = [shared.photo, *named, shared.fit, families, *inner.values(), *(c for _, _, c in own_controls)]
    page.load(None, None, side, js=CLOSE_ON_PHONE)
    start = page.load(restore, None, everything, **hidden)
    start = start.then(choices, named, class_and_layers, **hidden)
    start.then(restore_target, None, shared.target, **hidden).then(look, watched, [prediction, line], **hidden)
    gr.on([part.input for part in (shared.model, shared.weights)], choices, named, class_and_layers, **hidden)
    gr.on(
        [shared.photo.change, *(part.input for part in watched[1:])],
        look,
        watched,
        [prediction, line],
        trigger_mode="always_last",
        **hidden,
    )


def _check(model: Any, weights: Any, fit: Any = False, target: Any = "") -> None:
    """Check the shared controls, whose functions anyone can call; raises `InvalidInput`."""
    for parameter, value in ((MODEL, model), (WEIGHTS, weights), (FIT, fit)):
        parameter.port.check(parameter.name, value)
    Target("Class").check("target", target)


def _line(model: str, weights: str, rest: str) -> str:
    parts = (f"<b>{html.escape(str(model))}</b>", html.escape(f"{weights} weights"), html.escape(rest))
    return f'<div class="line">{" · ".join(parts)}</div>'
