"""`beeline`: one command line for operators, developers and the curious."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from domain.message import Role
from infra import schema as schemas
from infra.cli.log import audit, case_file, events
from infra.cli.net import net
from infra.cli.options import DataFolder, fail
from infra.demo.run import DemoOptions, run_demo
from infra.embedded.lock import LogInUse
from infra.identity import Identity
from infra.net.files import NetFileError, read_net
from infra.serve import serve_until_stopped
from infra.simulator import simulate as run_simulation

app = typer.Typer(
    name="beeline",
    help="网格化治理的事件上报后端 · An event-sourced issue-reporting backend for grid governance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(net, name="net")
app.command("events")(events)
app.command("case")(case_file)
app.command("audit")(audit)
