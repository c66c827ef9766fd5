"""What a screen reader is told, over AT-SPI: the accessible names of a program's widgets and rows."""

from collections import deque
from typing import Any

from jeepney import DBusAddress, MessageType, Properties, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection

ROOT = "/org/a11y/atspi/accessible/root"
ACCESSIBLE = "org.a11y.atspi.Accessible"
MAX_WIDGETS = 3000
REPLY_S = 5


def _ask(bus: DBusConnection, message: Any) -> tuple[Any, ...]:
    reply = bus.send_and_get_reply(message, timeout=REPLY_S)
    return () if reply.header.message_type is MessageType.error else tuple(reply.body)


def _name(bus: DBusConnection, where: DBusAddress) -> str:
    body = _ask(bus, Properties(where).get("Name"))
    return str(body[0][1]) if body else ""


def _children(bus: DBusConnection, where: DBusAddress) -> list[DBusAddress]:
    body = _ask(bus, new_method_call(where, "GetChildren"))
    found = body[0] if body else []
    return [DBusAddress(path, bus_name=name, interface=ACCESSIBLE) for name, path in found]


def names_in(application: str) -> list[str]:
    """Every accessible name in the windows of the programs whose own name begins with `application`."""
    with open_dbus_connection("SESSION") as session:
        launcher = DBusAddress("/org/a11y/bus", bus_name="org.a11y.Bus", interface="org.a11y.Bus")
        body = _ask(session, new_method_call(launcher, "GetAddress"))
    if not body:
        raise AssertionError("there is no accessibility bus here")
    names: list[str] = []
    with open_dbus_connection(body[0]) as bus:
        registry = DBusAddress(ROOT, bus_name="org.a11y.atspi.Registry", interface=ACCESSIBLE)
        queue = deque(app for app in _children(bus, registry) if _name(bus, app).startswith(application))
        while queue and len(names) < MAX_WIDGETS:
            widget = queue.popleft()
            names.append(_name(bus, widget))
            queue.extend(_children(bus, widget))
    return names
