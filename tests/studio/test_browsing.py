"""The fixtures themselves: a page that fails must fail its test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.studio.browsing import Watch, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOST = "http://127.0.0.1:1/"


def seen(browser: Browser, html: str) -> Watch:
    """What is heard of a page with this content."""
    with browser.new_context() as context:
        page, watch = context.new_page(), Watch()
        watch.over(page)
        context.route(HOST, lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(HOST)
        page.wait_for_load_state("networkidle")
        return watch


@pytest.mark.parametrize(
    ("html", "heard"),
    [
        ("<script>throw new Error('no network')</script>", "no network"),
        ("<script>console.error('two answers')</script>", "two answers"),
        ("<img alt='' src='http://example.org/a.png'>", "example.org"),
        ("<script>fetch('https://127.0.0.2/')</script>", "127.0.0.2"),
    ],
)
def test_what_must_not_happen_is_heard(browser: Browser, html: str, heard: str) -> None:
    with pytest.raises(AssertionError, match=heard):
        seen(browser, f"<link rel=icon href='data:,'>{html}").check()


def test_a_page_without_faults_passes(browser: Browser) -> None:
    seen(browser, "<link rel=icon href='data:,'><p>why a jay").check()


def test_barriers_are_found(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content("<html lang=en><title>a</title><main><h1>a</h1><button></button></main>")
        assert [line.partition(":")[0] for line in violations(page)] == ["button-name"]
