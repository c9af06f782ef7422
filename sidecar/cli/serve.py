"""`sidecar serve`: the server."""

import logging
import os
import sys
from pathlib import Path

import click

from sidecar.app.needs import find_cluster, require_drivers
from sidecar.app.server import Origin, serve
from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import EXIT_FAILURE, config_option, exit_on_problems, read_configuration
from sidecar.config.model import Config, LogFormat
from sidecar.support.logs import set_up_logs
from sidecar.support.text import Redactor
from sidecar.web.listeners import ListenError

log = logging.getLogger("sidecar")


@click.command("serve")
@config_option
def command(path: str) -> None:
    """Serve the probes and run the checks until SIGTERM.

    Exits with 0 after a stop signal, 1 after a crash or if a port is taken, 2 if the configuration is bad,
    3 when a start is given up: by startup.on_deadline: exit, or by startup.fail_fast.
    """
    types = InstalledTypes()
    with exit_on_problems():
        config = read_configuration(path, types)
        require_drivers(config, types)
        here = find_cluster(config, os.environ)
    redact = Redactor(config.secrets)
    _set_up_logs(config, redact)
    for advice in config.advice:
        log.warning(
            "advice", extra={"place": str(advice.place), "about": advice.path, "detail": advice.sentence}
        )
    try:
        sys.exit(serve(config, types, redact, origin=_origin(path, types), here=here))
    except ListenError as error:
        log.critical(str(error))
        sys.exit(EXIT_FAILURE)


def _origin(path: str, types: InstalledTypes) -> Origin | None:
    """Return where the configuration can be read again; standard input cannot."""
    return None if path == "-" else Origin(Path(path), lambda: read_configuration(path, types))


def _set_up_logs(config: Config, redact: Redactor) -> None:
    wanted = config.sections.log
    as_json = not sys.stderr.isatty() if wanted.format is LogFormat.AUTO else wanted.format is LogFormat.JSON
    set_up_logs(level=wanted.level, as_json=as_json, redact=redact)
