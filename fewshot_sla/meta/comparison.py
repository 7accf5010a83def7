"""Two runs on the same episodes: which results pair up, and what their difference is."""

from dataclasses import dataclass

from episodes.errors import UserError
from fewshot_sla.meta.results import EpisodeResult, read_outcomes
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import ResultsDocument, read_document
from fewshot_sla.runs.statistics import PairedDifference, paired_difference


@dataclass(frozen=True)
class Comparison:
    """One protocol on which two runs were tested.

    Attributes:
        folder_a, folder_b: the runs.
        results_a, results_b: results by every inference.
        primary_a, primary_b: those that are compared: by the inference asked for, else by the one that chose the
            best checkpoint.
        paired: how much better B is than A.
        images: number of images in the split, from which the episodes were drawn.
    """

    folder_a: RunFolder
    folder_b: RunFolder
    results_a: tuple[EpisodeResult, ...]
    results_b: tuple[EpisodeResult, ...]
    primary_a: EpisodeResult
    primary_b: EpisodeResult
    paired: PairedDifference
    images: int

    @property
    def draws_per_image(self) -> float:
        """How often, on average, each image was drawn by the episodes."""
        result = self.primary_a
        return result.episodes * result.n_way * (result.k_shot + result.n_query) / self.images


def compare_runs(
    a: RunFolder, b: RunFolder, split: str, inference_a: str | None = None, inference_b: str | None = None
) -> list[Comparison]:
    """Pair up all results of a split that two runs have on the same episodes of the same images.

    Args:
        a: the baseline.
        b: what is held against it.
        split: that both were tested on.
        inference_a: name of the inference of A to compare; by default the one that chose its best checkpoint.
        inference_b: the same of B.

    Raises:
        UserError: if a run was not tested, on other images, or there is no protocol in common.
    """
    document_a, document_b = _tested(a, split), _tested(b, split)
    if document_a.data[split].fingerprint != document_b.data[split].fingerprint:
        raise UserError(f"{a.path} and {b.path} were tested on different images; test both on the same data")
    by_protocol_a, by_protocol_b = _by_protocol(document_a, split), _by_protocol(document_b, split)
    common = [protocol for protocol in by_protocol_a if protocol in by_protocol_b]
    if not common:
        raise UserError(
            f"{a.path} and {b.path} have no test in common: run meta_test on both with the same --n_way, --k_shot, "
            "--n_query, --episodes and --seed"
        )
    images = document_a.data[split].images
    pairs = []
    for protocol in common:
        results_a, results_b = by_protocol_a[protocol], by_protocol_b[protocol]
        chosen = _chosen(a, results_a, inference_a), _chosen(b, results_b, inference_b)
        pairs.append(_compare(a, b, results_a, results_b, chosen, images))
    return pairs


def _tested(folder: RunFolder, split: str) -> ResultsDocument[EpisodeResult]:
    folder.require()
    document = read_document(folder, EpisodeResult)
    if split not in document.data:
        command = f"python -m fewshot_sla.meta_test {folder.path} --split {split}"
        raise UserError(f"{folder.path}: not tested on {split!r} yet; run {command}")
    return document


def _by_protocol(document: ResultsDocument[EpisodeResult], split: str) -> dict[tuple, tuple[EpisodeResult, ...]]:
    found: dict[tuple, tuple[EpisodeResult, ...]] = {}
    for result in document.results:
        if result.split == split:
            found[result.protocol] = (*found.get(result.protocol, ()), result)
    return found


def _compare(
    a: RunFolder,
    b: RunFolder,
    results_a: tuple[EpisodeResult, ...],
    results_b: tuple[EpisodeResult, ...],
    chosen: tuple[EpisodeResult, EpisodeResult],
    images: int,
) -> Comparison:
    primary_a, primary_b = chosen
    correct_a, classes = read_outcomes(a, primary_a)
    correct_b, classes_b = read_outcomes(b, primary_b)
    if (classes != classes_b).any():
        raise UserError(f"{a.path} and {b.path} were tested on different episodes; run meta_test on both again")
    paired = paired_difference(correct_a, correct_b, classes, primary_a.n_query)
    return Comparison(a, b, results_a, results_b, primary_a, primary_b, paired, images)


def _chosen(folder: RunFolder, results: tuple[EpisodeResult, ...], inference: str | None) -> EpisodeResult:
    for result in results:
        if result.inference == inference or (inference is None and result.primary):
            return result
    names = ", ".join(result.inference for result in results)
    raise UserError(f"{folder.path}: there is no inference {inference!r} among its results; there are {names}")
