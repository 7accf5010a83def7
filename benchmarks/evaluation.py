"""``python -m benchmarks.evaluation``: 1000 episodes on cached features, against episode by episode, and learn2learn.

Conv-4 + ProtoNet on the test letters of glyphs, 5-way, 1-shot and 5-shot, 15 queries a class; ResNet-12 on random 32x32
images. Three ways to the same accuracies:

* cached: ``fewshot_sla.meta.protocol.evaluate``, which embeds every view of every image once;
* per episode: the same learner on the images of one episode after another;
* learn2learn: its TaskDataset and its PrototypicalClassifier on the same backbone, one task after another.

The slow ways take a share of the episodes, other ones in each round; their time for all is extrapolated. The
accuracies of the first two must be equal in every episode that both evaluated, or the benchmark fails. learn2learn
draws episodes of its own and has no label augmentation; it is compared with plain inference.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.peers import TensorImages, learn2learn, learn2learn_dataset
from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from episodes.datasets import Glyphs
from episodes.episode import EpisodeSpec
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.source import EpisodeSource
from episodes.transformations import Rotation
from fewshot_sla.backbones import Backbone, Conv4, ResNet12
from fewshot_sla.heads import ProtoNetHead
from fewshot_sla.meta import SLA, EpisodeObjective, Plain
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.protocol import EpisodeOutcomes, correct_by_class, evaluate
from fewshot_sla.training.modes import evaluation_mode


class Case(NamedTuple):
    """What is evaluated: images, a backbone, an objective, a size of episode, and how many episodes."""

    images: LabelledImages
    backbone: Backbone
    objective: EpisodeObjective
    k_shot: int
    episodes: int  # that are evaluated on cached features
    at_once: int  # of them, that the slow ways take in one round; the rounds take different ones
    rounds: int  # how many times each way is timed

    @property
    def source(self) -> EpisodeSource:
        """Its episodes."""
        return EpisodeSource(self.images, EpisodeSpec(5, self.k_shot, 15), 0, Normalization.of(self.images))


def accuracies_one_by_one(
    learner: EmbeddingLearner, objective: EpisodeObjective, source: EpisodeSource, number: int
) -> dict[str, float]:
    """Accuracy of one episode by every inference: all its views through the learner, once for each labelling."""
    views = source.views([number], objective.transformations)
    with torch.no_grad(), evaluation_mode(learner):
        logits = {
            labelling: learner(labelling(views))
            for labelling in {inference.labelling for inference in objective.inferences.values()}
        }
    return {
        name: float(
            correct_by_class(
                inference.predict(logits[inference.labelling], objective.transformations.m), views.query_labels
            ).double().mean() / source.sampler.spec.n_query
        )
        for name, inference in objective.inferences.items()
    }  # fmt: skip


class OneByOne:
    """Episode after episode; each call takes the next ones, and all accuracies are kept."""

    def __init__(self, learner: EmbeddingLearner, case: Case) -> None:
        self.learner, self.case, self.source = learner, case, case.source
        self.accuracies: dict[int, dict[str, float]] = {}
        self._next = 0

    def __call__(self) -> None:
        """The next episodes; after the last comes the first."""
        for _ in range(self.case.at_once):
            number = self._next % self.case.episodes
            self.accuracies[number] = accuracies_one_by_one(self.learner, self.case.objective, self.source, number)
            self._next += 1


class Learn2LearnLoop:
    """The loop of learn2learn's prototypical-network example: tasks one by one, all images embedded in one pass."""

    def __init__(self, learner: EmbeddingLearner, case: Case) -> None:
        l2l = learn2learn()
        source = case.source
        self.spec, self.episodes, self.backbone = source.sampler.spec, case.at_once, learner.backbone
        normalised = source.normalization(case.images.images)  # beforehand: in the loop nothing is converted
        dataset = learn2learn_dataset(TensorImages(normalised, case.images.labels))
        transforms = l2l.data.transforms
        self.tasks = l2l.data.TaskDataset(
            dataset,
            task_transforms=[
                transforms.NWays(dataset, self.spec.n_way),
                transforms.KShots(dataset, self.spec.images_per_class),
                transforms.LoadData(dataset),
                transforms.RemapLabels(dataset),
                transforms.ConsecutiveLabels(dataset),
            ],
            num_tasks=-1,
        )
        self.classifier = l2l.nn.PrototypicalClassifier()

    def predictions(self, support: Tensor, support_labels: Tensor, query: Tensor) -> Tensor:  # [R]
        """Classes of the queries of one episode of images."""
        with torch.no_grad(), evaluation_mode(self.backbone):
            features = self.backbone(torch.cat([support, query]))
        self.classifier.fit_(features[: len(support)], support_labels)
        return self.classifier(features[len(support) :]).argmax(dim=-1)

    def __call__(self) -> float:
        """Mean accuracy on tasks that learn2learn draws."""
        shots, total = self.spec.k_shot, 0.0
        for _ in range(self.episodes):
            images, labels = (
                field.unflatten(0, (self.spec.n_way, self.spec.images_per_class)) for field in self.tasks.sample()
            )
            found = self.predictions(
                images[:, :shots].flatten(0, 1), labels[:, :shots].flatten(), images[:, shots:].flatten(0, 1)
            )
            total += float((found == labels[:, shots:].flatten()).double().mean())
        return total / self.episodes

    def agreement(self, learner: EmbeddingLearner, source: EpisodeSource, episodes: int) -> float:
        """Share of the queries of our episodes that learn2learn's classifier puts where our head does."""
        same = 0.0
        for number in range(episodes):
            batch = source.batch([number])
            with torch.no_grad(), evaluation_mode(learner):
                ours = learner(batch).argmax(dim=-1)[0]
            theirs = self.predictions(*(field[0] for field in (batch.support, batch.support_labels, batch.query)))
            same += float((ours == theirs).double().mean())
        return same / episodes


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
    if options.json:
        write_json(
            options.json,
            {"benchmark": "evaluation", "quick": options.quick, "provenance": provenance(), "cases": reports},
        )


if __name__ == "__main__":
    main()
