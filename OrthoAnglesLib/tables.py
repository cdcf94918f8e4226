"""A QTableWidget that is told what to show and touches only the cells that change: tables follow the mouse."""

import qt

# Hue from green (best) to red (worst); half transparent, so that the text is read in a light and a dark theme.
_BEST_HUE, _SATURATION, _VALUE, _ALPHA = 120, 200, 220, 110


class Table:
    """Rows of text in ``widget``; one column takes the room that the others leave."""

    def __init__(self, widget, titles: list[str], stretched: int) -> None:
        self._widget, self._titles = widget, titles
        self._shown: list[list[tuple]] = []
        widget.setColumnCount(len(titles))
        widget.setHorizontalHeaderLabels(titles)
        header = widget.horizontalHeader()
        header.setStretchLastSection(False)
        for column in range(len(titles)):
            mode = qt.QHeaderView.Stretch if column == stretched else qt.QHeaderView.ResizeToContents
            header.setSectionResizeMode(column, mode)

    def clear(self, rows: int) -> None:
        """Make it ``rows`` empty rows."""
        self._widget.setRowCount(0)
        self._widget.setRowCount(rows)
        self._shown = [[()] * len(self._titles) for _ in range(rows)]

    def show(self, row: int, column: int, text: str, toolTip: str = "", rank: float | None = None) -> None:
        """Show ``text``; ``rank`` tints the cell from 0, the best grade, to 1, the worst."""
        cell = (text, toolTip, rank)
        if cell == self._shown[row][column]:
            return
        item = qt.QTableWidgetItem(text)
        item.setToolTip(toolTip)
        if rank is not None:
            item.setBackground(qt.QBrush(gradeColor(rank)))
        self._widget.setItem(row, column, item)
        self._shown[row][column] = cell

    def text(self) -> str:
        """The whole table, tab separated with its titles, for a spreadsheet or a report."""
        rows = [[cell[0] if cell else "" for cell in row] for row in self._shown]
        return "\n".join("\t".join(cells) for cells in [self._titles, *rows])


def gradeColor(rank: float):
    """Colour of a grade: 0 is the best, 1 the worst."""
    return qt.QColor.fromHsv(round(_BEST_HUE * (1 - rank)), _SATURATION, _VALUE, _ALPHA)
