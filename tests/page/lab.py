"""What a person does on the page, and sees."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

AXE = Axe()
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
# What the browser says of an answer that is no success: that is what refusals are.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")


class Lab:
    """The page, used by one user."""

    def __init__(self, page, url):
        self.page, self.url, self.problems = page, url, []
        # What the app says of a code to enroll with.
        self.sent = "We sent a code to turn two-factor on to"
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda line: None if REFUSED.match(line.text) else self.problems.append(f"{line.type}: {line.text}"))
        page.on("request", lambda request: None if request.url.startswith(url) else self.problems.append(f"asks {request.url}"))
        page.set_default_timeout(15_000)

    def open(self, user="alice"):
        self.page.goto(self.url + "/")
        expect(self.page.locator("#standing")).not_to_be_empty()
        if user != "alice":
            self.become(user)
        return self

    def become(self, user):
        self.page.get_by_label("User", exact=True).fill(user)
        self.page.get_by_role("button", name="Switch").click()
        self.standing("Two-factor is")

    # The app

    def standing(self, text):
        expect(self.page.locator("#standing")).to_contain_text(text)

    def refused(self, text):
        expect(self.page.locator("#refusal")).to_have_text(text if isinstance(text, re.Pattern) else text)

    def done(self, text):
        expect(self.page.locator("#done")).to_contain_text(text)

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def begin(self, name):
        self.page.locator("#actions").get_by_role("button", name=name).click()

    def number(self, text):
        self.page.get_by_label("Mobile number").fill(text)

    def enter(self, code):
        """Types a code and hands it in."""
        self.page.locator("#code").fill(code)
        self.page.locator("#submit").click()

    def wrong_code(self):
        """Six digits that no message has."""
        codes = self.page.locator(".message .code").all_text_contents()
        return next(code for code in ("000000", "111111", "222222") if code not in codes)

    def enroll(self, number="+12015550123"):
        """Turns 2FA on, and gives the backup codes."""
        self.number(number)
        self.press("Send the code")
        self.done(self.sent)
        self.use_live()
        expect(self.page.locator("#codes")).to_be_visible()
        codes = self.page.locator("#code-list li").all_text_contents()
        self.press("I have saved them")
        self.standing("Two-factor is on")
        return codes

    # The phone

    @property
    def messages(self):
        return self.page.locator(".message")

    def live(self):
        return self.page.locator(".message.live .code").first

    def use_live(self):
        """Clicks the code that works, and hands it in."""
        expect(self.live()).to_be_visible()
        self.live().click()
        self.page.locator("#submit").click()

    def states(self, *texts):
        """What the messages' codes are good for, newest first."""
        expect(self.page.locator(".message .state")).to_have_text([re.compile(text) for text in texts])

    # The levers

    def later(self, button):
        """Moves time, and waits until the page has it."""
        with self.page.expect_response(re.compile("/setup/")):
            self.press(button)

    def provider(self, failure, until="once"):
        self.page.get_by_label("The SMS provider").select_option(failure)
        if failure != "works":
            self.page.get_by_label("How long").select_option(until)
        with self.page.expect_response(re.compile("/setup/")):
            self.press("Apply")

    # Judgement

    def is_accessible(self, where):
        results = AXE.run(self.page, options=RULES)
        assert results.violations_count == 0, f"{where}: {results.generate_report()}"

    def is_sound(self):
        assert not self.problems, self.problems
