"""Workers as jobs of a cluster, submitted by submitit; or the same jobs on this machine."""

import importlib.util
import io
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from episodes.errors import UserError, first_line
from fewshot_sla.studies.launchers.base import Launcher
from fewshot_sla.studies.launchers.processes import visible_devices
from fewshot_sla.studies.launchers.queue import Queue
from fewshot_sla.studies.launchers.slurm_options import SlurmOptions
from fewshot_sla.studies.worker import Assignment, log_begin, work_through
from fewshot_sla.training.signals import Interrupted

if TYPE_CHECKING:  # not everybody has it
    import submitit

MOST_REQUEUES = 1000  # of one job that runs out of its time; it saves each time, so nothing is lost
_LIST = "slurm_jobs.txt"  # in the folder of a session: names of its jobs
_LOCAL_MINUTES = 60 * 24 * 365
_NOTICE_FOLLOWS_S = 5.0  # SLURM preempts by SIGTERM first, the signal that was asked for follows


class JobWorker:
    """What runs in a job. It is pickled by submitit, so it holds nothing but a path.

    Args:
        assignment: file with what is to be done.
    """

    def __init__(self, assignment: str) -> None:
        self.assignment = assignment

    def __call__(self) -> None:
        """Work; when the job is told that its time is over, save and let submitit put it into the queue again."""
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's; while a model is trained the training listens instead
        try:
            work_through(Assignment.load(Path(self.assignment)), log_begin)
        except Interrupted as interrupted:
            sys.stdout.write(f"{str(interrupted).partition(';')[0]}\n")
            if signal.SIGUSR2 not in interrupted.by:
                time.sleep(_NOTICE_FOLLOWS_S)  # submitit's handler is back; if the signal comes now, it ends the job
            elif callable(requeue):
                requeue(signal.SIGUSR2, None)

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """What is put into the queue again: the same; the folder knows how far it was."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class Jobs(Launcher):
    """Workers as jobs, started as one array; they live on when this process ends.

    Args:
        assignment: file with what they are to do; submitit's own files go beside it.
        where: "slurm", or "local" for jobs on this machine.
        options: what each job asks for.
        threads: CPU threads of a training.

    Raises:
        UserError: if submitit or SLURM is not there.
    """

    def __init__(self, assignment: Path, where: Literal["local", "slurm"], options: SlurmOptions, threads: int) -> None:
        _require(where)
        import submitit

        self._assignment, self._where, self._options, self._threads = assignment, where, options, threads
        classes = {"local": submitit.LocalExecutor, "slurm": submitit.SlurmExecutor}
        self._executor = classes[where](folder=assignment.parent, max_num_timeout=MOST_REQUEUES)
        self._jobs: list[submitit.Job[None]] = []
        self._queue = Queue()
        self._earlier = _jobs_of(assignment.parent.parent) if where == "slurm" else frozenset()

    def start(self, count: int) -> None:
        """Submit so many jobs at once."""
        submit = {"local": self._submit_here, "slurm": self._submit_array}[self._where]
        before = len(self._jobs)
        with redirect_stderr(io.StringIO()) as told:  # submitit repeats there what it raises
            try:
                submit(JobWorker(str(self._assignment)), count)
            except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
                line = first_line(error if str(error).strip() else told.getvalue())
                raise UserError(f"SLURM refused the jobs ({line}); see the options --slurm.*") from error
        self._queue.changed()
        with (self._assignment.parent / _LIST).open("a", encoding="utf-8") as file:
            file.write("".join(f"{job.job_id}\n" for job in self._jobs[before:]))

    def _submit_array(self, worker: JobWorker, count: int) -> None:
        asked = self._options
        parameters: dict[str, Any] = {
            "job_name": "study",
            "time": asked.minutes,
            "cpus_per_task": asked.cpus or self._threads + 1,
            "ntasks_per_node": 1,
            "signal_delay_s": asked.notice_s,
            "array_parallelism": count,
        }
        optional = {
            "partition": asked.partition,
            "gpus_per_node": asked.gpus,
            "mem": f"{asked.memory_gb:g}G" if asked.memory_gb else "",
            "setup": asked.setup,
            "additional_parameters": asked.sbatch,
        }
        self._executor.update_parameters(**parameters, **{name: value for name, value in optional.items() if value})
        with self._executor.batch():
            jobs = [self._executor.submit(worker) for _ in range(count)]
        self._jobs += jobs

    def _submit_here(self, worker: JobWorker, count: int) -> None:
        devices = visible_devices()
        for _ in range(count):
            gpu = [len(self._jobs) % len(devices)] if devices else []
            self._executor.update_parameters(
                timeout_min=_LOCAL_MINUTES, signal_delay_s=self._options.notice_s, gpus_per_node=len(gpu),
                visible_gpus=gpu,
            )  # fmt: skip
            self._jobs.append(self._executor.submit(worker))

    def running(self) -> int:
        """How many jobs have not ended, those of earlier sessions too; those that wait in the queue count."""
        return len(self._alive())

    def cancelled(self) -> bool:
        """Whether no job is left and one of them was ended by ``scancel``."""
        states = [str(job.state).upper() for job in self._jobs]
        return not self._alive() and any(state.startswith("CANCELLED") for state in states)

    def stop(self) -> str:
        """Leave the jobs: they go on without this process."""
        names = " ".join(sorted({name.split("_")[0] for name in self._alive()}))
        end = {"local": "kill", "slurm": "scancel"}[self._where]
        return f"the jobs go on ({end} {names} ends them)" if names else "no job is left"

    def kill(self) -> None:
        """Nothing: the jobs go on, and another driver finds what they did."""

    def _alive(self) -> set[str]:
        queued = self._queue.ids() if self._where == "slurm" else None
        own = {str(job.job_id) for job in self._jobs if not job.done()}
        return own if queued is None else (own & queued) | (self._earlier & queued)


def _require(where: str) -> None:
    """Raise UserError unless what a launcher needs is there."""
    if importlib.util.find_spec("submitit") is None:
        raise UserError(f"--launch {where} needs submitit: pip install 'fewshot-sla[slurm]', or pip install submitit")
    missing = [name for name in ("sbatch", "srun", "squeue") if where == "slurm" and shutil.which(name) is None]
    if missing:
        raise UserError(
            f"--launch slurm: {missing[0]} is not on PATH; start the study on a machine of the cluster from which jobs "
            "are submitted, or leave out --launch to work on this one"
        )


def _jobs_of(logs: Path) -> frozenset[str]:
    """Names of the jobs that earlier sessions of a study submitted."""
    return frozenset(name for path in logs.glob(f"*/{_LIST}") for name in path.read_text(encoding="utf-8").split())
