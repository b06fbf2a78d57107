"""What deploy/ says, against Kubernetes' own schemas and against the server, which is run with the environment that its pods would have.

Run by `make manifests`. The cloud is emulated: the table and the role are made from deploy/table.yaml, and the server takes the role with a
token, as its pods do.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import kubernetes_validate
import yaml
from cfnlint.decode import cfn_yaml

from processes import Processes, free_port, start
from stack import ACCOUNT, REGION, ROOT, Account

KUBERNETES = ROOT / "deploy" / "kubernetes"
RENDERED = Path(sys.argv[1])
BINARIES = Path(sys.argv[2]).resolve()
# The last three versions: what Kubernetes' maintainers still mend.
VERSIONS = ["1.35", "1.36", "1.37"]
# What is no part of Kubernetes, and has no schema here.
FOREIGN = {"SecretProviderClass", "SecretStore", "ExternalSecret"}
OVERLAYS = ["overlays/eks", "overlays/gke", "overlays/gke-secret-manager", "examples/secrets-store-csi"]
# How long requests may take after DRAIN_SECONDS.
REQUESTS_TAKE = 30
BASE = "/api/v1/auth/2fa"


def render(overlay):
    text = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / overlay)], check=True, capture_output=True, text=True).stdout
    (RENDERED / f"{overlay.replace('/', '-')}.yaml").write_text(text)
    return list(yaml.safe_load_all(text))


def check_schemas(name, objects):
    for manifest in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                assert manifest["kind"] in FOREIGN, f"{name}: there is no {manifest['kind']} in {version}"


class Pod:
    """What the pods of an overlay are given."""

    def __init__(self, objects):
        self.objects = {manifest["kind"]: manifest for manifest in objects}
        self.spec = self.objects["Deployment"]["spec"]["template"]["spec"]
        [self.container] = self.spec["containers"]
        self.references = {}

    def environment(self):
        variables = dict(self.objects["ConfigMap"]["data"])
        for variable in self.container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                self.references[variable["name"]] = (reference["name"], reference["key"])
            else:
                variables[variable["name"]] = variable["value"]
        return variables

    def check(self, name):
        variables = self.environment()
        grace = self.spec["terminationGracePeriodSeconds"]
        assert grace > int(variables["DRAIN_SECONDS"]) + REQUESTS_TAKE, f"{name}: requests are cut off"
        assert self.objects["Deployment"]["spec"]["replicas"] == 2 == self.objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
        assert self.spec["automountServiceAccountToken"] is False, name
        mounts = {mount["name"] for mount in self.container.get("volumeMounts", [])}
        assert mounts == {volume["name"] for volume in self.spec.get("volumes", [])}, name
        if variables.get("SECRET_ID"):
            assert not self.references, f"{name}: a variable wins over the secret"
        else:
            assert self.references["TWILIO_AUTH_TOKEN"] == ("twilio-credentials", "auth-token"), self.references


def table_stack(account, name, **parameters):
    """Makes a stack of deploy/table.yaml, and returns the policy of who may take its role, and its outputs."""
    body = json.dumps(cfn_yaml.load(str(ROOT / "deploy" / "table.yaml")))
    client = account.client("cloudformation")
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    client.create_stack(StackName=name, TemplateBody=body, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    [stack] = client.describe_stacks(StackName=name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    role = account.client("iam").get_role(RoleName=outputs["RoleArn"].rsplit("/", 1)[1])["Role"]
    policy = role["AssumeRolePolicyDocument"]
    return json.loads(policy) if isinstance(policy, str) else policy, outputs


def check_table(account):
    issuer = "container.googleapis.com/v1/projects/my-project/locations/europe-west3/clusters/my-cluster"
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    policy, outputs = table_stack(account, "of-gke", OidcProviderArn=provider)
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Federated": provider}, policy
    subject = "system:serviceaccount:two-factor:two-factor"
    assert statement["Condition"] == {"StringEquals": {f"{issuer}:sub": subject, f"{issuer}:aud": "sts.amazonaws.com"}}, policy
    policy, _ = table_stack(account, "of-pod-identity")
    assert policy["Statement"][0]["Principal"] == {"Service": "pods.eks.amazonaws.com"}, policy

    dynamodb = account.client("dynamodb")
    made = dynamodb.describe_table(TableName=outputs["TableName"])["Table"]
    assert made["DeletionProtectionEnabled"] is True, made
    same = [cfn_yaml.load(str(ROOT / file))["Resources"]["Table"]["Properties"] for file in ["template.yaml", "deploy/table.yaml"]]
    assert same[0] == same[1], "the two templates make the same table"
    return outputs


def guides_token(secret):
    """What the commands of docs/kubernetes.md make of the issuer's secret."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "kubernetes.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    [making] = [block for block in blocks if "TOKEN=" in block]
    script = making + 'printf %s "$TOKEN"'
    environment = {"PATH": os.environ["PATH"], "AUTH_JWT_SECRET": secret}
    return subprocess.run(["sh", "-euc", script], env=environment, check=True, capture_output=True, text=True).stdout


def get(port, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.read()


def serve(account, name, pod, outputs, folder):
    """Runs the server as the pod would, until it is ready and has told a user's status, and stops it."""
    secrets = {
        "twilio-credentials": {"account-sid": "AC" + "0" * 32, "auth-token": "0" * 32, "phone-number": "+15005550006"},
        "two-factor": {"code-pepper": "a pepper for tests, of 32 bytes or more", "auth-jwt-secret": "a secret for tests, of 32 bytes or more"},
    }
    files = {"twilio-account-sid": "AC" + "0" * 32, "twilio-auth-token": "0" * 32, "twilio-phone-number": "+15005550006"}
    files |= secrets["two-factor"]
    port, admin = free_port(), free_port()
    variables = pod.environment()
    variables |= {variable: secrets[secret][key] for variable, (secret, key) in pod.references.items()}
    variables |= {"PORT": str(port), "ADMIN_PORT": str(admin), "BIND": "127.0.0.1", "DRAIN_SECONDS": "0"}
    variables |= {"AWS_ENDPOINT_URL": account.endpoint, "TABLE_NAME": outputs["TableName"], "AWS_REGION": REGION}
    mounted = variables.get("SECRET_ID", "").startswith("file:")
    if mounted:
        for file, value in files.items():
            (folder / file).write_text(value)
        variables["SECRET_ID"] = f"file:{folder}"
    token_file = folder / "token"
    token_file.write_text("a.b.c")
    # On EKS the variables come from IRSA's webhook, on GKE from the overlay.
    variables |= {"AWS_ROLE_ARN": outputs["RoleArn"], "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file)}
    with Processes() as processes:
        log = folder / f"{name.replace('/', '-')}.log"
        start(processes, [str(BINARIES / "two-factor-server")], admin, log, env=variables)
        deadline = time.monotonic() + 30
        while True:
            try:
                get(admin, "/readyz")
                break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        status = json.loads(get(port, f"{BASE}/setup", guides_token(secrets["two-factor"]["auth-jwt-secret"])))
        assert status["enabled"] is False, status
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [line for line in lines if line["level"] == "ERROR"], lines


def main():
    account = Account()
    outputs = check_table(account)
    for name in OVERLAYS:
        objects = render(name)
        check_schemas(name, objects)
        pod = Pod(objects)
        pod.environment()
        pod.check(name)
        if pod.environment().get("SECRET_ID", "").startswith("gcp:"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            serve(account, name, pod, outputs, Path(folder))
        print(f"{name}: valid in {', '.join(VERSIONS)}, and the server runs with it")
    examples = list(yaml.safe_load_all((KUBERNETES / "examples" / "external-secrets.yaml").read_text()))
    made = {(example["metadata"]["name"], data["secretKey"]) for example in examples for data in example["spec"].get("data", [])}
    refers = Pod(render("overlays/gke"))
    refers.environment()
    assert made == set(refers.references.values()), "what External Secrets makes is what the pods refer to"


main()
