#!/usr/bin/env python3
"""The release binaries on an emulated cloud, deployed from template.yaml and operated by docs/operations.md.

moto is the account; API Gateway's routing and the Lambda runtime interface emulator do what it does not. Run by
`make test-cloud`, which builds the binaries and installs the tools.
"""

import base64
import hashlib
import hmac
import json
import re
import tempfile
import time
from pathlib import Path

from gateway import Functions, Gateway, Issuer
from processes import Processes
from runbook import Runbook
from stack import Account, Stack

HOME, WORK = "+14155551234", "+447400123456"
BASE = "/api/v1/auth/2fa"
STACK = "two-factor"
# What a deployment of this test would say in place of the defaults: a provider that moto has, and no waiting.
TESTED = {"SmsProviders": "sns", "SmsCooldownSeconds": 0, "SmsMaxPerWindow": 50}


def token_secret(stack):
    return stack.account.client("secretsmanager").get_secret_value(SecretId=stack.output("TokenSecretArn"))["SecretString"]


def token(user, key):
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = json.dumps({"sub": user, "exp": int(time.time()) + 3600}).encode()
    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + "." + encode(claims)
    return signed + "." + encode(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())


class Client:
    """A user's application, which calls the API."""

    def __init__(self, gateway, token):
        self.gateway, self.token = gateway, token
        # Codes that must be nowhere but in a message or an answer.
        self.shown = []

    def messages(self):
        return self.gateway.functions.stack.account.messages()

    def code(self, to):
        number, text = self.messages()[-1]
        assert number == to, "the code went to the number it was meant for"
        self.shown.append(text[:6])
        return {"code": text[:6]}

    def call(self, method, path, status, body=None):
        got, _, answer = self.gateway.call(method, f"{BASE}/{path}", self.token, body)
        assert got == status, f"{method} {path}: {got} {answer}"
        self.shown += (answer or {}).get("backup_codes", [])
        return answer

    def enroll(self, number=HOME):
        """Turns 2FA on and returns the backup codes."""
        self.call("POST", "setup", 200, {"method": "sms", "phone_number": number})
        return self.call("POST", "verify", 200, self.code(number))["backup_codes"]


def live(client, slash):
    """A whole life of a factor, with paths that end in a slash or do not."""
    setup, send_sms, verify = (f"{name}{slash}" for name in ["setup", "send-sms", "verify"])
    enrollment = {"method": "sms", "phone_number": HOME}
    sent = len(client.messages())
    client.call("POST", setup, 400, {**enrollment, "phone_number": "+1415"})
    client.call("POST", verify, 400, {"code": 123456})
    client.call("POST", send_sms, 409, {})
    client.call("DELETE", setup, 409)
    assert len(client.messages()) == sent, "nothing was sent for what was refused"

    assert "warning" not in client.call("POST", setup, 200, enrollment), "production shows no code"
    client.call("POST", send_sms, 200)
    codes = client.call("POST", verify, 200, client.code(HOME))["backup_codes"]
    assert len(codes) == 10
    client.call("POST", verify, 409, {"code": client.shown[0]})
    assert client.call("GET", setup, 200)["enabled"] is True

    client.call("POST", send_sms, 200, {})
    assert client.call("POST", verify, 200, client.code(HOME))["purpose"] == "sign_in"
    replacement = {"method": "sms", "phone_number": WORK}
    client.call("POST", setup, 403, replacement)
    client.call("POST", send_sms, 200, {"purpose": "change"})
    client.call("POST", setup, 200, {**replacement, **client.code(HOME)})
    replaced = client.call("POST", verify, 200, {"purpose": "replace", **client.code(WORK)})
    assert replaced["phone_number_masked"] == "+44****3456"
    assert client.messages()[-1][0] == HOME, "the old number is told that it was replaced"

    client.call("DELETE", setup, 200, {"code": replaced["backup_codes"][0]})
    assert client.messages()[-1][0] == WORK, "the number is told that 2FA is off"
    assert client.call("GET", setup, 200)["enabled"] is False


def check_the_net(gateway, key):
    """What no route of its own takes gets our answers, and a preflight request one that a browser goes on after."""
    alice = token("alice", key)
    for method, path, status in [
        ("PUT", "setup", 405),
        ("GET", "verify/", 405),
        ("GET", "nowhere", 404),
        ("POST", "setup/deeper", 404),
        ("POST", "setup//", 404),
    ]:
        got, headers, answer = gateway.call(method, f"{BASE}/{path}", alice)
        assert (got, answer["type"][:16]) == (status, "urn:2fa:problem:"), f"{method} {path}: {got} {answer}"
        assert status != 405 or headers["allow"], path
    assert gateway.call("GET", "/elsewhere")[0] == 404
    assert gateway.call("POST", f"{BASE}/setup", None, {})[0] == 401


def check_nothing_leaked(stack, functions, shown, *secrets):
    items = json.dumps(stack.account.client("dynamodb").scan(TableName=stack.output("TableName"))["Items"], default=str)
    logs = functions.log()
    for secret in [*secrets, *(code for code in shown if len(code) > 6)]:
        assert secret not in items and secret not in logs, "no backup code, token or key is stored or logged"
    for number in [HOME, WORK]:
        assert number not in logs, "no full number is logged"


def first_deployment(account, processes, folder):
    """Deploys, and lives through a factor on every spelling of the paths and both readings of what greedy routes take."""
    stack = Stack(account, STACK, **TESTED)
    functions = Functions(stack, processes, folder)
    key = token_secret(stack)
    shown = []
    for empty_greedy in [False, True]:
        gateway = Gateway(stack, functions, empty_greedy=empty_greedy)
        taken = gateway.route("POST", f"{BASE}/setup/")["RouteKey"]
        assert taken == ("POST /api/v1/auth/2fa/setup/{proxy+}" if empty_greedy else "ANY /api/v1/auth/2fa/{proxy+}"), taken
        for slash in ["", "/"]:
            client = Client(gateway, token(f"user{slash}-{empty_greedy}", key))
            live(client, slash)
            shown += client.shown
        check_the_net(gateway, key)
    check_nothing_leaked(stack, functions, shown, key)
    print("deployed, and lived through on every route")

    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} >= {f"{STACK}-gateway-throttles", f"{STACK}-errors"}
    dashboard = json.loads(account.client("cloudwatch").get_dashboard(DashboardName=STACK)["DashboardBody"])
    assert "${" not in json.dumps(dashboard) and len(dashboard["widgets"]) > 10
    return stack, functions, gateway


def operate(stack, functions, gateway, runbook):
    """What docs/operations.md says, and what each of its commands does to the running service."""
    lambdas = functions.client
    runbook.run("First deployment", "set-stack-policy")
    policy = stack.account.client("cloudformation").get_stack_policy(StackName=STACK)["StackPolicyBody"]
    retained = {name for name, resource in stack.resources.items() if resource.get("DeletionPolicy") == "Retain"}
    assert set(re.findall("LogicalResourceId/([A-Za-z]+)", policy)) == retained, policy
    runbook.run("The doctor", "get-function-configuration")
    assert f"SECRET_ID='{stack.output('SecretArn')}'" in (runbook.folder / "stack.env").read_text()

    alice = Client(gateway, token("alice", token_secret(stack)))
    codes = alice.enroll()

    secrets = stack.account.client("secretsmanager")

    def secret():
        return json.loads(secrets.get_secret_value(SecretId=stack.output("SecretArn"))["SecretString"])

    before = secret()
    typed = {
        "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
        "TWILIO_API_KEY_SID": "SK0123456789abcdef0123456789abcdef",
        "TWILIO_API_KEY_SECRET": "a \"quoted\" \\ $secret'",
        "TWILIO_PHONE_NUMBER": "+15005550006",
    }
    shown = runbook.run("The secret", "fill TWILIO_ACCOUNT_SID", typed="".join(f"{value}\n" for value in typed.values()))
    assert secret() == {**before, **typed}
    assert not any(value in shown for value in typed.values()) and not list(runbook.folder.glob("*.json")), "nothing typed is left"
    runbook.run("The secret", "AWSPREVIOUS")
    assert secret() == before

    key = token_secret(stack)
    runbook.run("Rotating the token secret")
    assert token_secret(stack) != key
    runbook.run("The secret", "update-function-configuration")
    functions.restart()
    alice.call("GET", "setup", 401)
    alice.token = token("alice", token_secret(stack))

    pepper = secret()["CODE_PEPPER"]
    for step in ["Announce", "Change places"]:
        runbook.run("Rotating the pepper", "step 1 is missing" if step == "Change places" else "--arg new")
        functions.restart()
        alice.call("POST", "verify", 200, {"code": codes.pop()})
    assert (secret()["CODE_PEPPER_PREVIOUS"], secret()["CODE_PEPPER"] != pepper) == (pepper, True)

    published = f"{BASE}/.well-known/jwks.json"
    assert gateway.call("GET", published)[0] == 404, "without a key there is nothing to publish"
    runbook.run("Rotating the assertion key", "genpkey")
    runbook.shell("change PublicUrl=\"$(output GeneratedUrl)\" AssertionAudience=shop")
    runbook.run("Rotating the assertion key", "ASSERTION_KEY_PREVIOUS")
    functions.restart()
    signed = alice.call("POST", "verify", 200, {"code": codes.pop()})["assertion"]
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split(".")[:2])
    assert claims["iss"] == stack.output("GeneratedUrl").rstrip("/") + BASE and claims["aud"] == "shop", claims
    status, headers, body = gateway.call("GET", published)
    assert status == 200 and headers["cache-control"] == "public, max-age=3600", (status, headers)
    assert [key["kid"] for key in body["keys"]] == [header["kid"]], body

    british = {"method": "sms", "phone_number": WORK}
    dave, erin = (Client(gateway, token(user, token_secret(stack))) for user in ["dave", "erin"])
    british_codes = erin.enroll(WORK)
    runbook.run("Fraud", "AllowedCountries=US,CA")
    for refused in [dave.call("POST", "setup", 400, british), erin.call("POST", "send-sms", 400, {})]:
        assert (refused["code"], refused["reason"]) == ("phone_number_not_allowed", "country"), refused
    erin.call("POST", "verify", 200, {"code": british_codes.pop()})
    runbook.run("Fraud", "SmsMaxPerIp=5")
    runbook.run("Fraud", "SmsProviders=")
    dave.call("POST", "setup", 503, {"method": "sms", "phone_number": HOME})
    alice.call("POST", "verify", 200, {"code": codes.pop()})
    environment = functions.environment(stack.names["SetupFunction"])
    changed = {"ALLOWED_COUNTRIES": "US,CA", "SMS_MAX_PER_IP": "5", "SMS_MAX_PER_WINDOW": "3", "SMS_PROVIDERS": ""}
    assert {name: environment[name] for name in changed} == changed
    assert environment["SMS_COOLDOWN_SECONDS"] == "0", "what is not named keeps its value"
    for wrong in ["AllowedCountry=US", "AllowedCountries"]:
        runbook.shell(f"if change {wrong}; then exit 1; fi")
    runbook.shell("change SmsProviders=sns SmsMaxPerWindow=50 SmsMaxPerIp=20")

    runbook.run("Emergency stop", "--reserved-concurrent-executions 0")
    for stopped in ["setup", "send-sms", "nowhere"]:
        assert gateway.call("POST", f"{BASE}/{stopped}", alice.token, {})[0] == 503
    alice.call("POST", "verify", 200, {"code": codes.pop()})
    runbook.run("Emergency stop", "delete-function-concurrency")
    alice.call("POST", "send-sms", 200)
    assert not any("ReservedConcurrentExecutions" in lambdas.get_function_concurrency(FunctionName=name) for name in functions.binaries)

    runbook.run("A flood", "RouteRateLimit=")
    host = runbook.run("A flood", "create-web-acl")
    [distribution] = stack.account.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    assert distribution["DomainName"] in host
    assert distribution["Origins"]["Items"][0]["DomainName"] == stack.output("GeneratedUrl").removeprefix("https://")
    [acl] = stack.account.client("wafv2").list_web_acls(Scope="CLOUDFRONT")["WebACLs"]
    assert distribution["WebACLId"] == acl["ARN"]
    runbook.run("A flood", "SmsMaxPerIp=0")

    runbook.run("Restore", "restore-table")
    restored = functions.environment(stack.names["SetupFunction"])["TABLE_NAME"]
    assert restored == "two-factor-restored"
    dynamodb = stack.account.client("dynamodb")
    assert dynamodb.describe_time_to_live(TableName=restored)["TimeToLiveDescription"]["AttributeName"] == "ttl"
    assert alice.call("GET", "setup", 200)["backup_codes_remaining"] == len(codes)
    runbook.shell("change RestoredTableName=")
    trail = runbook.run("Logs and the audit trail", "USER#alice")
    assert "verify" in trail and "+1****1234" in trail and HOME not in trail, trail
    return alice, codes


def lose_and_make_again(stack, alice, codes, runbook, processes, folder):
    """Deletes the stack, finds what it left, and makes it again on that."""
    stack.delete()
    found = runbook.run("A stack that was lost", "list-secrets", without_stack=True)
    parameters = dict(re.findall(r"^([A-Z][A-Za-z]+)\t(\S+)$", found, flags=re.MULTILINE))
    assert parameters["AssertionAudience"] == "shop" and parameters["SmsProviders"] == "sns", found
    table, secret, token_secret_arn = (stack.output(name) for name in ["TableName", "SecretArn", "TokenSecretArn"])
    for left in [table, secret, token_secret_arn]:
        assert left in found, found

    restored = {"RestoredTableName": table, "RestoredSecretArn": secret, "RestoredTokenSecretArn": token_secret_arn}
    again = Stack(stack.account, f"{STACK}-again", **{**parameters, **restored})
    functions = Functions(again, processes, folder)
    alice.gateway = Gateway(again, functions)
    assert alice.call("GET", "setup", 200)["backup_codes_remaining"] == len(codes)
    alice.call("POST", "verify", 200, {"code": codes.pop()})
    alice.call("POST", "send-sms", 200)
    alice.call("POST", "verify", 200, alice.code(HOME))
    print("made again on what the lost stack left")


def behind_an_authorizer(account, processes, folder):
    """Another stack, with all that the first one leaves out: a JWT authorizer, web pages, a domain, an e-mail address."""
    zone = account.client("route53").create_hosted_zone(Name="example.com", CallerReference="zone")["HostedZone"]["Id"]
    issuer = Issuer("https://issuer.example", "two-factor")
    stack = Stack(
        account,
        "behind-gateway",
        **TESTED,
        AuthMode="gateway",
        AuthIssuer=issuer.issuer,
        AuthAudience=issuer.audience,
        AllowedOrigins="https://app.example.com",
        DomainName="api.example.com",
        CertificateArn="arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
        HostedZoneId=zone.rsplit("/", 1)[1],
        DisableGeneratedAddress="true",
        AlarmEmail="ops@example.com",
        AwsSmsOriginationArn="arn:aws:sms-voice:us-east-1:123456789012:pool/pool-0123456789abcdef",
        Tracing="Active",
        ReservedConcurrency=5,
    )
    functions = Functions(stack, processes, folder)
    gateway = Gateway(stack, functions, issuer)
    stranger = Issuer(issuer.issuer, issuer.audience)
    for bad in [None, "x", issuer.token("mallory", aud="another"), issuer.token("mallory", exp=1), stranger.token("mallory")]:
        for path in ["setup", "setup/", "nowhere"]:
            assert gateway.call("POST", f"{BASE}/{path}", bad, {})[0] == 401
    assert not functions.running, "a bad token reaches no function"
    assert gateway.call("GET", f"{BASE}/.well-known/jwks.json")[0] == 404, "public keys take no token, and here are none"
    preflight = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    for path in ["setup", "send-sms/"]:
        status, headers, _ = gateway.call("OPTIONS", f"{BASE}/{path}", headers=preflight)
        assert (status, headers["access-control-allow-origin"]) == (204, "https://app.example.com"), path
    client = Client(gateway, issuer.token("erin"))
    live(client, "")
    check_nothing_leaked(stack, functions, client.shown)

    api = account.client("apigatewayv2").get_api(ApiId=stack.names["Api"])
    assert api["DisableExecuteApiEndpoint"] is True and stack.output("ApiUrl") == "https://api.example.com"
    records = account.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert "api.example.com." in [record["Name"] for record in records]
    for alarm in account.client("cloudwatch").describe_alarms(AlarmNamePrefix="behind-gateway-")["MetricAlarms"]:
        assert alarm["AlarmActions"] == [stack.names["AlarmTopic"]], alarm["AlarmName"]
    print("behind an authorizer")


def main():
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        account = Account()
        runbook = Runbook(account, folder)
        stack, functions, gateway = first_deployment(account, processes, folder)
        alice, codes = operate(stack, functions, gateway, runbook)
        lose_and_make_again(stack, alice, codes, runbook, processes, folder)
        behind_an_authorizer(account, processes, folder)
        assert not runbook.not_run(), "\n".join(["commands of the runbook that are neither run nor marked:", *runbook.not_run()])


if __name__ == "__main__":
    main()
