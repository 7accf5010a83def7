"""From a class path with arguments to the object, in the dialect of the command line and of YAML files."""

import json
from typing import TypeVar

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.describe import Description, plain, record_all

T = TypeVar("T")


def build(kind: type[T], description: Description) -> T:
    """Inverse of :func:`fewshot_sla.cli.describe.describe`.

    Only subclasses of ``kind`` are made, and functions annotated to return one are called; what else the description
    names is imported, but never called.

    Args:
        kind: what it must be.
        description: ``class_path`` and ``init_args``, or ``dict_kwargs`` for arguments that no signature names.

    Raises:
        UserError: one line: there is no such class, it is of another kind, or it cannot be made with these arguments.
    """
    key = kind.__name__.lower()
    description = plain(dict(description), key)
    parser = configuration.build_parser("build", "", config_option=False)
    parser.add_argument(f"--{key}", type=kind)
    options = configuration.parse(parser, [f"--{key}={json.dumps(description)}"])
    try:
        made: T = configuration.instantiate_all(parser, options)[key]
    except UserError:
        raise
    except Exception as error:  # a stranger's constructor may raise anything
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"cannot make {description['class_path']}: {type(error).__name__}: {first}") from error
    record_all(made, description)
    return made
