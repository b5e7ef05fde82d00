"""`timmscope run`: a technique with its options, on one photo or a folder of them, or a recipe."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..base.errors import InvalidInput, ModelUnavailable, TimmscopeError
from ..base.names import distinct, on_disk, readable
from ..declare.technique import Parameter, Technique
from ..plugins.discovery import plugins
from .options import option, options

QUIET = click.Option(["quiet", "--quiet", "-q"], is_flag=True, help="No progress and no notes; errors remain.")


def out_option(default: str) -> click.Option:
    """Where results go."""
    return click.Option(
        ["out", "--out", "-o"],
        type=click.Path(file_okay=False, writable=True, path_type=Path),
        default=default,
        show_default=True,
        help="Folder for the results, made if missing; a folder of photos gets one in it for each photo. "
        "A former result there is replaced.",
    )


class Runs(click.Group):
    """A command for each technique, made when it is asked for, and one for each recipe."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            help="Run a technique, or a recipe again.\n\nThe paths of the files written go to stdout.",
            options_metavar="",
            subcommand_metavar="TECHNIQUE|RECIPE.json [OPTIONS]",
        )

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(plugins().techniques)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name.endswith(".json"):
            return recipe_command(name)
        technique = plugins().techniques.get(name.replace("-", "_"))
        return technique_command(technique) if technique else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            try:
                plugins().technique(args[0].replace("-", "_"))
            except InvalidInput as error:
                ctx.fail(str(error))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [*super().shell_complete(ctx, incomplete), CompletionItem(incomplete, type="file")]


def technique_command(technique: Technique) -> click.Command:
    """The command that runs a technique."""

    def call(out: Path, quiet: bool, **values: Any) -> None:
        from timmscope import stream

        inputs = {name: value for name, value in values.items() if value is not None}
        main = technique.photo
        if main and os.path.isdir(inputs[main.name]):
            batch(technique, main, inputs, out, quiet)
        else:
            write(execute(technique, stream(technique.name, **inputs), out, technique.title, quiet))

    return click.Command(
        technique.name,
        params=[*options(technique), out_option("out"), QUIET],
        callback=call,
        help=f"{technique.title}. {technique.summary}",
        short_help=technique.title,
        epilog=f"timmscope info {technique.name} says more.",
    )


def recipe_command(path: str) -> click.Command:
    """The command that runs the recipe at `path` again."""

    def call(out: Path, quiet: bool, **photos: Any) -> None:
        if not os.path.isfile(path):
            raise click.UsageError(f"There is no file {path!r}.")
        import torch

        from ..runs.recipes import Again, load

        threads = load(path).get("threads")
        if isinstance(threads, int) and threads > 0:
            torch.set_num_threads(threads)  # nothing else runs in this process
        again = Again.read(path, {name: value for name, value in photos.items() if value})
        write(execute(again.technique, again.steps(), out, again.technique.title, quiet))

    photos = [option(parameter) for parameter in _photos(path)]
    for given in photos:
        given.required = False
        given.help = "The recipe's photo; only where it is neither a sample nor beside the recipe."
    return click.Command(
        path,
        params=[*photos, out_option("again"), QUIET],
        callback=call,
        help="Run a recipe again: the same bits where libraries, device and threads are the same.",
    )


def _photos(path: str) -> list[Parameter]:
    """The photo parameters of a recipe's technique; none where the file is no recipe, which its run will say."""
    try:
        technique = plugins().techniques[json.loads(Path(path).read_text(encoding="utf-8"))["technique"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [parameter for parameter in technique.parameters if parameter.takes_files]


def batch(technique: Technique, main: Parameter, inputs: dict[str, Any], out: Path, quiet: bool) -> None:
    """Run a technique on every photo of a folder; what is refused is said at the end, and the rest is done.

    Args:
        technique: The technique.
        main: Its parameter that takes the photo.
        inputs: The values; that of `main` is the folder.
        out: Gets a folder for each photo, as `folders` names them.
        quiet: Without progress.
    """
    from tqdm import tqdm

    from timmscope import stream

    from ..photo_sets.sources import SUFFIXES

    entries = sorted(path for path in Path(inputs[main.name]).iterdir() if not path.name.startswith("."))
    photos = [path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not photos:
        raise click.UsageError(f"There is no photo in {str(inputs[main.name])!r}.")
    failed: list[str] = []
    places = zip(photos, folders(photos, out))
    for path, folder in tqdm(places, "Photos", len(photos), unit="photo", disable=quiet or None):  # None: on a terminal
        name = readable(path.name)
        try:
            steps = stream(technique.name, **{**inputs, main.name: path})
            write(execute(technique, steps, out / folder, name, quiet))
        except ModelUnavailable:
            raise  # as it will be for every photo
        except Exception as error:
            if isinstance(error, InvalidInput) and error.parameter != main.name:
                raise  # for every photo, too
            reason = str(error) if isinstance(error, TimmscopeError) else f"{type(error).__name__}: {error}"
            failed.append(f"{name}: {reason}")
    tried = set(photos)
    if others := [readable(path.name) for path in entries if path not in tried]:
        _say(f"Left out, no photos by their names, or no files: {', '.join(others)}.", quiet)
    for line in failed:
        click.echo(line, err=True)
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(photos)} photos failed.")


def folders(photos: list[Path], out: Path) -> list[str]:
    """The name of a folder for each photo, no two alike where case makes no difference either.

    It is that of the file: without its suffix, if that is the name of no other photo, and with a number behind where
    two differ in case only, or a file is in its place.

    Args:
        photos: The photos, of one folder.
        out: Where the folders are to be.
    """
    stems = Counter(on_disk(path.stem) for path in photos)
    stems.update(on_disk(path.name) for path in photos if path.suffix)
    names = [path.stem if stems[on_disk(path.stem)] == 1 else path.name for path in photos]
    files = [path.name for path in out.iterdir() if not path.is_dir()] if out.is_dir() else []
    return distinct(names, on_disk, files)


def execute(technique: Technique, steps: Iterator[Any], out: Path, title: str, quiet: bool) -> list[Path]:
    """Run to the end with a progress bar, and save.

    Args:
        technique: The technique that runs.
        steps: From `stream`; closed in any case.
        out: Folder for the files.
        title: What the progress bar says.
        quiet: Without progress and notes.

    Returns:
        The files written.
    """
    from tqdm import tqdm

    from timmscope import Result

    from ..results.saving import refuse_taken

    refuse_taken(out, technique)  # before the time of a run is spent
    result: Any = None
    bar = tqdm(desc=title, unit="step", leave=False, disable=quiet or None)
    with bar, contextlib.closing(steps):  # type: ignore[type-var]
        for step in steps:
            if isinstance(step, Result):
                result = step
            elif step.total:
                bar.total = step.total
                bar.update(step.done - bar.n)
    for note in result.notes:
        _say(f"{title}: {note}", quiet)
    return result.save(out)


def write(files: list[Path]) -> None:
    """The paths as they are, one per line, past a progress bar that may be up."""
    from tqdm import tqdm

    for file in files:
        tqdm.write(str(file), file=sys.stdout)


def _say(text: str, quiet: bool) -> None:
    from tqdm import tqdm

    if not quiet:
        tqdm.write(text, file=sys.stderr)
