"""One technique's tab, built from its declaration: controls, Run, Stop, result, documentation."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..declare.ports import Input, Layer, Layers, Output, Photos, Point, Target, Targets
from ..declare.technique import FIT, MODEL, WEIGHTS, Parameter, Technique
from ..pictures.values import Captioned
from ..results.result import Preview, Result
from . import calls, links
from .answers import answered
from .dispatch import stream
from .inputs import page_input, read, read_photo
from .outputs import component_value, files, is_wall, notes, page_output, status
from .runs import Run, noted, queued, stop
from .samples import Samples

PREVIEW_SECONDS = 0.3
IN_SIGHT = 5  # controls of a tab
LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


@dataclass
class Shared:
    """The controls that all tabs share, by parameter name: the photo, model, weights, fit and target.

    And the sample photos, which every photo input offers.
    """

    photo: gr.Image
    samples: Samples
    model: gr.Dropdown
    weights: gr.Radio
    fit: gr.Checkbox
    target: gr.Dropdown

    def control(self, technique: Technique, parameter: Parameter) -> gr.components.Component | None:
        """The shared control that feeds a parameter, if one does."""
        if parameter is technique.photo:
            return self.photo
        if type(parameter.port) is Target:
            return self.target
        return {FIT.name: self.fit, MODEL.name: self.model, WEIGHTS.name: self.weights}.get(parameter.name)


@dataclass
class Tab:
    """A technique's tab.

    Args:
        technique: The technique.
        shared: The controls all tabs share.

    Attributes:
        controls: The tab's own controls, by parameter name.
    """

    technique: Technique
    shared: Shared
    controls: dict[str, gr.components.Component] = field(default_factory=dict)

    def build(self) -> None:
        """Lay the tab out in the Blocks in whose context it is called."""
        technique = self.technique
        gr.Markdown(technique.summary, elem_classes="summary")
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=260, elem_classes="controls"):
                with gr.Row():
                    self.run_button = gr.Button("Run", variant="primary", elem_id=f"run-{technique.name}", min_width=90)
                    self.stop_button = gr.Button(
                        "Stop", interactive=False, elem_id=f"stop-{technique.name}", min_width=90
                    )
                self.status = gr.HTML(status("Ready."), elem_id=f"status-{technique.name}")
                self._lay_out_controls()
            with gr.Column(scale=3, min_width=320, elem_classes="result"):
                self.outputs = self._outputs()
                self.notes = gr.HTML("")
                with gr.Row():
                    self.arrays = gr.DownloadButton("Arrays (.npz)", interactive=False, size="sm")
                    self.recipe = gr.DownloadButton("Recipe (.json)", interactive=False, size="sm")
                with gr.Accordion("This run as Python, curl and command line", open=False):
                    self.python = gr.Code("# Run once to see the call.", language="python", label="Python", lines=3)
                    self.curl = gr.Code("# Run once to see the call.", language="shell", label="curl", lines=3)
                    self.shell = gr.Code("# Run once to see the call.", language="shell", label="Shell", lines=3)
        self.link = gr.Textbox(visible=False)
        self.choices = gr.State({})
        with gr.Row(elem_classes="documentation"):
            for title, body in technique.sections.items():
                with gr.Column(min_width=280):
                    gr.Markdown(f"### {title}\n{inspect.cleandoc(body)}", latex_delimiters=LATEX)
        self._connect()

    def _lay_out_controls(self) -> None:
        """The first controls in sight, the others folded away, so that the page stays short."""
        own = [p for p in self.technique.parameters if self.shared.control(self.technique, p) is None]
        own.sort(key=lambda parameter: not (parameter.takes_files or isinstance(parameter.port, Photos)))
        for parameter in own[:IN_SIGHT]:
            self._control(parameter)
        if own[IN_SIGHT:]:
            with gr.Accordion("More settings", open=False):
                for parameter in own[IN_SIGHT:]:
                    self._control(parameter)

    def _control(self, parameter: Parameter) -> None:
        control = self.controls[parameter.name] = page_input(parameter)
        if parameter.takes_photo:
            self.shared.samples.buttons(control, f"{self.technique.name}-{parameter.name}")

    def _outputs(self) -> list[gr.components.Component]:
        """Pictures large in rows of two; what is no picture in a row below them."""
        placed = {}
        pictures: list[Output] = [port for port in self.technique.outputs if port.pictures_first]
        rest = [port for port in self.technique.outputs if not port.pictures_first]
        for row in [*(pictures[i : i + 2] for i in range(0, len(pictures), 2)), rest]:
            if row:
                with gr.Row(equal_height=False):
                    for port in row:
                        with gr.Column(min_width=280, scale=3 if is_wall(port) else 2):
                            placed[port.name] = page_output(port)
                            placed[port.name].elem_id = f"{self.technique.name}-{port.name}"
        return [placed[port.name] for port in self.technique.outputs]

    def layer_controls(self) -> list[tuple[gr.components.Component, Input]]:
        """The controls whose choices depend on the model: layers and classes."""
        own = {p.name: p.port for p in self.technique.parameters}
        kinds = (Layer, Layers, Targets)
        return [(control, own[name]) for name, control in self.controls.items() if isinstance(own[name], kinds)]

    def _connect(self) -> None:
        parameters = self.technique.parameters
        inputs = [self.shared.control(self.technique, p) or self.controls[p.name] for p in parameters]
        outputs = [
            self.run_button,
            self.stop_button,
            self.status,
            *self.outputs,
            self.notes,
            self.arrays,
            self.recipe,
            self.python,
            self.curl,
            self.shell,
            self.link,
            self.choices,
        ]
        how: dict[str, Any] = {
            "fn": self._run,
            "inputs": [self.shared.target, *inputs],
            "outputs": outputs,
            "show_progress": "hidden",
            "api_visibility": "undocumented",
            **queued(self.technique),
        }
        # "once" still holds for a moment after a stop; the button itself is switched off
        event = self.run_button.click(**how, api_name=f"page_{self.technique.name}", trigger_mode="multiple")
        events: list[Any] = [event]
        controls = dict(zip([p.name for p in parameters], inputs))
        for port, gallery in zip(self.technique.outputs, self.outputs):
            if selected := getattr(port, "selects", ""):
                pick = gallery.select(  # type: ignore[attr-defined]  # a gallery
                    _picker(port.name),
                    self.choices,
                    controls[selected],
                    api_visibility="private",
                    queue=False,
                )
                events.append(pick.success(**how, api_name=f"page_{self.technique.name}_{port.name}"))
        for parameter in self.technique.own_parameters:
            if isinstance(parameter.port, Point) and parameter.port.photo in controls:
                photo = controls[parameter.port.photo]
                photo.select(  # type: ignore[attr-defined]  # an image
                    _place, photo, controls[parameter.name], api_visibility="private", queue=False
                )
        for event in events:
            event.success(None, [self.link], None, js="q => { history.replaceState(null, '', q); }")
        stopped = self.stop_button.click(None, None, None, cancels=events)
        self.stop_button.click(self._stop, None, None, queue=False, api_visibility="private")
        idle = [self.run_button, self.stop_button, self.status]
        stopped.then(lambda: self._idle("Stopped."), None, idle, queue=False, api_visibility="private")

    def _idle(self, text: str) -> dict[Any, Any]:
        """Ready for the next run, with a line on the last."""
        ready = gr.Button(interactive=True), gr.Button(interactive=False)
        return {self.run_button: ready[0], self.stop_button: ready[1], self.status: status(text)}

    def _run(self, request: gr.Request, target: Any, *values: Any) -> Iterator[dict[Any, Any]]:
        yield {
            self.run_button: gr.Button(interactive=False),
            self.stop_button: gr.Button(interactive=True),
            self.status: status("Working ..."),
        }
        given = dict(zip([p.name for p in self.technique.parameters], values))
        try:
            with (
                answered() as number,
                noted(number, self.technique, given.get("model", ""), request.session_hash or "") as run,
            ):
                yield from self._steps(run, request, target, given)
        except gr.Error as error:
            yield self._idle(error.message)  # stays when the toast has gone
            raise

    def _stop(self, request: gr.Request) -> None:
        """Gradio stops a run at its next preview; this stops it in the midst of a step."""
        stop(request.session_hash or "", self.technique.name)

    def _steps(self, run: Run, request: gr.Request, target: Any, given: dict[str, Any]) -> Iterator[dict[Any, Any]]:
        for parameter in self.technique.own_parameters:  # no classes chosen in the tab: explain the shared one
            if isinstance(parameter.port, Targets) and not given[parameter.name] and target:
                given[parameter.name] = [target]
        inputs = {p.name: read(p, given[p.name]) for p in self.technique.parameters}
        for step in stream(run, inputs, PREVIEW_SECONDS):
            if isinstance(step, Result):
                yield self._finished(step, given, time.monotonic() - run.start, request)
            else:
                yield self._preview(step)

    def _preview(self, step: Preview) -> dict[Any, Any]:
        done = status(f"Step {step.done} of {step.total}", step.done, step.total)
        return {self.status: done, self.notes: notes(step.outputs.notes), **self._pictures(step.outputs)}

    def _finished(self, result: Result, given: dict[str, Any], seconds: float, request: gr.Request) -> dict[Any, Any]:
        arrays, recipe = files(result)
        url = address(request)
        return {
            **self._idle(f"Done in {seconds:.1f} s."),
            **self._pictures(result.outputs),
            self.notes: notes(result.notes),
            self.arrays: gr.DownloadButton(value=arrays, interactive=True),
            self.recipe: gr.DownloadButton(value=recipe, interactive=True),
            self.python: calls.python_call(self.technique, given, url),
            self.curl: calls.curl_call(self.technique, given, url),
            self.shell: calls.cli_call(self.technique, given, url),
            self.link: links.query(self.technique, given),
            self.choices: {
                name: value.values for name, value in result.outputs.items() if isinstance(value, Captioned)
            },
        }

    def _pictures(self, outputs: dict[str, Any]) -> dict[Any, Any]:
        pairs = zip(self.technique.outputs, self.outputs)
        return {part: component_value(port, outputs[port.name], True) for port, part in pairs if port.name in outputs}


def _picker(name: str) -> Callable[..., Any]:
    """A function that tells what the picture clicked in the gallery `name` stands for."""

    def picked(choices: dict[str, list[Any]], event: gr.SelectData) -> Any:
        values = choices.get(name, [])
        known = isinstance(event.index, int) and 0 <= event.index < len(values)  # anyone can send an event
        return values[event.index] if known else gr.skip()

    return picked


def _place(photo: Any, event: gr.SelectData) -> Any:
    """The place of a click on a photo, as a `Point` takes it."""
    with answered():
        width, height = read_photo("photo", photo).picture.size
        if not isinstance(event.index, (list, tuple)):  # anyone can send an event
            return gr.skip()
        x, y = event.index
        return f"{(y + 0.5) / height:.4g}, {(x + 0.5) / width:.4g}"


def address(request: gr.Request) -> str:
    """The address a browser or client reached this server by, without a trailing slash."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0]
    return f"{scheme}://{request.headers['host']}"
