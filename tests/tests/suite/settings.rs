//! The one table of settings against what is written of it elsewhere: the documentation's tables and the template's parameters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;
use two_factor::config::settings::{ALL, Setting};
use two_factor_tests::template::{Template, members, text_of};

/// What the template gives the functions no variable for, on purpose, besides what is in the secret.
const NOT_IN_TEMPLATE: [(&str, &str); 7] = [
    ("EXTRA_CA_FILE", "a function has no file of its own"),
    ("TWILIO_BASE_URL", "for tests"),
    ("VONAGE_BASE_URL", "for tests"),
    ("MESSAGEBIRD_BASE_URL", "for tests"),
    ("PLIVO_BASE_URL", "for tests"),
    ("AUTH_REQUIRED_CLAIMS", "set on the functions where an issuer's tokens want it"),
    ("AUTH_ADDRESS_CLAIM", "set on the functions where a backend calls for its users"),
];

/// What the template fills with something of its own: a resource, or a name made of the stack's.
const FILLED_IN: [&str; 4] = ["TABLE_NAME", "SECRET_ID", "TOKEN_SECRET_ID", "METRICS_NAMESPACE"];

/// A row of a table of settings.
struct Row {
    names: Vec<String>,
    cells: Vec<String>,
    /// Whether the row says that these are secret.
    is_secret: bool,
}

impl Row {
    fn cell(&self, index: usize) -> &str {
        self.cells.get(index).map_or("", String::as_str)
    }
}

/// The rows of the tables whose first column is `variable`, without those of the SDK.
fn rows(file: &str) -> Vec<Row> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
    let mut rows = Vec::new();
    for table in text.split("| variable |").skip(1) {
        for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            let names = cells[0].split('`').skip(1).step_by(2).map(str::to_owned);
            let names: Vec<_> = names.filter(|name| !is_the_sdks(name)).collect();
            if !names.is_empty() {
                rows.push(Row { is_secret: cells[0].contains("(secret"), names, cells });
            }
        }
    }
    assert!(!rows.is_empty(), "{file} has tables of settings");
    rows
}

/// Whether a variable is read by every AWS SDK, and so is no setting of this service.
fn is_the_sdks(name: &str) -> bool {
    name.starts_with("AWS_") && !name.starts_with("AWS_SMS_")
}

fn setting(name: &str) -> &'static Setting {
    ALL.iter().find(|setting| setting.name == name).unwrap_or_else(|| panic!("{name} is documented, and nothing reads it"))
}

#[test]
fn no_setting_is_there_twice_and_each_says_what_it_is() {
    let names: BTreeSet<_> = ALL.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|setting| setting.meaning.len() > 5));
}

#[test]
fn every_setting_is_documented_and_nothing_else_is() {
    let documented: BTreeSet<_> =
        ["docs/reference.md", "docs/providers.md"].into_iter().flat_map(rows).flat_map(|row| row.names).collect();
    let known: BTreeSet<_> = ALL.iter().map(|setting| setting.name.to_owned()).collect();
    assert_eq!(documented, known);
}

#[test]
fn the_reference_tells_each_default_range_and_secret_as_it_is() {
    for row in rows("docs/reference.md") {
        for name in &row.names {
            let setting = setting(name);
            let told = row.cell(1);
            match setting.default {
                Some(default) => assert_eq!(told.trim_matches('`'), default, "{name}"),
                None => assert!(!told.contains('`') || told.contains("for `"), "{name} has no default, but {told}"),
            }
            if let Some(range) = &setting.range {
                assert_eq!(row.cell(2), format!("{} to {}", range.start(), range.end()), "{name}");
            }
            assert_eq!(row.is_secret, setting.may_be_in_secret(), "{name}");
        }
    }
    for row in rows("docs/providers.md") {
        for name in &row.names {
            if let Some(default) = setting(name).default {
                assert!(row.cell(1).contains(&format!("`{default}`")), "{name}");
            }
        }
    }
}

#[test]
fn the_templates_parameters_have_the_defaults_and_ranges_of_the_settings() {
    let template = Template::load();
    let variables = &template.part("Globals")["Function"]["Environment"]["Variables"];
    let parameters = template.part("Parameters");
    for (name, value) in members(variables) {
        if FILLED_IN.contains(&name.as_str()) {
            continue;
        }
        if is_the_sdks(&name) {
            assert_eq!(value, "", "{name} is for an emulator to set");
            continue;
        }
        let setting = setting(&name);
        let parameter = parameter_of(&value, parameters).unwrap_or_else(|| panic!("{name} is a parameter: {value}"));
        assert_eq!(text_of(&parameter["Default"]), setting.default.unwrap_or_default(), "{name}");
        let range = setting.range.as_ref().map(|range| (*range.start(), *range.end()));
        assert_eq!(parameter["MinValue"].as_u64().zip(parameter["MaxValue"].as_u64()), range, "{name}");
    }
}

/// The first parameter that a variable's value refers to, whatever conditions are around it.
fn parameter_of<'a>(value: &Value, parameters: &'a Value) -> Option<&'a Value> {
    match value {
        Value::Object(object) => {
            let named = object.get("Ref").map(|name| &parameters[text_of(name)]).filter(|parameter| parameter.is_object());
            named.or_else(|| object.values().find_map(|part| parameter_of(part, parameters)))
        }
        Value::Array(parts) => parts.iter().find_map(|part| parameter_of(part, parameters)),
        _ => None,
    }
}

#[test]
fn what_the_template_lacks_it_lacks_on_purpose() {
    let given: BTreeSet<_> = Template::load().environment().into_keys().filter(|name| !is_the_sdks(name)).collect();
    let in_environment = ALL.iter().filter(|setting| setting.is_for_every_host());
    let in_environment: BTreeMap<_, _> = in_environment.map(|setting| (setting.name, setting)).collect();
    for name in &given {
        assert!(in_environment.contains_key(name.as_str()), "nothing reads {name}");
    }
    let excused: BTreeSet<_> = NOT_IN_TEMPLATE.iter().map(|(name, _)| *name).collect();
    for (name, setting) in in_environment {
        let expected = !setting.may_be_in_secret() && !excused.contains(name);
        let surplus = name == "AWS_SMS_ORIGINATION_IDENTITY";
        assert_eq!(given.contains(name), expected || surplus, "{name}");
    }
}
