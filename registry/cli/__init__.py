"""The command line, made from the same declarations. Help, `list`, `info` and `plugins` load no torch.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 refused or declined, 2 a wrong command
line, 130 interrupted.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import click

from timmscope import __version__

from ..base.errors import InvalidInput, MissingExtra, TimmscopeError
from ..declare.technique import FAMILIES, Technique
from ..plugins.discovery import plugins
from . import describe
from .execute import Runs
from .options import technique_names

INTERRUPTED = 130


def start() -> None:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # paths go out as they are, also those that are no text
    try:
        code = cli.main(prog_name="timmscope", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (KeyboardInterrupt, click.Abort):
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(code)  # None is 0


class Answers(click.Group):
    """Turns errors that are answers into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TimmscopeError as error:
            raise click.ClickException(str(error)) from None
        except ModuleNotFoundError as error:
            if MissingExtra.excuses(error):
                raise click.ClickException(str(MissingExtra(error.name or "a library"))) from None
            raise
        except BrokenPipeError:  # whoever reads the output has read enough, which click knows
            raise
        except OSError as error:  # a disk that is full, a folder that may not be read or written
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("Stopped. What was written stays.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Answers,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "token_normalize_func": lambda token: token.replace("_", "-"),  # --max_steps is --max-steps
    },
    epilog='Completion: eval "$(_TIMMSCOPE_COMPLETE=bash_source timmscope)", or zsh_source, fish_source.',
)
@click.version_option(__version__, "-V", "--version", prog_name="timmscope")
def cli() -> None:
    """A microscope for vision networks: see inside any timm model."""


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_techniques(as_json: bool) -> None:
    """List the techniques by family."""
    found = list(plugins().techniques.values())
    if as_json:
        click.echo(json.dumps([describe.brief(technique) for technique in found], indent=2, ensure_ascii=False))
        return
    width = max((len(technique.name) for technique in found), default=0)
    for family in FAMILIES:
        if members := [technique for technique in found if technique.family == family]:
            click.secho(family, bold=True)
            for member in members:
                click.echo(f"  {member.name:{width}}  {member.title}: {' '.join(member.summary.split())}")


@cli.command()
@click.argument("technique", shell_complete=technique_names)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def info(technique: str, as_json: bool) -> None:
    """Say what a technique shows, how to read it, and what it takes and gives."""
    found = named(technique)
    text = json.dumps(describe.full(found), indent=2, ensure_ascii=False) if as_json else describe.text(found)
    click.echo(text)


@cli.command("plugins")
def list_plugins() -> None:
    """List the plugins: what each brings, and what is wrong with it."""
    for report in plugins().reports:
        click.secho(f"{report.name} {report.version}", bold=True)
        brought = {"techniques": report.techniques, "models": report.model_sources, "photo sets": report.photo_sets}
        for kind, names in brought.items():
            if names:
                click.echo(f"  {kind}: {', '.join(names)}")
        if report.switched_off:
            click.echo("  switched off by the operator")
        for failure in report.failures:
            click.secho(f"  failed: {failure}", fg="red")


@cli.command()
@click.argument("plugin")
def check(plugin: str) -> None:
    """Check a plugin: its declaration, a run on a tiny model, streaming, cancel, seeds, refusals."""
    from ..testing import check as examine

    report = examine(plugin)
    click.echo(str(report))
    raise SystemExit(0 if report.ok else 1)


@cli.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 for every one of this machine.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
def serve(host: str | None, port: int | None) -> None:
    """Start the app: page, HTTP API and MCP server."""
    for name, value in (("GRADIO_SERVER_NAME", host), ("GRADIO_SERVER_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    from timmscope.app import main

    main()


cli.add_command(Runs("run"))


def named(name: str) -> Technique:
    """The technique called `name`, with dashes or underscores."""
    try:
        return plugins().technique(name.replace("-", "_"))
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None
