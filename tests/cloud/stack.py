"""template.yaml deployed on an emulated account, as SAM and CloudFormation would: transformed, evaluated, and made in order.

moto's CloudFormation makes what it knows, and keeps the stack, so that the commands of an operator find and change it. What it does not
know (secrets, the API, alarms, metric filters) is made through the services' own APIs, whose parameters have the names of the
template's properties: what a service would refuse is refused here too.
"""

import io
import json
import logging
import os
import re
import warnings
import zipfile
from pathlib import Path

import boto3
from cfnlint.decode import cfn_yaml
from moto.server import ThreadedMotoServer
from moto.sns.models import sns_backends
from samtranslator.translator.transform import transform

ROOT = Path(__file__).resolve().parent.parent.parent
REGION, ACCOUNT = "us-east-1", "123456789012"
CREDENTIALS = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# Where `sam deploy` would have put the functions.
CODE = {"Bucket": "deployment", "Key": "functions.zip"}

# What moto's CloudFormation does not know and what others refer to, made before the stack.
BEFORE = ["AWS::SecretsManager::Secret", "AWS::ApiGatewayV2::Api"]
# The same for what refers to the rest of the stack, in an order in which each finds what it refers to.
AFTER = [
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::Route53::RecordSet",
    "AWS::Logs::MetricFilter",
    "AWS::CloudWatch::Alarm",
]

# Where the SAM transform takes the region from.
os.environ["AWS_DEFAULT_REGION"] = REGION
# moto tells of each request, and SAM of metrics that it does not send.
for talkative in ["werkzeug", "samtranslator.metrics.metrics"]:
    logging.getLogger(talkative).setLevel(logging.ERROR)
# moto warns of each type that it does not know.
warnings.filterwarnings("ignore", module="moto")


class NoManagedPolicies:
    """SAM asks for AWS's managed policies where a function has no role of its own; ours have."""

    def load(self):
        return {}


def transformed(parameters):
    """The template after the SAM transform, in its long form."""
    template = json.loads(json.dumps(cfn_yaml.load(str(ROOT / "template.yaml"))))
    template["Globals"]["Function"]["CodeUri"] = CODE
    return transform(template, parameters, NoManagedPolicies())


class Account:
    """The emulated account."""

    def __init__(self):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        self.endpoint = "http://{}:{}".format(*server.get_host_and_port())
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("bootstrap", "")
        self.client("s3").create_bucket(Bucket=CODE["Bucket"])
        self.client("s3").put_object(Bucket=CODE["Bucket"], Key=CODE["Key"], Body=archive.getvalue())

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


    def messages(self):
        """The text messages that were sent so far: to which number, and with what text."""
        return list(sns_backends[ACCOUNT][REGION].sms_messages.values())


class Stack:
    """A stack of the template on the account."""

    def __init__(self, account, name, **parameters):
        self.account, self.name = account, name
        self.template = transformed(parameters)
        declared = self.template["Parameters"]
        unknown = parameters.keys() - declared.keys()
        assert not unknown, f"no parameters of the template: {unknown}"
        self.names = {"AWS::StackName": name, "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}
        for parameter, declaration in declared.items():
            value = str(parameters.get(parameter, declaration["Default"]))
            is_list = declaration["Type"] == "CommaDelimitedList"
            self.names[parameter] = value.split(",") if is_list else value
        self.check_rules()
        resources = self.template["Resources"].items()
        self.resources = {name: made for name, made in resources if self.condition(made.get("Condition"))}
        for kind in BEFORE:
            self.make_all(kind)
        self.make_stack(parameters)
        for kind in AFTER:
            self.make_all(kind)

    def delete(self):
        """Deletes what the template does not say to retain."""
        iam = self.account.client("iam")
        # moto would delete the roles first, and then refuse to, because of the policies that are attached.
        for policy in (self.names[name] for name, made in self.resources.items() if made["Type"] == "AWS::IAM::ManagedPolicy"):
            for role in iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"]:
                iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy)
        self.account.client("cloudformation").delete_stack(StackName=self.name)
        self.account.client("apigatewayv2").delete_api(ApiId=self.names["Api"])
        alarms = [self.names[name] for name, made in self.resources.items() if made["Type"] == "AWS::CloudWatch::Alarm"]
        self.account.client("cloudwatch").delete_alarms(AlarmNames=alarms)

    def check_rules(self):
        for name, rule in self.template.get("Rules", {}).items():
            if self.evaluate(rule["RuleCondition"]):
                for assertion in rule["Assertions"]:
                    assert self.evaluate(assertion["Assert"]), f"{name}: {assertion['AssertDescription']}"

    def output(self, name):
        return self.evaluate(self.template["Outputs"][name]["Value"])

    # Intrinsic functions.

    def condition(self, name):
        return name is None or self.evaluate(self.template["Conditions"][name])

    def evaluate(self, value):
        if isinstance(value, list):
            return [item for item in map(self.evaluate, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function in FUNCTIONS:
                return FUNCTIONS[function](self, argument)
        evaluated = {name: self.evaluate(item) for name, item in value.items()}
        return {name: item for name, item in evaluated.items() if item is not None}

    def substitute(self, argument):
        text, more = argument if isinstance(argument, list) else (argument, {})
        names = {**self.names, **self.evaluate(more)}
        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", lambda found: str(names[found[1]]), text)

    # Making.

    def make_all(self, kind):
        made = {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}
        for name, resource in made.items():
            self.names.update(getattr(self, "make_" + kind.split("::")[-1])(name, self.evaluate(resource["Properties"])))

    def call(self, service, operation, properties):
        """Calls an API with properties, as CloudFormation does: what it takes as text becomes what the API wants."""
        client = self.account.client(service)
        wanted = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
        return getattr(client, operation)(**typed(properties, wanted))

    def make_stack(self, parameters):
        elsewhere = {name for name, resource in self.resources.items() if resource["Type"] in BEFORE + AFTER}
        # References to what moto does not make become what they stand for, as far as that is made already.
        body = {
            "Parameters": self.template["Parameters"],
            "Conditions": self.template["Conditions"],
            "Resources": {
                name: {part: self.resolved(item, elsewhere) for part, item in resource.items() if part != "Condition"}
                for name, resource in self.resources.items()
                if name not in elsewhere
            },
            "Outputs": {
                name: self.resolved({part: item for part, item in output.items() if part != "Condition"}, elsewhere)
                for name, output in self.template["Outputs"].items()
                if self.condition(output.get("Condition")) and name != "DomainTarget"
            },
        }
        cloudformation = self.account.client("cloudformation")
        # All of them: moto keeps no previous value of a parameter that was not given.
        values = {name: parameters.get(name, declared["Default"]) for name, declared in self.template["Parameters"].items()}
        given = [{"ParameterKey": name, "ParameterValue": str(value)} for name, value in values.items()]
        cloudformation.create_stack(StackName=self.name, TemplateBody=json.dumps(body), Parameters=given)
        for made in cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]:
            self.names.update(self.attributes(made["LogicalResourceId"], made["ResourceType"], made.get("PhysicalResourceId")))

    def attributes(self, name, kind, physical):
        """What a reference to a resource of moto's CloudFormation, and to its attributes, stands for."""
        service, _, kind = kind.removeprefix("AWS::").partition("::")
        arn = {
            "Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{physical}",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{physical}",
            "Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{physical}",
            "LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{physical}:*",
        }.get(kind)
        return {name: physical, **({f"{name}.Arn": arn} if arn else {})}

    def resolved(self, value, elsewhere):
        """A part of the template with references to these resources replaced by what they stand for."""
        if isinstance(value, list):
            return [self.resolved(item, elsewhere) for item in value]
        if isinstance(value, str):
            return re.sub(
                r"\$\{([A-Za-z0-9]+)(\.[A-Za-z0-9.]+)?\}",
                lambda found: str(self.names[found[0][2:-1]]) if found[1] in elsewhere else found[0],
                value,
            )
        if not isinstance(value, dict):
            return value
        if value.keys() == {"Ref"} and value["Ref"] in elsewhere:
            return self.names[value["Ref"]]
        if value.keys() == {"Fn::GetAtt"} and value["Fn::GetAtt"][0] in elsewhere:
            return self.names[".".join(value["Fn::GetAtt"])]
        return {name: self.resolved(item, elsewhere) for name, item in value.items()}

    def make_Secret(self, name, properties):
        """Generates a value as CloudFormation does, alone or into a JSON object."""
        secrets = self.account.client("secretsmanager")
        settings = properties.pop("GenerateSecretString")
        template, key = settings.pop("SecretStringTemplate", None), settings.pop("GenerateStringKey", None)
        value = secrets.get_random_password(**settings)["RandomPassword"]
        if template is not None:
            value = json.dumps({**json.loads(template), key: value})
        arn = self.call("secretsmanager", "create_secret", {**properties, "Name": f"{self.name}-{name}", "SecretString": value})["ARN"]
        return {name: arn}

    def make_Api(self, name, properties):
        made = self.call("apigatewayv2", "create_api", properties)
        return {name: made["ApiId"], f"{name}.ApiEndpoint": made["ApiEndpoint"]}

    def make_Authorizer(self, name, properties):
        return {name: self.call("apigatewayv2", "create_authorizer", properties)["AuthorizerId"]}

    def make_Integration(self, name, properties):
        return {name: self.call("apigatewayv2", "create_integration", properties)["IntegrationId"]}

    def make_Route(self, name, properties):
        return {name: self.call("apigatewayv2", "create_route", properties)["RouteId"]}

    def make_Stage(self, name, properties):
        routes = self.account.client("apigatewayv2").get_routes(ApiId=properties["ApiId"])["Items"]
        unknown = properties["RouteSettings"].keys() - {route["RouteKey"] for route in routes}
        assert not unknown, f"settings of routes that do not exist: {unknown}"
        return {name: self.call("apigatewayv2", "create_stage", properties)["StageName"]}

    def make_DomainName(self, name, properties):
        made = self.call("apigatewayv2", "create_domain_name", properties)
        regional = {f"{name}.RegionalDomainName": f"d-{self.name}.execute-api.{REGION}.amazonaws.com", f"{name}.RegionalHostedZoneId": "Z1UJRXOUMOOFQ8"}
        return {name: made["DomainName"], **regional}

    def make_ApiMapping(self, name, properties):
        return {name: self.call("apigatewayv2", "create_api_mapping", properties)["ApiMappingId"]}

    def make_RecordSet(self, name, properties):
        zone = properties.pop("HostedZoneId")
        properties["AliasTarget"].setdefault("EvaluateTargetHealth", False)
        change = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": properties}]}
        self.call("route53", "change_resource_record_sets", {"HostedZoneId": zone, "ChangeBatch": change})
        return {name: properties["Name"]}

    def make_MetricFilter(self, name, properties):
        self.call("logs", "put_metric_filter", uncapitalized({**properties, "FilterName": name}))
        return {name: name}

    def make_Alarm(self, name, properties):
        self.call("cloudwatch", "put_metric_alarm", properties)
        return {name: properties["AlarmName"]}


def same(stack, argument):
    first, second = stack.evaluate(argument)
    return str(first) == str(second)


def no_value(stack, name):
    return None if name == "AWS::NoValue" else stack.names[name]


FUNCTIONS = {
    "Ref": no_value,
    "Condition": Stack.condition,
    "Fn::GetAtt": lambda stack, path: stack.names[".".join(path)],
    "Fn::Sub": Stack.substitute,
    "Fn::If": lambda stack, argument: stack.evaluate(argument[1] if stack.condition(argument[0]) else argument[2]),
    "Fn::Equals": same,
    "Fn::Not": lambda stack, argument: not stack.evaluate(argument[0]),
    "Fn::And": lambda stack, argument: all(map(stack.evaluate, argument)),
    "Fn::Or": lambda stack, argument: any(map(stack.evaluate, argument)),
    "Fn::Join": lambda stack, argument: argument[0].join(stack.evaluate(argument[1])),
    "Fn::Split": lambda stack, argument: stack.evaluate(argument[1]).split(argument[0]),
}


def typed(value, shape):
    """A property as the shape of an API's parameter: CloudFormation takes numbers and booleans as text too."""
    if shape.type_name == "structure":
        return {name: typed(item, shape.members[name]) if name in shape.members else item for name, item in value.items()}
    if shape.type_name == "map":
        return {name: typed(item, shape.value) for name, item in value.items()}
    if shape.type_name == "list":
        return [typed(item, shape.member) for item in value]
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return value in (True, "true")
    return value


def uncapitalized(value):
    """Properties for an API that spells its parameters with a small first letter."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: uncapitalized(item) for name, item in value.items()}
    return [uncapitalized(item) for item in value] if isinstance(value, list) else value
