"""A folder of tables: train.csv, valid.csv and test.csv, or the like in other formats."""

from __future__ import annotations

from pathlib import Path

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table, short_name
from seedbed.core.errors import DataError
from seedbed.plugins.readers.folders import not_listed
from seedbed.plugins.readers.forms import form_of
from seedbed.plugins.readers.tables import chosen, read_parts


def build(options: NoOptions) -> TableFolder:
    """Build the reader."""
    return TableFolder()


class TableFolder:
    """Reads the parts of one table; a lone table is read as it is."""

    def recognises(self, path: Path) -> bool:
        """Whether tables lie in it, and no images that belong to them."""
        form = form_of(path)
        return form is not None and form.kind == "tables"

    def read(self, source: str, context: ReadContext) -> Table:
        """Read all parts as one table with a column for the part.

        Raises:
            DataError: a table cannot be used, or it is not clear which are meant.
        """
        try:
            form = form_of(Path(source).resolve())
        except OSError as error:
            raise DataError(not_listed(error, source)) from error
        if form is None or not form.tables:
            raise DataError(
                f"{source} holds no tables; expected are train.csv, and valid.csv and test.csv if you like."
            )
        files, notes = chosen(form.tables, source)
        table = read_parts(files, source, short_name(Path(source).resolve().name, "tables"), context)
        return Table(
            rows=table.rows,
            source=source,
            name=table.name,
            schema=table.schema,
            folder=form.root,
            findings=(*table.findings, *notes),
        )
