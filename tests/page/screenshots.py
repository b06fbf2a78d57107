#!/usr/bin/env python3
"""Makes the pictures of the README: `make screenshots`."""

import sys
from pathlib import Path

from browser import ROOT, browser, expect, serve
from lab import Lab

LOCAL = Path(sys.argv[1]).resolve()
PICTURES = ROOT / "docs" / "images"


def sign_in(lab):
    """A code to sign in is out, after one that was replaced, and a wrong guess."""
    lab.enroll()
    lab.later("+30 s")
    lab.begin("Sign in")
    lab.states("Live", "Used")
    lab.later("+30 s")
    lab.press("Send again")
    lab.states("Live", "Replaced by a newer one", "Used")
    lab.enter(lab.wrong_code())
    lab.refused("That code is not right. 4 attempts are left.")


def outage(lab):
    """The provider is down, and a user wants to sign in."""
    lab.enroll()
    lab.later("+5 min")
    lab.provider("fails: Down", "until mended")
    lab.begin("Sign in")
    lab.refused("Text messages are not going out right now. Try again in a minute.")


def main():
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for name, colors, act in [("page", "light", sign_in), ("page-outage", "dark", outage)]:
            # The usual port, since it is in the pictures.
            with serve(LOCAL, port=3000, SMS_INBOX="1") as url:
                context = chromium.new_context(viewport={"width": 1440, "height": 980}, color_scheme=colors)
                lab = Lab(context.new_page(), url).open()
                act(lab)
                expect(lab.page.locator("#exchange pre")).to_have_count(4)
                # No cursor and no ring around what happens to have the focus.
                lab.page.evaluate("document.activeElement.blur()")
                lab.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
                lab.is_sound()
                context.close()
            print(PICTURES / f"{name}.png")


main()
