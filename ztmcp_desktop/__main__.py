"""Flags: to the application, or to the command line."""

import sys


def main() -> int:
    """Run `ztmcp` with the arguments of the process; its exit status."""
    from ztmcp_desktop.cli.main import parse

    arguments = parse(sys.argv[1:])
    match arguments.command:
        case None:
            from ztmcp_desktop.app import run_with_window

            return run_with_window(arguments.port)
        case "run":
            from ztmcp_desktop.app import run_headless
            from ztmcp_desktop.cli.terminal_desk import TerminalDesk, tell_page

            return run_headless(arguments.port, TerminalDesk, tell_page)
        case _:
            return int(arguments.do(arguments))


if __name__ == "__main__":
    sys.exit(main())
