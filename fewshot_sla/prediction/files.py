"""The files of a prediction: where they go is checked before anything is computed, and all are written or none."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from episodes.errors import UserError
from episodes.storage import atomic_write
from fewshot_sla.prediction.export import backbone_program, check_export
from fewshot_sla.prediction.page.page import page
from fewshot_sla.prediction.predictor import Predictor
from fewshot_sla.prediction.report import PredictionReport
from fewshot_sla.prediction.saved import save_predictor
from fewshot_sla.prediction.tables import predictions_as_csv, predictions_as_json


@dataclass(frozen=True)
class PredictionFiles:
    """Where a prediction is written.

    Attributes:
        csv: the table.
        json: everything.
        page: the same to look at.
        saved: model and support as one file, if wanted.
        program: the backbone alone, if wanted.
    """

    csv: Path
    json: Path
    page: Path
    saved: Path | None = None
    program: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [path for path in (self.csv, self.json, self.page, self.program, self.saved) if path is not None]

    def check(self) -> None:
        """Refuse what could not be written in the end.

        Raises:
            UserError: if two files are the same, one is a folder, or a folder cannot be made or written to.
        """
        if self.program is not None:
            check_export(self.program)
        places: set[str] = set()
        for path in self.paths:
            place = os.path.realpath(path)
            if place in places:
                raise UserError(f"{path}: two outputs would go to this file; give one another name")
            places.add(place)
            _check_place(path)

    def write(self, report: PredictionReport, predictor: Predictor, top_k: int) -> None:
        """Write all files; if one fails, none is changed.

        Raises:
            UserError: if the model cannot be saved or exported, or a file cannot be written.
        """
        contents = {
            self.page: page(report).encode(),
            self.csv: predictions_as_csv(report, top_k).encode(),
            self.json: predictions_as_json(report, top_k).encode(),
        }
        if self.program is not None:
            contents[self.program] = backbone_program(self.program, predictor.model)
        with _without_new_folders(self.paths), ExitStack() as stack:  # at its end the files take their names
            for path, content in contents.items():
                with _named(path):
                    stack.enter_context(atomic_write(path)).write(content)
            if self.saved is not None:
                with _named(self.saved):
                    save_predictor(self.saved, predictor)


def _check_place(path: Path) -> None:
    """That a file can be there, as far as that can be told without writing it."""
    if path.is_dir():
        raise UserError(f"{path}: there is a folder of this name; give a file")
    folder = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not folder.is_dir():
        raise UserError(f"{path}: cannot be written, for {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot be written, for the folder {folder} may not be written to")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of which file it was that the system refused to write it."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _without_new_folders(paths: list[Path]) -> Iterator[None]:
    """If the block fails, folders that were made in it go again."""
    new = {folder for path in paths for folder in path.absolute().parents if not folder.exists()}
    try:
        yield
    except BaseException:
        for folder in sorted(new, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise
