from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing import stream
from seedbed.core.data.preparing.stream import pieces, pieces_of


@pytest.fixture
def numbered() -> Dataset:
    """Texts 0 to 99, in arrow chunks of unequal length."""
    chunks = [[str(n) for n in range(start, end)] for start, end in [(0, 7), (7, 7), (7, 60), (60, 100)]]
    table = pa.table({"text": pa.chunked_array(chunks, pa.string()), "other": list(range(100))})
    return Dataset(rows=datasets.Dataset(table), modality="text", source="s", name="n")


@pytest.mark.parametrize("rows", [1, 8, 1000])
def test_pieces_are_the_column_in_order(numbered: Dataset, rows: int) -> None:
    found = list(pieces(numbered, "text", rows))
    assert [text.as_py() for _, piece in found for text in piece] == [str(n) for n in range(100)]
    assert all(piece[0].as_py() == str(start) and len(piece) <= rows for start, piece in found)


def test_large_cells_come_in_small_pieces(monkeypatch) -> None:
    monkeypatch.setattr(stream, "PIECE_BYTES", 1000)
    rows = datasets.Dataset.from_dict({"text": ["x" * 400] * 9})
    found = list(pieces(Dataset(rows=rows, modality="text", source="s", name="n"), "text"))
    assert sum(len(piece) for _, piece in found) == 9
    assert max(len(piece) for _, piece in found) <= 2


def test_chosen_rows_of_a_shuffled_table_come_in_order(numbered: Dataset) -> None:
    shuffled = Dataset(rows=numbered.rows.shuffle(seed=1), modality="text", source="s", name="n")
    expected = shuffled.rows["text"]
    wanted = np.array([0, 3, 50, 51, 99])
    found = list(pieces_of(shuffled, "text", wanted))
    assert [text.as_py() for _, piece in found for text in piece] == [expected[row] for row in wanted]
    assert found[0][0] == 0
    assert list(pieces_of(shuffled, "text", wanted[:0])) == []
