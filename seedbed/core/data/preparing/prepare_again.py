"""Prepare other rows just as those were that a model was trained on; and texts for any model at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries, PreparedText
from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.lay_texts import lay_texts
from seedbed.core.data.preparing.prepare import open_prepared, prepare
from seedbed.core.data.preparing.prepare_series import open_series, prepare_series
from seedbed.core.data.preparing.prepare_text import open_text, prepare_text
from seedbed.core.data.preparing.tokens import Tokens, open_tokens, tokenise
from seedbed.core.data.preparing.vocabulary import Vocabulary, load_vocabulary
from seedbed.core.task import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class InputForm:
    """What every row of a run was brought to: of images their form, of series the channels, of texts the ids."""

    image: ImageForm | None = None
    channels: int = 0
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Rows as models are fed with them, and the form they were brought to; `tokens` belong to texts."""

    prepared: Prepared
    form: InputForm
    tokens: Tokens | None = None

    @property
    def tokens_folder(self) -> str:
        """Where the ids of the texts lie; empty for other data."""
        return "" if self.tokens is None else str(self.tokens.folder.absolute())


def prepare_again(dataset: Dataset, form: InputForm, cache: Path) -> Ready:
    """Bring the rows of a dataset into a given form.

    Raises:
        DataError: none of them can be used.
    """
    if dataset.modality == "image":
        return Ready(prepared=prepare(dataset, cache, form=form.image), form=form)
    if dataset.modality == "series":
        return Ready(prepared=prepare_series(dataset, cache, channels=form.channels or None), form=form)
    prepared = prepare_text(dataset, cache)
    if form.vocabulary is None:
        raise ValueError("Texts need the vocabulary of their run.")
    return Ready(prepared=prepared, form=form, tokens=feed_texts(dataset, prepared, form.vocabulary, cache))


def open_again(modality: Modality, data: Path, tokens: str, vocabulary: Path) -> Ready:
    """Open rows that were made ready before, in whatever folders they lie by now; `tokens` is empty unless of texts.

    Raises:
        DataError: what lies there is not whole.
    """
    if modality == "text":
        form = InputForm(vocabulary=load_vocabulary(vocabulary))
        return Ready(prepared=open_text(data), form=form, tokens=open_tokens(Path(tokens)))
    prepared = open_series(data) if modality == "series" else open_prepared(data)
    return Ready(prepared=prepared, form=form_of(prepared))


def form_of(prepared: Prepared) -> InputForm:
    """Return what images or series were brought to."""
    if isinstance(prepared, PreparedImages):
        return InputForm(image=prepared.form)
    return InputForm(channels=prepared.channels if isinstance(prepared, PreparedSeries) else 0)


def feed_texts(
    dataset: Dataset,
    prepared: PreparedText,
    vocabulary: Vocabulary,
    cache: Path,
    *,
    report: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Tokens:
    """Lay out texts, as they are and as ids, where trials find both; what is there already is only opened.

    Raises:
        DataError: the cache has no room.
        Interrupted: `cancelled()` became true.
    """
    lay_texts(dataset, prepared, cancelled=cancelled)
    return tokenise(dataset, vocabulary, cache, prepared.fingerprint, report=report, cancelled=cancelled)
