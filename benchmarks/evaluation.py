"""``python -m benchmarks.evaluation``: 1000 episodes on cached features, against episode by episode, and learn2learn.

Conv-4 + ProtoNet on the test letters of glyphs, 5-way, 1-shot and 5-shot, 15 queries a class; ResNet-12 on random 32x32
images. Three ways to the same accuracies:

* cached: ``fewshot_sla.meta.protocol.evaluate``, which embeds every view of every image once;
* per episode: the same learner on the images of one episode after another;
* learn2learn: its TaskDataset and its PrototypicalClassifier on the same backbone, one task after another.

The slow ways take a share of the episodes, other ones in each round; their time for all is extrapolated. The
accuracies of the first two must be equal in every episode that both evaluated, or the benchmark fails. learn2learn
draws episodes of its own and has no label augmentation; it is compared with plain inference.

Beside them: what `meta_test` does (1 and 5 shots and the disjoint episodes on one embedding, results and tables made
ready to be written) against the same one after the other, and with ten times as many episodes.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.evaluation_contestants import Case, Learn2LearnLoop, OneByOne
from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from episodes.datasets import Glyphs
from episodes.disjoint import DisjointSampler
from episodes.episode import EpisodeSpec
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.sampler import EpisodeSampler
from episodes.source import EpisodeSource
from episodes.transformations import Rotation
from fewshot_sla.backbones import Backbone, Conv4, ResNet12
from fewshot_sla.heads import ProtoNetHead
from fewshot_sla.meta import SLA, Plain
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.outcome_files import outcome_tables
from fewshot_sla.meta.predictions import Selection
from fewshot_sla.meta.protocol import EpisodeOutcomes, evaluate, evaluate_all
from fewshot_sla.meta.results import summarize


def measure(case: Case) -> dict[str, Any]:
    """Time the ways of one case in turn, and compare what they find."""
    learner = EmbeddingLearner(case.backbone, ProtoNetHead())
    source = case.source
    one_by_one = OneByOne(learner, case)
    outcomes: dict[str, EpisodeOutcomes] = {}
    contestants: dict[str, Callable[[], object]] = {
        "cached": lambda: outcomes.update(evaluate(learner, case.objective, source, range(case.episodes))),
        "per episode": one_by_one,
    }
    plain = isinstance(case.objective, Plain)
    if plain:
        loop = Learn2LearnLoop(learner, case)
        contestants["learn2learn"] = loop
    timings = time_in_turn(contestants, case.rounds)
    counts = {name: case.episodes if name == "cached" else case.at_once for name in contestants}
    report = {
        "images": {
            "name": case.images.name,
            "count": len(case.images),
            "shape": list(case.images.image_shape),
        },
        "backbone": type(case.backbone).__name__,
        "objective": type(case.objective).__name__,
        "views": case.objective.transformations.m,
        "episodes": {"n_way": 5, "k_shot": case.k_shot, "n_query": 15, "count": case.episodes},
        "contestants": {name: timings[name].facts(counts[name]) for name in contestants},
        "seconds_for_all_episodes": {
            name: timings[name].median * case.episodes / counts[name] for name in contestants
        },  # of the slow ones by extrapolation, see "items"
        "ratios": {
            f"cached / {name}": ratio(timings[name], timings["cached"], (counts[name], case.episodes))
            for name in contestants
            if name != "cached"
        },
        "accuracy": {name: float(outcome.accuracies.mean()) for name, outcome in outcomes.items()},
        "equal": compare(outcomes, one_by_one.accuracies),
    }
    if plain:
        report["learn2learn_agreement"] = loop.agreement(learner, source, min(50, case.at_once))
        report["accuracy"]["learn2learn, its own episodes"] = loop()
    return report


def whole_test(case: Case, episodes: int, *, together: bool) -> None:
    """A test at 1 and 5 shots, to the texts of its files: everything on one embedding, or an embedding each."""
    images, normalization = case.images, Normalization.of(case.images)
    learner = EmbeddingLearner(case.backbone, ProtoNetHead())
    specs = [EpisodeSpec(5, k_shot, min(15, len(images) // len(images.class_names) - k_shot)) for k_shot in (1, 5)]
    asked = []
    for sampler in (EpisodeSampler, DisjointSampler):
        for spec in specs:
            source = EpisodeSource(images, spec, 0, normalization, sampler=sampler)
            most = len(source.sampler) if isinstance(source.sampler, DisjointSampler) else episodes
            asked.append(Selection(source, range(min(most, episodes))))
    groups = [asked] if together else [[one] for one in asked]
    found = [outcomes for group in groups for outcomes in evaluate_all(learner, case.objective, group)]
    for spec, outcomes, apart in zip(specs, found[:2], found[2:], strict=True):
        results = summarize(outcomes, images, spec, 0, primary="single", step=0, disjoint=apart)
        outcome_tables(results, outcomes, images.class_names, apart)


def measure_sharing(case: Case) -> dict[str, Any]:
    """What sharing the features saves, and what ten times as many episodes cost."""
    contestants: dict[str, Callable[[], object]] = {
        "together": lambda: whole_test(case, case.episodes, together=True),
        "one by one": lambda: whole_test(case, case.episodes, together=False),
        "ten times": lambda: whole_test(case, 10 * case.episodes, together=True),
    }
    timings = time_in_turn(contestants, case.rounds)
    return {
        "objective": type(case.objective).__name__,
        "images": case.images.name,
        "episodes": case.episodes,
        "contestants": {name: timing.facts(1) for name, timing in timings.items()},
        "ratios": {
            "one by one / together": ratio(timings["one by one"], timings["together"]),
            "ten times / together": ratio(timings["ten times"], timings["together"]),
        },
    }


def show_sharing(report: dict[str, Any]) -> None:
    """What sharing saves, in two lines."""
    print(f"\n1 and 5 shots and disjoint episodes, {report['objective']} on {report['images']}:")
    for name, words in (
        ("one by one / together", "with an embedding each instead of one"),
        ("ten times / together", f"with {10 * report['episodes']} episodes instead of {report['episodes']}"),
    ):
        found = report["ratios"][name]
        print(f"  {words}: {found['median']:.2f} times as long ({found['min']:.2f} to {found['max']:.2f})")


def compare(outcomes: dict[str, EpisodeOutcomes], one_by_one: dict[int, dict[str, float]]) -> dict[str, int]:
    """How many episodes were compared and how many of them differ, which must be none."""
    differing = sum(
        any(float(outcomes[name].accuracies[number]) != accuracy for name, accuracy in found.items())
        for number, found in one_by_one.items()
    )
    if differing:
        raise SystemExit(f"cached and per-episode evaluation differ in {differing} of {len(one_by_one)} episodes")
    return {"compared": len(one_by_one), "differing": differing}


def settle(backbone: Backbone, images: LabelledImages) -> Backbone:
    """Give BatchNorm statistics of such images; the weights stay random, which costs no accuracy that matters here."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(images), generator=generator)[:256]
    pixels = Normalization.of(images)(images.gather(chosen))
    backbone.train()
    with torch.no_grad():
        for _ in range(10):
            backbone(pixels)
    return backbone.eval()


def random_images(classes: int, per_class: int, channels: int, side: int) -> LabelledImages:
    """Noise, where time is what matters."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (classes * per_class, channels, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.arange(classes).repeat_interleave(per_class)
    return LabelledImages(pixels, labels, tuple(map(str, range(classes))), f"random {side}x{side}")


def cases(episodes: int, rounds: int, *, quick: bool) -> list[Case]:
    """What is measured; ``quick`` takes a few small images of noise, and leaves ResNet-12 out."""
    torch.manual_seed(0)  # initial weights
    images = random_images(8, 20, 1, 16) if quick else Glyphs().open("test")
    conv4 = settle(Conv4(in_channels=1), images)
    chosen = [
        Case(images, conv4, objective, k_shot, episodes, max(1, episodes // 25), rounds)
        for k_shot in ((1,) if quick else (1, 5))
        for objective in (Plain(), SLA(Rotation()))
    ]
    if not quick:
        noise = random_images(20, 20, 3, 32)
        chosen.append(
            Case(noise, settle(ResNet12(), noise), SLA(Rotation()), 1, episodes, 1, min(2, rounds))
        )  # it takes minutes
    return chosen


def show(report: dict[str, Any]) -> None:
    """One case as a table."""
    head = "{backbone} on {images[count]} images ({images[name]}), {objective}, 5-way {episodes[k_shot]}-shot"
    print(f"\n{head.format(**report)}: equal in {report['equal']['compared']} episodes")
    rows = [
        [
            name,
            f"{report['seconds_for_all_episodes'][name]:.2f}",
            f"{1000 / facts['items_per_s']:.2f}",
            f"{report['ratios'][f'cached / {name}']['median']:.1f}" if name != "cached" else "",
        ]
        for name, facts in report["contestants"].items()
    ]
    print_table([" ", f"s for {report['episodes']['count']}", "ms an episode", "cached is faster by"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description="Evaluation on cached features against episode by episode, and against a learn2learn loop.",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--episodes", type=int, default=1000, help="episodes that are evaluated (default: 1000)")
    parser.add_argument(
        "--rounds", type=int, default=4, help="how many times each is timed, in turn, after one warm-up (default: 4)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of torch (default: 1; with more, the small batches of the slow ways suffer most from a busy "
        "machine, and the ratios would flatter the fast one)",
    )
    parser.add_argument("--quick", action="store_true", help="one small case: does it run, not how fast")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    random.seed(0)  # learn2learn draws from the global generator
    reports = []
    for case in cases(options.episodes, options.rounds, quick=options.quick):
        reports.append(measure(case))
        show(reports[-1])
    sharing = []
    for case in cases(options.episodes, options.rounds, quick=options.quick):
        if isinstance(case.backbone, Conv4) and case.k_shot == 1:  # it takes both shots
            sharing.append(measure_sharing(case))
            show_sharing(sharing[-1])
    if options.json:
        write_json(
            options.json,
            {
                "benchmark": "evaluation",
                "quick": options.quick,
                "provenance": provenance(),
                "cases": reports,
                "sharing": sharing,
            },
        )


if __name__ == "__main__":
    main()
