//! The layers and their direction, and a few rules that a compiler does not know, read off the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use two_factor_tests::imports::Sources;

#[test]
fn imports_are_exactly_the_arrows_that_the_architecture_draws() {
    let drawn = drawn_arrows();
    let mut used = BTreeMap::<String, BTreeSet<String>>::new();
    for (file, taken) in shared_sources().edges() {
        let part = part_of(&file);
        if part == "lib" {
            continue;
        }
        let arrows = used.entry(part.to_owned()).or_default();
        for other in taken {
            let target = part_of(&other);
            if target != part {
                let allowed = drawn.get(part).unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {part}"));
                assert!(allowed.contains(target), "{file} takes from {other}, and {part} -> {target} is not drawn");
                arrows.insert(target.to_owned());
            }
        }
    }
    assert_eq!(used, drawn, "every arrow that ARCHITECTURE.md draws is used");
}

#[test]
fn no_two_files_need_each_other() {
    let circles = shared_sources().circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_function_is_a_thin_shell_over_app_and_api() {
    for function in ["setup", "send-sms", "verify", "any"] {
        for file in rust_files(&format!("functions/{function}/src")) {
            let text = read(&file);
            for imported in heads_after(&text, "two_factor::") {
                let allowed = ["app", "api", "config", "observability"].contains(&imported.as_str());
                assert!(allowed, "{}: a function must not import {imported}", file.display());
            }
        }
        let manifest = read(&root().join("functions").join(function).join("Cargo.toml"));
        for package in [
            "two-factor-server",
            "two-factor-local",
            "two-factor-secrets",
            "two-factor-operator",
            "two-factor-container",
            "two-factor-tests",
            "two-factor-bench",
        ] {
            assert!(!manifest.contains(package), "{function} must not depend on {package}");
        }
    }
    for package in ["shared", "aws", "secrets", "operator"] {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        for foreign in ["two-factor-local", "two-factor-tests"] {
            assert!(!manifest.contains(foreign), "{package} must not depend on {foreign}");
        }
    }
    for package in ["shared", "aws", "secrets", "server", "local"] {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        assert!(!manifest.contains("two-factor-operator"), "{package} must not depend on the operator's commands");
    }
}

#[test]
fn a_function_carries_nothing_of_other_hosts_and_neither_server_nor_operator_builds_a_database() {
    for (packages, foreign) in [
        (
            &["setup", "send-sms", "verify", "any"][..],
            &["aws-config", "aws-sdk-sso", "aws-sdk-sts", "axum", "two-factor-aws", "two-factor-secrets", "two-factor-server"][..],
        ),
        (&["two-factor-operator", "two-factor-server"], &["dynoxide-rs", "rusqlite", "libsqlite3-sys", "two-factor-local"]),
        // Google's client is behind a feature, so that a newcomer's first build does without it.
        (
            &["setup", "send-sms", "verify", "any", "two-factor-local", "two-factor-tests"],
            &["google-cloud-auth", "google-cloud-gax"],
        ),
    ] {
        for package in packages {
            let arguments =
                ["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--package", package];
            let tree = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo can be run");
            assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
            let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
            let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
            assert!(crates.contains("two-factor") && crates.contains(package), "{package}: {tree}");
            for name in foreign {
                assert!(!crates.contains(name), "{package} must not depend on {name}");
            }
        }
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
fn one_file_knows_api_gateway_and_every_other_serves_any_host() {
    for file in rust_files("shared/src/api").into_iter().filter(|file| !file.ends_with("gateway_event.rs")) {
        let code = code_of(&read(&file)).to_lowercase();
        for foreign in ["lambda", "gateway", "payload"] {
            let found = code.lines().find(|line| line.contains(foreign) && !allowed_mention(line));
            assert_eq!(found, None, "{}", file.display());
        }
    }
}

/// The module's own name, the mode of that name, and a status of HTTP.
fn allowed_mention(line: &str) -> bool {
    ["mod gateway_event", "authmode::gateway", "bad_gateway", "payload_too_large", "payloadtoolarge"]
        .iter()
        .any(|own| line.contains(own))
}

#[test]
fn there_is_one_clock_and_one_generator() {
    for file in ["shared", "functions", "local", "aws", "secrets", "operator"].into_iter().flat_map(rust_files) {
        if file.ends_with("adapters/system.rs") {
            continue;
        }
        for source in ["SystemTime::now", "now_utc", "rand::rng()"] {
            assert!(!code_of(&read(&file)).contains(source), "{}: {source} belongs in adapters/system.rs", file.display());
        }
    }
}

#[test]
fn every_source_says_what_it_is_for_in_its_first_line() {
    for file in ["shared", "functions", "local", "aws", "secrets", "operator", "tests", "bench"].into_iter().flat_map(rust_files)
    {
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

/// The arrows between the parts of `shared/src`, as the table in ARCHITECTURE.md draws them: `| part | its arrows | … |`.
fn drawn_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let table = text.split("| part | imports |").nth(1).expect("ARCHITECTURE.md has the table of parts");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        (names(cells[1]).pop_first().expect("a part has a name"), names(cells[2]))
    });
    let in_shared = |part: &String| root().join("shared/src").join(part).is_dir();
    rows.filter(|(part, _)| in_shared(part)).collect()
}

fn shared_sources() -> Sources {
    let folder = root().join("shared/src");
    let name = |file: &Path| file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
    Sources::new(rust_files("shared/src").iter().map(|file| (name(file), read(file))))
}

/// `api` for `api/auth.rs`, `lib` for `lib.rs`.
fn part_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
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
