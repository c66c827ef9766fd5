import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztmcp_desktop.scan.sensitive import find, occurs


def found(text: str, context: str = "") -> list[tuple[str, str]]:
    return [(f.kind, text[f.start : f.end]) for f in find(text, context)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("EMAIL", "bob.smith+x@mail.example.com"),
        ("EMAIL", "иван@пример.рф"),
        ("PHONE", "+49 30 901820"),
        ("PHONE", "+1 202-555-0143"),
        ("PHONE", "(415) 555-2671"),
        ("PHONE", "06 12 34 56 78"),
        ("PHONE", "030 1234567"),
        ("CARD", "4111111111111111"),
        ("CARD", "4111 1111 1111 1111"),
        ("CARD", "5500-0055-5555-5559"),
        ("CARD", "3782 822463 10005"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "GB82WEST12345698765432"),
        ("NATIONAL_ID", "536-90-4399"),
        ("NATIONAL_ID", "12345678Z"),
        ("NATIONAL_ID", "RSSMRA85T10A562S"),
        ("NATIONAL_ID", "756.9217.0769.85"),
        ("NATIONAL_ID", "390.533.447-05"),
        ("GITHUB_TOKEN", "ghp_" + "a1B2" * 9),
        ("GITHUB_TOKEN", "github_pat_" + "a1B2_" * 16),
        ("GITLAB_TOKEN", "glpat-" + "x" * 20),
        ("AWS_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("SLACK_TOKEN", "xoxb-" + "1234567890-abcdef"),
        ("STRIPE_KEY", "sk_live_" + "a1" * 12),
        ("OPENAI_KEY", "sk-proj-" + "a1B2" * 10),
        ("ANTHROPIC_KEY", "sk-ant-api03-" + "a1B2" * 10),
        ("GOOGLE_KEY", "AIza" + "a1B2_" * 7),
        ("NPM_TOKEN", "npm_" + "a1B2" * 9),
        ("PYPI_TOKEN", "pypi-AgE" + "a1B2" * 15),
        ("HUGGINGFACE_TOKEN", "hf_" + "aB" * 17),
        ("SENDGRID_KEY", "SG." + "a" * 22 + "." + "b" * 43),
        ("TWILIO_KEY", "SK" + "0a" * 16),
        ("JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
        ("DIGITALOCEAN_TOKEN", "dop_v1_" + "0a" * 32),
        ("TELEGRAM_TOKEN", "123456789:AA" + "x" * 33),
        ("PRIVATE_KEY", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----"),
        ("PRIVATE_KEY", "-----BEGIN OPENSSH PRIVATE KEY-----\nnever ends"),
    ],
)
def test_each_kind_is_found_whole_in_running_text(kind: str, value: str) -> None:
    ending = "" if value.endswith("ends") else ", see there."
    assert (kind, value) in found(f"It is {value}{ending}")


def test_only_the_secret_part_of_a_header_or_address_is_found() -> None:
    assert found("postgres://app:hunter22@db/x") == [("URL_PASSWORD", "hunter22")]
    assert found("AccountKey=" + "A" * 86 + "==") == [("AZURE_KEY", "A" * 86 + "==")]


@pytest.mark.attack("P11")
@pytest.mark.parametrize(
    "text",
    [
        "\uff14111\uff1111111111111",
        "4111\u200b1111\u00ad1111\ufeff1111",
        "bob%40example.com",
        "bob\\u0040example.com",
        "bob&#64;example.com",
        "bob&#x40;example.com",
        "bob\uff20example.com",
        quote("a=bob.smith@example.com", safe=""),
        base64.b64encode(b"bob.smith@example.com").decode(),
        base64.urlsafe_b64encode(b'{"mail": "bob.smith@example.com"}').decode(),
        b"bob.smith@example.com".hex(),
        base64.b64encode(b"token ghp_" + b"a1B2" * 9).decode(),
    ],
)
def test_a_disguise_does_not_hide_it(text: str) -> None:
    assert find(f"x: {text} .")
    assert occurs(f"x: {text} .")


@pytest.mark.attack("P11")
def test_a_base64_run_is_found_to_its_last_padding_sign() -> None:
    run = base64.b64encode(b"to: bob.smith@example.com").decode()
    assert run.endswith("=")
    assert found(f"<{run}>") == [("EMAIL", run)]


def test_json_in_a_string_stays_json_when_it_is_replaced() -> None:
    text = json.dumps({"a": "x\nbob@example.com\tand \u003cann@example.com"})
    assert found(text) == [("EMAIL", "bob@example.com"), ("EMAIL", "ann@example.com")]


@pytest.mark.parametrize(
    "text",
    [
        "1700000000 1700000000000 1700000000000000 1700000000000000000",
        "2026-11-22T12:00:00.123456Z 2026-11-22 12:00:00+00:00 01-02-2026 22.11.2026 20261122-1530",
        "123e4567-e89b-12d3-a456-426614174000 12345678-1234-1234-1234-123456789012",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "10.0.0.1 192.168.100.200:8080 ::1 00:1b:44:11:3a:b7 v1.23.456-rc.1",
        "@@ -1,5 +1,6 @@ +1700000000 +3.14159265358 0.12345678901234",
        "git@github.com:owner/repo.git icon@2x.png @scope/package@1.2.3",
        "id 4155552671 lines 200-300-4000 in 202 204 2000 tests",
        "4111111111111112 order 1234567890123456",
        "/usr/lib/python3.11/site-packages/some_package/module_name.py:123",
        "sk-learn skeleton AKIA hf_hub npm_config eyJ.eyJ. <EMAIL_1> {{secret:GITHUB_TOKEN}}",
    ],
)
def test_ordinary_numbers_and_names_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_weak_number_counts_where_a_word_says_what_it_is() -> None:
    assert found("part 65929970489") == []
    assert found("Steuer-ID 65929970489") == [("NATIONAL_ID", "65929970489")]
    assert found("65929970489", context="tax_id") == [("NATIONAL_ID", "65929970489")]


@given(st.text(alphabet=st.sampled_from("4111 -@.ab%40\u200b\uff11\\n&#x;"), max_size=80))
def test_findings_are_in_order_inside_the_text_and_apart(text: str) -> None:
    end = 0
    for finding in find(text):
        assert end <= finding.start < finding.end <= len(text)
        end = finding.end
    assert not find(text) or occurs(text)


@pytest.mark.parametrize("piece", ["a" * 50, "a@", "0 ", "1" * 30, "eyJ", "-----BEGIN PRIVATE KEY-----", "%40", "A-"])
def test_no_repetition_makes_it_slow(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 5
