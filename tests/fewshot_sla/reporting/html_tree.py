"""HTML read back as a tree, for tests: every element must be closed where it should be."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}
INLINE = {"a", "bdi", "code", "span", "time"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def all(self, tag: str = "", class_: str = "") -> Iterator["Node"]:
        for child in self.children:
            if tag in ("", child.tag) and (not class_ or class_ in child.attributes.get("class", "").split()):
                yield child
            yield from child.all(tag, class_)

    def one(self, tag: str = "", class_: str = "") -> "Node":
        (found,) = self.all(tag, class_)
        return found

    def by_id(self, name: str) -> "Node | None":
        return next((node for node in self.all() if node.attributes.get("id") == name), None)

    @property
    def text(self) -> str:
        """All words in it, in order, with single spaces."""
        return " ".join("".join(self.pieces).replace("\N{NO-BREAK SPACE}", " ").split())


class Tree(HTMLParser):
    """Builds the tree and insists that every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Node("")
        self.open = [self.root]
        self.feed(html)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [key for key, _ in attrs]
        assert len(names) == len(set(names))
        self._border(tag)
        node = Node(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag
        self._border(tag)

    def _border(self, tag: str) -> None:
        """A block is a word of its own, though nothing stands between it and the next."""
        if tag not in INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.pieces.append(data)
