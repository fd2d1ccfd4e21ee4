//! Commands that the documents have people type: none shows a key to others, and
//! none fetches a program that nobody has chosen.

use crate::named::{blocks, documents};
use crate::read;

/// What stands on a command line is in the list of processes, and in the shell's
/// history; a here-string may be a file that others can read for a moment.
#[test]
fn no_command_has_a_key_in_it() {
    let mut count = 0;
    for (document, text) in documents() {
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            assert!(!line.contains("Bearer <") && !line.contains("Bearer $"), "{document}: {line}");
            assert!(!line.contains("<<<"), "{document}: {line}");
            count += 1;
        }
    }
    assert!(count >= 100, "{count} lines");
}

#[test]
fn ci_deploys_with_what_is_pinned() {
    let document = read("docs/operations/deploy.md");
    let section = document.split("\n## ").find(|section| section.starts_with("From CI\n")).expect("the section");
    let commands: Vec<&str> = blocks(section, "sh").into_iter().flat_map(str::lines).collect();
    let at = |command: &str| {
        commands.iter().position(|line| line.starts_with(command)).unwrap_or_else(|| panic!("{command}: {commands:?}"))
    };
    // Without node_modules, npx fetches the newest wrangler and gives it the account's token.
    assert!(at("make build") < at("npx --no-install wrangler deploy"));
    assert!(!section.contains("npx wrangler"), "without --no-install");
    // What a run would make anew: our own workflow keeps some of it, and npm and rustup have the rest.
    let kept = section.split("Keep ").nth(1).and_then(|rest| rest.split(" between runs").next()).expect("a list");
    let workflow = read(".github/workflows/ci.yml");
    let own =
        workflow.lines().map(|line| line.trim().trim_start_matches("path: ")).filter(|line| line.starts_with("~/"));
    for folder in own.chain(["~/.rustup", "node_modules/", "target/"]) {
        assert!(kept.contains(&format!("`{folder}`")), "{folder} is not among {kept}");
    }
}

#[test]
fn the_node_that_wrangler_needs_is_the_one_that_is_named() {
    let locked: serde_json::Value = serde_json::from_str(&read("package-lock.json")).expect("JSON");
    let engine = locked["packages"]["node_modules/wrangler"]["engines"]["node"].as_str().expect("a version");
    let version = engine.trim_start_matches(">=").trim_end_matches(".0");
    for document in ["docs/operations/deploy.md", "docs/operations/release.md"] {
        assert!(read(document).contains(&format!("Node {version} or later")), "{document}: {engine}");
    }
}
