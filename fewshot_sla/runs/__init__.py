"""What a run leaves behind: its folder, checkpoints, metrics, results, and where they come from."""

from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

__all__ = ["CSVLogger", "Logger", "RunFolder", "TensorBoardLogger", "WandbLogger"]
