"""Networks of Pajek, read strictly: what would be guessed is refused, with the line."""

from collections.abc import Callable, Iterator
from pathlib import Path

Link = tuple[int, int, float]  # target, source, weight, counted from 0


def read_pajek(path: Path, most: int) -> tuple[int, list[Link]]:
    r"""Return the number of nodes, at most so many, and all links; edges lead both ways.

    ValueError for two-mode networks, several networks or relations in a file, matrices, nodes that
    are not declared and weights that are no numbers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "net.net"
    ...     _ = path.write_text("*Vertices 3\n*Arcs\n1 2 0.5\n*Edgeslist\n2 3\n")
    ...     read_pajek(path, 10)
    (3, [(1, 0, 0.5), (2, 1, 1.0), (1, 2, 1.0)])
    """
    nodes, links = 0, list[Link]()
    section, read = "", _SECTIONS["*vertices"]
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("%"):
            continue
        try:
            if words[0].startswith("*"):
                section, read = _section(words, section)
                if section == "*vertices":
                    nodes = _size(words, most)
            else:
                links += read(words, nodes)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    if not nodes:
        raise ValueError("it has no *Vertices")
    return nodes, links


def _text(path: Path) -> str:
    """Return a file's text; older programs wrote Latin-1."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _section(words: list[str], before: str) -> tuple[str, "Reader"]:
    """Return the section that begins, and what reads its lines."""
    word = words[0].lower()
    if word == "*network" and not before:
        return "*network", _SECTIONS["*vertices"]
    if word == "*vertices" and before not in ("", "*network"):
        raise ValueError("a second network begins; give a file of one")
    if word not in _SECTIONS:
        known = "*Vertices, *Arcs, *Edges, *Arcslist and *Edgeslist"
        raise ValueError(f"{words[0]} is not taken; taken are {known}")
    if any(part.startswith(":") and part != ":1" for part in words[1:]):
        raise ValueError("it has several relations; give a file of one")
    return word, _SECTIONS[word]


def _size(words: list[str], most: int) -> int:
    """Return the number of nodes that a network states."""
    if len(words) != 2:
        raise ValueError(
            "it is a network of two modes; save it as a matrix and say project='rows' or 'columns'"
        )
    size = int(words[1])
    if not 0 < size <= most:
        raise ValueError(f"it states {size} nodes; 1 to {most} are taken")
    return size


def _node(word: str, nodes: int) -> int:
    """Return a node's place."""
    place = int(word)
    if not 1 <= place <= nodes:
        raise ValueError(f"node {place} is not there, there are {nodes}")
    return place - 1


def _vertex(words: list[str], nodes: int) -> Iterator[Link]:
    """Check that a vertex is one of those stated; how it looks does not matter."""
    _node(words[0], nodes)
    return iter(())


def _arc(words: list[str], nodes: int) -> Iterator[Link]:
    """Read a link and its weight."""
    if len(words) < 2:
        raise ValueError("a link needs two nodes")
    source, target = _node(words[0], nodes), _node(words[1], nodes)
    yield target, source, float(words[2]) if len(words) > 2 else 1.0


def _arcs(words: list[str], nodes: int) -> Iterator[Link]:
    """Read a node and those it leads to."""
    source, *targets = (_node(word, nodes) for word in words)
    yield from ((target, source, 1.0) for target in targets)


def _both(links: Iterator[Link]) -> Iterator[Link]:
    """Yield each link and its opposite; a loop is one."""
    for target, source, weight in links:
        yield target, source, weight
        if target != source:
            yield source, target, weight


Reader = Callable[[list[str], int], Iterator[Link]]
_SECTIONS: dict[str, Reader] = {
    "*vertices": _vertex,
    "*arcs": _arc,
    "*edges": lambda words, nodes: _both(_arc(words, nodes)),
    "*arcslist": _arcs,
    "*edgeslist": lambda words, nodes: _both(_arcs(words, nodes)),
}
