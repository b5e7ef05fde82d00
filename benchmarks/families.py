"""Every family of timm under every technique: what works, what is declined and why, and what fails.

    python -m benchmarks.families [architecture ...] [--technique NAME ...] [--again works|declines|fails ...]

Without a name it takes the smallest architecture of each of timm's modules. Random weights, the shortest honest call
of each technique. Every model has a process of its own, so that a crash or a time-out is a cell and not the end. Cells
are appended to a file as they come: an interrupted sweep goes on where it was, and `--again` repeats those with a
verdict. At the end docs/families.md is written from all cells known.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import timm
import torch

import timmscope
from timmscope.registry.base.settings import Settings
from timmscope.registry.models import loading
from timmscope.registry.models.catalogue import count_parameters, find
from timmscope.testing import blanks, generated_photos, smallest

DOCUMENT = Path(__file__).parent.parent / "docs" / "families.md"
PHOTO = "sample:chelsea"
MEMORY = 8 * 2**30  # of a process: what takes more is a cell that fails, not a machine that hangs
LOAD = "load"  # the first cell of every model
SIGNS = {"works": "✓", "declines": "–", "fails": "✗"}
INTRODUCTION = """# Every family of timm under every technique

The smallest architecture of each of timm's modules ({models} architectures, {modules} modules), random weights, the
shortest honest call of each technique: ✓ works, – declines and says why, ✗ fails. A result that is not finite, or whose
map or picture is of one value throughout, counts as a failure. Each model ran in a process of its own on one thread of
a busy CPU; the memory is the peak of the process with its libraries (about 450 MB). An empty cell has not been run.

    TIMMSCOPE_MAX_PARAMETERS=450000000 TIMMSCOPE_TIME_BUDGET=900 TIMMSCOPE_HUB=false \\
      python -m benchmarks.families --patience 900

The limit of parameters is 400 million by default. One family, deepseek_vit, has nothing below 412 million; where the
limit is not raised it is declined before it is loaded. A run may take 300 s by default; on this one thread {slow}
cells took longer{which}.
"""


def smallest_architectures(known: Path) -> dict[str, int]:
    """The architecture with the fewest parameters of each of timm's modules, with their number, the smallest first.

    It takes minutes to count them all, so the answer is kept in a file.
    """
    if not known.exists():
        found = {}
        for module in timm.list_modules():
            names = [name for name in timm.list_models(module=module) if not name.startswith("test_")]
            counts = {name: count_parameters(find(name, {}), 10**12) for name in names}
            found[min(counts, key=lambda name: counts[name])] = min(counts.values())
        known.write_text(json.dumps(dict(sorted(found.items(), key=lambda item: item[1]))))
    return json.loads(known.read_text())


def techniques() -> list[str]:
    """The techniques that use a model."""
    return [name for name, technique in timmscope.plugins().techniques.items() if technique.uses_model]


def cell(architecture: str, technique: str) -> dict[str, Any]:
    """Run one technique on one model, or load the model."""
    reset_peak()
    start = time.perf_counter()
    verdict, reason, more = "works", "", {}
    try:
        if technique == LOAD:
            more = described(architecture)
        else:
            declared = timmscope.plugins().techniques[technique]
            with loading.lend(architecture, "random", {}) as model:
                side = min(model.size)
            result = timmscope.run(technique, **smallest(declared, PHOTO, architecture, generated_photos(), side))
            if wrong := blanks(result):
                verdict, reason = "fails", "; ".join(wrong)
            else:
                reason = " ".join(note for note in result.notes if "empty" in note)
    except (timmscope.Declined, timmscope.ModelUnavailable) as error:
        verdict, reason = "declines", str(error)
    except Exception as error:
        verdict, reason = "fails", f"{type(error).__name__}: {error}"[:500]
    seconds = round(time.perf_counter() - start, 2)
    return {"verdict": verdict, "reason": reason, "seconds": seconds, "megabytes": peak_megabytes(), **more}


def described(architecture: str) -> dict[str, Any]:
    """What the table says about a model."""
    entry = find(architecture, {})
    with loading.lend(architecture, "random", {}) as model:
        layer = model.layers[model.default_layer] if model.default_layer else None
        return {
            "parameters": count_parameters(entry, 10**12),
            "size": model.size,
            "layer": layer.title if layer else "none",
        }


def reset_peak() -> None:
    """Forget the peak of this process's memory, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_megabytes() -> int:
    """Peak of this process's memory since `reset_peak`."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) // 1024
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def work(architecture: str, techniques: Sequence[str], connection: Connection) -> None:
    """The process of one model: its cells one after another."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for technique in techniques:
        connection.send(cell(architecture, technique))


def sweep(architecture: str, techniques: Sequence[str], patience: float) -> Iterator[dict[str, Any]]:
    """The cells of one model; one that crashes or takes too long fails, and a new process goes on behind it."""
    context = multiprocessing.get_context("fork")
    techniques = [LOAD, *(name for name in techniques if name != LOAD)]
    while techniques:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(architecture, techniques, theirs))
        process.start()
        theirs.close()
        while techniques:
            try:
                if not ours.poll(patience):
                    raise TimeoutError(f"took longer than {patience:g} s")
                record = ours.recv()
            except (EOFError, TimeoutError) as error:
                process.kill()
                process.join()
                reason = str(error) or f"the process died with code {process.exitcode}"
                record = {"verdict": "fails", "reason": reason, "seconds": patience, "megabytes": 0}
                yield {"technique": techniques.pop(0), **record}
                break
            yield {"technique": techniques.pop(0), **record}
        process.join()


def read(results: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """All cells known, by architecture and technique; of two the later."""
    lines = results.read_text().splitlines() if results.exists() else []
    cells = [json.loads(line) for line in lines]
    return {(cell["architecture"], cell["technique"]): cell for cell in cells}


def document(cells: dict[tuple[str, str], dict[str, Any]]) -> str:
    """The cells as a page: totals, the matrix, and everything that is not plain, with its reason."""
    models = sorted({architecture for architecture, _ in cells}, key=lambda name: (module_of(name), name))
    columns = [name for name in techniques() if any(name == known for _, known in cells)]
    runs = {key: cell for key, cell in cells.items() if key[1] in columns}
    reasons: dict[str, list[tuple[str, str]]] = {}  # to the cells: technique, architecture
    for (architecture, technique), found in sorted(runs.items()):
        if found["verdict"] != "works":
            reasons.setdefault(why(architecture, found), []).append((technique, architecture))
    numbers = {reason: number for number, reason in enumerate(reasons, 1)}

    def sign(architecture: str, technique: str) -> str:
        found = runs.get((architecture, technique), {"verdict": ""})
        number = numbers.get(why(architecture, found)) if found["verdict"] in ("declines", "fails") else ""
        return SIGNS.get(found["verdict"], "") + (f"[{number}]" if number else "")

    def named(cells: list[tuple[str, str]]) -> str:
        return "; ".join(", ".join(dict.fromkeys(names)) for names in zip(*cells))

    slow = [architecture for (architecture, _), found in runs.items() if found["seconds"] > Settings().time_budget]
    which = f" ({', '.join(sorted(set(slow)))})" if slow else ""
    modules = len({module_of(name) for name in models})
    lines = [INTRODUCTION.format(models=len(models), modules=modules, slow=len(slow), which=which)]
    lines += [
        "| technique | works | declines | fails | median s | longest s | most memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for technique in columns:
        column = [cell for (_, name), cell in runs.items() if name == technique]
        seconds, verdicts = [cell["seconds"] for cell in column], [cell["verdict"] for cell in column]
        lines.append(
            f"| {technique} | {' | '.join(str(verdicts.count(verdict)) for verdict in SIGNS)} | "
            f"{statistics.median(seconds):.1f} | {max(seconds):.0f} | {max(cell['megabytes'] for cell in column)} |"
        )
    lines += [
        "",
        "## The matrix",
        "",
        f"| module | architecture | million | input | default layer | {' | '.join(columns)} |",
    ]
    lines.append("|---" * (5 + len(columns)) + "|")
    for name in models:
        about = cells.get((name, LOAD), {})
        size = " × ".join(map(str, about.get("size", ())))
        row = [module_of(name), name, f"{about.get('parameters', 0) / 1e6:.1f}", size, about.get("layer", "")]
        lines.append(f"| {' | '.join(row + [sign(name, technique) for technique in columns])} |")
    lines += ["", "## Declined or failed, with the reason", ""]
    lines += [f"{n}. {reason} ({named(reasons[reason])})" for reason, n in numbers.items()] or ["Nothing."]
    return "\n".join(lines) + "\n"


def why(architecture: str, found: dict[str, Any]) -> str:
    """The sign and the reason of a cell, in the same words for every model."""
    reason = re.sub(rf"\b{re.escape(architecture)}(\.\w+)?", "the model", found["reason"])
    return f"{SIGNS[found['verdict']]} {' '.join(reason.split())}"


def module_of(architecture: str) -> str:
    """timm's module of an architecture."""
    return timm.models.model_entrypoint(architecture).__module__.rpartition(".")[2]


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", nargs="*")
    parser.add_argument("--technique", nargs="+", default=techniques(), choices=techniques(), metavar="NAME")
    parser.add_argument("--again", nargs="+", default=[], choices=list(SIGNS))
    parser.add_argument("--results", type=Path, default=Path("build/families.jsonl"))
    parser.add_argument("--patience", type=float, default=120, help="seconds a cell may take")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # before the processes are forked: threads do not survive that
    done = read(options.results)
    for architecture in options.architecture or smallest_architectures(options.results.with_suffix(".smallest.json")):
        known = {name: done.get((architecture, name)) for name in options.technique}
        missing = [name for name, found in known.items() if found is None or found["verdict"] in options.again]
        for record in sweep(architecture, missing, options.patience) if missing else ():
            with options.results.open("a") as file:
                file.write(json.dumps({"architecture": architecture, **record}) + "\n")
            print(
                f"{architecture:36} {record['technique']:22} {record['verdict']:9} {record['reason'][:150]}", flush=True
            )
    options.document.write_text(document(read(options.results)))


if __name__ == "__main__":
    main()
