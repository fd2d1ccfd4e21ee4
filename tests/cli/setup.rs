//! Secrets that are made and set with one command: against an npx that writes
//! down what it is given, and with the real wrangler against a Cloudflare of our own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use warifu::admin_keys::{AdminKeys, Scope};
use warifu::token::KeyRing;

use crate::{Run, file, warifu_in};

/// An npx that is first on the path, and what it has seen.
struct Npx {
    folder: PathBuf,
    config: String,
}

impl Npx {
    /// `list` is what it does when it is asked for the secrets, `bulk` how it ends when it gets some.
    fn new(name: &str, list: &str, bulk: u8) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>\"$0.arguments\"\nenv >>\"$0.variables\"\ncase \"$*\" in\n*'secret list'*) {list} ;;\n\
             *'secret bulk'*) cat >>\"$0.stdin\"; echo 'wrangler speaks'; exit {bulk} ;;\nesac\n"
        );
        let npx = folder.join("npx");
        fs::write(&npx, script).expect("it can be written");
        fs::set_permissions(&npx, fs::Permissions::from_mode(0o755)).expect("it can be run");
        let config = file(&format!("{name}.toml"), "name = \"gate\"\n[env.production.vars.WARIFU]\n");
        Self { folder, config }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let path = format!("{}:{}", self.folder.display(), std::env::var("PATH").expect("a path"));
        warifu_in(&[("PATH", &path)], &[&["setup", self.config.as_str()], arguments].concat(), "")
    }

    fn saw(&self, what: &str) -> String {
        fs::read_to_string(self.folder.join(format!("npx.{what}"))).unwrap_or_default()
    }
}

const NO_WORKER: &str = "echo '✘ [ERROR] Worker \"gate\" not found.' >&2; exit 1";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

/// What the Worker is given is good, and the key that was printed opens it.
fn assert_good(copy: &Value, set: &Value) {
    assert!(KeyRing::read(text(set, "WARIFU_KEYS"), "default").is_ok());
    let admins = AdminKeys::read(text(set, "WARIFU_ADMIN_KEYS")).expect("a good list");
    let admin = admins.find(text(copy, "WARIFU_ADMIN_KEY")).expect("the key that was printed");
    assert!(admin.id() == "ops" && Scope::ALL.into_iter().all(|scope| admin.is_good_for(scope)));
    assert!(set.get("WARIFU_ADMIN_KEY").is_none(), "the Worker gets the hash only");
    for name in ["WARIFU_KEYS", "WARIFU_ADMIN_KEYS"] {
        assert_eq!(copy[name], set[name]);
    }
}

#[test]
fn a_first_deployment_gets_all_that_it_needs_and_nothing_shows_on_the_way() {
    let npx = Npx::new("first", NO_WORKER, 0);
    let run = npx.run(&["--env", "production"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (copy, set) = (parsed(&run.stdout), parsed(&npx.saw("stdin")));
    assert_eq!(run.stdout.lines().count(), 1);
    assert_good(&copy, &set);
    assert!(set.get("WARIFU_ORIGIN_KEYS").is_none(), "it was not asked for");
    let config = &npx.config;
    assert_eq!(
        npx.saw("arguments"),
        format!(
            "--no-install wrangler secret list --format json --config {config} --env production\n\
             --no-install wrangler secret bulk --config {config} --env production\n"
        )
    );
    let key = parsed(text(&copy, "WARIFU_KEYS"))[0]["key"].as_str().expect("a key").to_owned();
    for secret in [key.as_str(), text(&copy, "WARIFU_ADMIN_KEY")] {
        for place in [npx.saw("arguments"), npx.saw("variables"), run.stderr.clone()] {
            assert!(!place.contains(secret));
        }
    }
    assert!(run.stderr.contains("wrangler speaks") && run.stderr.contains("set WARIFU_KEYS, WARIFU_ADMIN_KEYS"));
}

#[test]
fn what_is_there_is_never_replaced() {
    let npx = Npx::new("some", r#"echo '[{"name":"WARIFU_KEYS","type":"secret_text"}]'"#, 0);
    let run = npx.run(&["--origin-keys", "--admin", "anna"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let set = parsed(&npx.saw("stdin"));
    let names: Vec<&String> = set.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["WARIFU_ADMIN_KEYS", "WARIFU_ORIGIN_KEYS"]);
    assert_eq!(parsed(text(&set, "WARIFU_ADMIN_KEYS"))[0]["id"], "anna");

    let all = r#"echo '[{"name":"WARIFU_KEYS"},{"name":"WARIFU_ADMIN_KEYS"},{"name":"WARIFU_ORIGIN_KEYS"}]'"#;
    let npx = Npx::new("all", all, 0);
    let run = npx.run(&["--origin-keys"]);
    assert_eq!((run.code, run.stdout.as_str(), npx.saw("stdin").as_str()), (0, "", ""));
    assert!(!npx.saw("arguments").contains("bulk") && run.stderr.contains("nothing was made"));
    assert!(run.stderr.contains("an entry that was to keep what is printed is empty"), "{}", run.stderr);
}

#[test]
fn where_it_cannot_be_known_what_is_there_nothing_is_made() {
    for (name, list) in
        [("refused", "echo 'Authentication error [code: 10000]' >&2; exit 1"), ("garbled", "echo hello")]
    {
        let npx = Npx::new(name, list, 0);
        let run = npx.run(&[]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        assert!(!npx.saw("arguments").contains("bulk"));
    }
    // npm's own words for a folder without it: to log in would not help.
    let canceled = "npm error npx canceled due to missing packages and no YES option: [\"wrangler@4.86.0\"]";
    let npx = Npx::new("no-wrangler", &format!("echo '{canceled}' >&2; exit 1"), 0);
    let run = npx.run(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("npx found no wrangler") && !run.stderr.contains("logged in"), "{}", run.stderr);
    assert!(run.stderr.contains("docs/operations/release.md has the command"), "{}", run.stderr);
    // wrangler's own words, where it can ask nobody.
    let several = "More than one account available but unable to select one in non-interactive mode.";
    let npx = Npx::new("accounts", &format!("echo '{several}' >&2; exit 1"), 0);
    let run = npx.run(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("set the variable CLOUDFLARE_ACCOUNT_ID, or account_id"), "{}", run.stderr);
    assert!(!run.stderr.contains("logged in?"), "{}", run.stderr);
    let npx = Npx::new("unknown", NO_WORKER, 0);
    let run = npx.run(&["--env", "staging"]);
    assert_eq!((run.code, npx.saw("arguments").as_str()), (2, ""));
    assert!(run.stderr.contains("it must be one of production"), "{}", run.stderr);
}

#[test]
fn a_wrangler_that_fails_is_not_taken_for_one_that_has_set_them() {
    let npx = Npx::new("failing", NO_WORKER, 1);
    let run = npx.run(&[]);
    assert_eq!(run.code, 2);
    // It has read them all, and may have set them: then what was printed is the only copy.
    assert!(!npx.saw("stdin").is_empty());
    assert!(run.stderr.contains("whether the secrets are set is not known"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: keep what was printed"), "{}", run.stderr);
}

#[test]
fn the_real_wrangler_takes_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("node_modules/.bin/wrangler").exists() {
        assert!(std::env::var("CI").is_err(), "scripts/setup installs wrangler");
        eprintln!("wrangler is not installed: scripts/setup does it");
        return;
    }
    let api = Api::start();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let config = file("real.toml", "name = \"gate\"\nmain = \"index.js\"\ncompatibility_date = \"2026-11-17\"\n");
    let path = format!("{}:{}", root.join("node_modules/.bin").display(), std::env::var("PATH").expect("a path"));
    let home = folder.join("home");
    let _ = fs::remove_dir_all(&home);
    let logs = home.join("logs");
    fs::create_dir_all(&logs).expect("a folder");
    let variables = [
        ("PATH", path.as_str()),
        ("CLOUDFLARE_API_BASE_URL", api.url.as_str()),
        ("CLOUDFLARE_API_TOKEN", "a-token"),
        ("CLOUDFLARE_ACCOUNT_ID", "account"),
        ("WRANGLER_SEND_METRICS", "false"),
        ("WRANGLER_HIDE_BANNER", "true"),
        ("CI", "true"),
        ("XDG_CONFIG_HOME", home.to_str().expect("UTF-8")),
        // Who runs the tests may have them elsewhere.
        ("WRANGLER_LOG_PATH", logs.to_str().expect("UTF-8")),
    ];
    let run = warifu_in(&variables, &["setup", &config], "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let calls = api.calls.lock().expect("no panic").clone();
    let lines: Vec<&str> = calls.iter().map(|(line, _)| line.as_str()).collect();
    let script = "/accounts/account/workers/scripts/gate";
    assert_eq!(
        lines,
        [
            format!("GET {script}/secrets"),
            format!("PATCH {script}/secrets-bulk"),
            format!("PUT {script}"),
            format!("PATCH {script}/secrets-bulk")
        ]
    );
    let body = parsed(&calls[3].1);
    let set: Value = body["secrets"]
        .as_object()
        .expect("secrets")
        .iter()
        .map(|(name, entry)| (name.clone(), entry["text"].clone()))
        .collect();
    assert_good(&parsed(&run.stdout), &set);
    // Nothing of it is left behind: wrangler writes logs.
    let key = parsed(text(&set, "WARIFU_KEYS"))[0]["key"].as_str().expect("a key").to_owned();
    let copy = parsed(&run.stdout);
    let left = below(&home);
    assert!(left.iter().any(|content| content.contains("secrets-bulk")), "the logs have been looked at");
    for secret in [key.as_str(), text(&copy, "WARIFU_ADMIN_KEY")] {
        assert!(!left.iter().any(|content| content.contains(secret)));
    }
}

/// The texts of all files below a folder.
fn below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts.extend(below(&path));
        } else {
            texts.push(String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned());
        }
    }
    texts
}

/// As much of Cloudflare's API as this needs, without a Worker at first.
struct Api {
    url: String,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Api {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        std::thread::spawn(move || {
            let mut is_there = false;
            while let Ok((mut stream, _)) = listener.accept() {
                let (line, body) = request(&mut stream);
                is_there |= line.starts_with("PUT ");
                let (status, answer) = if is_there {
                    ("200 OK", json!({"success": true, "errors": [], "messages": [], "result": {}}))
                } else {
                    let errors = json!([{"code": 10007, "message": "This Worker does not exist on your account."}]);
                    ("404 Not Found", json!({"success": false, "errors": errors, "messages": [], "result": null}))
                };
                log.lock().expect("no panic").push((line, body));
                let answer = answer.to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                let _ = stream.write_all(format!("{head}{answer}").as_bytes());
            }
        });
        Self { url, calls }
    }
}

/// Method and path, and the body.
fn request(stream: &mut TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).expect("a head") > 0 {}
    let line = head.split(" HTTP/").next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = String::new();
    if lower.contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).expect("a chunk");
            let size = u64::from_str_radix(size.trim(), 16).expect("its size");
            let mut chunk = Vec::new();
            reader.by_ref().take(size + 2).read_to_end(&mut chunk).expect("a chunk");
            if size == 0 {
                break;
            }
            body.push_str(String::from_utf8_lossy(&chunk).trim_end_matches("\r\n"));
        }
    } else {
        reader.take(length.unwrap_or(0)).read_to_string(&mut body).expect("a body");
    }
    (line, body)
}
