//! Which source file of a crate takes something from which other one, read off the text: enough to hold layers and to find circles.
//!
//! A path leads to the file that defines its item, through whatever re-exports it. Declaring a module or re-exporting an item takes
//! nothing. What only tests use does not count. Methods and macros are not seen: they are no paths.

use std::collections::{BTreeMap, BTreeSet};

/// The files of one crate, by their paths within its source folder (`api/auth.rs`).
#[derive(Debug)]
pub struct Sources {
    modules: BTreeMap<Vec<String>, Module>,
}

#[derive(Debug)]
struct Module {
    file: String,
    code: String,
    imports: Vec<Import>,
}

/// One name that a `use` brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Import {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

impl Sources {
    /// Reads files, given as path and text.
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: Vec<_> = files.into_iter().map(|(file, text)| (file, without_comments(&text))).collect();
        let mut for_tests = BTreeSet::new();
        let mut modules = BTreeMap::new();
        for (file, text) in files {
            let path = module_path(&file);
            let (code, test_modules) = without_tests(&text);
            for_tests.extend(test_modules.into_iter().map(|name| child(&path, &name)));
            let (code, imports) = take_imports(&code);
            modules.insert(path, Module { file, code, imports });
        }
        modules.retain(|path, _| !for_tests.iter().any(|test| path.starts_with(test)));
        Self { modules }
    }

    /// For each file, the files that it takes something from.
    pub fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let edges = self.modules.iter().map(|(path, module)| {
            let mut taken = BTreeSet::new();
            for import in &module.imports {
                // A name that is only passed on is not used here.
                if import.is_public && !mentions(&module.code, &import.name) {
                    continue;
                }
                match self.target(path, &import.path) {
                    Some(Target::Item(file)) => {
                        taken.insert(file);
                    }
                    Some(Target::Module(target)) => taken.extend(self.through(&module.code, &import.name, &target)),
                    None => {}
                }
            }
            for inline in inline_paths(&module.code) {
                if let Some(Target::Item(file)) = self.target(path, &inline) {
                    taken.insert(file);
                }
            }
            for name in self.children(path) {
                taken.extend(self.through(&module.code, &name, &child(path, &name)));
            }
            taken.remove(&module.file);
            (module.file.clone(), taken)
        });
        edges.collect()
    }

    /// Files that take from each other, directly or through others: each circle with all its files.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let edges = self.edges();
        let reach: BTreeMap<&String, BTreeSet<String>> = edges.keys().map(|file| (file, reachable(&edges, file))).collect();
        let mut circles = BTreeSet::new();
        for (file, reached) in &reach {
            let circle: BTreeSet<_> = reached.iter().filter(|other| reach[other].contains(*file)).cloned().collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// What `name::…` takes in code where `name` stands for a module.
    fn through(&self, code: &str, name: &str, module: &[String]) -> BTreeSet<String> {
        let mut taken = BTreeSet::new();
        for rest in paths_after(code, name) {
            let path: Vec<_> = module.iter().cloned().chain(rest).collect();
            if let Target::Item(file) = self.walk(&[], &path, 0) {
                taken.insert(file);
            }
        }
        taken
    }

    fn children(&self, path: &[String]) -> Vec<String> {
        let below = self.modules.keys().filter(|other| other.len() == path.len() + 1 && other.starts_with(path));
        below.filter_map(|other| other.last().cloned()).collect()
    }

    /// Where a path that is written in the module `from` leads; `None` if out of the crate.
    fn target(&self, from: &[String], path: &[String]) -> Option<Target> {
        self.target_within(from, path, 0)
    }

    fn target_within(&self, from: &[String], path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(self.walk(&[], rest, depth)),
            "self" => Some(self.walk(from, rest, depth)),
            "super" => {
                let mut base = from.to_vec();
                base.pop();
                let supers = rest.iter().take_while(|name| *name == "super").count();
                base.truncate(base.len().saturating_sub(supers));
                Some(self.walk(&base, &rest[supers..], depth))
            }
            name if self.modules.contains_key(&child(from, name)) => Some(self.walk(from, path, depth)),
            _ => None,
        }
    }

    fn walk(&self, base: &[String], path: &[String], depth: usize) -> Target {
        assert!(depth < 16, "re-exports in a circle: {base:?} {path:?}");
        let mut at = base.to_vec();
        for (index, name) in path.iter().enumerate() {
            let below = child(&at, name);
            if self.modules.contains_key(&below) {
                at = below;
                continue;
            }
            let module = &self.modules[&at];
            let passed_on = module.imports.iter().find(|import| import.is_public && import.name == *name);
            return match passed_on {
                Some(import) => {
                    let further: Vec<_> = import.path.iter().chain(&path[index + 1..]).cloned().collect();
                    // What is passed on from another crate is this file's own.
                    self.target_within(&at, &further, depth + 1).unwrap_or_else(|| Target::Item(module.file.clone()))
                }
                None => Target::Item(module.file.clone()),
            };
        }
        Target::Module(at)
    }
}

enum Target {
    /// An item, in this file.
    Item(String),
    Module(Vec<String>),
}

fn reachable(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = edges[from].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file.clone()) {
            next.extend(&edges[file]);
        }
    }
    reached
}

fn child(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// `["api", "auth"]` for `api/auth.rs`, `["api"]` for `api/mod.rs`, nothing for `lib.rs`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let is_comment = line.trim_start().starts_with("//");
        let end = if is_comment { 0 } else { line.find(" // ").unwrap_or(line.len()) };
        line[..end].to_owned()
    };
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The code without what follows `#[cfg(test)]`, and the names of the modules that are so marked and have files of their own.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut modules = Vec::new();
    let mut parts = code.split("#[cfg(test)]");
    kept.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find([';', '{']).unwrap_or(part.len());
        if part[end..].starts_with(';') {
            modules.extend(part[..end].split_whitespace().last().map(str::to_owned));
            kept.push_str(&part[end + 1..]);
        } else {
            let mut depth = 0_u32;
            let closing = part.char_indices().find(|(_, character)| match character {
                '{' => {
                    depth += 1;
                    false
                }
                '}' => {
                    depth -= 1;
                    depth == 0
                }
                _ => false,
            });
            kept.push_str(closing.map_or("", |(at, _)| &part[at + 1..]));
        }
    }
    (kept, modules)
}

/// Splits the `use` statements from the rest.
fn take_imports(code: &str) -> (String, Vec<Import>) {
    let mut rest = String::new();
    let mut imports = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let visible = trimmed.strip_prefix("pub(crate) ").or_else(|| trimmed.strip_prefix("pub(super) "));
        let visible = visible.or_else(|| trimmed.strip_prefix("pub "));
        let Some(start) = visible.unwrap_or(trimmed).strip_prefix("use ") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut statement = start.to_owned();
        while !statement.contains(';') {
            statement.push_str(lines.next().expect("a statement ends"));
        }
        let tree = statement.split(';').next().unwrap_or_default();
        add_tree(&mut Vec::new(), tree, visible.is_some(), &mut imports);
    }
    (rest, imports)
}

fn add_tree(prefix: &mut Vec<String>, tree: &str, is_public: bool, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    if tree.is_empty() {
        return;
    }
    if let Some(inner) = tree.strip_prefix('{') {
        for part in split_outside_braces(inner.strip_suffix('}').expect("braces match")) {
            add_tree(&mut prefix.clone(), part, is_public, imports);
        }
        return;
    }
    if let Some((first, rest)) = tree.split_once("::").filter(|(first, _)| !first.contains('{')) {
        prefix.push(first.trim().to_owned());
        add_tree(prefix, rest, is_public, imports);
        return;
    }
    let (name, alias) = tree.split_once(" as ").unwrap_or((tree, tree));
    if name != "self" {
        prefix.push(name.to_owned());
    }
    let alias = if alias == "self" { prefix.last().cloned().unwrap_or_default() } else { alias.to_owned() };
    imports.push(Import { path: prefix.clone(), name: alias, is_public });
}

fn split_outside_braces(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The paths in the code that start with `crate`, `self` or `super`.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let starts = ["crate", "self", "super"];
    starts.iter().flat_map(|start| paths_after(code, start).into_iter().map(|rest| child_first(start, rest))).collect()
}

fn child_first(first: &str, rest: Vec<String>) -> Vec<String> {
    [first.to_owned()].into_iter().chain(rest).collect()
}

/// What follows each `name::` in the code, name by name.
fn paths_after(code: &str, name: &str) -> Vec<Vec<String>> {
    let prefix = format!("{name}::");
    let starts = code.match_indices(&prefix).filter(|(at, _)| {
        let before = &code[..*at];
        !before.ends_with(is_name) && !before.ends_with("::")
    });
    let paths = starts.map(|(at, _)| {
        let mut rest = &code[at + prefix.len()..];
        let mut path = Vec::new();
        loop {
            let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
            if end == 0 {
                return path;
            }
            path.push(rest[..end].to_owned());
            match rest[end..].strip_prefix("::") {
                Some(further) => rest = further,
                None => return path,
            }
        }
    });
    paths.collect()
}

/// Whether a name is in the code as a word.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(is_name) && !code[at + name.len()..].starts_with(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let sources = Sources::new(files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
        let edges = sources.edges().into_iter().filter(|(_, taken)| !taken.is_empty());
        edges.map(|(file, taken)| (file, taken.into_iter().collect())).collect()
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_the_item() {
        let files = [
            ("lib.rs", "pub mod a;\npub mod b;"),
            ("a/mod.rs", "mod inner;\npub use inner::Thing as Renamed;\npub struct Own;"),
            ("a/inner.rs", "pub struct Thing;"),
            ("b.rs", "use crate::{\n    a::{self, Renamed},\n};\nfn f(_: Renamed) { let _ = a::Own; }"),
        ];
        let taken = vec!["a/inner.rs".to_owned(), "a/mod.rs".to_owned()];
        assert_eq!(edges(&files), [("b.rs".to_owned(), taken)]);
    }

    #[test]
    fn inline_paths_and_those_of_child_modules_count_and_what_tests_use_does_not() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;"),
            ("a.rs", "fn f() { crate::b::g(); }\n#[cfg(test)]\nmod tests { use crate::c::h; }"),
            ("b.rs", "pub fn g() {}\n// crate::c::h\n"),
            ("c/mod.rs", "mod inner;\n#[cfg(test)]\nmod examples;\nfn f() { inner::i(); super::b::g(); }"),
            ("c/inner.rs", "pub fn i() {}"),
            ("c/examples.rs", "use crate::a::f;"),
        ];
        let of_c = vec!["b.rs".to_owned(), "c/inner.rs".to_owned()];
        assert_eq!(edges(&files), [("a.rs".to_owned(), vec!["b.rs".to_owned()]), ("c/mod.rs".to_owned(), of_c)]);
    }

    #[test]
    fn a_circle_is_found_with_all_its_files() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
            ("a.rs", "use super::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use super::a::A;"),
            ("d.rs", "use super::a::A;"),
        ];
        let sources = Sources::new(files.map(|(file, text)| (file.to_owned(), text.to_owned())));
        assert_eq!(sources.circles(), [["a.rs", "b.rs", "c.rs"].map(str::to_owned).into()]);
    }

    #[test]
    fn a_name_that_is_passed_on_and_used_is_taken() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub use c::C;\nfn f(_: C) {}"),
            ("a/b.rs", "pub struct B;"),
            ("a/c.rs", "pub struct C;\nuse super::B;"),
        ];
        let expected = [("a/c.rs", "a/b.rs"), ("a/mod.rs", "a/c.rs")];
        assert_eq!(edges(&files), expected.map(|(file, taken)| (file.to_owned(), vec![taken.to_owned()])));
    }
}
