"""The colours and the style sheet of the window, light and dark."""

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Named colours, each with enough contrast on `surface` for small text (WCAG 2.2, 1.4.3)."""

    dark: bool
    window: str
    surface: str
    sunken: str
    text: str
    muted: str
    line: str
    accent: str
    on_accent: str
    selected: str
    blue: str
    amber: str
    red: str
    purple: str
    green: str
    blue_wash: str
    amber_wash: str
    red_wash: str
    purple_wash: str
    green_wash: str


LIGHT = Theme(
    dark=False,
    window="#F5F6F8",
    surface="#FFFFFF",
    sunken="#F0F2F5",
    text="#1B1F24",
    muted="#59636E",
    line="#D9DEE4",
    accent="#2457C5",
    on_accent="#FFFFFF",
    selected="#E3EBFB",
    blue="#1B62A8",
    amber="#8A5A00",
    red="#B3261E",
    purple="#6A3EA1",
    green="#1A7038",
    blue_wash="#E4F0FB",
    amber_wash="#FDF2D8",
    red_wash="#FCE6E4",
    purple_wash="#F0E8FA",
    green_wash="#E2F4E7",
)
DARK = Theme(
    dark=True,
    window="#15171B",
    surface="#1D2025",
    sunken="#17191D",
    text="#E8EAED",
    muted="#9DA6B1",
    line="#353B43",
    accent="#7AA5FF",
    on_accent="#0F1216",
    selected="#26344F",
    blue="#78BBFF",
    amber="#E6B450",
    red="#FF8A80",
    purple="#C9A2FF",
    green="#6BCB82",
    blue_wash="#14293F",
    amber_wash="#35290F",
    red_wash="#3D1C1A",
    purple_wash="#2B1F3D",
    green_wash="#14301D",
)
_DARK_BELOW = 128


def theme_of(palette: QPalette) -> Theme:
    """The theme that `palette` was made from, so that painters need no global state."""
    return DARK if palette.color(QPalette.ColorRole.Window).lightness() < _DARK_BELOW else LIGHT


def fixed_font() -> QFont:
    """The system's monospace font, for all text of others."""
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)


def scaled(font: QFont, factor: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """A copy of `font`, `factor` times as large."""
    copy = QFont(font)
    if copy.pointSizeF() > 0:
        copy.setPointSizeF(copy.pointSizeF() * factor)
    else:
        copy.setPixelSize(round(copy.pixelSize() * factor))
    copy.setWeight(weight)
    return copy


def dress(application: QApplication, scheme: Qt.ColorScheme) -> None:
    """Give the whole application the theme of `scheme`; unknown counts as light."""
    theme = DARK if scheme == Qt.ColorScheme.Dark else LIGHT
    application.setStyle("Fusion")
    application.setPalette(_palette(theme))
    application.setStyleSheet(_sheet(theme))


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for where, colour in (
        (role.Window, theme.window),
        (role.WindowText, theme.text),
        (role.Base, theme.surface),
        (role.AlternateBase, theme.sunken),
        (role.Text, theme.text),
        (role.Button, theme.surface),
        (role.ButtonText, theme.text),
        (role.Highlight, theme.accent),
        (role.HighlightedText, theme.on_accent),
        (role.PlaceholderText, theme.muted),
        (role.ToolTipBase, theme.surface),
        (role.ToolTipText, theme.text),
        (role.Link, theme.accent),
        (role.Mid, theme.line),
        (role.Accent, theme.accent),
    ):
        palette.setColor(where, QColor(colour))
    for where in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, QColor(theme.muted))
    return palette


def _sheet(theme: Theme) -> str:
    return f"""
QPushButton {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 6px;
    padding: 6px 14px; min-height: 18px; }}
QPushButton:hover {{ background: {theme.sunken}; border-color: {theme.muted}; }}
QPushButton:pressed {{ background: {theme.selected}; }}
QPushButton:focus {{ border: 2px solid {theme.accent}; padding: 5px 13px; }}
QPushButton:disabled {{ color: {theme.muted}; background: {theme.sunken}; border-style: dashed; }}
QPushButton[flat="true"] {{ background: transparent; border: 1px solid transparent; padding: 4px 8px;
    color: {theme.accent}; text-align: left; }}
QPushButton[flat="true"]:hover {{ text-decoration: underline; }}
QPushButton[flat="true"]:disabled {{ color: {theme.muted}; }}
QPushButton[flat="true"]:focus {{ border: 1px solid {theme.accent}; border-radius: 4px; }}
QPushButton[primary="true"] {{ background: {theme.accent}; color: {theme.on_accent}; border-color: {theme.accent}; }}
QPushButton[primary="true"]:focus {{ border: 2px solid {theme.text}; }}
QPushButton[primary="true"]:disabled {{ background: {theme.sunken}; color: {theme.muted};
    border-color: {theme.line}; }}
QPushButton[chip="true"] {{ border-radius: 13px; padding: 3px 8px; }}
QPushButton[chip="true"]:checked, QPushButton[chip="true"][set="true"] {{ background: {theme.selected};
    border-color: {theme.accent}; color: {theme.text}; }}
QPushButton::menu-indicator {{ width: 0; }}
QLineEdit, QComboBox, QPlainTextEdit {{ background: {theme.surface}; border: 1px solid {theme.line};
    border-radius: 6px; padding: 6px 8px; selection-background-color: {theme.accent};
    selection-color: {theme.on_accent}; }}
QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus {{ border: 2px solid {theme.accent}; padding: 5px 7px; }}
QComboBox::drop-down {{ border: none; width: 24px; }}
QListView, QTextBrowser {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 8px;
    outline: none; }}
QListView:focus, QTextBrowser:focus {{ border: 1px solid {theme.accent}; }}
QListWidget#navigation {{ background: transparent; border: none; }}
QListWidget#navigation::item {{ padding: 9px 12px; border-radius: 6px; margin: 1px 8px; color: {theme.text}; }}
QListWidget#navigation::item:hover {{ background: {theme.sunken}; }}
QListWidget#navigation::item:selected {{ background: {theme.selected}; color: {theme.text}; }}
QListWidget#things::item {{ padding: 10px 12px; border-bottom: 1px solid {theme.sunken}; color: {theme.text}; }}
QListWidget#things::item:selected {{ background: {theme.selected}; color: {theme.text}; }}
QFrame[card="true"] {{ background: {theme.surface}; border: 1px solid {theme.line}; border-radius: 8px; }}
QFrame[sunken="true"] {{ background: {theme.sunken}; border: 1px solid {theme.line}; border-radius: 8px; }}
QFrame[warning="true"] {{ background: {theme.amber_wash}; border: 1px solid {theme.amber}; border-radius: 8px; }}
QFrame[danger="true"] {{ background: {theme.red_wash}; border: 1px solid {theme.red}; border-radius: 8px; }}
QFrame[good="true"] {{ background: {theme.green_wash}; border: 1px solid {theme.green}; border-radius: 8px; }}
QFrame[rule="true"] {{ background: {theme.line}; border: none; }}
QLabel {{ background: transparent; }}
QLabel[muted="true"] {{ color: {theme.muted}; }}
QLabel[bad="true"] {{ color: {theme.red}; }}
QScrollArea {{ background: transparent; border: 1px solid transparent; border-radius: 4px; }}
QScrollArea:focus {{ border-color: {theme.accent}; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QRadioButton {{ spacing: 8px; padding: 2px; }}
QRadioButton:focus {{ color: {theme.accent}; }}
QRadioButton::indicator {{ width: 14px; height: 14px; border: 2px solid {theme.muted}; border-radius: 9px;
    background: {theme.surface}; }}
QRadioButton::indicator:checked {{ width: 8px; height: 8px; border: 5px solid {theme.accent}; }}
QCheckBox {{ spacing: 8px; padding: 2px; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 2px solid {theme.muted}; border-radius: 4px;
    background: {theme.surface}; }}
QCheckBox::indicator:checked {{ width: 8px; height: 8px; border: 5px solid {theme.accent};
    background: {theme.on_accent}; }}
QCheckBox:focus {{ color: {theme.accent}; }}
QSplitter::handle {{ background: transparent; }}
QMenu {{ background: {theme.surface}; border: 1px solid {theme.line}; padding: 4px; }}
QMenu::item {{ padding: 6px 24px; border-radius: 4px; }}
QMenu::item:selected {{ background: {theme.selected}; color: {theme.text}; }}
QMenu::separator {{ height: 1px; background: {theme.line}; margin: 4px 8px; }}
QScrollBar:vertical {{ width: 12px; background: transparent; margin: 2px; }}
QScrollBar::handle:vertical {{ background: {theme.line}; border-radius: 4px; min-height: 28px; }}
QScrollBar::handle:vertical:hover {{ background: {theme.muted}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical {{ height: 0; }}
QScrollBar::add-page:vertical, QScrollBar::sub-page:vertical {{ background: transparent; }}
QScrollBar:horizontal {{ height: 12px; background: transparent; margin: 2px; }}
QScrollBar::handle:horizontal {{ background: {theme.line}; border-radius: 4px; min-width: 28px; }}
QScrollBar::handle:horizontal:hover {{ background: {theme.muted}; }}
QScrollBar::add-line:horizontal, QScrollBar::sub-line:horizontal {{ width: 0; }}
QScrollBar::add-page:horizontal, QScrollBar::sub-page:horizontal {{ background: transparent; }}
"""
