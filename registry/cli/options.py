"""A technique's parameters as options of its command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..base.errors import InvalidInput, did_you_mean
from ..declare.ports import SAMPLE, Number, Switch
from ..declare.technique import Parameter, Technique
from ..plugins.discovery import plugins
from .describe import default_text, flag


def options(technique: Technique) -> list[click.Parameter]:
    """An option for each parameter. What is not given stays None, and the registry fills in the default."""
    return [option(parameter, main=parameter is technique.photo) for parameter in technique.parameters]


def option(parameter: Parameter, main: bool = False) -> click.Option:
    """The option of one parameter; its value is checked by the parameter's port.

    Args:
        parameter: The parameter.
        main: It is the photo that may be a folder of photos.
    """
    name, port = parameter.name, parameter.port
    common: dict[str, Any] = {"required": parameter.required, "callback": _check(parameter, main)}
    text = parameter.help
    if isinstance(port, Number):
        text += f" Accepts {port.accepts}."
    if not parameter.required and parameter.default not in ("", (), []):
        text += f"  [default: {default_text(parameter.default)}]"
    if isinstance(port, Switch):
        return click.Option([name, f"{flag(name)}/{flag(name, False)}"], help=text, **common)
    if main:
        text += " A folder runs it on every photo there; sample:NAME is a sample photo."
    return click.Option(
        [name, flag(name)],
        help=text,
        metavar=port.metavar,
        multiple=port.several,
        shell_complete=_completion(parameter),
        **common,
    )


def technique_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of a technique's name."""
    found = plugins().techniques.values()
    return [CompletionItem(t.name, help=t.title) for t in found if t.name.startswith(incomplete)]


def _check(parameter: Parameter, main: bool) -> Any:
    def check(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return None
        try:
            given = parameter.port.parse(value)
            if parameter.takes_photo:
                return photo(parameter.name, given, folder=main)
            return parameter.port.check(parameter.name, given)
        except InvalidInput as error:
            raise click.BadParameter(str(error).removeprefix(f"{error.parameter}: ")) from None

    return check


def photo(name: str, value: str, folder: bool = False) -> str | Path:
    """A photo that is there: a file, a sample, or a folder where that is allowed; a file, whatever it is called.

    Raises:
        InvalidInput: It is not there.
    """
    if value.startswith(SAMPLE):
        samples, sample = plugins().samples, value.removeprefix(SAMPLE)
        if sample not in samples:
            raise InvalidInput(name, value, f"one of the samples {', '.join(samples)}", did_you_mean(sample, samples))
        return value
    if not os.path.exists(value):  # also where it is too long for any name
        raise InvalidInput(name, value, "a photo", "There is no such file.")
    if os.path.isdir(value) and not folder:
        raise InvalidInput(name, value, "a photo", "That is a folder.")
    return Path(value)


def _completion(parameter: Parameter) -> Any:
    def complete(ctx: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..runs.inputs import Here

        words = parameter.port.completions(Here())
        fitting = [CompletionItem(word) for word in words if word.startswith(incomplete)]
        return [*fitting, CompletionItem(incomplete, type="file")] if parameter.takes_files else fitting

    return complete
