//! What the documents say of the command is what it does: every command and
//! option is there, and none that is not; every configuration is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{COMMANDS, file, warifu};

/// Every command, by its own help, with its options.
fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut next = vec![Vec::<String>::new()];
    while let Some(words) = next.pop() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = warifu(&arguments).stdout;
        let listed = help.split("\nCommands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap_or_default());
        let inner =
            listed.unwrap_or_default().lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let inner: Vec<String> = inner.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        if inner.is_empty() {
            let options = help.split("\nOptions:\n").nth(1).unwrap_or_default();
            let options = options.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            let options = options.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
            found.insert(words.join(" "), options.map(|word| word.trim_end_matches(',').to_owned()).collect());
        }
        for name in inner.into_iter().filter(|name| name != "help") {
            next.push([words.clone(), vec![name]].concat());
        }
    }
    found
}

fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.to_owned(), root.join("docs")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && folder != root {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") && !path.ends_with("CHANGELOG.md") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push((path.strip_prefix(root).expect("below").display().to_string(), text));
            }
        }
    }
    assert!(found.len() >= 25, "{} documents", found.len());
    found
}

#[test]
fn the_list_of_commands_is_that_of_the_help() {
    let listed: BTreeSet<String> = COMMANDS.iter().map(|words| words.join(" ")).collect();
    assert_eq!(listed, commands().into_keys().collect::<BTreeSet<_>>());
}

#[test]
fn the_page_names_every_command_and_every_option() {
    let page = include_str!("../../docs/cli.md");
    for (command, options) in commands() {
        assert!(page.contains(&format!("`warifu {command}")), "{command}");
        for option in options.iter().filter(|option| *option != "--help") {
            assert!(page.contains(option.as_str()), "{command} {option}");
        }
    }
}

#[test]
fn every_command_that_is_named_exists_with_its_options() {
    let known = commands();
    let mut count = 0;
    for (document, text) in documents() {
        // In backquotes, at the beginning of a line, or after a sign of the shell.
        let pieces = text.split('`').map(str::trim_start).flat_map(str::lines);
        for piece in pieces.flat_map(|line| line.split(['|', ';', '(', '$', '<'])).map(str::trim) {
            let Some(rest) = piece.strip_prefix("warifu ") else { continue };
            let words: Vec<&str> = rest.split_whitespace().collect();
            let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let Some(first) = words.first().filter(|word| is_word(word) && !word.starts_with('-')) else { continue };
            let groups: BTreeSet<&str> = known.keys().filter_map(|name| name.split(' ').next()).collect();
            if !groups.contains(first) {
                // Prose: a line that happens to begin with the name.
                assert!(!text.contains(&format!("`{piece}`")), "{document}: no command {piece}");
                continue;
            }
            let two = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
            let Some((name, options)) = known.get_key_value(&two).or_else(|| known.get_key_value(*first)) else {
                assert!(words.len() == 1, "{document}: no command warifu {two}");
                continue;
            };
            for option in words.iter().take_while(|word| **word != "#").filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap_or(option).trim_end_matches([')', ',', '.', ':']);
                assert!(options.contains(option), "{document}: warifu {name} has no {option}");
            }
            count += 1;
        }
    }
    assert!(count >= 40, "{count} commands are named");
}

/// Each block of TOML is read by the gateway's own code, in the place of the project's table.
#[test]
fn every_configuration_in_the_documents_is_one() {
    let own = include_str!("../../wrangler.toml");
    let (before, _) = own.split_once("\n[vars.WARIFU]\n").expect("the project's table");
    let mut count = 0;
    for (document, text) in documents() {
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let block = block.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
            if !block.contains("vars.WARIFU") {
                continue;
            }
            count += 1;
            let env = block.split("[env.").nth(1).and_then(|rest| rest.split(['.', ']']).next()).map(str::to_owned);
            // What an environment does not inherit, where the block is of one.
            let bindings = env.as_ref().map_or_else(String::new, |env| {
                format!(
                    "[[env.{env}.durable_objects.bindings]]\nname = \"SESSIONS\"\nclass_name = \"SessionObject\"\n\
                     [[env.{env}.durable_objects.bindings]]\nname = \"FEED\"\nclass_name = \"FeedObject\"\n"
                )
            });
            let bindings = if block.contains("durable_objects") { String::new() } else { bindings };
            // What stands above the block's tables belongs to the top of the file.
            let at = if block.starts_with('[') { 0 } else { block.find("\n[").map_or(block.len(), |at| at + 1) };
            let (top, tables) = block.split_at(at);
            let content = format!("{top}\n{before}\n{tables}\n{bindings}");
            let path = file(&format!("document-{count}.toml"), &content);
            let mut arguments = vec!["check", path.as_str()];
            if let Some(env) = &env {
                arguments.extend(["--env", env.as_str()]);
            }
            let run = warifu(&arguments);
            assert_eq!(run.code, 0, "{document}:\n{block}\n{}", run.stdout);
        }
    }
    assert!(count >= 5, "{count} configurations");
}
