//! `template.yaml` as `CloudFormation` reads it: tags in their long form, and functions of parameters and conditions evaluated.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a template that cannot be read fails the test"
)]

use std::{collections::BTreeMap, fs, path::Path};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template, deployed with some parameters.
#[derive(Clone, Debug)]
pub struct Template {
    source: Value,
    /// What parameters, resources (`Table`), attributes (`Table.Arn`) and `AWS::…` stand for.
    names: BTreeMap<String, Value>,
}

impl Template {
    /// The template with the defaults of its parameters.
    pub fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let text = fs::read_to_string(path).expect("the template is there");
        let documents = Yaml::load_from_str(&text).expect("the template is YAML");
        let source = documents.first().map(to_json).expect("the template is not empty");
        let fixed = [
            ("AWS::StackName", "two-factor"),
            ("AWS::Region", "us-east-1"),
            ("AWS::AccountId", "123456789012"),
            ("AWS::Partition", "aws"),
        ];
        let mut names: BTreeMap<_, _> = fixed.map(|(name, value)| (name.to_owned(), json!(value))).into();
        names.insert("AWS::NoValue".to_owned(), Value::Null);
        let mut template = Self { source, names };
        for (name, parameter) in members(template.part("Parameters")) {
            template.set(&name, text_of(&parameter["Default"]));
        }
        template
    }

    /// The same template with another value for a parameter, a resource (`Table`) or an attribute (`Table.Arn`).
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value.to_owned());
        self
    }

    fn set(&mut self, name: &str, value: String) {
        let value = match &self.source["Parameters"][name]["Type"] {
            Value::String(kind) if kind == "CommaDelimitedList" => value.split(',').map(Value::from).collect(),
            _ => Value::from(value),
        };
        self.names.insert(name.to_owned(), value);
    }

    /// A top-level part as it is written: `Parameters`, `Conditions`, `Outputs`.
    pub fn part(&self, name: &str) -> &Value {
        &self.source[name]
    }

    /// The resources of this type that are made, by logical name and with what they have evaluated.
    pub fn resources(&self, kind: &str) -> BTreeMap<String, Value> {
        let resources = members(&self.source["Resources"]).into_iter();
        let of_kind = resources.filter(|(_, resource)| resource["Type"] == kind && self.is_made(resource));
        of_kind.map(|(name, resource)| (name, self.evaluate(&resource))).collect()
    }

    /// The resource of this logical name, with what it has evaluated.
    pub fn resource(&self, name: &str) -> Value {
        let resource = &self.source["Resources"][name];
        assert!(resource.is_object() && self.is_made(resource), "{name} is made");
        self.evaluate(resource)
    }

    /// The environment variables that all functions have.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.evaluate(&self.source["Globals"]["Function"]["Environment"]["Variables"]);
        members(&variables).into_iter().map(|(name, value)| (name, text_of(&value))).collect()
    }

    /// Whether a condition holds.
    pub fn condition(&self, name: &str) -> bool {
        self.evaluate(&self.source["Conditions"][name]) == json!(true)
    }

    /// What `CloudFormation` would say against these parameters before it makes anything: the assertions of the rules that fail.
    pub fn refusals(&self) -> Vec<String> {
        let applies = |rule: &Value| self.evaluate(&rule["RuleCondition"]) == json!(true);
        let rules = members(self.part("Rules")).into_values().filter(applies);
        let assertions = rules.flat_map(|rule| rule["Assertions"].as_array().cloned().unwrap_or_default());
        let failed = assertions.filter(|assertion| self.evaluate(&assertion["Assert"]) != json!(true));
        failed.map(|assertion| text_of(&assertion["AssertDescription"])).collect()
    }

    fn is_made(&self, resource: &Value) -> bool {
        resource["Condition"].as_str().is_none_or(|condition| self.condition(condition))
    }

    /// A part with its functions evaluated.
    pub fn evaluate(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.evaluate(item)).filter(|item| !item.is_null()).collect(),
            Value::Object(object) => match (object.len(), object.iter().next()) {
                (1, Some((function, argument))) => self.call(function, argument).unwrap_or_else(|| self.each(object)),
                _ => self.each(object),
            },
            scalar => scalar.clone(),
        }
    }

    fn each(&self, object: &Map<String, Value>) -> Value {
        let members = object.iter().map(|(name, value)| (name.clone(), self.evaluate(value)));
        Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
    }

    /// The result of an intrinsic function; `None` if it is no function.
    fn call(&self, function: &str, argument: &Value) -> Option<Value> {
        Some(match function {
            "Ref" => self.name(argument.as_str()?),
            "Condition" => json!(self.condition(argument.as_str()?)),
            "Fn::GetAtt" => match argument {
                Value::Array(parts) => self.name(&parts.iter().map(text_of).collect::<Vec<_>>().join(".")),
                dotted => self.name(dotted.as_str()?),
            },
            "Fn::Sub" => match argument {
                Value::Array(parts) => {
                    let mut with_more = self.clone();
                    with_more.names.extend(members(&self.evaluate(&parts[1])));
                    json!(with_more.substitute(parts[0].as_str()?))
                }
                text => json!(self.substitute(text.as_str()?)),
            },
            "Fn::If" => {
                let chosen = if self.condition(argument[0].as_str()?) { &argument[1] } else { &argument[2] };
                self.evaluate(chosen)
            }
            "Fn::Equals" => json!(self.text(&argument[0]) == self.text(&argument[1])),
            "Fn::Not" => json!(self.evaluate(&argument[0]) == json!(false)),
            "Fn::And" => json!(argument.as_array()?.iter().all(|part| self.evaluate(part) == json!(true))),
            "Fn::Or" => json!(argument.as_array()?.iter().any(|part| self.evaluate(part) == json!(true))),
            "Fn::Join" => {
                let parts: Vec<_> = self.evaluate(&argument[1]).as_array()?.iter().map(text_of).collect();
                json!(parts.join(&text_of(&argument[0])))
            }
            "Fn::Split" => self.text(&argument[1]).split(argument[0].as_str()?).map(Value::from).collect(),
            unknown if unknown.starts_with("Fn::") => panic!("{unknown} is not evaluated here"),
            _ => return None,
        })
    }

    fn text(&self, value: &Value) -> String {
        text_of(&self.evaluate(value))
    }

    /// What a name stands for. A resource whose physical name is not known stands for its logical one.
    fn name(&self, name: &str) -> Value {
        let known = || {
            let logical = name.split('.').next().unwrap_or_default();
            assert!(self.source["Resources"][logical].is_object(), "{name} is a parameter, a resource or one of AWS's own");
            json!(name)
        };
        self.names.get(name).cloned().unwrap_or_else(known)
    }

    fn substitute(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut result = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a substitution ends");
            result.push_str(&text_of(&self.name(name)));
            result.push_str(rest);
        }
        result
    }
}

/// The members of an object, or none.
pub fn members(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().cloned().unwrap_or_default().into_iter().collect()
}

/// A scalar as text: `CloudFormation` knows numbers and booleans as text too.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The long form of a document: `!Ref X` becomes `{"Ref": "X"}`, `!Sub …` becomes `{"Fn::Sub": …}`.
fn to_json(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(mapping) => {
            Value::Object(mapping.iter().map(|(key, value)| (text_of(&to_json(key)), to_json(value))).collect())
        }
        Yaml::Tagged(tag, value) => {
            let function = match &*tag.suffix {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({ function: to_json(value) })
        }
        other @ (Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue) => panic!("{other:?} has no place in a template"),
    }
}
