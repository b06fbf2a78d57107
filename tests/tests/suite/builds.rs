//! What the Makefile builds, third-party crates once for all targets, and how it lists the targets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

/// Which packages a command of cargo builds, and whether their tests are among it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Selection {
    packages: Vec<String>,
    tests: bool,
}

#[test]
fn no_target_compiles_a_third_party_crate_again_that_make_test_has_compiled() {
    let in_make_test = features_of_third_parties(&Selection { packages: vec!["--workspace".to_owned()], tests: true });
    let selections = selections_of_the_makefile();
    for tests in [true, false] {
        assert!(selections.iter().any(|selection| selection.tests == tests), "{selections:?}");
    }
    for selection in &selections {
        let mut again = features_of_third_parties(selection);
        again.retain(|built| !in_make_test.contains(built));
        assert!(again.is_empty(), "{selection:?} has these crates with other features than `make test`: {again:#?}");
    }
}

/// cargo machete looks at the packages only.
#[test]
fn each_dependency_of_the_workspace_is_one_of_a_package() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, declared) = manifest.split_once("[workspace.dependencies]").unwrap();
    let declared = declared.lines().take_while(|line| !line.starts_with('[')).filter_map(|line| Some(line.split_once(" = ")?.0));
    let declared: BTreeSet<&str> = declared.filter(|name| !name.starts_with('#')).collect();
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let dependencies = packages.iter().flat_map(|package| package["dependencies"].as_array().unwrap());
    let used: BTreeSet<&str> = dependencies.map(|dependency| dependency["name"].as_str().unwrap()).collect();
    assert_eq!(declared, used);
}

#[test]
fn the_list_of_targets_has_each_described_target_once() {
    let makefile = makefile();
    let variables: BTreeMap<_, _> = makefile.lines().filter_map(|line| line.split_once(" := ")).collect();
    let mut listed: Vec<&str> =
        ["USE", "DEVELOP", "RELEASE"].iter().flat_map(|group| variables[group].split_whitespace()).collect();
    listed.sort_unstable();
    let mut described: Vec<&str> =
        makefile.lines().filter(|line| line.contains(" ## ")).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    described.sort_unstable();
    assert!(described.contains(&"run"), "{described:?}");
    assert_eq!(listed, described);
}

/// Those of all targets but of what is deployed, which has the features that it has there: the functions, which cargo lambda builds, and
/// the server, which has a profile of its own; and of what has Google's client in it, which no other target is to wait for.
fn selections_of_the_makefile() -> BTreeSet<Selection> {
    let mut selections = BTreeSet::new();
    for line in
        makefile().lines().filter(|line| line.starts_with('\t') && !line.contains("--profile server") && !line.contains("$(GCP)"))
    {
        for (command, tests) in [("cargo run ", false), ("cargo build ", false), ("cargo test ", true)] {
            let Some((_, arguments)) = line.split_once(command) else { continue };
            let words: Vec<&str> = arguments.split_whitespace().take_while(|word| *word != "--").collect();
            let packages = words.iter().enumerate().filter_map(|(place, word)| match *word {
                "--workspace" => Some(vec![*word]),
                "--package" | "-p" => Some(words[place..=place + 1].to_vec()),
                _ => None,
            });
            let packages: Vec<String> = packages.flatten().map(str::to_owned).collect();
            assert!(!packages.is_empty(), "{line}: which packages?");
            selections.insert(Selection { packages, tests });
        }
    }
    selections
}

/// Name, version and features of each crate in such a build that is not of this workspace.
fn features_of_third_parties(selection: &Selection) -> BTreeSet<String> {
    let edges = if selection.tests { "normal,build,dev" } else { "normal,build" };
    let mut arguments = vec!["tree", "--prefix", "none", "--format", "{p} {f}", "--edges", edges];
    arguments.extend(selection.packages.iter().map(String::as_str));
    let tree = cargo(&arguments);
    let own = format!("({}", root().display());
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty() && !line.contains(&own));
    lines.map(str::to_owned).collect()
}

/// What cargo prints, asking nobody.
fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).args(["--locked", "--offline"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn makefile() -> String {
    fs::read_to_string(root().join("Makefile")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
