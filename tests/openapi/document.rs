//! The file, and what it says of the table.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use warifu::control::{CALLS, Who};

use crate::describe::{description, path};
use crate::{answers, codes, read};

const FILE: &str = "src/control/openapi.json";

/// It is compiled into the Worker, which is loaded at a cold start. After gzip
/// it is a fifth of this.
const BYTES_MAX: usize = 31_744;

pub fn in_file() -> Value {
    serde_json::from_str(&read(FILE)).expect("JSON")
}

#[test]
fn the_file_is_what_the_table_makes() {
    let made = in_lines(&description());
    if std::env::var_os("WARIFU_WRITE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), &made).expect("the file can be written");
    }
    assert!(made == read(FILE), "{FILE} is out of date: WARIFU_WRITE=1 cargo test --test openapi");
    assert!(made.len() <= BYTES_MAX, "{FILE} has {} bytes", made.len());
}

#[test]
fn every_call_is_described_with_its_scope_and_nothing_else_is() {
    let document = in_file();
    let mut in_table = BTreeSet::new();
    for (method, pattern, who, call) in CALLS {
        let (path, method) = (path(pattern, call), method.to_ascii_lowercase());
        let operation = &document["paths"][&path][&method];
        assert!(operation.is_object(), "{method} {path} is not described");
        let alternatives = operation["security"].as_array().expect("security");
        let scheme =
            |name: &str| alternatives.iter().map(|one| &one[name]).filter(|scopes| !scopes.is_null()).collect();
        let (admin, session): (Vec<&Value>, Vec<&Value>) = (scheme("admin"), scheme("session"));
        match who {
            Who::Anyone => assert!(alternatives.is_empty(), "{method} {path}"),
            Who::User => assert!(admin.is_empty() && session == [&json!([])], "{method} {path}"),
            Who::AnyAdmin => assert_eq!(admin, [&json!([])], "{method} {path}"),
            Who::Admin(scope) => {
                assert_eq!(admin.len(), alternatives.len(), "{method} {path}: not without a key");
                assert!(admin.iter().all(|scopes| **scopes == json!([scope.name()])), "{method} {path}: {admin:?}");
            }
        }
        in_table.insert((path, method));
    }
    let described: BTreeSet<(String, String)> = operations(&document).map(|(path, method, _)| (path, method)).collect();
    assert_eq!(described, in_table);
    assert!(in_table.len() >= 16);
}

#[test]
fn operations_have_names_of_their_own_and_links_lead_to_them() {
    let document = in_file();
    let names: Vec<&str> =
        operations(&document).map(|(_, _, operation)| operation["operationId"].as_str().expect("a name")).collect();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(different.len(), names.len(), "{names:?}");
    let mut links = 0;
    visit(&document, &mut |value| {
        if let Some(link) = value.get("operationId").filter(|_| value.get("summary").is_none()) {
            assert!(different.contains(link.as_str().expect("a name")), "{link}");
            links += 1;
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a reference inside");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    });
    assert!(links >= 4, "{links}");
}

#[test]
fn examples_are_as_their_schemas_say() {
    let document = in_file();
    let mut count = 0;
    visit(&document, &mut |value| {
        for example in value.get("examples").and_then(Value::as_array).into_iter().flatten() {
            answers::assert_valid(&document, value, example);
            count += 1;
        }
    });
    assert!(count >= 8, "{count}");
}

#[test]
fn problems_name_every_code() {
    let document = in_file();
    let listed = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().expect("codes");
    let in_code: Vec<Value> = codes::names().into_iter().map(Value::from).collect();
    assert_eq!(*listed, in_code);
}

/// Path, method and operation.
pub fn operations(document: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(|(method, operation)| (path.clone(), method.clone(), operation))
    })
}

fn visit<'v>(value: &'v Value, look: &mut impl FnMut(&'v Value)) {
    look(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, look)),
        Value::Object(members) => members.values().for_each(|member| visit(member, look)),
        _ => {}
    }
}

/// Compact, and a line for each path, schema and response, so that changes can
/// be read.
fn in_lines(document: &Value) -> String {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let lines = |of: &Map<String, Value>, show: &dyn Fn(&Value) -> String| {
        let lines: Vec<String> = of.iter().map(|(name, value)| format!("{}:{}", json!(name), show(value))).collect();
        format!("{{\n{}}}", lines.join(",\n"))
    };
    let compact = |value: &Value| value.to_string();
    let mut text = String::new();
    let all = members(document);
    for (index, (name, value)) in all.iter().enumerate() {
        let shown = match name.as_str() {
            "paths" => lines(&members(value), &compact),
            "components" => lines(&members(value), &|part| lines(&members(part), &compact)),
            _ => compact(value),
        };
        let joint = if index == 0 { "{" } else { ",\n" };
        write!(text, "{joint}{}:{shown}", json!(name)).expect("a String takes all");
    }
    text + "}\n"
}
