#!/usr/bin/env python3
"""The release binaries on an emulated cloud: a whole life of a second factor, on a table and a secret made from template.yaml.

moto is DynamoDB, SNS, Secrets Manager and CloudFormation; the Lambda runtime interface emulator runs the binaries with the
environment that the template gives them. Run by `make test-cloud`, which builds the binaries and installs the tools.
"""

import base64
import copy
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3
from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = json.loads(json.dumps(cfn_yaml.load(str(ROOT / "template.yaml"))))
HOME, WORK = "+14155551234", "+447400123456"
CREDENTIALS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# What a deployment of this test would say in place of the defaults.
PARAMETERS = {"SmsProviders": "sns", "SmsCooldownSeconds": "0", "SmsMaxPerWindow": "50"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(command, port, log, **options):
    process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, **options)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                sys.exit(f"{command[0]} does not listen:\n{log.read_text()}")
            time.sleep(0.05)


class Cloud:
    """The emulated account, with what the template puts into it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.table = self.make_table()
        self.token_secret, self.secret = self.make_secrets()

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=CREDENTIALS["AWS_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def make_table(self):
        stack = {"Resources": {"Table": TEMPLATE["Resources"]["Table"]}, "Outputs": {"Name": {"Value": {"Ref": "Table"}}}}
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName="two-factor", TemplateBody=json.dumps(stack))
        return cloudformation.describe_stacks(StackName="two-factor")["Stacks"][0]["Outputs"][0]["OutputValue"]

    def make_secrets(self):
        """As CloudFormation makes them, which moto does not know for secrets: generate, fill the template in, resolve references."""
        secrets = self.client("secretsmanager")

        def definition(name):
            return TEMPLATE["Resources"][name]["Properties"]["GenerateSecretString"]

        def generate(settings):
            settings = {name: settings[name] for name in ("PasswordLength", "ExcludePunctuation")}
            return secrets.get_random_password(**settings)["RandomPassword"]

        token_secret = generate(definition("TokenSecret"))
        token_arn = secrets.create_secret(Name="token-secret", SecretString=token_secret)["ARN"]
        secret = definition("Secret")
        text = secret["SecretStringTemplate"]["Fn::Sub"].replace("${TokenSecret}", token_arn)
        text = text.replace("{{resolve:secretsmanager:%s}}" % token_arn, token_secret)
        values = {**json.loads(text), secret["GenerateStringKey"]: generate(secret)}
        assert sorted(values) == ["AUTH_JWT_SECRET", "CODE_PEPPER"], sorted(values)
        return token_secret, secrets.create_secret(Name="secret", SecretString=json.dumps(values))["ARN"]

    def environment(self):
        """What the functions get: each variable is a parameter, or one of these."""
        made = {"TABLE_NAME": self.table, "SECRET_ID": self.secret, "METRICS_NAMESPACE": "TwoFactor/two-factor"}
        variables = {}
        for name, value in TEMPLATE["Globals"]["Function"]["Environment"]["Variables"].items():
            parameter = value.get("Ref") if isinstance(value, dict) else None
            if isinstance(value, str):
                variables[name] = value
            elif parameter in TEMPLATE["Parameters"]:
                variables[name] = str(PARAMETERS.get(parameter, TEMPLATE["Parameters"][parameter]["Default"]))
            else:
                variables[name] = made[name]
        assert variables["APP_ENV"] == "production"
        return {**variables, **CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}

    def messages(self):
        with urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json") as answer:
            return [(sms["phone_number"], sms["message"]) for sms in json.load(answer)["sns"]["SMS"]]

    def last_code(self, to):
        number, text = self.messages()[-1]
        assert number == to, "the code went to the number it was meant for"
        return text[:6]

    def token(self, user):
        def encode(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        claims = json.dumps({"sub": user, "exp": int(time.time()) + 3600}).encode()
        signed = encode(b'{"alg":"HS256","typ":"JWT"}') + "." + encode(claims)
        return signed + "." + encode(hmac.new(self.token_secret.encode(), signed.encode(), hashlib.sha256).digest())


class Functions:
    """The three binaries, each in an emulator of its own."""

    def __init__(self, ports, token):
        self.ports, self.token = ports, token

    def send(self, event_file, status, body=None):
        """Sends a file of events/ with a token of this cloud, and another body if one is given."""
        event = copy.deepcopy(json.loads((ROOT / "events" / f"{event_file}.json").read_text()))
        bearer = f"Bearer {self.token}"
        for headers, value in [("headers", bearer), ("multiValueHeaders", [bearer])]:
            for header in event.get(headers, {}):
                if header.lower() == "authorization":
                    event[headers][header] = value
        if body is not None:
            event["body"], event["isBase64Encoded"] = json.dumps(body), False
        function = next(name for name in self.ports if event_file.startswith(name))
        url = f"http://127.0.0.1:{self.ports[function]}/2015-03-31/functions/function/invocations"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode()), timeout=30) as reply:
            answer = json.load(reply)
        assert answer["statusCode"] == status, f"{event_file}: {answer}"
        print(f"{event_file}: {status}")
        return json.loads(answer["body"])


def live(cloud, functions):
    """Enrolls, signs in, replaces the number and turns 2FA off; every text message is read out of SNS."""
    secrets_seen = []

    def code(to):
        secrets_seen.append(cloud.last_code(to))
        return {"code": secrets_seen[-1]}

    for refused, status in [
        ("setup-without-token", 401),
        ("setup-wrong-method", 405),
        ("setup-bad-number", 400),
        ("setup-broken-json", 400),
        ("verify-number-not-string", 400),
        ("send-sms", 409),
        ("verify", 409),
        ("setup-disable", 409),
    ]:
        functions.send(refused, status)
    assert cloud.messages() == [], "nothing was sent for what was refused"

    for sending in ["setup", "setup-base64", "setup-rest-api", "send-sms-no-slash", "send-sms-rest-api", "send-sms"]:
        answer = functions.send(sending, 200)
        assert "warning" not in answer, "production shows no code"
        code(HOME)
    enabled = functions.send("verify-rest-api", 200, code(HOME))
    assert len(enabled["backup_codes"]) == 10
    functions.send("verify", 409, {"code": secrets_seen[-1]})
    for status in ["setup-status", "setup-status-rest-api"]:
        assert functions.send(status, 200)["enabled"] is True

    functions.send("send-sms", 200)
    replacement = {"method": "sms", "phone_number": WORK}
    functions.send("setup", 403, replacement)
    functions.send("setup", 200, {**replacement, **code(HOME)})
    replaced = functions.send("verify", 200, code(WORK))
    assert replaced["phone_number_masked"] == "+44****3456"
    assert cloud.messages()[-1][0] == HOME, "the old number is told that it was replaced"

    functions.send("setup-disable", 200, {"code": replaced["backup_codes"][0]})
    assert cloud.messages()[-1][0] == WORK, "the number is told that 2FA is off"
    assert functions.send("setup-status", 200)["enabled"] is False
    return secrets_seen + enabled["backup_codes"] + replaced["backup_codes"]


def check_nothing_leaked(cloud, token, shown, logs):
    items = json.dumps(cloud.client("dynamodb").scan(TableName=cloud.table)["Items"], default=str)
    for secret in [code for code in shown if len(code) > 6] + [token, cloud.token_secret]:
        assert secret not in items and secret not in logs, "no backup code, token or key is stored or logged"
    for number in [HOME, WORK]:
        assert number not in logs, "no full number is logged"


processes = []
with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    try:
        port = free_port()
        moto = [os.environ["MOTO_SERVER"], "-H", "127.0.0.1", "-p", str(port)]
        processes.append(start(moto, port, folder / "moto.log"))
        cloud = Cloud(f"http://127.0.0.1:{port}")
        token = cloud.token("alice")
        ports = {}
        for name in ["setup", "send-sms", "verify"]:
            runtime_api, ports[name] = free_port(), free_port()
            command = [os.environ["RIE"], "--log-level", "error", "--runtime-api-address", f"127.0.0.1:{runtime_api}"]
            command += ["--runtime-interface-emulator-address", f"127.0.0.1:{ports[name]}"]
            command += [str(Path(os.environ["BOOTSTRAPS"]) / name / "bootstrap")]
            processes.append(start(command, ports[name], folder / f"{name}.log", env=cloud.environment()))
        shown = live(cloud, Functions(ports, token))
        check_nothing_leaked(cloud, token, shown, "".join((folder / f"{name}.log").read_text() for name in ports))
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
