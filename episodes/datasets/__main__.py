"""The command line: ``python -m episodes.datasets verify NAME ROOT``."""

import argparse
import logging
import sys
from typing import Any, NoReturn

from episodes.errors import UserError

_EPILOG = """\
exit code: 0 if all is well; 1 if the data set can be used but something is wrong with it (files left out, images that
are in two splits, a damaged store); 2 if it cannot be used.

example: python -m episodes.datasets verify episode-folders ~/birds --option image_size=64 --option grey=true
"""


def main() -> None:
    """Parse the arguments, run the command, exit with its code; what is wrong is said as the other commands say it."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # remarks are part of the report
    try:
        sys.exit(_verify(_parser().parse_args()))
    except UserError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m episodes.datasets", description="Data sets on disk.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser(
        "verify",
        help="say what is in a data set: layout, counts, duplicates, fingerprints",
        description="Say what is in a data set: layout, images a split and class, duplicates within and across splits, "
        "fingerprints. Decodes it into the cache folder if that was not done before.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument(
        "name", metavar="NAME", help="cifar-fs, cub, episode-folders, ..., or the class path of a reader"
    )
    verify.add_argument("root", metavar="ROOT", help="folder with the files")
    verify.add_argument("--classes", action="store_true", help="list the number of images of every class")
    verify.add_argument("--option", metavar="KEY=VALUE", action="append", default=[], help="argument of the reader")
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    from episodes.datasets.verify import make_reader, verify

    source = make_reader(arguments.name, arguments.root, dict(_option(text) for text in arguments.option))
    report = verify(source, arguments.classes)
    sys.stdout.write("\n".join(report.lines) + "\n")
    return 0 if report.sound else 1


def _option(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value as YAML reads it."""
    import yaml

    key, mark, value = text.partition("=")
    if not mark:
        raise UserError(f"--option {text}: not of the form KEY=VALUE")
    try:
        return key.replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError:
        return key.replace("-", "_"), value


if __name__ == "__main__":
    main()
