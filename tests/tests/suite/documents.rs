//! The documents against the types and against each other: every refusal has its row, and every link leads somewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use two_factor_tests::openapi::description;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The documents that people read.
fn documents() -> Vec<String> {
    let names = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "md")).collect::<Vec<_>>()
    };
    let in_docs = names("docs").into_iter().map(|name| format!("docs/{name}"));
    let of_examples = ["django", "typescript"].map(|example| format!("examples/{example}/README.md"));
    names("").into_iter().chain(in_docs).chain(of_examples).collect()
}

/// The cells of the rows of the table whose first column has this head.
fn rows(file: &str, head: &str) -> Vec<Vec<String>> {
    let text = read(file);
    let (_, table) = text.split_once(head).unwrap_or_else(|| panic!("{file} has the table {head}"));
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every refusal that is described: its code, its status and its reasons.
fn refusals() -> BTreeMap<String, (u64, BTreeSet<String>)> {
    let schemas = description().document["components"]["schemas"].as_object().unwrap();
    let refusals = schemas.values().filter_map(|schema| {
        let properties = &schema["properties"];
        let reasons = properties["reason"]["enum"].as_array().into_iter().flatten().filter_map(|reason| reason.as_str());
        let status = properties["status"]["const"].as_u64()?;
        Some((properties["code"]["const"].as_str()?.to_owned(), (status, reasons.map(str::to_owned).collect())))
    });
    refusals.collect()
}

#[test]
fn the_reference_has_a_row_for_every_refusal_with_its_status_and_reasons() {
    let mut told = BTreeMap::new();
    let mut statuses: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for row in rows("docs/reference.md", "| status | `code` | when |") {
        for code in quoted(&row[1]) {
            let of_row = row[0].split(", ").map(|status| status.parse::<u64>().unwrap());
            statuses.entry(code.clone()).or_default().extend(of_row);
            told.insert(code, quoted(&row[2]).into_iter().collect::<BTreeSet<_>>());
        }
    }
    let known = refusals();
    assert_eq!(told.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    for (code, (status, reasons)) in known {
        assert!(statuses[&code].contains(&status), "{code} is {status}");
        let missing: Vec<_> = reasons.difference(&told[&code]).collect();
        assert!(missing.is_empty(), "{code} has reasons that are not told: {missing:?}");
    }
}

#[test]
fn the_guide_says_what_to_show_for_every_refusal_and_reason() {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows("docs/integrate.md", "| `code` | `reason` | show | and do |") {
        assert!(!row[2].is_empty() && !row[3].is_empty(), "{row:?}");
        for code in quoted(&row[0]) {
            told.entry(code).or_default().extend(quoted(&row[1]));
        }
    }
    let known: BTreeMap<_, _> = refusals().into_iter().map(|(code, (_, reasons))| (code, reasons)).collect();
    assert_eq!(told, known);
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    let anchor = |heading: &str| {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
        kept.trim().replace(' ', "-")
    };
    let headings = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let mut in_code = false;
        let mut anchors = BTreeSet::new();
        for line in text.lines() {
            in_code ^= line.trim_start().starts_with("```");
            if !in_code && line.starts_with('#') {
                anchors.insert(anchor(line.trim_start_matches('#')));
            }
        }
        anchors
    };
    let mut links = 0;
    for document in documents() {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let document_path = root().join(&document);
            let target = if file.is_empty() { document_path } else { document_path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document} links to {link}, which is not there");
            if let Some(heading) = heading {
                assert!(headings(&target).contains(heading), "{document} links to {link}, which has no such heading");
            }
        }
    }
    assert!(links >= 50, "{links}");
}

#[test]
fn the_readme_is_a_front_door() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 125, "{} lines: what is more belongs into docs/", readme.lines().count());
    let first = readme.split("```").nth(1).unwrap();
    assert!(first.contains("make run") && first.contains("make test"), "the two commands come first");
}
