"""Reads the parameters of OAuth requests, each at most once, and says what is wrong with them as OAuth does."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ztmcp_desktop.domain.denial import Code, Denial

MAX_PARAMETERS = 32
MAX_VALUE_CHARS = 4096


class OAuthError(Denial):
    """Refuses an OAuth request: `error` is a code of RFC 6749 or its kin, the reason its description."""

    def __init__(self, error: str, reason: str, *, status: int = 400, code: Code = Code.SCHEMA_MISMATCH) -> None:
        super().__init__(code, reason)
        self.error = error
        self.status = status


class Parameters:
    """The parameters of one request.

    Raises:
        OAuthError: one occurs twice (RFC 6749, 3.1), they are too many or too long, or are no text.
    """

    def __init__(self, untrusted: bytes) -> None:
        try:
            pairs = parse_qsl(
                untrusted.decode("ascii"),
                keep_blank_values=True,
                max_num_fields=MAX_PARAMETERS,
                errors="strict",
            )
        except ValueError:
            raise OAuthError("invalid_request", "the parameters cannot be read") from None
        self._values = dict(pairs)
        if len(self._values) < len(pairs):
            raise OAuthError("invalid_request", "a parameter occurs more than once")
        if any(len(value) > MAX_VALUE_CHARS for value in self._values.values()):
            raise OAuthError("invalid_request", "a parameter is too long")

    def get(self, name: str) -> str | None:
        """The value, None where it is missing or empty, which count as the same (RFC 6749, 3.1)."""
        return self._values.get(name) or None

    def need(self, name: str) -> str:
        """The value.

        Raises:
            OAuthError: it is missing.
        """
        value = self.get(name)
        if value is None:
            raise OAuthError("invalid_request", f"the parameter {name} is missing")
        return value


def with_parameters(uri: str, **parameters: str | None) -> str:
    """`uri` with these parameters added to its query; None is left out."""
    parts = urlsplit(uri)
    added = urlencode([(name, value) for name, value in parameters.items() if value is not None])
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
