"""Photo sets: declared by plugins, listed for a run, and read photo by photo in bounded memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..base.errors import DeclarationError, InvalidInput
from ..base.names import readable
from .decoding import EXPECTED, PhotoInput, decode

if TYPE_CHECKING:
    from PIL import Image


def _make_readable(record: Any, *texts: str) -> None:
    for text in texts:
        object.__setattr__(record, text, readable(str(getattr(record, text))))


@dataclass(frozen=True, eq=False)
class SetPhoto:
    """One photo of a set, loaded when it is needed.

    Args:
        name: Its name, unique in the set, for captions.
        load: Returns the photo as anything `decode` takes.
        label: Class or group, where known.
        version: Changes when the content does: a hash, size and time of change, or a revision.
        source: What it is a part of, where several photos are parts of one picture: they hardly differ, and a ranking
            shows the best of them only.

    Name, label and source are made `readable`: where they come from the disk they may be no text.
    """

    name: str
    load: Callable[[], Any]
    label: str = ""
    version: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _make_readable(self, "name", "label", "source")


@dataclass(frozen=True)
class PhotoSet:
    """A named set of photos, as plugins declare it.

    Args:
        name: Name of the set.
        title: What people read.
        photos: Lists the photos; called when the set is used.
        samples: Offer its photos as inputs too: as buttons on the page, and as "sample:NAME".
        plugin: The plugin that brought it; set when it is registered.
    """

    name: str
    title: str
    photos: Callable[[], Sequence[SetPhoto]]
    samples: bool = False
    plugin: str = ""

    def __post_init__(self) -> None:
        _make_readable(self, "name", "title")


class PhotoList(Sequence[SetPhoto]):
    """A photo set as techniques receive it: listed, and decoded only on request.

    Args:
        name: Name of the set, as the user gave it.
        title: What people read.
        photos: Its photos.
        skipped: Entries left out already, by name, with the reason.
        of: How many photos the whole set has, where `photos` are only some of them.
        max_pixels: Largest photo that is decoded, in pixels.

    Raises:
        DeclarationError: Two photos of one name.
    """

    def __init__(
        self,
        name: str,
        title: str,
        photos: Sequence[SetPhoto],
        skipped: Mapping[str, str] | None = None,
        of: int = 0,
        max_pixels: int = 40_000_000,
    ) -> None:
        self.name, self.title, self._photos, self._max_pixels = name, title, tuple(photos), max_pixels
        self.of = max(of, len(self._photos))
        self.skipped: dict[str, str] = dict(skipped or {})
        self._unusable: set[int] = set()
        if len({photo.name for photo in self._photos}) < len(self._photos):
            (twice, _), *_ = Counter(photo.name for photo in self._photos).most_common(1)
            raise DeclarationError(f"photo set {name}: two photos are called {twice!r}; a name must be unique")

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: Any) -> Any:
        return self._photos[index]

    @property
    def labels(self) -> list[str]:
        """The label of each photo; empty where unknown."""
        return [photo.label for photo in self._photos]

    @cached_property
    def identity(self) -> str:
        """Hash of the names, labels and versions, in order: another value is another set."""
        digest = hashlib.sha256()
        for photo in self._photos:
            digest.update(repr((photo.name, photo.label, photo.version)).encode())
        return digest.hexdigest()

    def photo(self, index: int) -> PhotoInput:
        """Decode one photo, for `model.see`.

        Raises:
            InvalidInput: It is no photo.
        """
        photo = self._photos[index]
        try:
            source = photo.load()
        except OSError as error:
            raise InvalidInput("photos", photo.name, EXPECTED, "It cannot be read.") from error
        return PhotoInput(decode(source, "photos", self._max_pixels), photo.name)

    def decoded(self, indices: Iterable[int] | None = None) -> Iterator[tuple[int, Image.Image]]:
        """Decode photos one after the other; what is no photo is left out and counted in `skipped`.

        Args:
            indices: Which ones; all when left out.

        Yields:
            Index and photo, RGB and upright. Nothing is kept, so that any number fits the memory.

        Raises:
            InvalidInput: Not one file of the whole set is a photo.
        """
        for index in range(len(self)) if indices is None else indices:
            try:
                picture = self.photo(index).picture
            except InvalidInput as error:
                self.skip(index, str(error))
            else:
                yield index, picture
        self.require_some()

    def thumbnail(self, index: int, side: int) -> Image.Image:
        """One photo, scaled down to fit a square of `side` pixels.

        Raises:
            InvalidInput: It is no photo.
        """
        picture = self.photo(index).picture
        picture.thumbnail((side, side))
        return picture

    def skip(self, index: int, reason: str) -> None:
        """Count a photo as left out, with the reason."""
        self.skipped[self._photos[index].name] = reason
        self._unusable.add(index)

    def require_some(self, parameter: str = "photos") -> None:
        """Raise `InvalidInput` when nothing is left of the set."""
        if len(self._unusable) < len(self):
            return
        given = f"{len(self.skipped):,} files, none of them a photo" if self.skipped else "an empty set"
        name, reason = next(iter(self.skipped.items()), ("", ""))
        raise InvalidInput(parameter, given, f"photos, each {EXPECTED}", f"{name}: {reason}" if name else "")

    @property
    def notes(self) -> list[str]:
        """Sentences on what was left out; none when the set is whole."""
        notes = []
        if self.of > len(self):
            notes.append(f"Photo set: {len(self):,} of its {self.of:,} photos, evenly spaced.")
        if names := list(self.skipped):
            files = len(self) + len(names) - len(self._unusable)
            some = ", ".join(names[:3]) + ", ..." * (len(names) > 3)
            notes.append(f"Left out, since they are no photos: {len(names):,} of {files:,} files: {some}.")
        return notes
