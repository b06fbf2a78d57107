"""Takes the numbers over that django-two-factor-auth verified. The package need not be there any more, only its table."""

import json
import subprocess

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

TABLE = "two_factor_phonedevice"


class Command(BaseCommand):
    help = (
        "Reads django-two-factor-auth's phone devices and has the two-factor service's `doctor import` make them factors: "
        "verified, audited, without backup codes. Says of each what it would do, and does it with --yes."
    )

    def add_arguments(self, parser):
        parser.add_argument("--yes", action="store_true", help="do it")
        parser.add_argument("--skip", action="store_true", help="leave numbers out that cannot be used, instead of doing nothing")

    def handle(self, *args, yes, skip, **options):
        chosen, left_out = choose(devices())
        for user, why in left_out:
            self.stdout.write(f"left out      user {user}: {why}")
        if not chosen:
            self.stdout.write("There is no number to import.")
            return
        lines = "".join(json.dumps({"user": user, "phone_number": number}) + "\n" for user, number in chosen)
        command = [settings.TWO_FACTOR_DOCTOR, "import", *["--yes"] * yes, *["--skip"] * skip]
        try:
            done = subprocess.run(command, input=lines, capture_output=True, text=True)
        except OSError as error:
            raise CommandError(f"cannot run {settings.TWO_FACTOR_DOCTOR} (set TWO_FACTOR_DOCTOR): {error.strerror}") from error
        self.stdout.write(done.stdout.replace("Say it again, with --yes.", "Run this again, with --yes."))
        if done.returncode != 0:
            raise CommandError(done.stderr.strip() or "nothing was imported: see above")


def devices():
    """Every phone device: user, name, confirmed, method, number; a user's own ones before those that are for backup."""
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            raise CommandError(f"there is no table {TABLE}: is this the database that django-two-factor-auth used?")
        cursor.execute(
            f"SELECT user_id, name, confirmed, method, number FROM {TABLE} "  # noqa: S608 - a constant
            "ORDER BY user_id, CASE name WHEN 'default' THEN 0 ELSE 1 END, id"
        )
        return cursor.fetchall()


def choose(rows):
    """One number for each user, and why the other devices are left out. The service knows one number for each user."""
    chosen, left_out = {}, []
    for user, name, confirmed, method, number in rows:
        if not confirmed:
            left_out.append((user, "a number that was never confirmed"))
        elif method != "sms":
            left_out.append((user, f"a number of the method {method!r}: only text messages are taken over"))
        elif name != "default":
            left_out.append((user, "a number for backup: backup codes take its place"))
        elif user in chosen:
            left_out.append((user, "a second number"))
        else:
            chosen[user] = number
    return list(chosen.items()), left_out
