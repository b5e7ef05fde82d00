"""Running a recipe again: its photos are known by their pixels, and what differs here is said.

The same recipe gives the same bits where libraries, device, threads, processor and precision are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import InvalidInput
from ..base.rounding import conditions
from ..base.settings import settings
from ..base.torch_state import apart
from ..declare.technique import Technique
from ..models import loading
from ..photo_sets.sources import UPLOADED
from ..photos.decoding import PhotoInput, decode
from ..plugins.discovery import plugins
from ..results.result import Preview, Result
from ..results.saving import PHOTOS
from .call import RunCall
from .inputs import photo_input, validate
from .recording import versions
from .runner import run, stream


def rerun(recipe: Mapping[str, Any] | str | Path, /, **photos: Any) -> Result:
    """Run a recipe again.

    Args:
        recipe: A recipe (`Result.recipe`), or the path of a `recipe.json`.
        **photos: Photos by the name of their parameter, as for `run`, and `files` for a photo set that was brought
            along. Samples are found by themselves, and so is what `Result.save` has put beside a `recipe.json`.

    Returns:
        The same result; its notes say what differs here and may move the last bits.

    Raises:
        InvalidInput: No recipe, a photo that is missing, or one whose pixels are not those of the recipe.
        TimmscopeError: As for `run`.
    """
    again = Again.read(recipe, photos)
    return again.noted(run(again.technique.name, **again.inputs))


@dataclass
class Again:
    """A recipe made ready to run.

    Args:
        technique: Its technique.
        recipe: The recipe.
        inputs: What to run it with; photos decoded and recognised.
        notes: What differs here.
    """

    technique: Technique
    recipe: Mapping[str, Any]
    inputs: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, source: Mapping[str, Any] | str | Path, photos: Mapping[str, Any]) -> Again:
        """Find the photos, and hold libraries, device and what was resolved against what is here."""
        recipe = load(source)
        folder = None if isinstance(source, Mapping) else Path(source).parent
        technique = plugins().technique(recipe["technique"])
        records, sets = photo_records(recipe), set_records(recipe)
        known = [*records, *(["files"] if sets else [])]
        for name, photo in photos.items():
            if name not in known:
                raise InvalidInput(name, photo, f"a photo of the recipe: {', '.join(known) or 'it has none'}")
        inputs = {**recipe["inputs"], **{name: record["name"] for name, record in sets.items()}}
        if "files" in photos:
            inputs["files"] = photos["files"]
        elif any(record["name"] == UPLOADED for record in sets.values()):
            raise InvalidInput("files", None, "the photos of the recipe", "Give them.")
        for name, record in records.items():
            inputs[name] = _photo(name, record, photos.get(name), folder)
        again = cls(technique, recipe, inputs, _differences(recipe))
        again._compare()
        return again

    def steps(self) -> Iterator[Preview | Result]:
        """As `stream`."""
        for step in stream(self.technique.name, **self.inputs):
            yield self.noted(step) if isinstance(step, Result) else step

    def noted(self, result: Result) -> Result:
        """The result with what differs among its notes."""
        before, now = (recipe.get("model", {}).get("origin") for recipe in (self.recipe, result.recipe))
        origin = [f"The recipe's weights are from {before}, these from {now}."] if before != now else []
        result.notes = (*result.notes, *self.notes, *origin)
        return result

    def _compare(self) -> None:
        """Refuse photo sets of another content; give by name the layers and classes that would be others here."""
        given = validate(self.technique, self.inputs)
        for name, record in set_records(self.recipe).items():
            if given[name].identity != record["identity"]:
                raise InvalidInput(name, record["name"], "the photo set of the recipe", "Its photos are others now.")
        recorded = self.recipe.get("resolved") or {}
        if not self.technique.uses_model or not recorded:
            return
        resolved = apart(self._resolved, given)
        for parameter in self.technique.own_parameters:
            name = parameter.name
            then, now = recorded.get(name), resolved.get(name)
            if parameter.port.pinned and then is not None and then != now:
                self.inputs[name] = then
                self.notes.append(f"{name}: {then}, as in the recipe; here it would be {now}.")

    def _resolved(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the model's names and defaults are here."""
        with loading.lend(given["model"], given["weights"], plugins().model_sources) as model:
            return RunCall(self.technique, given, model).resolved


def load(source: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """A recipe from a mapping or a file.

    Raises:
        InvalidInput: It is none.
    """
    expected = "a recipe, such as the recipe.json of a result"
    if not isinstance(source, Mapping):
        path = Path(source)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InvalidInput("recipe", path.name, expected, "There is no such file.") from None
        except (OSError, ValueError):
            raise InvalidInput("recipe", path.name, expected, "The file is no JSON.") from None
        return load(found) if isinstance(found, Mapping) else load({})
    if not isinstance(source.get("technique"), str) or not isinstance(source.get("inputs"), Mapping):
        raise InvalidInput("recipe", dict(source), expected)
    return source


def photo_records(recipe: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The photos of a recipe by the name of their parameter: name, size and hash of each."""
    return {name: v for name, v in recipe["inputs"].items() if isinstance(v, Mapping) and "sha256" in v}


def set_records(recipe: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The photo sets of a recipe by the name of their parameter: name and identity of each."""
    return {name: v for name, v in recipe["inputs"].items() if isinstance(v, Mapping) and "identity" in v}


def _photo(name: str, record: Mapping[str, Any], given: Any, folder: Path | None) -> PhotoInput:
    """The photo of a recipe: as given, else the sample of that name, else the file beside the recipe."""
    label = str(record.get("name", "photo"))
    expected = f"the photo of the recipe, {label} of {record.get('width')} x {record.get('height')} pixels"
    if given is not None:
        photo = photo_input(name, given)
        if photo.sha256 != record["sha256"]:
            raise InvalidInput(name, photo.name, expected, "Its pixels are others.")
        return PhotoInput(photo.picture, label)
    samples, stem = plugins().samples, Path(label.removeprefix("sample:")).stem
    places: list[Any] = [samples[stem].load()] if stem in samples else []
    if folder and (beside := folder / PHOTOS / f"{name}.png").is_file():
        places.append(beside)
    for place in places:
        photo = PhotoInput(decode(place, name, settings().max_pixels), label)
        if photo.sha256 == record["sha256"]:
            return photo
    remedy = f"The {' and the '.join(p.name if isinstance(p, Path) else stem for p in places)} here has other pixels."
    raise InvalidInput(name, None, expected, remedy if places else "Give it.")


def _differences(recipe: Mapping[str, Any]) -> list[str]:
    """What may move the last bits: libraries, and `conditions`."""
    around = conditions(loading.default_device())
    here = {**versions(), **around}
    made = {**recipe.get("libraries", {}), **{key: recipe[key] for key in around if key in recipe}}
    made.pop("python", None)  # computes nothing
    return [
        f"Made with {name} {then}, here {here.get(name, 'none')}: the last bits may differ."
        for name, then in made.items()
        if here.get(name) != then
    ]
