#!/usr/bin/env python3
"""Uses the local server's page as a person does, in Chromium: `make test-page`."""

import json
import re
import subprocess
import sys
import traceback
import urllib.error
import urllib.request
from pathlib import Path

from browser import ROOT, browser, expect, serve
from lab import Lab

LOCAL = Path(sys.argv[1]).resolve()
ONLY = sys.argv[2:]
# Sizes and colors that the page is looked at in. At 320 pixels nothing may need to be scrolled sideways (WCAG 2.2, 1.4.10).
LOOKS = [(1440, 1000, "light"), (1440, 1000, "dark"), (900, 1000, "light"), (320, 700, "dark")]


def fetch(url, body=None, method=None, **headers):
    """The answer to a program's request, as JSON where there is any."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def with_settings(**settings):
    """Has a test run against a server with these settings."""

    def mark(test):
        test.settings = settings
        return test

    return mark


def test_a_user_enrolls_with_the_keyboard_alone(lab):
    lab.open()
    page = lab.page
    expect(page.locator("#number")).to_be_visible()
    page.locator("#number").focus()
    page.keyboard.type("+1 (201) 555-0123")
    page.keyboard.press("Enter")
    lab.done("We sent a code to turn two-factor on to +1****0123.")
    expect(page.locator("#code")).to_be_focused()
    lab.states("Live, [45]:[0-5][0-9] left")
    code = lab.live().text_content()
    # From the field to the message, which is after it.
    while page.evaluate("document.activeElement.className") != "code":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    expect(page.locator("#code")).to_have_value(code)
    page.keyboard.press("Enter")
    lab.done("Two-factor authentication is on.")
    expect(page.locator("#codes-title")).to_be_focused()
    expect(page.locator("#code-list li")).to_have_text([re.compile(r"^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$")] * 10)
    lab.standing("Two-factor is on, +1****0123")
    lab.states("Used")


def test_what_is_typed_wrong_is_said_as_the_guide_words_it(lab):
    lab.open()
    for number, words in [
        ("0201 555 0123", "Write the number with + and the country code."),
        ("+1201555012", "There is no such number."),
        ("+33612345678", "We cannot send to this country."),
        ("+18005550123", "This line gets no text messages. Use a mobile number."),
    ]:
        lab.number(number)
        lab.press("Send the code")
        lab.refused(words)
        expect(lab.page.get_by_label("Mobile number")).to_have_attribute("aria-invalid", "true")
        expect(lab.page.get_by_label("Mobile number")).to_be_focused()
    expect(lab.messages).to_have_count(0)


def test_wrong_codes_lead_to_the_lock_and_a_backup_code_out_of_it(lab):
    lab.open()
    backup = lab.enroll()
    lab.later("+30 s")
    lab.begin("Sign in")
    lab.done("We sent a code to sign in to +1****0123.")
    for left in ["4 attempts are", "3 attempts are", "2 attempts are", "1 attempt is", "0 attempts are"]:
        lab.enter(lab.wrong_code())
        lab.refused(f"That code is not right. {left} left.")
    expect(lab.page.locator("#code-facts")).to_contain_text("0 guesses left")
    lab.enter(lab.wrong_code())
    lab.refused("Too many wrong codes. We need to send another.")
    lab.states("Dead: too many wrong codes", "Used")
    lab.later("+30 s")
    lab.press("Send again")
    lab.states("Live", "Replaced by a newer one", "Used")
    for _ in range(5):
        lab.enter(lab.wrong_code())
        lab.refused(re.compile("That code is not right|Too many wrong codes. Try again in"))
    lab.enter(lab.wrong_code())
    lab.refused(re.compile(r"^Too many wrong codes. Try again in 15 minutes, or use a backup code.$"))
    lab.standing("locked")
    lab.enter(backup[0])
    lab.done("Signed in. 10 wrong codes were entered since you last signed in. 9 backup codes are left.")
    lab.standing("Two-factor is on, +1****0123")


def test_the_lock_ends_with_time(lab):
    lab.open()
    lab.enroll()
    for _ in range(2):
        lab.later("+30 s")
        begin = lab.page.locator("#actions").get_by_role("button", name="Sign in")
        lab.press("Send again") if lab.page.locator("#task").is_visible() else begin.click()
        lab.states("Live", *[".*"] * (lab.messages.count()))
        for _ in range(5):
            lab.enter(lab.wrong_code())
            expect(lab.page.locator("#refusal")).to_be_visible()
    lab.standing("locked")
    lab.later("+15 min")
    expect(lab.page.locator("#standing")).to_have_text("Two-factor is on, +1****0123")
    lab.press("Send a code")
    lab.use_live()
    lab.done("Signed in.")


def test_signing_in_confirming_and_backup_codes(lab):
    lab.open()
    backup = lab.enroll()
    lab.later("+30 s")
    lab.begin("Sign in")
    lab.enter(lab.wrong_code())
    lab.refused("That code is not right. 4 attempts are left.")
    lab.use_live()
    lab.done("Signed in. 1 wrong code was entered since you last signed in.")
    lab.later("+30 s")
    lab.begin("Confirm a payment")
    lab.use_live()
    lab.done("The payment is confirmed.")
    lab.begin("Sign in")
    lab.enter(backup[3].lower().replace("-", " "))
    lab.done("Signed in. 9 backup codes are left.")
    lab.later("+30 s")
    lab.begin("New backup codes")
    lab.use_live()
    lab.done("These are your new backup codes.")
    fresh = lab.page.locator("#code-list li").all_text_contents()
    assert len(fresh) == 10 and not set(fresh) & set(backup), fresh
    lab.press("I have saved them")
    lab.begin("Sign in")
    lab.enter(backup[4])
    lab.refused("That code is not right.")


def test_the_number_is_changed_and_the_factor_turned_off(lab):
    lab.open()
    lab.enroll()
    lab.later("+30 s")
    lab.begin("Change the number")
    lab.number("+447400123456")
    lab.use_live()
    lab.done("We sent a code to change the number to +44****3456.")
    lab.states("Live", "Used", "Used")
    expect(lab.messages.first).to_contain_text("+447400123456")
    # The old number serves until the new one has answered.
    lab.standing("Two-factor is on, +1****0123")
    lab.use_live()
    lab.done("The new number is active.")
    lab.press("I have saved them")
    lab.standing("Two-factor is on, +44****3456")
    expect(lab.messages.first).to_contain_text("your two-factor phone number was changed")
    lab.later("+30 s")
    lab.begin("Turn two-factor off")
    lab.use_live()
    lab.done("Two-factor authentication is off.")
    lab.standing("Two-factor is off")
    expect(lab.messages.first).to_contain_text("two-factor authentication was turned off")


def test_a_code_is_superseded_expires_and_is_withdrawn(lab):
    lab.open()
    lab.number("+12015550123")
    lab.press("Send the code")
    first = lab.live().text_content()
    lab.later("+30 s")
    lab.press("Send again")
    lab.states("Live", "Replaced by a newer one")
    lab.enter(first)
    lab.refused("We sent a newer code. Please use that one.")
    lab.later("+5 min")
    lab.states("Too old", "Replaced by a newer one")
    lab.enter(lab.messages.first.locator(".code").text_content())
    lab.refused("That code is too old.")
    lab.press("Send again")
    lab.states("Live", *[".*"] * 2)
    token = fetch(f"{lab.url}/_token", {"user": "alice"})["token"]
    fetch(f"{lab.url}/api/v1/auth/2fa/setup/", method="DELETE", Authorization=f"Bearer {token}")
    lab.states("Withdrawn", *[".*"] * 2)
    lab.standing("Two-factor is off")


def test_a_provider_that_is_down_or_refuses_is_told_and_mended(lab):
    lab.open()
    lab.provider("fails: Down", "until mended")
    for _ in range(2):
        lab.number("+12015550123")
        lab.press("Send the code")
        lab.refused("Text messages are not going out right now. Try again in a minute.")
        expect(lab.messages).to_have_count(0)
        lab.later("+30 s")
        lab.press("Use another number")
    lab.provider("works")
    lab.number("+12015550123")
    lab.press("Send the code")
    lab.use_live()
    lab.press("I have saved them")
    lab.later("+30 s")
    for failure, words in [
        ("fails: Opted out", "This phone has blocked our messages. Send START to our number, or use another."),
        ("fails: Refused without a known reason", "The message could not be delivered."),
        ("fails: Down", "Text messages are not going out right now. Try again in a minute."),
    ]:
        lab.provider(failure)
        lab.begin("Sign in")
        lab.refused(words)
        # Once is once.
        expect(lab.page.get_by_label("The SMS provider")).to_have_value("")
        lab.later("+30 s")
        lab.press("Not now")
    lab.provider("fails: Answer cut off")
    lab.begin("Sign in")
    lab.done("We sent a code to sign in")
    lab.use_live()
    lab.done("Signed in.")


def test_users_are_apart_and_the_token_never_leaves_the_page(lab):
    lab.open()
    backup = lab.enroll()
    lab.become("bob")
    lab.standing("Two-factor is off")
    expect(lab.page.locator("#code-list li")).to_have_count(0)
    assert backup[0] not in lab.page.locator("#app").inner_text()
    lab.become("alice")
    lab.standing("Two-factor is on")
    page = lab.page
    kept = page.evaluate("JSON.stringify([document.documentElement.outerHTML, location.href, document.cookie, {...localStorage}, {...sessionStorage}])")
    assert "eyJ" not in kept.replace("eyJ0eXAi", ""), "a token is in the page"
    row = page.locator("#exchanges button").filter(has_text="verify")
    row.click()
    shown = page.locator("#exchange").inner_text()
    assert "Bearer $TOKEN" in shown and "eyJ" not in shown, shown


def test_a_request_is_shown_as_a_command_that_works_with_its_records_and_its_line(lab):
    lab.open("o'brien")
    page = lab.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.number("+12015550123")
    lab.press("Send the code")
    lab.live().wait_for()
    page.locator("#exchanges button").first.click()
    details = page.locator("#exchange")
    expect(details).to_contain_text('"event": "setup"')
    expect(details).to_contain_text('"outcome": "success"')
    expect(details.locator("pre").last).to_contain_text('"function": "setup"')
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    # Else a body that begins with @ would be the name of a file.
    assert "--data-raw" in command, command
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "429" in done.stdout and '"reason":"cooldown"' in done.stdout, done
    # What others do is seen, too.
    expect(page.locator("#exchanges button").first).to_contain_text("rate_limited, cooldown")
    expect(page.locator("#exchange h3").nth(1)).to_have_text("Answer 429")
    expect(details).to_contain_text("None: nothing was judged, and nothing changed.")


def test_what_another_program_does_is_on_the_page_at_once(lab):
    lab.open()
    token = fetch(f"{lab.url}/_token", {"user": "alice"})["token"]
    service = f"{lab.url}/api/v1/auth/2fa"
    fetch(f"{service}/setup/", {"method": "sms", "phone_number": "+12015550123"}, Authorization=f"Bearer {token}")
    lab.states("Live")
    lab.standing("a number waits")
    lab.page.reload()
    lab.states("Live")
    expect(lab.page.locator("#task-title")).to_have_text("Enter the code")
    expect(lab.page.locator("#exchanges button")).to_have_count(1)
    lab.use_live()
    lab.done("Two-factor authentication is on.")


def test_everything_is_reset(lab):
    lab.open()
    lab.enroll()
    lab.later("+1 day")
    expect(lab.page.locator("#ahead")).to_have_text("24 hours ahead")
    lab.provider("fails: Down", "until mended")
    lab.press("Reset everything")
    lab.press("Keep it")
    lab.standing("Two-factor is on")
    lab.press("Reset everything")
    lab.press("Yes, forget it all")
    lab.standing("Two-factor is off")
    expect(lab.messages).to_have_count(0)
    expect(lab.page.locator("#ahead")).to_be_empty()
    expect(lab.page.get_by_label("The SMS provider")).to_have_value("")
    lab.enroll()


@with_settings(APP_NAME="<b id=pwned>")
def test_what_is_shown_is_text_and_never_markup(lab):
    user = "<img src=x onerror=alert(1)>"
    lab.open(user)
    lab.number("+12015550123")
    lab.press("Send the code")
    expect(lab.messages.first).to_contain_text("<b id=pwned>")
    token = fetch(f"{lab.url}/_token", {"user": user})["token"]
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "<script>alert(2)</script>"}
    body = {"code": "</pre><script>alert(3)</script>"}
    try:
        fetch(f"{lab.url}/api/v1/auth/2fa/verify/?<script>alert(4)</script>", body, **headers)
    except urllib.error.HTTPError as refused:
        assert refused.code == 400, refused
    lab.use_live()
    lab.press("I have saved them")
    for row in lab.page.locator("#exchanges button").all():
        row.click()
        expect(lab.page.locator("#exchange pre")).to_have_count(4)
    expect(lab.page.locator("#exchange")).to_contain_text("<img src=x")
    assert lab.page.locator("main img, main script, main b").count() == 0
    policy = lab.page.request.get(lab.url).headers["content-security-policy"]
    assert "script-src 'self';" in policy and "default-src 'none';" in policy and "unsafe" not in policy, policy
    assert lab.page.locator("[style], style, script:not([src])").count() == 0, "the policy would stop it"


@with_settings(SMS_INBOX="0")
def test_without_a_provider_the_code_is_in_the_answer(lab):
    lab.open()
    expect(lab.page.get_by_role("link", name="Inbox")).to_be_hidden()
    lab.sent = "No message leaves: the code to turn two-factor on is in the answer."
    expect(lab.page.locator("#provider")).to_be_hidden()
    expect(lab.page.locator("#phone-about")).to_contain_text("the code is in the answer")
    lab.enroll()
    lab.later("+30 s")
    lab.begin("Sign in")
    lab.states("Live")
    lab.use_live()
    lab.done("Signed in.")
    lab.later("+30 s")
    lab.begin("Turn two-factor off")
    lab.use_live()
    lab.standing("Two-factor is off")


def test_the_inbox_is_a_page_of_its_own(lab):
    token = fetch(f"{lab.url}/_token", {"user": "alice"})["token"]
    setup = lambda number: fetch(
        f"{lab.url}/api/v1/auth/2fa/setup/", {"method": "sms", "phone_number": number}, Authorization=f"Bearer {token}"
    )
    page = lab.page
    page.goto(f"{lab.url}/_inbox")
    expect(page.locator(".empty")).to_have_text("No message yet.")
    setup("+12015550123")
    lab.states("Live")
    setup("+447400123456")
    lab.states("Live", "Replaced by a newer one")
    lab.is_accessible("inbox")
    page.get_by_label("To which number").select_option("+12015550123")
    lab.states("Replaced by a newer one")
    page.get_by_role("button", name="Delete them").click()
    expect(lab.messages).to_have_count(1)
    expect(lab.messages).to_contain_text("+447400123456")


def test_every_state_is_accessible_in_every_look(lab):
    page = lab.page

    def look(where):
        for width, height, colors in LOOKS:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=colors)
            page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
            lab.is_accessible(f"{where}, {width} pixels, {colors}")
            wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide, f"{where}, {width} pixels: to be scrolled sideways"
        page.set_viewport_size({"width": 1440, "height": 1000})

    lab.open()
    look("off")
    lab.number("12")
    lab.press("Send the code")
    lab.refused("Write the number with + and the country code.")
    look("a number refused")
    lab.number("+12015550123")
    lab.press("Send the code")
    lab.live().wait_for()
    look("a code is out")
    lab.use_live()
    expect(page.locator("#codes")).to_be_visible()
    look("backup codes")
    lab.press("I have saved them")
    look("on")
    lab.provider("fails: Opted out", "until mended")
    lab.press("Reset everything")
    look("levers pulled")
    lab.press("Keep it")
    lab.later("+30 s")
    lab.begin("Change the number")
    lab.refused("This phone has blocked our messages. Send START to our number, or use another.")
    look("a proof is wanted")


def main():
    tests = {name: test for name, test in globals().items() if name.startswith("test_") and all(part in name for part in ONLY)}
    failed = 0
    with browser() as chromium:
        for name, test in tests.items():
            settings = {"SMS_INBOX": "1", **getattr(test, "settings", {})}
            with serve(LOCAL, **settings) as url:
                context = chromium.new_context(viewport={"width": 1440, "height": 1000})
                lab = Lab(context.new_page(), url)
                try:
                    test(lab)
                    lab.is_sound()
                    print(f"ok      {name}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {name}", flush=True)
                    traceback.print_exc()
                    print("\n".join(lab.problems))
                    (ROOT / "target").mkdir(exist_ok=True)
                    lab.page.screenshot(path=ROOT / "target" / f"{name}.png", full_page=True)
                context.close()
    print(f"{len(tests) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
