"""The part of the page about what the labelled pictures tell: themselves, class by class, and their confusions."""

from collections import Counter

from fewshot_sla.prediction.report import PredictionReport, SupportImage
from fewshot_sla.reporting.html import count, element, image, name, text
from fewshot_sla.reporting.page.confusions import LARGEST_MATRIX, frequent_confusions, matrix

SUPPORT_BOX = 64  # CSS pixels
MOST_CLASSES = 500
MOST_A_CLASS = 12
MOST_SUPPORT = 1500  # pictures on the whole page: with very many classes there are fewer a class


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
    how = "Each labelled picture was left out in turn and predicted from the others"
    wrong = int(confusion.sum() - confusion.trace())
    if len(report.classes) <= LARGEST_MATRIX:
        parts += [f"<p>{how}. An empty cell means none.</p>", matrix(report.classes, confusion)]
    elif not wrong:
        parts.append("<p>None: each labelled picture, left out in turn, was given its own label.</p>")
    else:
        parts.append(f"<p>{how}; {count(wrong, 'picture')} of {confusion.sum():,} got another label.</p>")
        parts += frequent_confusions(report.classes, confusion)
    return element("section", parts, id="confusion")
