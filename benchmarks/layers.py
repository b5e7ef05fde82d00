"""Do the maps of layers lie on the photo as they say? Every layer of every family of timm.

    python -m benchmarks.layers [architecture ...] [--results FILE]

Without a name it takes the architectures of docs/families.md, the smallest of each of timm's modules. Random weights,
each in a process of its own. Two questions are asked, whose answers owe nothing to how grids are found:

intermediates
    timm's own `forward_intermediates` gives maps of some layers. A layer that has the same numbers must have them in
    the same cells.

quarters
    Each quarter of a random photo is changed in turn. The map must change there; and where a layer's cells see a part
    of the photo only (found by what a NaN in that quarter reaches), cells far from the quarter must stay as they are,
    and what the NaN reaches must be the corner's cells.

Results are appended to a file as they come; an interrupted sweep goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from timmscope.registry.vision.layers import list_layers

FAMILIES = Path(__file__).parent.parent / "docs" / "families.md"
SAME = 1e-4  # difference of two values that are the same, as a share of the largest
TOGETHER = 150_000_000  # values of layers that are held together, each of them three times
EXACT = 1e-6  # of two layers that are the same but for where their values are: next layers of a network can be close
QUARTERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


def architectures() -> list[str]:
    """The architectures of the table of families, the smallest first."""
    table = FAMILIES.read_text(encoding="utf-8")
    found = re.findall(r"^\| [a-z0-9_]+ \| ([a-z0-9_]+) \| ([0-9]+\.[0-9]) \|", table, re.MULTILINE)
    return [name for name, _ in sorted(found, key=lambda row: float(row[1]))]


def random_network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights, and a random photo of its size."""
    torch.manual_seed(0)
    network = timm.create_model(name).eval().requires_grad_(False)
    for part in network.modules():
        if getattr(part, "inplace", False):
            part.inplace = False
    for key, values in network.named_parameters():
        if "bias" not in key and values.abs().max() < 1e-3:  # norms and scales of zero would hide what a layer does
            values.normal_(0.5, 0.1)
    return network, torch.randn(1, *network.pretrained_cfg["input_size"])


def outputs(network: nn.Module, names: list[str], image: Tensor) -> dict[str, Tensor]:
    """The outputs of layers on a photo, before anything changes them in place."""
    found: dict[str, Tensor] = {}
    handles = [
        network.get_submodule(name).register_forward_hook(lambda _m, _i, o, name=name: found.update({name: o.clone()}))
        for name in names
    ]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return found


def intermediates(network: nn.Module, image: Tensor) -> list[Tensor]:
    """timm's own maps of layers, [1, channels, rows, columns] each."""
    ways: list[dict[str, Any]] = [{"intermediates_only": True}, {"intermediates_only": True, "coarse": False}]
    found: list[Tensor] = []
    for how in ways:
        try:
            with torch.no_grad():
                found += network.forward_intermediates(image, **how)  # type: ignore[operator]
        except TypeError:
            continue  # most have no `coarse`
    return [maps for maps in found if isinstance(maps, Tensor) and maps.ndim == 4]


def compare(maps: dict[str, Tensor], raw: dict[str, Tensor], given: list[Tensor]) -> dict[str, Any]:
    """Hold layers against timm's maps of the same numbers.

    Returns:
        The layers whose cells are right and wrong, those without a grid, and how many of timm's maps no layer gives.
    """
    right, wrong, without, alone = set(), set(), set(), 0
    raw = {**raw, **maps}  # a map has the values of its cells only, without those of class tokens
    sums = {name: sums_to(output) for name, output in raw.items()}
    for expected in given:
        total = sums_to(expected)
        near = [name for name in raw if abs(sums[name] - total) <= 1e-5 * total]
        same = [
            name
            for name in near
            if raw[name].numel() == expected.numel() and close(*map(ordered, (raw[name], expected)), EXACT)
        ]
        alone += not same
        for name in same:
            if name not in maps:
                without.add(name)
            elif maps[name].shape == expected.shape and close(maps[name], expected):
                right.add(name)
            else:
                wrong.add(name)
    return {"right": sorted(right), "wrong": sorted(wrong - right), "no grid": sorted(without), "alone": alone}


def sums_to(values: Tensor) -> float:
    """The sum of magnitudes."""
    return values.double().abs().sum().item()


def ordered(values: Tensor) -> Tensor:
    """The values from the smallest to the largest."""
    return values.flatten().sort().values


def close(one: Tensor, other: Tensor, same: float = SAME) -> bool:
    """Whether all values are the same but for rounding."""
    return bool((one - other).abs().max() <= same * other.abs().max())


def quarter(values: Tensor, place: tuple[int, int]) -> Tensor:
    """The cells of a quarter of [..., rows, columns], without those that the middle lines cut."""
    for axis, second in zip((-2, -1), place):
        length = values.shape[axis]
        values = values.narrow(axis, -(-length // 2) if second else 0, length // 2)
    return values


def change_quarters(network: nn.Module, image: Tensor, read: Any) -> dict[str, list[str]]:
    """What is wrong with each layer's map when a quarter of the photo changes; an empty list where nothing is.

    Args:
        network: The network.
        image: The photo.
        read: Returns the maps of an image by layer.
    """
    faults: dict[str, list[str]] = {}
    before = read(image)
    for where, place in QUARTERS.items():
        changed, poisoned = image.clone(), image.clone()
        quarter(changed, place).copy_(torch.randn(quarter(image, place).shape))
        quarter(poisoned, place).fill_(torch.nan)
        after, reached = read(changed), read(poisoned)
        for name, maps in before.items():
            found = faults.setdefault(name, [])
            if min(maps.shape[-2:]) < 2:
                continue
            change = (after[name] - maps).abs().amax(1)[0]
            scale = float(maps.abs().max()) or 1.0
            if not float(quarter(change, place).max()) > 1e-7 * scale:
                found.append(f"no change {where}")
            seen = reached[name].isnan().any(1)[0]
            if seen.all():
                continue  # every cell sees every quarter
            if not quarter(seen, place).all():
                found.append(f"not reached {where}")
            if float(change[~seen].max()) > SAME * scale:
                found.append(f"changes elsewhere {where}")
            seen = seen.flip([axis for axis in (0, 1) if place[axis]])  # the corner at the top left
            falls = not ((seen[1:] > seen[:-1]).any() or (seen[:, 1:] > seen[:, :-1]).any())
            # whole rows and columns: a window that a shift has made of two borders of the photo is reached at both
            lines = bool((seen == seen.any(1)[:, None] & seen.any(0)).all())
            if not (falls or lines):
                found.append(f"other cells {where}")
    return faults


def look(name: str) -> dict[str, Any]:
    """Everything asked of one architecture."""
    network, image = random_network(name)
    start = time.process_time()
    with torch.no_grad():
        network(image)
    forward, start = time.process_time() - start, time.process_time()
    layers = list_layers(network, image)
    listing = time.process_time() - start
    grids = {name: layer.grid for name, layer in layers.items() if layer.grid}

    def read(names: list[str], images: Tensor) -> dict[str, Tensor]:
        return {name: grids[name].gather(output) for name, output in outputs(network, names, images).items()}

    raw = outputs(network, list(layers), image)
    maps = {name: grid.gather(raw[name]) for name, grid in grids.items()}
    stacked = [name for name, output in raw.items() if len(output) != 1]
    found = compare(maps, raw, intermediates(network, image)) if hasattr(network, "forward_intermediates") else {}
    sizes = {name: output.numel() for name, output in raw.items()}
    del raw, maps
    faults: dict[str, list[str]] = {}
    for names in parts(list(grids), sizes):
        found_there = change_quarters(network, image, functools.partial(read, names))
        faults |= {layer: what for layer, what in found_there.items() if what}
    return {
        "layers": len(layers),
        "grids": len(grids),
        "none": {name: getattr(layer, "lacks", "") for name, layer in layers.items() if not layer.grid},
        "windows": [len(stacked), len([name for name in stacked if name in grids])],
        "intermediates": found,
        "faults": faults,
        "seconds": [round(forward, 2), round(listing, 2)],
    }


def parts(names: list[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Layers in groups whose outputs fit into memory together."""
    before = itertools.accumulate((sizes[name] for name in names), initial=0)
    for _, group in itertools.groupby(zip(names, before), lambda pair: pair[1] // TOGETHER):
        yield [name for name, _ in group]


def answer(name: str, results: str) -> None:
    """Append one architecture's result; run in a process of its own."""
    torch.set_num_threads(1)
    try:
        found = look(name)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"[:300]}
    with Path(results).open("a") as file:
        file.write(json.dumps({"architecture": name, **found}) + "\n")


def summary(rows: Iterator[dict[str, Any]]) -> str:
    """The figures for the documentation."""
    rows = list(rows)
    done = [row for row in rows if "error" not in row]
    held = [row["intermediates"] for row in done if row["intermediates"]]
    right, wrong, without = (sum(len(one[key]) for one in held) for key in ("right", "wrong", "no grid"))
    alone = sum(one["alone"] for one in held)
    grids, faulty = sum(row["grids"] for row in done), sum(len(row["faults"]) for row in done)
    stacked, placed = (sum(row["windows"][i] for row in done) for i in (0, 1))
    lines = [
        f"{len(done)} of {len(rows)} networks: {sum(row['layers'] for row in done):,} layers, {grids:,} with a grid.",
        f"forward_intermediates of {len(held)}: {right} layers right, {wrong} wrong, {without} without a grid; "
        f"{alone} of timm's maps are given by no layer.",
        f"Quarters: {faulty} of {grids:,} layers with a grid are wrong.",
        f"Windows in the batch: {stacked:,} layers, {placed:,} with a grid.",
    ]
    lines += [f"{row['architecture']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join(lines)


def main() -> None:
    """Run the sweep and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("architectures", nargs="*")
    parser.add_argument("--results", default="layers.jsonl")
    parser.add_argument("--patience", type=float, default=600, help="seconds for one architecture")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    done = (
        {json.loads(line)["architecture"] for line in results.read_text().splitlines()} if results.exists() else set()
    )
    names = arguments.architectures or architectures()
    for name in names:
        if name in done:
            continue
        process = multiprocessing.get_context("spawn").Process(target=answer, args=(name, str(results)))
        process.start()
        process.join(arguments.patience)
        if process.exitcode != 0:  # too slow, or killed for its memory
            late = process.exitcode is None
            error = f"over {arguments.patience:.0f} s" if late else f"ended with {process.exitcode}"
            process.kill()
            with results.open("a") as file:
                file.write(json.dumps({"architecture": name, "error": error}) + "\n")
        print(name, flush=True)
    print(summary(json.loads(line) for line in results.read_text().splitlines()))


if __name__ == "__main__":
    main()
