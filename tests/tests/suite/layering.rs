//! The layers and their direction, and a few rules that a compiler does not know, read off the sources.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each part of `shared/src`, and the parts that it may import. `config` is plain data for the shell.
const ARROWS: [(&str, &[&str]); 8] = [
    ("domain", &["domain"]),
    ("ports", &["domain"]),
    ("use_cases", &["use_cases", "ports", "domain"]),
    ("config", &["config", "domain"]),
    ("observability", &["observability", "use_cases", "ports", "config", "domain"]),
    ("adapters", &["adapters", "use_cases", "ports", "domain", "config"]),
    ("api", &["api", "use_cases", "ports", "domain", "config"]),
    ("app", &["api", "adapters", "use_cases", "ports", "domain", "config", "observability", "app"]),
];

#[test]
fn imports_point_one_way() {
    for file in rust_files("shared/src") {
        let layer = layer_of(&file);
        if layer == "lib" {
            continue;
        }
        let (_, allowed) = ARROWS.iter().find(|(name, _)| *name == layer).unwrap_or_else(|| panic!("{layer} has no place"));
        for imported in imports(&read(&file)) {
            assert!(allowed.contains(&imported.as_str()), "{}: {layer} must not import {imported}", file.display());
        }
    }
}

#[test]
fn a_function_is_a_thin_shell_over_app_and_api() {
    for function in ["setup", "send-sms", "verify"] {
        for file in rust_files(&format!("functions/{function}/src")) {
            let text = read(&file);
            for imported in heads_after(&text, "two_factor::") {
                let allowed = ["app", "api", "config", "observability"].contains(&imported.as_str());
                assert!(allowed, "{}: a function must not import {imported}", file.display());
            }
        }
        let manifest = read(&root().join("functions").join(function).join("Cargo.toml"));
        for package in ["two-factor-local", "two-factor-operator", "two-factor-tests", "two-factor-bench"] {
            assert!(!manifest.contains(package), "{function} must not depend on {package}");
        }
    }
    let shared = read(&root().join("shared/Cargo.toml"));
    // Nor on an embedded database: whoever operates a deployment builds no SQLite.
    let operator = read(&root().join("operator/Cargo.toml"));
    for (package, manifest) in [("shared", &shared), ("operator", &operator)] {
        for foreign in ["two-factor-local", "two-factor-tests", "dynoxide", "rusqlite"] {
            assert!(!manifest.contains(foreign), "{package} must not depend on {foreign}");
        }
    }
    for package in ["shared", "local"] {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        assert!(!manifest.contains("two-factor-operator"), "{package} must not depend on the operator's commands");
    }
}

#[test]
fn the_domain_knows_no_cloud_no_http_and_no_async() {
    for file in rust_files("shared/src/domain").into_iter().chain(rust_files("shared/src/use_cases")) {
        for foreign in ["aws_sdk", "aws_config", "lambda_http", "reqwest", "http::", "tokio::net"] {
            assert!(!code_of(&read(&file)).contains(foreign), "{}: {foreign}", file.display());
        }
    }
    for file in rust_files("shared/src/domain") {
        let code = code_of(&read(&file));
        assert!(!code.contains("async "), "{}: the domain decides, it does not wait", file.display());
        assert!(!code.contains("tracing::"), "{}: the domain returns what is worth a log line", file.display());
    }
}

#[test]
fn there_is_one_clock_and_one_generator() {
    for file in ["shared", "functions", "local", "operator"].into_iter().flat_map(rust_files) {
        if file.ends_with("adapters/system.rs") {
            continue;
        }
        for source in ["SystemTime::now", "now_utc", "rand::rng"] {
            assert!(!code_of(&read(&file)).contains(source), "{}: {source} belongs in adapters/system.rs", file.display());
        }
    }
}

#[test]
fn every_source_says_what_it_is_for_in_its_first_line() {
    for file in ["shared", "functions", "local", "operator", "tests", "bench"].into_iter().flat_map(rust_files) {
        assert!(read(&file).starts_with("//! "), "{}", file.display());
    }
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Put together here, so that this file does not name them either.
    let forbidden =
        [["/wo", "rk/"].concat(), ["../sh", "ared/design"].concat(), ["/tmp", "/wt"].concat(), ["/ro", "ot/"].concat()];
    for file in tracked_files() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for name in &forbidden {
            assert!(!text.contains(name.as_str()), "{} names {name}", file.display());
        }
    }
}

/// What follows each `crate::` in the code, by its first name.
fn imports(text: &str) -> Vec<String> {
    heads_after(text, "crate::")
}

/// The first names of the paths that start with `prefix`, those in braces too: `crate::{a::b, c}` has `a` and `c`.
fn heads_after(text: &str, prefix: &str) -> Vec<String> {
    let code = code_of(text);
    let mut heads = Vec::new();
    for rest in code.split(prefix).skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            heads.push(name_at(rest));
            continue;
        };
        let mut depth = 0_u32;
        let mut at_start = true;
        for (index, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                character if at_start && character.is_alphabetic() => {
                    heads.push(name_at(&group[index..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    heads
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// The text without its comments.
fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// `api` for `shared/src/api/auth.rs`, `lib` for `shared/src/lib.rs`.
fn layer_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("shared/src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every Rust source below a folder of the project, sorted.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has sources");
    files.sort();
    files
}

/// The files under version control; none where there is no repository, as in a source archive.
fn tracked_files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&listed).split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).collect()
}
