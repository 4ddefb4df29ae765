"""The words in which GraphML and GEXF tell of nodes and edges; whoever knows these puts them in."""

from collections.abc import Mapping

from edgedyn._array import Array

Parts = list[str | Array]  # of a line: texts, and numbers of which each line has one


class GraphML:
    """The words of GraphML."""

    first = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns \
http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
    middle = ""
    last = "</graph>\n</graphml>\n"

    def begin(self, columns: Mapping[str, str]) -> str:
        """Return what comes before the nodes."""
        keys = {name: ("node", kind) for name, kind in columns.items()}
        keys |= {"weight": ("edge", "double"), "multiplicity": ("edge", "long")}
        lines = [
            f'<key id="{name}" for="{of}" attr.name="{name}" attr.type="{kind}"/>\n'
            for name, (of, kind) in keys.items()
        ]
        return f'{self.first}{"".join(lines)}<graph edgedefault="directed">\n'

    def node(self, number: Array, columns: Mapping[str, Parts]) -> Parts:
        """Return the parts of a node's line."""
        found: Parts = ['<node id="', number, '">']
        for name, parts in columns.items():
            found += [f'<data key="{name}">', *parts, "</data>"]
        return [*found, "</node>\n"]

    def edge(self, source: Array, target: Array, weight: str | Array, paths: Array) -> Parts:
        """Return the parts of an edge's line."""
        ends: Parts = ['<edge source="', source, '" target="', target]
        about: Parts = ['"><data key="weight">', weight, '</data><data key="multiplicity">', paths]
        return [*ends, *about, "</data></edge>\n"]


class Gexf:
    """The words of GEXF."""

    first = """<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://www.gexf.net/1.2draft" xmlns:viz="http://www.gexf.net/1.2draft/viz" \
version="1.2">
<graph defaultedgetype="directed" mode="static">
"""
    middle = "</nodes>\n<edges>\n"
    last = "</edges>\n</graph>\n</gexf>\n"
    types = {"int": "integer"}

    def begin(self, columns: Mapping[str, str]) -> str:
        """Return what comes before the nodes; a label is no attribute here."""
        own = {name: kind for name, kind in columns.items() if name != "label"}
        lists = (("node", own), ("edge", {"multiplicity": "long"}))
        lines = []
        for of, attributes in lists:
            lines.append(f'<attributes class="{of}">\n')
            for name, kind in attributes.items():
                kind = self.types.get(kind, kind)
                lines.append(f'<attribute id="{name}" title="{name}" type="{kind}"/>\n')
            lines.append("</attributes>\n")
        return f"{self.first}{''.join(lines)}<nodes>\n"

    def node(self, number: Array, columns: Mapping[str, Parts]) -> Parts:
        """Return the parts of a node's line."""
        found: Parts = ['<node id="', number, '" label="', *columns["label"], '"><attvalues>']
        for name, parts in columns.items():
            if name != "label":
                found += [f'<attvalue for="{name}" value="', *parts, '"/>']
        place: Parts = ['<viz:position x="', *columns["x"], '" y="', *columns["y"], '" z="0"/>']
        return [*found, "</attvalues>", *place, "</node>\n"]

    def edge(self, source: Array, target: Array, weight: str | Array, paths: Array) -> Parts:
        """Return the parts of an edge's line; edges go by their ends."""
        ends: Parts = [
            '<edge id="',
            source,
            "-",
            target,
            '" source="',
            source,
            '" target="',
            target,
        ]
        about: Parts = ['" weight="', weight, '"><attvalues><attvalue for="multiplicity" value="']
        return [*ends, *about, paths, '"/></attvalues></edge>\n']
