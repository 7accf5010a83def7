"""Several run folders of one kind, read and held against one of them."""

from collections.abc import Sequence
from typing import Any

from episodes.errors import UserError
from fewshot_sla.runs.comparison import (
    ComparedRun,
    Comparison,
    Comparisons,
    corrected,
    paired,
    paired_aurocs,
    repeats,
    test_of,
    test_titles,
)
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.names import distinct_names
from fewshot_sla.runs.results import Result, ResultsDocument
from fewshot_sla.runs.unfinished import unfinished
from fewshot_sla.studies.kinds import kind_of
from fewshot_sla.training.kind import Kind

Tested = dict[tuple, list[Result]]  # results of one run by their test


def compare_runs(
    folders: Sequence[RunFolder],
    split: str,
    inferences: Sequence[str],
) -> Comparisons:
    """Hold runs against the first of them, in every test of a split that both were given.

    Args:
        folders: the baseline, then at least one other.
        split: that they were tested on.
        inferences: of each run, the inference to compare; where it is empty, the one that chose its best checkpoint.

    Raises:
        UserError: if a run was not tested, on other images, or has no test in common with the baseline.
    """
    kind = _common_kind(folders)
    _check_distinct(folders, inferences)
    documents = [_tested(kind, folder, split) for folder in folders]
    facts = documents[0].data[split]
    for folder, document in zip(folders, documents, strict=True):
        if document.data[split].fingerprint != facts.fingerprint:
            raise UserError(
                f"{folders[0].path} and {folder.path} were tested on different images; test both on the same data"
            )
    tests = [_by_test(document, split) for document in documents]
    for folder, own in zip(folders[1:], tests[1:], strict=True):
        if not own.keys() & tests[0].keys():
            raise UserError(
                f"{folders[0].path} and {folder.path} have no test in common: run {kind.tester} on both with the same "
                "options"
            )
    common = _without_repeats([test for test in tests[0] if any(test in own for own in tests[1:])], tests)
    runs = _runs(folders, [{test: own[test] for test in common if test in own} for own in tests], inferences)
    pairs = [
        _compared(kind, (folders[0], runs[0]), (folder, run), test)
        for test in common
        for folder, run in zip(folders[1:], runs[1:], strict=True)
        if test in run.chosen
    ]
    titles = test_titles([tests[0][test][0] for test in common])
    return Comparisons(facts, runs, titles, corrected(pairs))


def _without_repeats(common: Sequence[tuple], tests: Sequence[Tested]) -> list[tuple]:
    """The tests that runs have in common, but for those of which each run has one that asks the same and more."""

    def asked_elsewhere(test: tuple, own: Tested) -> bool:
        return any(repeats(test, other, type(own[test][0])) for other in common if other in own)

    return [test for test in common if not all(asked_elsewhere(test, own) for own in tests if test in own)]


def _common_kind(folders: Sequence[RunFolder]) -> Kind[Any, Any]:
    kinds = [kind_of(folder) for folder in folders]
    for folder, kind in zip(folders, kinds, strict=True):
        if kind is not kinds[0]:
            raise UserError(
                f"{folders[0].path} is a run of {kinds[0].program} and {folder.path} is one of {kind.program}: they "
                "are tested in different ways and cannot be compared"
            )
    return kinds[0]


def _check_distinct(folders: Sequence[RunFolder], inferences: Sequence[str]) -> None:
    given = [(folder.path.resolve(), name) for folder, name in zip(folders, inferences, strict=True)]
    for folder, which in zip(folders, given, strict=True):
        if given.count(which) > 1:
            raise UserError(f"{folder.path}: the run is given twice; name another --inference of it, or leave it out")


def _tested(kind: Kind[Any, Any], folder: RunFolder, split: str) -> ResultsDocument[Any]:
    document = kind.document(folder)
    if split not in document.data:
        command = f"python -m fewshot_sla.{kind.tester} {folder.path} --split {split}"
        raise UserError(f"{folder.path}: not tested on {split!r} yet; run {command}")
    return document


def _by_test(document: ResultsDocument[Any], split: str) -> Tested:
    found: Tested = {}
    for result in document.results:
        if result.split == split:
            found.setdefault(test_of(result), []).append(result)
    return found


def _runs(folders: Sequence[RunFolder], tests: Sequence[Tested], inferences: Sequence[str]) -> list[ComparedRun]:
    paths = [folder.path.resolve() for folder in folders]
    unique = {path: folder for path, folder in zip(paths, folders, strict=True)}
    names = dict(zip(unique, distinct_names(list(unique.values())), strict=True))
    return [
        ComparedRun(
            letter=letter(place),
            name=names[paths[place]],
            path=str(folder.path),
            chosen={test: _chosen(folder, results, inference) for test, results in own.items()},
            results=[result for results in own.values() for result in results],
            unfinished=unfinished(folder),
        )
        for place, (folder, own, inference) in enumerate(zip(folders, tests, inferences, strict=True))
    ]


def letter(place: int) -> str:
    """A, B, ... Z, AA, AB, ...

    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'AA')
    """
    return (letter(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def _chosen(folder: RunFolder, results: Sequence[Result], inference: str) -> str:
    for result in results:
        if result.inference == inference or (not inference and result.primary):
            return result.inference
    names = ", ".join(result.inference for result in results)
    wanted = repr(inference) if inference else "the one that chose its best checkpoint"
    raise UserError(f"{folder.path}: there is no inference {wanted} among its results; there are {names}")


def _compared(
    kind: Kind[Any, Any], baseline: tuple[RunFolder, ComparedRun], other: tuple[RunFolder, ComparedRun], test: tuple
) -> Comparison:
    (folder_a, a), (folder_b, b) = baseline, other
    result_a, result_b = a.result(test, a.chosen[test]), b.result(test, b.chosen[test])
    assert result_a is not None
    assert result_b is not None
    outcomes_a, outcomes_b = kind.outcomes(folder_a, result_a), kind.outcomes(folder_b, result_b)
    if not outcomes_a.of_the_same(outcomes_b):
        raise UserError(
            f"{folder_a.path} and {folder_b.path} were tested on different {result_a.unit}; "
            f"run {kind.tester} on both again"
        )
    units = len(outcomes_a.correct)
    aurocs = paired_aurocs(outcomes_a, outcomes_b)
    return Comparison(b.letter, test, result_a, result_b, units, paired(outcomes_a, outcomes_b), aurocs)
