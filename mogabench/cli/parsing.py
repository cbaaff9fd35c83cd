"""Reading a command line as `mogabench` would, without running it."""

from __future__ import annotations

from typing import Any

from mogabench.errors import UserError


def parse(command: Any, words: list[str]) -> None:
    """Reads arguments by a command and the commands below it, and calls nothing.

    Args:
        command: The top command.
        words: Its arguments.

    Raises:
        UserError: A command or an option is unknown, or a value is of the wrong type.
    """
    name, context = "mogabench", None
    try:
        while words:  # else it was the name of a command alone
            is_group = hasattr(command, "resolve_command")
            context = command.make_context(name, words, parent=context)
            if not is_group:
                return
            name, command, words = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
    except UserError:
        raise
    except SystemExit:
        raise UserError("it would only print help") from None
    except Exception as error:
        raise UserError(str(getattr(error, "message", error))) from None
