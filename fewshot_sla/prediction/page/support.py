"""The part of the page about what the labelled pictures tell: themselves, class by class, and their confusions."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fewshot_sla.prediction.report import PredictionReport, SupportImage
from fewshot_sla.reporting.html import count, element, image, name, text, whole_percent

SUPPORT_BOX = 64  # CSS pixels
MOST_CLASSES = 500
MOST_A_CLASS = 12
MOST_SUPPORT = 1500  # pictures on the whole page: with very many classes there are fewer a class
LARGEST_MATRIX = 20  # classes; beyond it the frequent confusions say more than a table that nobody can read
MOST_CONFUSIONS = 25


def mistaken(item: SupportImage) -> bool:
    """Whether the picture, left out, was given another label than its own."""
    return item.left_out_label not in ("", item.label)


def support_section(report: PredictionReport) -> str:
    """The labelled pictures by class, the mistaken ones first."""
    members: dict[str, list[SupportImage]] = {label: [] for label in report.classes}
    for item in report.support:
        members[item.label].append(item)
    given = Counter(query.labels[0] for query in report.queries)
    shown = report.classes[:MOST_CLASSES]
    most = max(1, min(MOST_A_CLASS, MOST_SUPPORT // max(1, len(shown))))
    blocks = [_class_block(i, label, members[label], given[label], most) for i, label in enumerate(shown)]
    parts = ["<h2>The labelled pictures</h2>"]
    if any(mistaken(item) for item in report.support):
        parts.append(
            "<p>A marked picture was taken for another class when it was left out: it may be unusual, or wrongly "
            "labelled.</p>"
        )
    narrow = " narrow" if max(map(len, members.values()), default=0) < 5 else ""
    parts.append(element("ul", blocks, class_=f"classes{narrow}"))
    if hidden := len(report.classes) - len(shown):
        parts.append(f'<p class="soft">{count(hidden, "class", "classes")} more, not shown.</p>')
    return element("section", parts, id="support")


def _class_block(number: int, label: str, items: list[SupportImage], given: int, most: int) -> str:
    left_out = sum(item.left_out_label != "" for item in items)
    wrong = sum(map(mistaken, items))
    facts = [count(len(items), "picture"), count(given, "prediction")]
    if left_out:
        facts.insert(1, f"{left_out - wrong:,} of {left_out:,} right when left out")
    thumbs = [_thumbnail(item) for item in sorted(items, key=lambda item: not mistaken(item))[:most]]
    if len(items) > most:
        thumbs.append(f'<li class="more soft small">and {len(items) - most:,} more</li>')
    head = [f"<h3>{name(label)}</h3>", f'<p class="soft small">{" · ".join(facts)}</p>']
    return element("li", [*head, element("ul", thumbs, class_="thumbs")], class_="class", id=class_id(number))


def class_id(number: int) -> str:
    """Where the page shows the class of this number."""
    return f"class-{number}"


def _thumbnail(item: SupportImage) -> str:
    if not mistaken(item):
        return f'<li title="{text(item.name)}">{image(item.picture, f"{item.label}: {item.name}", SUPPORT_BOX)}</li>'
    alt = f"{item.label}: {item.name}, taken for {item.left_out_label}"
    said = f"<span>taken for {name(item.left_out_label)}</span>"
    return f'<li class="mistaken" title="{text(item.name)}">{image(item.picture, alt, SUPPORT_BOX)}{said}</li>'


def confusion_section(report: PredictionReport) -> str:
    """What was taken for what when left out: a matrix, or the frequent confusions of many classes; "" if unknown."""
    confusion = report.leave_one_out_confusion
    if not confusion.sum():
        return ""
    parts = ["<h2>Which classes are confused</h2>"]
    if len(report.classes) <= LARGEST_MATRIX:
        parts += _matrix(report.classes, confusion)
    else:
        parts += _frequent_confusions(report.classes, confusion)
    return element("section", parts, id="confusion")


def _matrix(classes: tuple[str, ...], confusion: NDArray[np.int64]) -> Iterator[str]:  # confusion [N, N] int64
    yield "<p>Each labelled picture was left out in turn and predicted from the others. An empty cell means none.</p>"
    head = ['<th scope="col" class="corner">right label ↓<br>given label →</th>']
    head += [f'<th scope="col" title="{text(label)}"><span>{name(label)}</span></th>' for label in classes]
    rows = []
    for i, label in enumerate(classes):
        cells = "".join(_cell(int(times), i == j, int(confusion[i].sum())) for j, times in enumerate(confusion[i]))
        rows.append(f'<tr><th scope="row">{name(label)}</th>{cells}</tr>')
    table = element("table", [f"<thead><tr>{''.join(head)}</tr></thead>", element("tbody", rows)], class_="matrix")
    # A box of its own: a wide matrix scrolls inside it, by touch or by the arrow keys, and the page does not.
    yield element("div", [table], class_="scroll", tabindex="0", role="region", aria_label="Confusion matrix")


def _cell(times: int, is_right: bool, of: int) -> str:
    if not times:
        return "<td></td>"
    return f'<td class="{"right" if is_right else "wrong"}" style="--share:{times / of:.2f}">{times:,}</td>'


def _frequent_confusions(classes: tuple[str, ...], confusion: NDArray[np.int64]) -> Iterator[str]:  # [N, N] int64
    off_diagonal = confusion * (1 - np.eye(len(classes), dtype=np.int64))
    shares = off_diagonal / confusion.sum(axis=1, keepdims=True).clip(min=1)
    pairs = [(int(i), int(j)) for i, j in np.argwhere(off_diagonal)]
    pairs.sort(key=lambda pair: (off_diagonal[pair], shares[pair]), reverse=True)
    if not pairs:
        yield "<p>None: each labelled picture, left out in turn, was given its own label.</p>"
        return
    wrong = f"{count(int(off_diagonal.sum()), 'picture')} of {confusion.sum():,}"
    yield f"<p>Each labelled picture was left out in turn and predicted from the others; {wrong} got another label.</p>"
    rows = ['<tr><th scope="col">Right label</th><th scope="col">Given label</th><th scope="col">Pictures</th></tr>']
    for i, j in pairs[:MOST_CONFUSIONS]:
        share = f"{confusion[i, j]:,} of {confusion[i].sum():,} ({text(whole_percent(shares[i, j]))})"
        cells = f'<td>{name(classes[j])}</td><td class="number">{share}</td>'
        rows.append(f'<tr><th scope="row">{name(classes[i])}</th>{cells}</tr>')
    yield element("table", [element("thead", rows[:1]), element("tbody", rows[1:])], class_="list")
    if len(pairs) > MOST_CONFUSIONS:
        yield f'<p class="soft">and {count(len(pairs) - MOST_CONFUSIONS, "pair")} of classes more.</p>'
