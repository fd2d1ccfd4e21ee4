//! What asks the running gateway, against a server that answers as it does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Run, file, warifu_in};

const ID: &str = "AQAAL-1ssuyRV41RtulURQ";
const KILL: &str = "AQAALwBZDhCcdKgNuPBGIA";
const KEY: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";

/// What the server does with a request.
enum Answer {
    Text(String),
    /// It waits until the client gives up.
    Hang,
}

/// A request, as it came.
#[derive(Clone)]
struct Asked {
    /// `GET /path`.
    line: String,
    headers: String,
    body: String,
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Gives these answers, one after the other.
    fn new(answers: impl IntoIterator<Item = Answer, IntoIter: Send + 'static>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let answers = answers.into_iter();
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let request = read(&mut stream);
                log.lock().expect("no panic").push(request);
                match answer {
                    Answer::Text(text) => drop(stream.write_all(text.as_bytes())),
                    Answer::Hang => drop(stream.read(&mut [0])),
                }
            }
        });
        Self { url, asked }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], stdin: &str) -> Run {
        let run = warifu_in(&[("WARIFU_URL", &self.url), ("WARIFU_ADMIN_KEY", KEY)], arguments, stdin);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(KEY));
        assert!(!format!("{}{}", run.stdout, run.stderr).contains('\u{1b}'));
        run
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

fn read(stream: &mut TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
        reader.read_line(&mut headers).expect("headers");
    }
    let headers = headers.to_ascii_lowercase().replace(&KEY.to_ascii_lowercase(), KEY);
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Asked { line, headers, body: String::from_utf8(body).expect("UTF-8") }
}

fn text(status: u16, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Text(format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
}

fn json_answer(status: u16, body: &Value) -> Answer {
    text(status, "content-type: application/json\r\n", &body.to_string())
}

fn problem(status: u16, code: &str, detail: Option<&str>) -> Answer {
    let mut body = json!({"status": status, "title": "No", "code": code});
    if let Some(detail) = detail {
        body["detail"] = detail.into();
    }
    text(status, "content-type: application/problem+json\r\nretry-after: 2\r\n", &body.to_string())
}

fn record(id: &str) -> Value {
    json!({
        "id": id, "subject": "al ice", "level": 2, "generation": 0, "claims": {"role": "x"},
        "auth_time": "2020-01-01T08:00:00.000Z", "created": "2020-01-01T08:00:00.000Z",
        "last_seen": "2020-01-02T08:00:00.000Z", "idle_expires": "2120-01-01T08:00:00.000Z",
        "absolute_expires": "2119-01-01T08:00:00.000Z",
        "device": {"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                   "city": "Bergen", "country": "NO", "first_prefix": "203.0.113.0/24", "last_prefix": "198.51.100.0/24"},
    })
}

/// A receipt in this state.
fn receipt(state: &str) -> Value {
    let mut receipt = json!({"kill_id": KILL, "epoch": null, "seq": null, "scope": "session",
           "committed_at": "2020-01-01T08:00:00.000Z", "accepted_at": null, "bound_ms": 2000,
           "refused_everywhere_by": null, "state": state});
    if state != "committed" {
        receipt["epoch"] = "9f2c41d07be35a18".into();
        receipt["seq"] = 812.into();
        receipt["accepted_at"] = "2020-01-01T08:00:00.004Z".into();
        receipt["refused_everywhere_by"] = "2020-01-01T08:00:02.056Z".into();
    }
    receipt
}

/// Of a kill of the site.
fn of_site(state: &str, done: u32) -> Value {
    let mut receipt = receipt(state);
    receipt["scope"] = "site".into();
    receipt["progress"] = json!({"done": done, "total": 134});
    receipt
}

fn parsed(run: &Run) -> Value {
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

fn pages() -> [Answer; 2] {
    let second = record("AQAALwLxQX2Jh3WElJuTmw");
    [
        json_answer(200, &json!({"sessions": [record(ID)], "next": "a+/&b"})),
        json_answer(200, &json!({"sessions": [second], "next": null})),
    ]
}

#[test]
fn a_list_is_a_table_and_goes_on_only_if_asked_to() {
    let server = Server::new(pages());
    let run = server.run(&["sessions", "list", "--subject", "al ice"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stderr, "note: there are more; --all lists them\n");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    let head = ["ID", "LEVEL", "DEVICE", "PLACE", "CREATED", "LAST", "SEEN", "EXPIRES"];
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), head);
    for cell in [ID, "Firefox, Linux", "Bergen, NO", "days ago", "in "] {
        assert!(lines[1].contains(cell), "{}", run.stdout);
    }
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /_warifu/sessions?subject=al+ice");
    assert!(asked.headers.contains(&format!("authorization: bearer {KEY}\r\n")), "{}", asked.headers);
    assert!(asked.headers.contains("accept: application/json\r\n"), "{}", asked.headers);

    let server = Server::new(pages());
    let run = server.run(&["sessions", "list", "--subject", "al ice", "--all"]);
    assert_eq!((run.code, run.stderr.as_str(), run.stdout.lines().count()), (0, "", 3));
    let second = "GET /_warifu/sessions?subject=al+ice&cursor=a%2B%2F%26b";
    assert_eq!(server.lines(), ["GET /_warifu/sessions?subject=al+ice", second]);

    let server = Server::new(pages());
    let run = server.run(&["sessions", "list", "--subject", "al ice", "--all", "--json"]);
    assert_eq!(parsed(&run), json!([record(ID), record("AQAALwLxQX2Jh3WElJuTmw")]));
}

#[test]
fn a_list_may_be_empty_but_has_to_end() {
    let empty = || json_answer(200, &json!({"sessions": [], "next": null}));
    let server = Server::new([empty(), empty()]);
    assert_eq!(server.run(&["sessions", "list", "--subject", "a"]).stdout, "no sessions\n");
    assert_eq!(server.run(&["sessions", "list", "--subject", "a", "--json"]).stdout, "[]\n");
    let again = || json_answer(200, &json!({"sessions": [record(ID)], "next": "x"}));
    let run = Server::new([again(), again(), again()]).run(&["sessions", "list", "--subject", "a", "--all"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    // What fails on the way is not shown in part.
    let run = Server::new([again(), problem(503, "store_unavailable", None)]).run(&[
        "sessions",
        "list",
        "--subject",
        "a",
        "--all",
        "--json",
    ]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
}

#[test]
fn a_session_is_shown_in_full() {
    let server = Server::new([json_answer(200, &record(ID)), json_answer(200, &record(ID))]);
    let run = server.run(&["sessions", "show", ID]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for row in [
        "  id             AQAAL-1ssuyRV41RtulURQ\n",
        "  subject        al ice\n",
        "  created        2020-01-01 08:00:00 UTC (",
        "  expires        2119-01-01 08:00:00 UTC (in ",
        "rv:145.0) Gecko/20100101 Firefox/145.0\n",
        "  network        203.0.113.0/24, now 198.51.100.0/24\n",
        "  claims         {\"role\":\"x\"}\n",
    ] {
        assert!(run.stdout.contains(row), "{row} in {}", run.stdout);
    }
    assert_eq!(parsed(&server.run(&["sessions", "show", ID, "--json"])), record(ID));
    assert_eq!(server.lines()[0], format!("GET /_warifu/sessions/{ID}"));
}

#[test]
fn nothing_from_the_gateway_can_steer_the_terminal() {
    let bad = "x\u{1b}[2J\u{9b}1m\r\n\u{7}\u{202e}y";
    let mut hostile = record(bad);
    hostile["subject"] = bad.into();
    hostile["claims"] = json!({bad: bad});
    hostile["device"] = json!({"user_agent": bad, "city": bad, "country": bad, "first_prefix": bad});
    let mut evil_receipt = receipt("published");
    evil_receipt["kill_id"] = bad.into();
    evil_receipt["state"] = bad.into();
    let list = json!({"sessions": [hostile], "next": null});
    let show = ["sessions", "show", ID];
    let subject = ["sessions", "list", "--subject", "a"];
    let kill = ["kill", "session", ID];
    let health = ["health"];
    let code = json!({"status": 400, "title": bad, "code": bad, "detail": bad}).to_string();
    let problem = || text(400, "content-type: application/problem+json\r\n", &code);
    let status = || json_answer(200, &json!({"status": bad}));
    let cases: [(&[&str], Answer, Answer); 5] = [
        (&subject, json_answer(200, &list), json_answer(200, &list)),
        (&show, json_answer(200, &hostile), json_answer(200, &hostile)),
        (&kill, json_answer(200, &evil_receipt), json_answer(200, &evil_receipt)),
        (&health, status(), status()),
        (&show, problem(), problem()),
    ];
    for (arguments, first, second) in cases {
        let server = Server::new([first, second]);
        for run in [server.run(arguments), server.run(&[arguments, &["--json"]].concat())] {
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(!all.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{all:?}");
            // What no gateway says is no success, and is not repeated.
            let is_taken = !matches!(arguments[0], "kill" | "health");
            assert!(if is_taken { all.contains('x') } else { run.code == 2 }, "{all:?}");
        }
    }
}

#[test]
fn a_kill_is_answered_with_its_receipt() {
    let published = || json_answer(200, &receipt("published"));
    let server = Server::new([published(), published(), json_answer(200, &receipt("quiesced"))]);
    let run = server.run(&["kill", "session", ID]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = run.stdout.lines().map(|line| line.split(" (").next().unwrap_or(line)).collect();
    let title = format!("session {ID}: ended");
    let expected = [
        title.as_str(),
        "  receipt                AQAALwBZDhCcdKgNuPBGIA",
        "  state                  published: every edge refuses it within the bound",
        "  committed              2020-01-01 08:00:00 UTC",
        "  accepted               2020-01-01 08:00:00 UTC",
        "  bound                  2s",
        // Not too early: the next whole second.
        "  refused everywhere by  2020-01-01 08:00:03 UTC",
    ];
    assert_eq!(lines, expected);
    assert!(run.stdout.lines().all(|line| line.len() <= 80), "{}", run.stdout);
    assert_eq!(parsed(&server.run(&["kill", "session", ID, "--json"])), receipt("published"));
    let run = server.run(&["kill", "subject", "al ice", "--wait"]);
    assert!(run.stdout.starts_with("all sessions of al ice: ended\n"), "{}", run.stdout);
    assert!(run.stdout.contains("quiesced: no edge can still accept it\n"), "{}", run.stdout);
    assert!(
        run.stderr.starts_with("waiting for every edge to refuse it; the answer may take until 20")
            && run.stderr.ends_with(" UTC\n"),
        "{}",
        run.stderr
    );
    let expected = [
        format!("DELETE /_warifu/sessions/{ID}"),
        format!("DELETE /_warifu/sessions/{ID}"),
        "DELETE /_warifu/sessions?subject=al+ice&wait=quiesced".to_owned(),
    ];
    assert_eq!(server.lines(), expected);
    assert!(server.asked().iter().all(|asked| asked.body.is_empty()));
}

#[test]
fn what_is_committed_only_is_said_and_can_be_waited_for() {
    let states = ["committed", "committed", "committed", "published", "quiesced"];
    let server =
        Server::new(states.map(|state| json_answer(if state == "committed" { 202 } else { 200 }, &receipt(state))));
    let run = server.run(&["kill", "session", ID]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("  state      committed: its own shards refuse it\n"), "{}", run.stdout);
    let says = format!(
        "note: the feed could not be reached, so other edges may go on accepting it\n\
         hint: it is tried again; see warifu kill receipt {KILL} --wait\n"
    );
    assert_eq!(run.stderr, says);
    let run = server.run(&["kill", "session", ID, "--wait", "--json"]);
    assert_eq!((run.code, parsed(&run)), (0, receipt("quiesced")));
    let again = format!("GET /_warifu/revocations/{KILL}");
    let ended = format!("DELETE /_warifu/sessions/{ID}");
    let waited = format!("DELETE /_warifu/sessions/{ID}?wait=quiesced");
    assert_eq!(server.lines(), [ended, waited, again.clone(), again.clone(), again]);
}

#[test]
fn a_site_is_ended_only_by_its_name() {
    let server =
        Server::new([json_answer(202, &of_site("committed", 0)), json_answer(200, &of_site("published", 134))]);
    for nothing in ["", "\n", "  \n"] {
        let run = server.run_with(&["kill", "site"], nothing);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains("Type the name of the site to go on:\n"), "{}", run.stderr);
        assert!(run.stderr.ends_with("no name was typed, so nothing was ended; for programs: --yes SITE\n"));
    }
    assert!(server.lines().is_empty());
    let run = server.run_with(&["kill", "site"], "shop \nno more");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains(&server.url) && run.stdout.starts_with("every session of the site: ended\n"));
    let asked = &server.asked()[0];
    assert_eq!((asked.line.as_str(), asked.body.as_str()), ("DELETE /_warifu/sessions", "{\"confirm\":\"shop\"}"));
    assert!(asked.headers.contains("content-type: application/json\r\n"), "{}", asked.headers);

    let refused = Server::new([problem(400, "bad_request", Some("confirm must be the name of the site"))]);
    let run = refused.run(&["kill", "site", "--yes", "shop"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.starts_with("error: No (bad_request): confirm must be"), "{}", run.stderr);
}

#[test]
fn a_kill_of_the_site_is_followed_to_its_end() {
    let rounds = || {
        let states = [("committed", 0), ("committed", 40), ("committed", 120), ("published", 134), ("quiesced", 134)];
        Server::new(states.map(|(state, done)| json_answer(200, &of_site(state, done))))
    };
    let server = rounds();
    let run = server.run(&["kill", "site", "--yes", "shop"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "no terminal, no progress");
    assert!(run.stdout.contains("  shards                 134 of 134\n"), "{}", run.stdout);
    assert_eq!(server.lines().len(), 4);
    let server = rounds();
    let run = server.run(&["kill", "site", "--yes", "shop", "--wait", "--json"]);
    assert_eq!((run.code, parsed(&run)), (0, of_site("quiesced", 134)));
    let until = "waiting until 2020-01-01 08:00:03 UTC: no edge can accept it then\n";
    assert_eq!(run.stderr, until);
    assert_eq!(server.lines()[0], "DELETE /_warifu/sessions?wait=quiesced");
}

#[test]
fn who_cannot_ask_for_progress_still_gets_the_receipt() {
    let failing = || problem(503, "store_unavailable", None);
    let one = json_answer(202, &of_site("committed", 40));
    let server = Server::new([one, failing(), failing(), failing()]);
    let run = server.run(&["kill", "site", "--yes", "shop"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("  shards     40 of 134\n"), "{}", run.stdout);
    assert!(run.stderr.contains("store_unavailable") && !run.stderr.contains("whether it was done"), "{}", run.stderr);

    // One that fails in between does not matter.
    let states = [json_answer(202, &of_site("committed", 40)), failing(), json_answer(200, &of_site("published", 134))];
    assert_eq!(Server::new(states).run(&["kill", "site", "--yes", "shop"]).code, 0);
}

#[test]
fn a_receipt_can_be_asked_for_again() {
    let server = Server::new([
        json_answer(200, &of_site("committed", 40)),
        json_answer(200, &of_site("published", 134)),
        json_answer(200, &of_site("quiesced", 134)),
        problem(404, "not_found", None),
    ]);
    let run = server.run(&["kill", "receipt", KILL]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.starts_with(&format!("receipt {KILL}\n")), "{}", run.stdout);
    assert!(run.stdout.contains("  state      committed: not in all shards yet\n"), "{}", run.stdout);
    let run = server.run(&["kill", "receipt", KILL, "--wait", "--json"]);
    assert_eq!((run.code, parsed(&run)), (0, of_site("quiesced", 134)));
    let run = server.run(&["kill", "receipt", KILL]);
    assert!(run.code == 1 && run.stderr.contains("hint: the gateway has no receipt of this id"), "{}", run.stderr);
    assert_eq!(server.lines()[0], format!("GET /_warifu/revocations/{KILL}"));
}

#[test]
fn a_refusal_says_what_can_be_done() {
    for (status, code, detail, says) in [
        (401, "bad_admin_key", None, "error: No (bad_admin_key)\nhint: the key is from WARIFU_ADMIN_KEY; its SHA-256"),
        (403, "missing_scope", Some("revoke"), "error: No (missing_scope): revoke\nhint: the key's entry in"),
        (
            404,
            "not_found",
            None,
            "error: No (not_found)\nhint: no live session has this id, and the gateway knows of no end of it",
        ),
        (503, "store_unavailable", None, "try again in 2 s; whether it was done is not known"),
        (503, "ended_in_part", Some("so"), "hint: nobody goes on with it: give the command once more"),
        (429, "rate_limited", None, "hint: try again"),
        (421, "misdirected", None, "hint: is the address right? Its host must be in hosts"),
        (500, "internal", None, "the event panicked or threw; report it; whether it was done is not known"),
        (500, "misconfigured", None, "hint: the Worker's log says why"),
        (400, "bad_request", Some("so"), "error: No (bad_request): so\n"),
    ] {
        let run = Server::new([problem(status, code, detail)]).run(&["kill", "session", ID, "--json"]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{code}");
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    let run = Server::new([problem(503, "store_unavailable", None)]).run(&["sessions", "show", ID]);
    assert!(run.code == 1 && !run.stderr.contains("whether"), "{}", run.stderr);
    let run = Server::new([problem(404, "not_found", None)]).run(&["kill", "subject", "a"]);
    let says = "hint: this subject has no live session, and none was ended so in the last day\n";
    assert!(run.stderr.ends_with(says), "{}", run.stderr);
}

#[test]
fn health_is_asked_without_a_key() {
    let server = Server::new([json_answer(200, &json!({"status": "ok"})), problem(503, "store_unavailable", None)]);
    let run = server.run(&["health"]);
    assert_eq!((run.code, run.stdout), (0, format!("{}: ok\n", server.url)));
    assert_eq!(server.run(&["health", "--json"]).code, 1);
    for asked in server.asked() {
        assert_eq!(asked.line, "GET /_warifu/health");
        assert!(!asked.headers.contains("authorization"), "{}", asked.headers);
    }
}

#[test]
fn what_is_no_gateway_is_2() {
    let elsewhere = Server::new([json_answer(200, &record(ID))]);
    let redirect = format!("location: {}/_warifu/sessions/{ID}\r\n", elsewhere.url);
    for (answer, says) in [
        (text(404, "content-type: text/html\r\n", "<h1>Not here</h1>"), "answered 404, and not as a gateway does"),
        (text(200, "content-type: text/html\r\n", "<h1>Hello</h1>"), "answered 200, and not"),
        (text(401, "", "{\"title\":\"No\",\"code\":\"bad_admin_key\"}"), "answered 401, and not"),
        (text(302, &redirect, ""), "redirects are not followed"),
        (json_answer(200, &json!({"id": ID})), "something else than sessions"),
        (Answer::Text("nonsense\r\n\r\n".to_owned()), "gave no answer"),
        (Answer::Text("HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{".to_owned()), "gave no answer"),
    ] {
        let run = Server::new([answer]).run(&["sessions", "show", ID]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{says}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(says), "{}", run.stderr);
    }
    assert!(elsewhere.lines().is_empty(), "the key went elsewhere");
    let run = Server::new([text(502, "content-type: text/html\r\n", "Bad gateway")]).run(&["kill", "session", ID]);
    assert!(run.code == 2 && run.stderr.contains("whether it was done is not known"), "{}", run.stderr);
    // What answers anything with JSON, such as the application itself.
    let mut odd = receipt("published");
    odd["state"] = "ok".into();
    for answer in [json!({}), json!([]), json!({"ok": true}), json!({"status": "fine"}), json!(null), odd] {
        for arguments in [&["kill", "session", ID][..], &["kill", "session", ID, "--wait"], &["kill", "receipt", KILL]]
        {
            let run = Server::new([json_answer(200, &answer)]).run(arguments);
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{answer} {arguments:?}: {}", run.stderr);
            assert!(run.stderr.contains("answered 200, and not as a gateway does"), "{}", run.stderr);
        }
        let run = Server::new([json_answer(200, &answer)]).run(&["health"]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{answer}: {}", run.stderr);
    }
}

#[test]
fn who_does_not_answer_is_given_up() {
    let begun = Instant::now();
    let server = Server::new([Answer::Hang, Answer::Hang]);
    let run = server.run(&["sessions", "list", "--subject", "a", "--timeout", "300ms"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert_eq!(run.stderr, format!("error: {} gave no answer within 300ms\n", server.url));
    let run = server.run(&["kill", "subject", "a", "--timeout", "300ms"]);
    assert!(run.code == 2 && run.stderr.contains("hint: whether it was done is not known"), "{}", run.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20));

    // A port that was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let run =
        warifu_in(&[("WARIFU_ADMIN_KEY", KEY)], &["kill", "subject", "a", "--url", &format!("http://{nobody}")], "");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("cannot be reached") && !run.stderr.contains("hint"), "{}", run.stderr);
}

#[test]
fn a_key_is_sent_only_where_it_is_safe() {
    let run = |url: &str, more: &[&str]| {
        let arguments = [&["sessions", "list", "--subject", "a", "--timeout", "200ms", "--url", url], more].concat();
        let run = warifu_in(&[("WARIFU_ADMIN_KEY", KEY)], &arguments, "");
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{url}");
        run.stderr
    };
    for url in [
        "http://192.0.2.1",
        "http://app.example",
        "http://127.0.0.1.app.example",
        "http://localhost.app.example",
        "http://[::2]",
    ] {
        assert!(run(url, &[]).contains("is not encrypted"), "{url}");
    }
    for url in ["http://127.0.0.1:1", "http://LOCALHOST:1/", "http://127.9.9.9:1", "http://[::1]:1"] {
        assert!(!run(url, &[]).contains("is not encrypted"), "{url}");
    }
    assert!(!run("http://0.0.0.0:1", &["--insecure-http"]).contains("is not encrypted"));
    for url in [
        "",
        "app.example",
        "ftp://app.example",
        "https://",
        "https://app.example/shop",
        "https://app.example/?x",
        "https://app.example#x",
        "https://user:hunter2@app.example",
        "http://127.0.0.1@app.example",
        "https://a b",
    ] {
        let says = run(url, &[]);
        assert!(says.contains("the address must be https://") && !says.contains("hunter2"), "{url}: {says}");
    }
}

#[test]
fn the_key_is_in_a_file_or_in_a_variable() {
    let one = || json_answer(200, &record(ID));
    let server = Server::new([one(), one()]);
    let path = file("admin.key", &format!("{KEY}\n"));
    let with_file = ["sessions", "show", ID, "--json", "--url", &server.url, "--key-file", &path];
    assert_eq!(warifu_in(&[], &with_file, "").code, 0);
    // What is named in the call counts.
    assert_eq!(warifu_in(&[("WARIFU_ADMIN_KEY", "another")], &with_file, "").code, 0);
    assert!(server.asked().iter().all(|asked| asked.headers.contains(KEY)));

    let run = warifu_in(&[("WARIFU_URL", &server.url)], &["sessions", "show", ID], "");
    assert!(run.code == 2 && run.stderr.contains("WARIFU_ADMIN_KEY") && run.stderr.contains("--key-file"));
    let run = warifu_in(&[("WARIFU_ADMIN_KEY", KEY)], &["sessions", "show", ID], "");
    assert!(run.code == 2 && run.stderr.contains("WARIFU_URL"), "{}", run.stderr);
    for bad in ["", "\n", "hunter2 hunter2", "hunter2\nhunter2", "hunter2é"] {
        let path = file("bad.key", bad);
        let run = warifu_in(&[("WARIFU_URL", &server.url)], &["sessions", "show", ID, "--key-file", &path], "");
        assert_eq!(run.code, 2);
        assert!(
            run.stderr.contains("bad.key: found ")
                && run.stderr.contains("it must hold one admin key")
                && !run.stderr.contains("hunter2"),
            "{}",
            run.stderr
        );
    }
    // All that setup printed is not the key: nothing of it is sent, and nothing shown.
    let line = r#"{"WARIFU_KEYS":"[{\"kid\":1,\"key\":\"hunter2\"}]","WARIFU_ADMIN_KEY":"hunter2"}"#;
    for (bad, found) in [
        (line, "found a JSON object, of which the key is one member (jq -r .WARIFU_ADMIN_KEY)"),
        (r#"{"key":"hunter2","entry":{}}"#, "found a JSON object, of which the key is one member (jq -r .key)"),
        (r#"["hunter2"]"#, "found what no key has at character 1"),
        ("hunter2,hunter2", "found what no key has at character 8"),
        ("hunter2=hunter2", "found what no key has at character 8"),
        ("==", "found no more than ="),
    ] {
        let path = file("whole.key", bad);
        let run = warifu_in(&[("WARIFU_URL", &server.url)], &["sessions", "show", ID, "--key-file", &path], "");
        assert_eq!(run.code, 2, "{bad}");
        assert!(run.stderr.contains(found) && run.stderr.contains("and = at its end only"), "{}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    let run = warifu_in(&[("WARIFU_URL", &server.url)], &["health", "--key-file", &path], "");
    assert_eq!(run.code, 2);
    assert_eq!(warifu_in(&[("WARIFU_URL", &server.url)], &["kill", "site", "--key-file", "nowhere"], "").code, 2);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn ids_and_subjects_are_checked_before_anything_is_sent() {
    let server = Server::new([json_answer(200, &record(ID))]);
    for wrong in [
        &["sessions", "show", "../health"][..],
        &["sessions", "show", ""],
        &["kill", "session", "AQAAL"],
        &["kill", "session"],
        &["kill", "receipt", "x"],
        &["kill", "subject", ""],
        &["kill", "subject", "a\u{7}b"],
        &["sessions", "list"],
        &["sessions", "list", "--subject", " a"],
        &["sessions", "list", "--subject", "a", "--timeout", "0s"],
        &["kill"],
    ] {
        let run = server.run(wrong);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    assert!(server.lines().is_empty());
}
