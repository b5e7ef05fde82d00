"""What a technique is: a typed function, checked at declaration and kept as a frozen record.

The app, the documentation, the command line and the tests read only the record.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..base.errors import DeclarationError, InvalidInput
from ..base.names import on_disk
from ..vision.vision_model import VisionModel
from .ports import Choice, Files, Input, ModelName, Number, Output, Photo, Switch

FAMILIES = ("Activations", "Gradients", "Synthesis")
RESERVED = {"arrays", "recipe", "api_name", "fn_index", "result_callbacks", "model", "weights", "fit", "files"}
RESERVED |= {"out", "quiet", "help"}  # options of the command line
SECTIONS = ("What you see", "How it works", "How to read it", "Source")


@dataclass(frozen=True)
class Parameter:
    """One declared input: its API name, port, default and the help from the docstring's `Args:`."""

    name: str
    port: Input
    default: Any = inspect.Parameter.empty
    help: str = ""

    @property
    def takes_photo(self) -> bool:
        """Whether it is a photo."""
        return isinstance(self.port, Photo)

    @property
    def takes_files(self) -> bool:
        """Whether it is a photo or photos that are brought along: paths on a command line, uploads on the web."""
        return isinstance(self.port, (Photo, Files))

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is inspect.Parameter.empty


FIT = Parameter("fit", Switch("Fit the whole photo"), False, "Squash the whole photo instead of cropping its centre.")
FILES = Parameter("files", Files("Own photos"), None, "Photos, or one zip of photos, to use instead of the photo set.")
COMPANIONS = (FIT, FILES)  # brought by ports that name them, in this order
MODEL = Parameter("model", ModelName("Model"), "tf_efficientnet_lite0", "Name of a timm model.")
WEIGHTS = Parameter(
    "weights",
    Choice("Weights", ("pretrained", "random")),
    "pretrained",
    "Trained weights, or random ones as a sanity check: a map that stays the same shows nothing of what was learned.",
)


@dataclass(frozen=True)
class Technique:
    """A declared technique.

    Args:
        name: At once endpoint, MCP tool, Python name and command.
        title: Name on its tab.
        family: One of `FAMILIES`.
        function: What it does.
        own_parameters: Its inputs, without those that all techniques share.
        outputs: Its outputs.
        summary: Its docstring's first paragraph.
        sections: The others, by title.
        streams: It yields previews.
        uses_model: It takes a model.
        gpu_seconds: How long a run takes on a GPU, in seconds; a function of inputs, or 0 where none is needed.
        plugin: The plugin that brought it; set when it is registered.
    """

    name: str
    title: str
    family: str
    function: Callable[..., Any]
    own_parameters: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    summary: str
    sections: dict[str, str] = field(hash=False)
    streams: bool = False
    uses_model: bool = True
    gpu_seconds: float | Callable[..., float] = 0
    plugin: str = ""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter of the API, in order: the technique's own, then those all techniques share."""
        wanted = {p.port.companion for p in self.own_parameters}
        companions = tuple(companion for companion in COMPANIONS if companion.name in wanted)
        return self.own_parameters + companions + ((MODEL, WEIGHTS) if self.uses_model else ())

    @property
    def photo(self) -> Parameter | None:
        """The first photo parameter, if there is one."""
        return next(iter(self.photos), None)

    @property
    def photos(self) -> tuple[Parameter, ...]:
        """The parameters that take a photo."""
        return tuple(p for p in self.own_parameters if p.takes_photo)

    @property
    def heavy(self) -> bool:
        """Whether it waits in the queue of long runs: one that wants a GPU, or a synthesis."""
        return bool(self.gpu_seconds) or self.family == "Synthesis"

    def gpu_time(self, inputs: Mapping[str, Any]) -> float:
        """Seconds of a GPU that a run with these inputs takes, all of them checked; 0 when it needs none."""
        if not callable(self.gpu_seconds):
            return self.gpu_seconds
        return self.gpu_seconds(**{name: inputs[name] for name in inspect.signature(self.gpu_seconds).parameters})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def technique(
    title: str, *, family: str, outputs: Sequence[Output], gpu_seconds: float | Callable[..., float] = 0
) -> Callable[[Callable[..., Any]], Technique]:
    """Declare a technique.

    Args:
        title: Name as shown on the tab.
        family: One of `FAMILIES`.
        outputs: Output ports, in the order of the API.
        gpu_seconds: How long a run takes on a GPU: a number, or a function of some of its parameters, such as
            `lambda steps: 10 + steps / 20`. 0 is a light technique, which needs none.

    Returns:
        A decorator that turns the function into a `Technique`.

    Raises:
        DeclarationError: The function, its annotations, docstring or outputs do not fit; the text names the
            technique, the parameter, what was expected and the line to write.
    """

    def declare(function: Callable[..., Any]) -> Technique:
        name = function.__name__
        if family not in FAMILIES:
            raise DeclarationError(f"technique {name}: family {family!r} is not one of {', '.join(FAMILIES)}")
        summary, sections, args = _read_docstring(name, function)
        parameters = _read_parameters(name, function, args)
        _check_outputs(name, outputs, {parameter.name for parameter in parameters})
        _check_gpu_seconds(name, gpu_seconds, [parameter.name for parameter in parameters])
        return Technique(
            name=name,
            title=title,
            family=family,
            function=function,
            own_parameters=tuple(p for p in parameters if p.name != "model"),
            outputs=tuple(outputs),
            summary=summary,
            sections=sections,
            streams=inspect.isgeneratorfunction(function),
            uses_model=any(p.name == "model" for p in parameters),
            gpu_seconds=gpu_seconds,
        )

    return declare


def _read_parameters(name: str, function: Callable[..., Any], args: dict[str, str]) -> list[Parameter]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise DeclarationError(f"technique {name}: its annotations cannot be read: {error}") from error
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"technique {name}, parameter {parameter.name}"
        hint = hints.get(parameter.name)
        if hint is VisionModel and parameter.name == "model":
            parameters.append(Parameter("model", MODEL.port))
            continue
        if parameter.name in RESERVED:
            raise DeclarationError(f"{where}: the name is reserved; choose another")
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(f"{where}: every parameter needs a name of its own; *args and **kwargs have none")
        port = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Input)), None)
        if port is None:
            raise DeclarationError(
                f"{where}: no port declared; write  {parameter.name}: Annotated[int, Number('Label', 1, 10)] = 5"
            )
        kind = _plain_type(hint)
        if port.types and kind not in port.types:
            names = " or ".join(t.__name__ for t in port.types)
            raise DeclarationError(
                f"{where}: {type(port).__name__} goes with {names}, not {getattr(kind, '__name__', kind)}; write  "
                f"{parameter.name}: Annotated[{port.types[0].__name__}, {type(port).__name__}(...)]"
            )
        if isinstance(port, Number) and kind is int:
            port = replace(port, whole=True)
        default = parameter.default
        if default is not parameter.empty:
            try:
                default = port.check(parameter.name, default)
            except InvalidInput as error:
                raise DeclarationError(f"{where}: its own default is refused: {error}") from error
        if parameter.name not in args:
            raise DeclarationError(f"{where}: not described; write a line  {parameter.name}: ...  under 'Args:'")
        parameters.append(Parameter(parameter.name, port, default, args[parameter.name]))
    return parameters


def _plain_type(hint: Any) -> Any:
    """The type inside `Annotated[...]`, without `| None` and without type arguments."""
    inner = typing.get_args(hint)[0]
    if typing.get_origin(inner) in (typing.Union, types.UnionType):
        inner = next(arg for arg in typing.get_args(inner) if arg is not type(None))
    return typing.get_origin(inner) or inner


def _check_outputs(name: str, outputs: Sequence[Output], parameters: set[str]) -> None:
    if not outputs:
        raise DeclarationError(f"technique {name}: no outputs; write  outputs=[Picture('picture', 'Picture')]")
    seen: set[str] = set()  # as their files are called, where case makes no difference
    for port in outputs:
        if not isinstance(port, Output):
            raise DeclarationError(
                f"technique {name}: output {port!r} is no output port such as Picture('name', 'Label')"
            )
    several = {on_disk(port.name) for port in outputs if port.several}
    for port in outputs:
        file = on_disk(port.name)
        if not port.name.isidentifier() or file in RESERVED or file in seen:
            raise DeclarationError(f"technique {name}: output name {port.name!r} is taken, reserved or no identifier")
        if (part := re.fullmatch(r"(.+)_\d+", file)) and part[1] in several:
            raise DeclarationError(f"technique {name}: output name {port.name!r} is that of a picture of {part[1]}")
        selects = getattr(port, "selects", "")
        if selects and selects not in parameters:
            raise DeclarationError(
                f"technique {name}: output {port.name} selects {selects!r}, which is none of its parameters: "
                f"{', '.join(sorted(parameters))}"
            )
        seen.add(file)


def _check_gpu_seconds(name: str, seconds: Any, parameters: Sequence[str]) -> None:
    line = "write  gpu_seconds=10  or  gpu_seconds=lambda steps: 10 + steps / 20"
    if callable(seconds):
        if unknown := set(inspect.signature(seconds).parameters) - set(parameters):
            raise DeclarationError(
                f"technique {name}: gpu_seconds takes {', '.join(sorted(unknown))}, which is none of its parameters: "
                f"{', '.join(parameters)}; {line}"
            )
    elif isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise DeclarationError(f"technique {name}: gpu_seconds is {seconds!r}, no number of seconds; {line}")


def _read_docstring(name: str, function: Callable[..., Any]) -> tuple[str, dict[str, str], dict[str, str]]:
    """Split a Google-style docstring into summary, text sections and the parameters under `Args:`."""
    text = inspect.getdoc(function)
    if not text:
        raise DeclarationError(f"technique {name}: no docstring; its first line is what the tab says")
    headers = "|".join((*SECTIONS, "Args", "Returns", "Yields", "Raises"))
    head, *rest = re.split(rf"^({headers}):[ \t]*\n?", text, flags=re.MULTILINE)
    blocks = {title: inspect.cleandoc("\n" + body) for title, body in zip(rest[::2], rest[1::2])}
    args: dict[str, str] = {}
    for line in blocks.pop("Args", "").splitlines():
        if match := re.match(r"(\w+):\s*(.*)", line):
            args[last := match[1]] = match[2]
        elif line.strip() and args:
            args[last] += " " + line.strip()
    sections = {title: body for title, body in blocks.items() if title in SECTIONS}
    return head.strip(), sections, args
