"""The optimiser of a recipe, over the parameters of its model."""

from torch import nn
from torch.optim import LBFGS, Optimizer

from episodes.errors import UserError
from fewshot_sla.training.clock import Clock
from fewshot_sla.training.decay import parameter_groups
from fewshot_sla.training.recipe import Recipe


def make_optimizer(recipe: Recipe, model: nn.Module) -> Optimizer:
    """The optimiser; parameters that do not decay are a group of their own."""
    return recipe.optimizer(parameter_groups(model, recipe.updates.decay))


def check_optimizer(recipe: Recipe, model: nn.Module) -> None:
    """Raise UserError if the optimiser or the schedule refuses its arguments, or does not go with steps on batches."""
    try:
        optimizer = make_optimizer(recipe, model)
        recipe.schedule.apply(optimizer, Clock(0, recipe.loop.steps))
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"optimizer or schedule: {error}") from error
    if isinstance(optimizer, LBFGS):
        raise UserError("LBFGS does not go with steps on batches; choose another one")
    if recipe.updates.decay != "all" and "weight_decay" not in optimizer.defaults:
        raise UserError(
            f"updates.decay {recipe.updates.decay!r} needs an optimiser with weight_decay, and "
            f"{type(optimizer).__name__} has none; leave it at 'all'"
        )
