"""What the pages have in common: Markdown tables, and rows chosen from results."""


def markdown(columns, rows):
    """Return a Markdown table; the first column is text, the others are right-aligned."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def those(rows, **fields):
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def distinct(rows, key):
    """Return a column's different values, in order."""
    return list(dict.fromkeys(row[key] for row in rows))
