"""One public endpoint per technique: named HTTP endpoint and MCP tool, its parameters checked by the registry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from ..declare.technique import Technique
from ..results.result import Result
from .answers import answered
from .dispatch import stream
from .inputs import api_input, read
from .outputs import api_output, component_value, files
from .runs import noted, queued

PREVIEW_SECONDS = 1.0  # between previews on an endpoint; each costs the encoding of its pictures


def add_endpoint(technique: Technique) -> None:
    """Add the endpoint of a technique to the Blocks in whose context it is called."""
    inputs = [api_input(parameter) for parameter in technique.parameters]
    outputs = [api_output(port) for port in technique.outputs]
    outputs += [gr.File(label="arrays"), gr.File(label="recipe")]
    gr.Button().click(
        handler(technique),
        inputs,
        outputs,
        api_name=technique.name,
        **queued(technique),
    )


def handler(technique: Technique) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """The function behind an endpoint, with the technique's name, parameters and documentation."""

    def run(*values: Any) -> Iterator[tuple[Any, ...]]:
        given = dict(zip([p.name for p in technique.parameters], values))
        with answered() as request, noted(request, technique, given.get("model", "")) as going:
            inputs = {p.name: read(p, given[p.name]) for p in technique.parameters if p.name in given}
            for step in stream(going, inputs, PREVIEW_SECONDS):
                yield (*_row(technique, step.outputs), *(files(step) if isinstance(step, Result) else (None, None)))

    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    run.__name__ = run.__qualname__ = technique.name
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        # None makes a missing photo a question for the registry, which answers it
        [inspect.Parameter(p.name, keyword, default=None if p.required else p.default) for p in technique.parameters]
    )
    run.__doc__ = documentation(technique)
    run.parameter_names = [p.name for p in technique.parameters]  # type: ignore[attr-defined]
    return run


def documentation(technique: Technique) -> str:
    """A docstring in the form that Gradio's MCP reads; bounds are in its text, since the schema has none."""
    lines = [technique.summary, "", "Args:"]
    for parameter in technique.parameters:
        accepts = parameter.port.accepts
        lines.append(f"    {parameter.name}: {parameter.help}{f' Accepts {accepts}.' if accepts else ''}")
    results = [*(f"{port.name}: {port.label}" for port in technique.outputs)]
    keys = ", ".join(f"{port.name} {port.gives}" for port in technique.outputs if port.shape)
    results += [f"arrays: .npz, float32: {keys}", "recipe: .json, everything that reproduces the run, and notes on it"]
    return "\n".join([*lines, "", "Returns:", *(f"    {line}" for line in results)])


def _row(technique: Technique, outputs: dict[str, Any]) -> list[Any]:
    return [
        component_value(p, outputs[p.name], for_page=False) if p.name in outputs else None for p in technique.outputs
    ]
