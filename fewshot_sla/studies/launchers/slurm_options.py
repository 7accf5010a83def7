"""What a job of a study asks SLURM for."""

from dataclasses import dataclass, field

from episodes.errors import UserError


@dataclass
class SlurmOptions:
    """What each job asks SLURM for.

    Args:
        partition: queue; by default the cluster's own choice.
        minutes: time of a job; one that needs longer saves, ends, and is put into the queue again.
        gpus: of a job; 0 for none.
        cpus: of a job; 0 for one more than the threads of a training.
        memory_gb: of a job; 0 for the cluster's own choice.
        notice_s: seconds before its end that a job is told, to finish its step and to save.
        setup: shell commands that a job begins with, for instance ["module load python"].
        sbatch: further options of sbatch by name, for instance {account: mine, qos: high}.
    """

    partition: str = ""
    minutes: int = 1440
    gpus: int = 1
    cpus: int = 0
    memory_gb: float = 0
    notice_s: int = 120
    setup: list[str] = field(default_factory=list)
    sbatch: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no job can have."""
        if self.minutes < 1 or self.minutes * 60 <= self.notice_s:
            raise UserError(f"slurm.minutes must be longer than slurm.notice_s ({self.notice_s} s), got {self.minutes}")
        for name in ("gpus", "cpus", "memory_gb", "notice_s"):
            if getattr(self, name) < 0:
                raise UserError(f"slurm.{name} must not be negative, got {getattr(self, name)}")
