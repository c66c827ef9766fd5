"""The row of the dialog in which the person chooses how far a yes reaches; the narrowest is chosen at first."""

from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QWidget

from ztmcp_desktop.domain.consent import MAX_CHOICES, Proposal, Question, Scope
from ztmcp_desktop.ui import consent_words as words
from ztmcp_desktop.ui.parts import label

_REMEMBER, _FOR = "Remember", "Allow it for"


class ReachRow(QWidget):
    """A call's scopes, or a proposal's choices. It keeps its height where there is nothing to choose."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("consent.scope")
        self._title = label(_REMEMBER, muted=True)
        self._title.setWordWrap(False)
        self._scopes, self._choices = QButtonGroup(self), QButtonGroup(self)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(18)
        line.addWidget(self._title)
        for scope, text in words.SCOPES.items():
            radio = QRadioButton(text)
            radio.setObjectName(f"consent.scope.{scope.value}")
            radio.setAccessibleName(f"remember: {text.lower()}")
            radio.setProperty("scope", scope.value)
            self._scopes.addButton(radio)
            line.addWidget(radio)
        for number in range(MAX_CHOICES):
            radio = QRadioButton()
            radio.setObjectName(f"consent.choice.{number}")
            self._choices.addButton(radio, number)
            line.addWidget(radio)
        line.addStretch(1)
        keep = self.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.setSizePolicy(keep)

    def offer(self, question: Question | Proposal) -> None:
        """Show what can be chosen of a yes to this question."""
        scopes = question.scopes if isinstance(question, Question) else ()
        choices = () if isinstance(question, Question) else question.choices
        for radio in self._scopes.buttons():
            scope = Scope(radio.property("scope"))
            radio.setVisible(scope in scopes)
            radio.setChecked(scope is Scope.ONCE)
        for number, radio in enumerate(self._choices.buttons()):
            text = choices[number] if number < len(choices) else ""
            radio.setText(text)
            radio.setAccessibleName(f"{_FOR.lower()} {text}")
            radio.setVisible(bool(text))
            radio.setChecked(number == 0)
        title = _FOR if choices else _REMEMBER
        self._title.setText(title)
        self.setAccessibleName(title.lower())
        self.setVisible(bool(scopes or choices))

    @property
    def scope(self) -> Scope:
        """The chosen scope; once where nothing else is chosen."""
        chosen = self._scopes.checkedButton()
        return Scope(chosen.property("scope")) if chosen is not None and chosen.isVisible() else Scope.ONCE

    @property
    def choice(self) -> int:
        """The place of what is chosen of a proposal's choices; the narrowest where there is nothing to choose."""
        chosen = self._choices.checkedButton()
        return self._choices.id(chosen) if chosen is not None and chosen.isVisible() else 0
