"""Who makes batches for ``benchmarks.pipeline``: ours, learn2learn and easyfsl, from the same images in memory."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from benchmarks.peers import TensorImages, easyfsl_sampler_class, learn2learn, learn2learn_dataset
from episodes.episode import EpisodeBatch, EpisodeSpec
from episodes.images.augmentation import CropFlipJitter
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.source import EpisodeSource
from episodes.targets import Targets
from episodes.transformations import Rotation
from episodes.views import add_views
from fewshot_sla.meta import SLA

SPEC = EpisodeSpec(n_way=5, k_shot=5, n_query=6)
SIDE, PADDING, JITTER, FLIP = 32, 4, 0.4, 0.5
CLASSES = 64
OBJECTIVE = SLA(Rotation())

Feed = Callable[[int], Iterator[EpisodeBatch]]  # number of batches -> NM-way batches on the device


class Setting(NamedTuple):
    """What all contestants share."""

    images: LabelledImages
    normalization: Normalization
    device: torch.device
    workers: int  # processes of a peer's DataLoader


def setting(per_class: int, device: torch.device, workers: int) -> Setting:
    """Random images, and where and with how many helpers they are made into batches."""
    generator = torch.Generator().manual_seed(0)
    shape = (CLASSES * per_class, 3, SIDE, SIDE)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(CLASSES).repeat_interleave(per_class)
    images = LabelledImages(pixels, labels, tuple(map(str, range(CLASSES))), f"random {SIDE}x{SIDE}")
    return Setting(images, Normalization.of(images), device, workers)


def source_of(given: Setting) -> EpisodeSource:
    """Our episodes, before label augmentation."""
    images = given.images.on(given.device, "device")
    normalization = Normalization(given.normalization.mean, given.normalization.deviation).to(given.device)
    return EpisodeSource(images, SPEC, 0, normalization, CropFlipJitter(PADDING, FLIP, JITTER))


def ours(given: Setting, episodes: int) -> Feed:
    """EpisodeSource; every batch has new numbers."""
    source, steps = source_of(given), count()

    def feed(batches: int) -> Iterator[EpisodeBatch]:
        for step in islice(steps, batches):
            yield OBJECTIVE.episodes(source, range(step * episodes, (step + 1) * episodes))

    return feed


class AugmentedImages(TensorImages):
    """Pillow images in memory, and torchvision's transforms at every access: (float [3, 32, 32], label)."""

    def __init__(self, given: Setting) -> None:
        from torchvision import transforms

        super().__init__(given.images.images, given.images.labels)
        self.images = tuple(transforms.functional.to_pil_image(image) for image in self.images)
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIDE, padding=PADDING),
                transforms.ColorJitter(JITTER, JITTER, JITTER),
                transforms.RandomHorizontalFlip(FLIP),
                transforms.ToTensor(),
                transforms.Normalize(given.normalization.mean.tolist(), given.normalization.deviation.tolist()),
            ]
        )

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(self.images[number]), self.labels[number]


def loader_options(given: Setting) -> dict[str, Any]:
    """The best there is for a DataLoader: workers that stay, and pinned memory for a GPU."""
    return {
        "num_workers": given.workers,
        "persistent_workers": given.workers > 0,
        "pin_memory": given.device.type == "cuda",
    }


def finished(episodes: EpisodeBatch, given: Setting) -> EpisodeBatch:
    """A peer's batch of N-way episodes, on the device, with label augmentation."""

    def there(part: Tensor) -> Tensor:
        return part.to(given.device, non_blocking=True)

    moved = episodes.with_items(there)._replace(
        support_labels=there(episodes.support_labels), query_targets=episodes.query_targets.each(there)
    )
    return OBJECTIVE.labelling(add_views(moved, OBJECTIVE.transformations))


def learn2learn_feed(given: Setting, episodes: int) -> Feed:
    """TaskDataset with the transforms of learn2learn's examples; a DataLoader stacks its tasks to batches."""
    l2l = learn2learn()
    dataset = learn2learn_dataset(AugmentedImages(given))
    transforms = l2l.data.transforms
    tasks = l2l.data.TaskDataset(
        dataset,
        task_transforms=[
            transforms.NWays(dataset, SPEC.n_way),
            transforms.KShots(dataset, SPEC.images_per_class),
            transforms.LoadData(dataset),
            transforms.RemapLabels(dataset),
            transforms.ConsecutiveLabels(dataset),
        ],
        num_tasks=20_000,
    )
    loaders: dict[int, DataLoader] = {}  # by number of batches: an iteration has to end, or workers would go on

    def feed(batches: int) -> Iterator[EpisodeBatch]:
        if batches not in loaders:
            sampler = RandomSampler(tasks, num_samples=batches * episodes)
            loaders[batches] = DataLoader(tasks, batch_size=episodes, sampler=sampler, **loader_options(given))
        for images, labels in loaders[batches]:  # [T, N*(K+Q), ...]: rows class by class, so slices part them
            parts = [
                field.unflatten(1, (SPEC.n_way, SPEC.images_per_class)).split([SPEC.k_shot, SPEC.n_query], dim=2)
                for field in (images, labels)
            ]
            support, query, support_labels, query_labels = (field.flatten(1, 2) for pair in parts for field in pair)
            yield finished(EpisodeBatch(support, support_labels, query, Targets(query_labels), SPEC.n_way), given)

    return feed


def easyfsl_feed(given: Setting, episodes: int) -> Feed:
    """TaskSampler and its collate function, one episode an item of the DataLoader; stacked to batches here."""
    images = AugmentedImages(given)
    sampler_class, _ = easyfsl_sampler_class()
    loaders: dict[int, DataLoader] = {}

    def feed(batches: int) -> Iterator[EpisodeBatch]:
        if batches not in loaders:
            sampler = sampler_class(images, SPEC.n_way, SPEC.k_shot, SPEC.n_query, batches * episodes)
            loaders[batches] = DataLoader(
                images, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn, **loader_options(given)
            )
        items = iter(loaders[batches])
        for _ in range(batches):
            fields = zip(*(item[:4] for item in islice(items, episodes)), strict=True)
            support, support_labels, query, query_labels = map(torch.stack, fields)
            yield finished(EpisodeBatch(support, support_labels, query, Targets(query_labels), SPEC.n_way), given)

    return feed


def all_feeds(given: Setting, episodes: int) -> dict[str, Feed]:
    """Everybody who can run here; a line for each who cannot."""
    found = {"ours": ours(given, episodes)}
    for name, make in (("learn2learn", learn2learn_feed), ("easyfsl", easyfsl_feed)):
        try:
            found[name] = make(given, episodes)
        except ImportError as error:
            print(f"skipped: {name} ({error})")
    return found


def check_batches(name: str, feed: Feed, batches: int, episodes: int) -> None:
    """Stop unless a contestant gives as many batches as it is asked for, of joint labels that are all there."""
    given = list(feed(batches))
    for batch in given:
        for images, labels, each in (
            (batch.support, batch.support_labels, SPEC.k_shot),
            (batch.query, batch.query_labels, SPEC.n_query),
        ):
            counts = labels[-1].bincount(minlength=batch.ways)
            if images.shape[:2] != (episodes, batch.ways * each) or counts.tolist() != [each] * batch.ways:
                raise SystemExit(f"{name}: {list(images.shape)}, labels {counts.tolist()}")
    if len(given) != batches or torch.equal(given[0].query, given[1].query):
        raise SystemExit(f"{name}: {len(given)} batches of {batches}, or equal ones")
