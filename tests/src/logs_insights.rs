//! As much of the query language of `CloudWatch` Logs Insights as the runbook's queries use, over lines that were logged. What it does
//! not know stops the test. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A row of a result: what each column has. A column without a value is not there.
pub type Row = Map<String, Value>;

/// A query, taken apart.
#[derive(Clone, Debug)]
pub struct Query(Vec<Command>);

#[derive(Clone, Debug)]
enum Command {
    Fields(Vec<String>),
    Filter(Vec<Vec<Condition>>),
    Stats { results: Vec<(Function, String)>, by: Vec<String> },
    Sort { field: String, descending: bool },
    Limit(usize),
}

/// One condition: alternatives of them are joined by `or`, and bind less than `and`.
#[derive(Clone, Debug)]
enum Condition {
    Is(String, Vec<Value>),
    Present(String),
}

#[derive(Clone, Debug)]
enum Function {
    Count,
    CountDistinct(String),
    Percentile(String, f64),
}

/// What a query can name of any line, whatever is in it.
const OF_EVERY_LINE: &str = "@timestamp";

impl Query {
    /// The query that this text is.
    pub fn parse(text: &str) -> Self {
        Self(text.split('|').map(|command| Command::parse(&mut Tokens::of(command))).collect())
    }

    /// The fields of lines that it names.
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut named = BTreeSet::new();
        let mut made = BTreeSet::new();
        for command in &self.0 {
            match command {
                Command::Fields(fields) => named.extend(fields.iter().map(String::as_str)),
                Command::Filter(alternatives) => named.extend(alternatives.iter().flatten().map(|condition| match condition {
                    Condition::Is(field, _) | Condition::Present(field) => field.as_str(),
                })),
                Command::Stats { results, by } => {
                    named.extend(by.iter().map(String::as_str));
                    for (function, name) in results {
                        made.insert(name.as_str());
                        match function {
                            Function::Count => {}
                            Function::CountDistinct(field) | Function::Percentile(field, _) => _ = named.insert(field),
                        }
                    }
                }
                Command::Sort { field, .. } => _ = named.insert(field),
                Command::Limit(_) => {}
            }
        }
        named.into_iter().filter(|field| *field != OF_EVERY_LINE && !made.contains(field)).collect()
    }

    /// The one value that the query wants this field to have; `None` if it is not so.
    pub fn wanted(&self, field: &str) -> Option<&str> {
        let mut alternatives = self.0.iter().filter_map(|command| match command {
            Command::Filter(alternatives) => Some(alternatives),
            _ => None,
        });
        alternatives.find_map(|alternatives| match &alternatives[..] {
            [conditions] => conditions.iter().find_map(|condition| match condition {
                Condition::Is(name, values) if name == field => values.first()?.as_str(),
                Condition::Is(..) | Condition::Present(_) => None,
            }),
            _ => None,
        })
    }

    /// What the query finds in `lines`. Fields that are shown are those of the last `fields` or `stats`.
    pub fn run(&self, lines: &[Value]) -> Vec<Row> {
        let mut rows: Vec<Row> = lines.iter().filter_map(Value::as_object).cloned().collect();
        for row in &mut rows {
            if let Some(time) = row.remove("timestamp") {
                row.insert(OF_EVERY_LINE.to_owned(), time);
            }
        }
        let mut shown = None;
        for command in &self.0 {
            match command {
                Command::Fields(fields) => shown = Some(fields),
                Command::Filter(alternatives) => {
                    rows.retain(|row| alternatives.iter().any(|all| all.iter().all(|condition| condition.holds(row))));
                }
                Command::Stats { results, by } => rows = stats(&rows, results, by),
                Command::Sort { field, descending } => {
                    rows.sort_by(|a, b| {
                        let order = compare(a.get(field), b.get(field));
                        if *descending { order.reverse() } else { order }
                    });
                }
                Command::Limit(limit) => rows.truncate(*limit),
            }
        }
        if let Some(fields) = shown {
            for row in &mut rows {
                row.retain(|name, _| fields.contains(name));
            }
        }
        rows
    }
}

impl Condition {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Is(field, values) => row.get(field).is_some_and(|value| values.contains(value)),
            Self::Present(field) => row.contains_key(field),
        }
    }
}

fn stats(rows: &[Row], results: &[(Function, String)], by: &[String]) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let key = by.iter().map(|field| row.get(field).map_or_else(String::new, Value::to_string)).collect();
        groups.entry(key).or_default().push(row);
    }
    let made = groups.into_values().map(|group| {
        let named = by.iter().filter_map(|field| Some((field.clone(), group.first()?.get(field)?.clone())));
        named.chain(results.iter().map(|(function, name)| (name.clone(), function.of(&group)))).collect()
    });
    made.collect()
}

impl Function {
    fn of(&self, group: &[&Row]) -> Value {
        match self {
            Self::Count => json!(group.len()),
            Self::CountDistinct(field) => {
                json!(group.iter().filter_map(|row| row.get(field)).map(Value::to_string).collect::<BTreeSet<_>>().len())
            }
            Self::Percentile(field, percent) => {
                let mut numbers: Vec<f64> = group.iter().filter_map(|row| row.get(field)?.as_f64()).collect();
                numbers.sort_by(f64::total_cmp);
                // The nearest rank; for the few lines of a test any definition would do.
                let place = numbers.iter().enumerate().find(|(place, _)| {
                    let (covered, all) = (u32::try_from(place + 1).unwrap(), u32::try_from(numbers.len()).unwrap());
                    f64::from(covered) * 100.0 >= percent * f64::from(all)
                });
                json!(place.map(|(_, number)| *number))
            }
        }
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a.and_then(Value::as_f64), b.and_then(Value::as_f64)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.map(Value::to_string).cmp(&b.map(Value::to_string)),
    }
}

impl Command {
    fn parse(tokens: &mut Tokens) -> Self {
        let command = match &*tokens.next() {
            "fields" => Self::Fields(tokens.list()),
            "filter" => Self::Filter(tokens.alternatives()),
            "stats" => {
                let mut results = vec![tokens.result()];
                while tokens.take(",") {
                    results.push(tokens.result());
                }
                let by = if tokens.take("by") { tokens.list() } else { Vec::new() };
                Self::Stats { results, by }
            }
            "sort" => Self::Sort { field: tokens.next(), descending: tokens.take("desc") || !tokens.take("asc") },
            "limit" => Self::Limit(tokens.next().parse().unwrap()),
            unknown => panic!("{unknown} is no command that is known here"),
        };
        assert!(tokens.0.is_empty(), "{command:?} ends before {:?}", tokens.0);
        command
    }
}

/// The words, signs and quoted texts of a command, the first one last.
struct Tokens(Vec<String>);

impl Tokens {
    fn of(command: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = command.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => rest.get(1..).and_then(|text| text.find('"')).unwrap() + 2,
                '=' | ',' | '(' | ')' | '[' | ']' | '*' => 1,
                _ => rest.find(|sign: char| sign.is_whitespace() || "=,()[]*\"".contains(sign)).unwrap_or(rest.len()),
            };
            let (token, after) = rest.split_at(length);
            tokens.push(token.to_owned());
            rest = after.trim_start();
        }
        tokens.reverse();
        Self(tokens)
    }

    fn next(&mut self) -> String {
        self.0.pop().expect("a command does not end here")
    }

    fn take(&mut self, token: &str) -> bool {
        self.0.pop_if(|next| next == token).is_some()
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.next(), token);
    }

    fn list(&mut self) -> Vec<String> {
        let mut list = vec![self.next()];
        while self.take(",") {
            list.push(self.next());
        }
        list
    }

    fn value(&mut self) -> Value {
        serde_json::from_str(&self.next()).expect("a text in double quotes, or a number")
    }

    fn alternatives(&mut self) -> Vec<Vec<Condition>> {
        let mut alternatives = vec![vec![self.condition()]];
        loop {
            if self.take("and") {
                let condition = self.condition();
                alternatives.last_mut().unwrap().push(condition);
            } else if self.take("or") {
                alternatives.push(vec![self.condition()]);
            } else {
                return alternatives;
            }
        }
    }

    fn condition(&mut self) -> Condition {
        let field = self.next();
        if field == "ispresent" {
            self.expect("(");
            let field = self.next();
            self.expect(")");
            return Condition::Present(field);
        }
        if self.take("in") {
            self.expect("[");
            let mut values = vec![self.value()];
            while self.take(",") {
                values.push(self.value());
            }
            self.expect("]");
            return Condition::Is(field, values);
        }
        self.expect("=");
        Condition::Is(field, vec![self.value()])
    }

    fn result(&mut self) -> (Function, String) {
        let name = self.next();
        self.expect("(");
        let argument = self.next();
        let function = match &*name {
            "count" => Function::Count,
            "count_distinct" => Function::CountDistinct(argument),
            "pct" => {
                self.expect(",");
                Function::Percentile(argument, self.next().parse().unwrap())
            }
            unknown => panic!("{unknown} is no function that is known here"),
        };
        self.expect(")");
        self.expect("as");
        (function, self.next())
    }
}
