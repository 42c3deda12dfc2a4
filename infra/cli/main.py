"""`beeline`: one command line for operators, developers and the curious."""

from __future__ import annotations

import typer

from infra.cli.log import audit, case_file, events
from infra.cli.net import net

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
