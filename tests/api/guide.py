"""Runs the Python of docs/integrate.md against the local server: its token signs in, and its check takes the assertion of that alone.

    python tests/api/guide.py LOCAL
"""

import json
import pathlib
import re
import sys
import urllib.error
import urllib.request

from server import serve

GUIDE = pathlib.Path(__file__).parent.parent.parent / "docs" / "integrate.md"
SECRET = "a secret of 32 bytes or more, for this test"
SETTINGS = {
    "AUTH_JWT_SECRET": SECRET,
    "AUTH_AUDIENCE": "2fa",
    "AUTH_ADDRESS_CLAIM": "ip",
    "ASSERTION_AUDIENCE": "shop",
    "SMS_COOLDOWN_SECONDS": "0",
}


def main(local):
    with serve(local, SETTINGS) as url:
        guide = {}
        for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
            exec(block.replace("https://api.example.com", url), guide)  # noqa: S102
        token = guide["token_for"]("alice", "192.0.2.7", SECRET)

        def call(endpoint, body):
            request = urllib.request.Request(
                f"{url}/api/v1/auth/2fa/{endpoint}/",
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
            )
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        def code(answer):
            return answer["warning"][-6:]

        call("verify", {"code": code(call("setup", {"method": "sms", "phone_number": "+12015550123"}))})
        sent = call("send-sms", {"purpose": "sign_in"})
        assertion = call("verify", {"code": code(sent), "purpose": "sign_in", "nonce": "n-1"})["assertion"]
        proves = guide["proves_second_factor"]
        assert proves(assertion, "alice", "n-1")
        assert not proves(assertion, "mallory", "n-1"), "of another user"
        assert not proves(assertion, "alice", "n-2"), "for another sign-in"
        assert not proves(assertion, "alice", "n-1", max_age=0), "too old"
        assert not proves(token, "alice", "n-1"), "a token is no assertion"
        sent = call("send-sms", {"purpose": "confirm"})
        confirmed = call("verify", {"code": code(sent), "purpose": "confirm", "nonce": "n-1"})["assertion"]
        assert not proves(confirmed, "alice", "n-1"), "a payment is no sign-in"
        print("the Python of docs/integrate.md does what it says")


if __name__ == "__main__":
    main(sys.argv[1])
