"""The site as people use it, against the real service."""

import json
import os
import re
import subprocess
from io import StringIO
from urllib.parse import unquote

import jwt
import pytest
import requests
from conftest import MANY, PASSWORD, Browser, backup_codes, path
from django.core.management import CommandError, call_command
from django.db import connection

from second_factor import client
from second_factor.client import Refused
from second_factor.refusals import TABLE, explain

API = "/api/v1/auth/2fa"


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


class TestSigningIn:
    def test_without_a_second_factor_the_password_is_enough_and_the_session_says_so(self, alice):
        page = alice.password()
        assert path(page) == "/"
        assert alice.session["amr"] == ["pwd"]
        assert "second_factor_at" not in alice.session

    def test_with_one_it_takes_the_code_and_the_session_has_a_new_key(self, alice):
        alice.enroll()
        assert path(alice.submit("/", action="/sign-out/")) == "/sign-in/"
        page = alice.password(next="/security/")
        assert path(page) == "/sign-in/code/"
        assert "_auth_user_id" not in alice.session, "half signed in is not signed in"
        assert path(alice.open("/security/")) == "/sign-in/"
        half = alice.session.session_key
        page = alice.submit("/sign-in/code/?next=/security/", code=alice.service.code())
        assert path(page) == "/security/"
        assert alice.session["amr"] == ["pwd", "otp", "sms", "mfa"]
        assert alice.session.session_key != half

    def test_a_wrong_password_sends_nothing(self, alice):
        alice.enroll()
        alice.cookies.clear()
        sent = len(alice.service.messages())
        page = alice.password("wrong")
        assert path(page) == "/sign-in/"
        assert len(alice.service.messages()) == sent

    def test_a_wrong_code_is_explained_at_the_field_and_told_after_the_right_one(self, alice):
        alice.enroll()
        alice.cookies.clear()
        alice.password()
        code = alice.service.code()
        page = alice.submit("/sign-in/code/", code=f"{(int(code) + 1) % 1_000_000:06}")
        assert page.status_code == 400
        assert "That code is not right. 4 attempts left." in text(page)
        assert 'aria-invalid="true"' in page.content.decode()
        page = alice.submit("/sign-in/code/", code=f" {code[:3]} {code[3:]}. ")
        assert path(page) == "/"
        assert "1 wrong code was entered since you last signed in" in text(page)

    def test_a_backup_code_does_once(self, alice):
        codes = alice.enroll()
        alice.cookies.clear()
        alice.password()
        page = alice.submit("/sign-in/code/", code=codes[0].lower().replace("-", " "))
        assert path(page) == "/"
        assert alice.session["amr"] == ["pwd", "otp", "mfa"]
        alice.cookies.clear()
        alice.password()
        page = alice.submit("/sign-in/code/", code=codes[0])
        assert "That code is not right." in text(page)
        assert "_auth_user_id" not in alice.session

    def test_a_code_that_is_too_old_can_be_had_anew(self, alice):
        alice.enroll()
        alice.cookies.clear()
        alice.password()
        old = alice.service.code()
        alice.service.pass_time(301)
        page = alice.submit("/sign-in/code/", code=old)
        assert "That code is too old." in text(page)
        assert 'class="aside urgent"' in page.content.decode(), "sending another is what there is to do"
        page = alice.submit("/sign-in/code/", send="1")
        assert "We sent a code to" in text(page)
        assert path(alice.submit("/sign-in/code/", code=alice.service.code())) == "/"

    def test_being_half_signed_in_ends_with_the_password_that_it_came_from(self, alice):
        alice.enroll()
        alice.cookies.clear()
        alice.password()
        code = alice.service.code()
        page = alice.open("/sign-in/code/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        alice.account.set_password("another")
        alice.account.save()
        page = alice.post("/sign-in/code/", {"csrfmiddlewaretoken": token, "code": code}, follow=True)
        assert path(page) == "/sign-in/"
        assert "_auth_user_id" not in alice.session

    def test_being_half_signed_in_lasts_ten_minutes(self, alice):
        alice.enroll()
        alice.cookies.clear()
        alice.password()
        session = alice.session
        session["half_signed_in"] = {**session["half_signed_in"], "at": session["half_signed_in"]["at"] - 601}
        session.save()
        assert path(alice.open("/sign-in/code/")) == "/sign-in/"

    def test_while_the_service_is_down_nobody_is_let_in_with_one_factor(self, alice, settings):
        settings.TWO_FACTOR_URL = "http://127.0.0.1:1"
        page = alice.password()
        assert page.status_code == 503
        assert "Something is down." in text(page)
        assert "_auth_user_id" not in alice.session

    def test_a_service_that_does_not_take_our_tokens_is_down_and_nobody_is_told_why(self, alice, settings, caplog):
        settings.TWO_FACTOR_TOKEN_SECRET = "not the secret that the service has, 32 bytes"
        page = alice.password()
        assert page.status_code == 503
        assert "does not take our tokens" in caplog.text

    def test_nobody_is_sent_to_another_site(self, alice):
        page = alice.password(next="https://evil.example/")
        assert page.redirect_chain == [("/", 302)]


class TestStepUp:
    def test_a_page_that_takes_a_fresh_factor_sends_there_and_back(self, alice):
        alice.enroll()
        assert path(alice.open("/payout/")) == "/payout/", "it was proven just now"
        self.age(alice, 301)
        page = alice.open("/payout/")
        assert path(page) == "/step-up/"
        alice.submit("/step-up/?next=/payout/", send="1")
        assert "to confirm a request" in alice.service.messages()[0]["text"]
        page = alice.submit("/step-up/?next=/payout/", code=alice.service.code())
        assert path(page) == "/payout/"
        assert "on its way" in text(alice.submit("/payout/"))

    def test_a_post_that_comes_too_late_does_nothing(self, alice):
        alice.enroll()
        page = alice.open("/payout/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        self.age(alice, 301)
        page = alice.post("/payout/", {"csrfmiddlewaretoken": token}, follow=True)
        assert path(page) == "/step-up/"
        assert "on its way" not in text(page)

    def test_a_code_for_signing_in_confirms_nothing(self, alice):
        alice.enroll()
        self.age(alice, 301)
        client.TwoFactor(alice.account.pk, "192.0.2.1").send("sign_in")
        page = alice.submit("/step-up/", code=alice.service.code())
        assert page.status_code == 409
        assert "That code is for something else." in text(page)

    def test_without_a_second_factor_it_has_to_be_turned_on(self, alice):
        alice.password()
        assert path(alice.open("/payout/")) == "/security/enroll/"

    @staticmethod
    def age(browser, seconds):
        session = browser.session
        session["second_factor_at"] -= seconds
        session.save()


class TestTheFactor:
    def test_enrolling_shows_the_backup_codes_once_and_keeps_them_nowhere(self, alice):
        alice.password()
        page = alice.submit("/security/enroll/", phone=alice.number, password=PASSWORD)
        assert path(page) == "/security/confirm-number/"
        page = alice.submit("/security/confirm-number/", code=alice.service.code())
        codes = backup_codes(page)
        assert len(set(codes)) == 10
        assert "no-store" in page["Cache-Control"]
        download = unquote(re.search(r'href="data:text/plain;charset=utf-8,([^"]+)" download', page.content.decode())[1])
        assert all(code in download for code in codes)
        assert not any(code in json.dumps(dict(alice.session.items())) for code in codes)
        assert backup_codes(alice.open("/security/")) == []
        assert alice.session["amr"] == ["pwd", "otp", "sms", "mfa"]

    def test_enrolling_takes_the_password(self, alice):
        alice.password()
        sent = len(alice.service.messages())
        page = alice.submit("/security/enroll/", phone=alice.number, password="wrong")
        assert "That is not your password." in text(page)
        assert len(alice.service.messages()) == sent

    @pytest.mark.parametrize(
        ("phone", "sentence"),
        [
            ("2015550123", "Write the number with + and the country code."),
            ("+11234567890", "There is no such number."),
            ("+33612345678", "We cannot send to this country."),
            ("+442079460000", "This line gets no text messages."),
        ],
    )
    def test_a_number_that_cannot_be_used_is_explained_at_its_field(self, alice, phone, sentence):
        alice.password()
        page = alice.submit("/security/enroll/", phone=phone, password=PASSWORD)
        assert page.status_code == 400
        assert sentence in text(page)

    def test_an_enrollment_can_be_given_up_and_a_number_that_is_on_cannot(self, alice):
        alice.password()
        alice.submit("/security/enroll/", phone=alice.number, password=PASSWORD)
        assert "waits to be confirmed" in text(alice.open("/security/"))
        page = alice.submit("/security/", action="/security/enroll/cancel/")
        assert "waits to be confirmed" not in text(page)
        alice.enroll()
        page = alice.submit("/security/", action="/security/enroll/cancel/")
        assert "Please confirm with a code." in text(page)
        assert "Two-factor authentication is on" in text(page)

    def test_changing_the_number_takes_a_code_from_the_old_one_and_one_from_the_new_one(self, alice, browse):
        old_codes = alice.enroll()
        new = browse().number
        alice.submit("/security/number/", send="1")
        assert alice.service.messages()[0]["number"] == alice.number
        page = alice.submit("/security/number/", phone=new, code=alice.service.code())
        assert path(page) == "/security/confirm-number/"
        assert alice.service.messages()[0]["number"] == new
        assert alice.number[-4:] in text(alice.open("/security/")), "the old one stays until the new one is confirmed"
        page = alice.submit("/security/confirm-number/", code=alice.service.code())
        assert len(backup_codes(page)) == 10 and set(backup_codes(page)).isdisjoint(old_codes)
        assert new[-4:] in text(alice.open("/security/"))

    def test_changing_the_number_with_a_wrong_code_changes_nothing(self, alice, browse):
        alice.enroll()
        page = alice.submit("/security/number/", phone=browse().number, code="ABCD-EFGH-JKMN-PQRS")
        assert "That code is not right." in text(page)
        assert "waits to be confirmed" not in text(alice.open("/security/"))

    def test_turning_it_off_takes_a_code_and_the_session_forgets_the_factor(self, alice):
        codes = alice.enroll()
        page = alice.submit("/security/off/", code="nonsense")
        assert "does not look like a code" in text(page)
        page = alice.submit("/security/off/", code=codes[0])
        assert "Two-factor authentication is off." in text(page)
        assert alice.session["amr"] == ["pwd"]
        assert path(alice.open("/payout/")) == "/security/enroll/"

    def test_new_backup_codes_take_a_code(self, alice):
        old = alice.enroll()
        alice.submit("/security/backup-codes/", send="1")
        page = alice.submit("/security/backup-codes/", code=alice.service.code())
        assert len(backup_codes(page)) == 10 and set(backup_codes(page)).isdisjoint(old)


class TestRefusals:
    def test_every_refusal_of_the_service_has_a_sentence(self, service):
        """The service's own description says which there are."""
        schemas = requests.get(f"{service.url}/openapi.json").json()["components"]["schemas"]
        pairs = {pair for name in schemas for pair in codes_and_reasons(name, schemas)}
        assert len({code for code, _ in pairs}) > 20
        assert pairs == set(TABLE)

    def test_limits_say_how_long_to_wait(self, browse, serve, settings, db):
        limited = serve(SMS_INBOX="1", SMS_MAX_PER_WINDOW="3", SMS_MAX_PER_IP="0")
        settings.TWO_FACTOR_URL = limited.url
        bob = browse(limited)
        bob.enroll()
        bob.cookies.clear()
        bob.password()
        page = bob.submit("/sign-in/code/", send="1")
        assert re.search(r"You can ask for another code in \d+ seconds\.", text(page))
        for _ in range(2):
            limited.pass_time(31)
            bob.submit("/sign-in/code/", send="1")
        limited.pass_time(31)
        page = bob.submit("/sign-in/code/", send="1")
        assert re.search(r"You have asked for too many codes\. Try again in \d+ minutes\.", text(page))

    def test_a_lock_offers_a_backup_code_which_lifts_it_and_many_more_wrong_codes_disable(self, browse, serve, settings, db):
        strict = serve(SMS_INBOX="1", LOCK_AFTER_FAILURES="2", DISABLE_AFTER_FAILURES="4", **MANY)
        settings.TWO_FACTOR_URL = strict.url
        bob = browse(strict)
        codes = bob.enroll()
        bob.cookies.clear()
        bob.password()
        wrong = f"{(int(strict.code()) + 1) % 1_000_000:06}"
        bob.submit("/sign-in/code/", code=wrong)
        bob.submit("/sign-in/code/", code=wrong)
        page = bob.submit("/sign-in/code/", code=wrong)
        assert page.status_code == 429
        assert re.search(r"Too many wrong codes\. Try again in \d+ minutes, or use a backup code\.", text(page))
        strict.pass_time(900)
        bob.submit("/sign-in/code/", send="1")
        wrong = f"{(int(strict.code()) + 1) % 1_000_000:06}"
        bob.submit("/sign-in/code/", code=wrong)
        bob.submit("/sign-in/code/", code=wrong)
        page = bob.submit("/sign-in/code/", code=wrong)
        assert "This number is disabled." in text(page)
        page = bob.submit("/sign-in/code/", code=codes[0])
        assert path(page) == "/"
        assert "is disabled after too many wrong codes" in text(bob.open("/security/"))
        bob.submit("/security/number/", phone=bob.number, code=codes[1])
        assert len(backup_codes(bob.submit("/security/confirm-number/", code=strict.code()))) == 10

    def test_what_the_gateway_says_without_a_code_is_understood_by_its_status(self):
        assert explain(Refused(429, {"message": "Too Many Requests"})).sentence.startswith("Something is down.")
        assert explain(Refused(413, {})).action == "try_again"


class TestForwarding:
    """The service's own URLs, for a front end that calls them with the site's session."""

    def call(self, browser, method, endpoint, body=None, **headers):
        browser.open("/sign-in/")
        headers = {"X-CSRFToken": browser.cookies["csrftoken"].value, **headers}
        content = json.dumps(body) if body is not None else ""
        return browser.generic(method, f"{API}/{endpoint}", content, "application/json", headers=headers)

    def test_method_body_status_and_problem_come_through_and_tokens_do_not(self, alice):
        alice.password()
        answer = self.call(alice, "GET", "setup/")
        assert answer.status_code == 200 and answer.json()["enabled"] is False
        answer = self.call(alice, "POST", "setup", {"method": "sms", "phone_number": alice.number})
        assert answer.status_code == 200 and answer.json()["purpose"] == "enroll"
        answer = self.call(alice, "POST", "verify/", {"code": alice.service.code()})
        assert len(answer.json()["backup_codes"]) == 10
        assert alice.session["amr"] == ["pwd", "otp", "sms", "mfa"], "this server heard it from the service itself"
        assert self.call(alice, "DELETE", "setup/").json()["code"] == "verification_required"
        answer = self.call(alice, "PUT", "verify/", {})
        assert answer.status_code == 405 and answer["Allow"] == "POST"
        answer = self.call(alice, "POST", "setup/", {"method": "sms", "phone_number": "x" * 5000})
        assert answer.status_code == 413 and answer["Content-Type"] == "application/problem+json"
        self.call(alice, "POST", "send-sms/", {"purpose": "confirm"})
        answer = self.call(alice, "POST", "verify/", {"purpose": "confirm", "code": alice.service.code()})
        assert answer.json()["verified"] is True and "assertion" not in answer.json()
        assert "eyJ" not in str(answer.headers) + answer.content.decode()

    def test_retry_after_comes_through(self, browse, serve, settings, db):
        limited = serve(SMS_INBOX="1", SMS_MAX_PER_IP="0")
        settings.TWO_FACTOR_URL = limited.url
        bob = browse(limited)
        bob.password()
        self.call(bob, "POST", "setup/", {"method": "sms", "phone_number": bob.number})
        answer = self.call(bob, "POST", "send-sms/", {})
        assert answer.status_code == 429 and answer.json()["reason"] == "cooldown"
        assert int(answer["Retry-After"]) == answer.json()["retry_after"]

    def test_the_user_is_the_sessions_whatever_the_client_says(self, alice, browse):
        mallory = browse()
        alice.enroll()
        mallory.password()
        token = client.token_for(alice.account.pk, "192.0.2.1")
        headers = {"Authorization": f"Bearer {token}", "X-User-Id": str(alice.account.pk)}
        answer = self.call(mallory, "GET", f"setup/?user_id={alice.account.pk}", **headers)
        assert answer.json()["enabled"] is False
        nobody = Browser(alice.service, alice.account)
        answer = self.call(nobody, "GET", "setup/", **headers)
        assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (401, "unauthorized", "missing")

    def test_without_a_csrf_token_nothing_is_forwarded(self, alice):
        alice.password()
        answer = alice.post(f"{API}/setup/", json.dumps({"method": "none"}), "application/json")
        assert answer.status_code == 403 and answer.json()["code"] == "csrf_failed"
        assert alice.post("/payout/").status_code == 403

    def test_half_signed_in_it_signs_in_and_does_nothing_else(self, alice):
        alice.enroll()
        alice.cookies.clear()
        alice.password()
        for method, endpoint in [("POST", "setup/"), ("DELETE", "setup/")]:
            assert self.call(alice, method, endpoint, {}).status_code == 401
        answer = self.call(alice, "POST", "send-sms/", {"purpose": "change"})
        assert answer.json()["purpose"] == "sign_in"
        body = {"code": alice.service.code(), "regenerate_backup_codes": True}
        answer = self.call(alice, "POST", "verify/", body)
        assert answer.json()["purpose"] == "sign_in" and "backup_codes" not in answer.json()
        assert path(alice.open("/payout/")) == "/payout/"

    def test_a_service_that_is_down_is_a_problem_document_too(self, alice, settings):
        alice.password()
        settings.TWO_FACTOR_URL = "http://127.0.0.1:1"
        answer = self.call(alice, "GET", "setup/")
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "service_unavailable", "5")

    def test_tokens_are_simplejwts_kind_and_short(self, settings):
        claims = jwt.decode(
            client.token_for(7, "192.0.2.1"), settings.TWO_FACTOR_TOKEN_SECRET, algorithms=["HS256"], audience="2fa"
        )
        assert (claims["user_id"], claims["token_type"], claims["ip"]) == ("7", "access", "192.0.2.1")
        assert claims["exp"] - claims["iat"] == 60


class TestImport:
    """Numbers of django-two-factor-auth, whose table is made here as its migrations leave it."""

    @pytest.fixture
    def devices(self, db):
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE two_factor_phonedevice (id integer PRIMARY KEY, name varchar(64), confirmed bool, "
                "throttling_failure_timestamp datetime, throttling_failure_count integer, number varchar(128), "
                "key varchar(40), method varchar(4), user_id integer)"
            )

        def add(user, number, name="default", method="sms", confirmed=True):
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO two_factor_phonedevice (name, confirmed, throttling_failure_count, number, key, method, user_id) "
                    "VALUES (%s, %s, 0, %s, 'ab', %s, %s)",
                    [name, confirmed, number, method, user.pk],
                )

        return add

    @pytest.fixture
    def run(self, service, programs, settings, monkeypatch, tmp_path):
        monkeypatch.setenv("APP_ENV", "development")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", service.database)
        monkeypatch.setenv("OPERATOR", "Olivia Ops")
        monkeypatch.chdir(tmp_path)
        settings.TWO_FACTOR_DOCTOR = str(programs / "doctor")

        def command(*arguments):
            out = StringIO()
            try:
                call_command("import_two_factor_phones", *arguments, stdout=out)
            except CommandError as error:
                out.write(f"failed: {error}")
            return out.getvalue()

        return command

    def test_verified_numbers_are_taken_over_and_the_next_sign_in_offers_backup_codes(
        self, alice, browse, devices, run, programs
    ):
        bob, carol, dave = browse(), browse(), browse()
        devices(alice.account, alice.number)
        devices(alice.account, bob.number, name="backup")
        devices(bob.account, bob.number, method="call")
        devices(carol.account, carol.number, confirmed=False)
        devices(dave.account, dave.number)
        sent = len(alice.service.messages())

        said = run()
        assert f"would import  line 1  {alice.account.pk}  +1****{alice.number[-4:]} (US)" in said
        for user, why in [(alice, "for backup"), (bob, "'call'"), (carol, "never confirmed")]:
            assert re.search(f"left out +user {user.account.pk}: .*{why}", said), said
        assert "Nothing was changed. Run this again, with --yes." in said
        assert path(alice.password()) == "/", "nothing was changed"

        assert "2 numbers imported" in run("--yes")
        assert "0 numbers imported, 2 active already" in run("--yes")
        assert len(alice.service.messages()) == sent, "no message was sent"
        trail = subprocess.run(
            [programs / "doctor", "audit", str(alice.account.pk)], env=os.environ, capture_output=True, text=True, check=True
        ).stdout
        assert "operator_import" in trail and "Olivia Ops" in trail

        alice.cookies.clear()
        assert path(alice.password()) == "/sign-in/code/"
        page = alice.submit("/sign-in/code/", code=alice.service.code())
        assert "You have no backup codes left." in text(page) and 'href="/security/backup-codes/"' in page.content.decode()
        alice.submit("/security/backup-codes/", send="1")
        assert len(backup_codes(alice.submit("/security/backup-codes/", code=alice.service.code()))) == 10

    def test_a_number_that_cannot_be_used_stops_everything_unless_it_is_skipped(self, alice, browse, devices, run):
        bob = browse()
        devices(alice.account, alice.number)
        devices(bob.account, "tel:+1-201-555-0123")
        said = run("--yes")
        assert "failed: nothing was imported" in said and "E.164" in said
        assert path(alice.password()) == "/", "nothing half done"
        assert "1 number imported" in run("--yes", "--skip")

    def test_a_missing_table_or_program_is_explained(self, alice, run, settings, devices):
        devices(alice.account, alice.number)
        settings.TWO_FACTOR_DOCTOR = "no-such-doctor"
        assert "failed: cannot run no-such-doctor (set TWO_FACTOR_DOCTOR)" in run()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE two_factor_phonedevice")
        assert "there is no table two_factor_phonedevice" in run()


def codes_and_reasons(name, schemas):
    """The code, with each reason, of a problem's schema; nothing of another schema."""
    parts = [schemas[name], *schemas[name].get("allOf", [])]
    properties = {key: value for part in parts for key, value in part.get("properties", {}).items()}
    code, reasons = properties.get("code", {}), properties.get("reason", {})
    return {(code["const"], reason) for reason in reasons.get("enum", [None])} if "const" in code else set()
