"""API Gateway and Lambda of the emulated account: a request goes the way that the made routes, permissions and functions give it."""

import fnmatch
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from joserfc import jwk, jwt
from joserfc.errors import JoseError

from processes import free_port, start
from stack import ACCOUNT, CREDENTIALS, REGION

GREEDY = "{proxy+}"


class Functions:
    """The release binaries, each in a runtime interface emulator of its own, with the environment that its function is given."""

    def __init__(self, stack, processes, folder):
        self.stack, self.processes, self.folder = stack, processes, folder
        self.client = stack.account.client("lambda")
        names = {name: resource for name, resource in stack.resources.items() if resource["Type"] == "AWS::Lambda::Function"}
        # SAM keeps nothing of how a function was built; its log group is named after the binary.
        groups = {name: stack.evaluate(resource["Properties"]["LoggingConfig"]["LogGroup"]) for name, resource in names.items()}
        self.binaries = {stack.names[name]: group.rsplit("/", 1)[1] for name, group in groups.items()}
        self.running = {}
        self.logs = []

    def environment(self, name):
        variables = self.client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        return {variable: str(value) for variable, value in variables.items()}

    def invoke(self, name, event):
        """The function's answer; `None` if Lambda turns the invocation away."""
        concurrency = self.client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
        if concurrency == 0:
            return None
        environment = self.environment(name)
        process, port, log, started_with = self.running.get(name, (None, None, None, None))
        if started_with != environment:
            # A change of a function's configuration ends its environments.
            if process:
                self.processes.stop(process)
            process, port, log = self.start(name, environment)
            self.running[name] = (process, port, log, environment)
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode()), timeout=30) as reply:
                return json.load(reply)
        except OSError as error:
            said = error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""
            sys.exit(f"{name} did not answer: {error} {said}\nIt runs: {process.poll() is None}. Its log:\n{log.read_text()}")

    def start(self, name, environment):
        binary = self.binaries[name]
        runtime_api, port = free_port(), free_port()
        command = [os.environ["RIE"], "--log-level", "error", "--runtime-api-address", f"127.0.0.1:{runtime_api}"]
        command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += [str(Path(os.environ["BOOTSTRAPS"]) / binary / "bootstrap")]
        log = self.folder / f"{binary}-{port}.log"
        self.logs.append(log)
        variables = {**environment, **CREDENTIALS, "AWS_ENDPOINT_URL": self.stack.account.endpoint}
        return start(self.processes, command, port, log, env=variables), port, log

    def restart(self):
        """Has the next invocation of each function start it anew, as the runbook's restart does."""
        for process, *_ in self.running.values():
            self.processes.stop(process)
        self.running.clear()

    def log(self):
        return "".join(log.read_text() for log in self.logs)


class Issuer:
    """Who signs tokens for a JWT authorizer."""

    def __init__(self, issuer, audience):
        self.issuer, self.audience = issuer, audience
        self.key = jwk.RSAKey.generate_key(2048)

    def token(self, user, **claims):
        claims = {"sub": user, "iss": self.issuer, "aud": self.audience, "exp": int(time.time()) + 3600, **claims}
        return jwt.encode({"alg": "RS256"}, claims, self.key)

    def claims(self, token):
        """The claims of a token that an authorizer would let through, as texts, as it hands them on; else `None`."""
        try:
            claims = jwt.decode(token, self.key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None
        trusted = claims["iss"] == self.issuer and claims["aud"] == self.audience and claims["exp"] > time.time()
        return {name: str(value) for name, value in claims.items()} if trusted else None


class Gateway:
    """The API that the stack made, read back from the account."""

    def __init__(self, stack, functions, issuer=None, empty_greedy=False):
        self.functions, self.issuer = functions, issuer
        # The documentation does not say whether a greedy variable may be empty: tests try both.
        self.empty_greedy = empty_greedy
        self.client = stack.account.client("apigatewayv2")
        self.api = stack.names["Api"]
        self.cors = self.client.get_api(ApiId=self.api).get("CorsConfiguration")
        self.routes = self.client.get_routes(ApiId=self.api)["Items"]

    def route(self, method, path):
        """The route of a request: an exact one before a greedy one, the longest of these, its own method before all methods."""
        def rank(route):
            verb, pattern = route["RouteKey"].split(" ")
            if verb not in (method, "ANY"):
                return None
            if pattern == path:
                return (1, 0, verb != "ANY")
            below = path.removeprefix(pattern.removesuffix(GREEDY))
            if pattern.endswith(GREEDY) and below != path and (below or self.empty_greedy):
                return (0, len(pattern), verb != "ANY")
            return None

        ranked = [(rank(route), route) for route in self.routes]
        ranked = [(ranking, route) for ranking, route in ranked if ranking]
        return max(ranked, key=lambda pair: pair[0])[1] if ranked else None

    def call(self, method, path, token=None, body=None, headers=()):
        """The status, headers and body of the answer to a request."""
        route = self.route(method, path)
        if route is None:
            return 404, {}, {"message": "Not Found"}
        headers = {**dict(headers), "host": "api.example.com", "content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        context = {
            "accountId": ACCOUNT,
            "apiId": self.api,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "test"},
            "requestId": uuid.uuid4().hex,
            "routeKey": route["RouteKey"],
            "stage": "$default",
        }
        if route["AuthorizationType"] == "JWT":
            claims = self.issuer.claims(token) if token else None
            if claims is None:
                return 401, {"www-authenticate": "Bearer"}, {"message": "Unauthorized"}
            context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        event = {
            "version": "2.0",
            "routeKey": route["RouteKey"],
            "rawPath": path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": context,
            "isBase64Encoded": False,
        }
        if body is not None:
            event["body"] = json.dumps(body)
        integration = self.client.get_integration(ApiId=self.api, IntegrationId=route["Target"].removeprefix("integrations/"))
        assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0"), integration
        function = integration["IntegrationUri"].rsplit(":", 1)[1]
        if not self.may_invoke(function, route["RouteKey"]):
            return 500, {}, {"message": "Internal Server Error"}
        answer = self.functions.invoke(function, event)
        if answer is None:
            return 503, {}, {"message": "Service Unavailable"}
        shared = {}
        if self.cors and headers.get("origin") in self.cors["AllowOrigins"]:
            shared = {"access-control-allow-origin": headers["origin"], "access-control-allow-methods": ",".join(self.cors["AllowMethods"])}
        text = answer.get("body")
        return answer["statusCode"], {**answer["headers"], **shared}, json.loads(text) if text else None

    def may_invoke(self, function, route_key):
        """Whether the function's policy lets the API invoke it for this route."""
        method, path = route_key.split(" ")
        source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api}/$default/{method.replace('ANY', '*')}{path}"
        policy = json.loads(self.functions.client.get_policy(FunctionName=function)["Policy"])
        allowed = [
            pattern
            for statement in policy["Statement"]
            if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
            for pattern in statement["Condition"]["ArnLike"].values()
        ]
        return any(fnmatch.fnmatchcase(source, pattern) for pattern in allowed)
