//! Every key of the configuration, in words. What the reader says of a key is
//! not repeated here: which keys there are, what it takes for a default, and
//! what it allows are asked of it (see `configuration.rs`).

/// A table of the configuration.
pub struct Section {
    /// As in messages, without indexes: `routes[]`; empty: the outermost.
    pub table: &'static str,
    /// A whole configuration in which the reader finds nothing wrong, with this
    /// table in it.
    pub base: &'static str,
    pub text: &'static str,
    pub keys: &'static [Key],
}

/// Values are JSON, which for these is TOML too.
pub struct Key {
    pub name: &'static str,
    pub default: Default,
    /// Values that are refused. What is said to them is what is allowed.
    pub wrong: &'static [&'static str],
    pub example: &'static str,
    pub means: &'static str,
}

/// What an absent key amounts to.
pub enum Default {
    /// The same as this value.
    Is(&'static str),
    /// Nothing; the meaning says what that is.
    Nothing,
    /// It must not be absent.
    Required,
    /// The same as `true` with `WARIFU_ORIGIN_KEYS`, else as `false`.
    WithOriginKeys,
}
use Default::{Is, Nothing, Required, WithOriginKeys};

const fn key(
    name: &'static str,
    default: Default,
    wrong: &'static [&'static str],
    example: &'static str,
    means: &'static str,
) -> Key {
    Key { name, default, wrong, example, means }
}

pub const SECTIONS: &[Section] = &[
    Section {
        table: "",
        base: "{}",
        text: "The site, its application, its sessions, and how fast an end counts everywhere.",
        keys: &[
            key(
                "site",
                Is(r#""default""#),
                &[r#""my shop""#],
                r#""shop""#,
                "The name that a token's MAC covers, and the beginning of the names of all objects. Another name is another site: all sessions of the old one are lost to it.",
            ),
            key(
                "hosts",
                Is("[]"),
                &[r#"["https://app.example"]"#],
                r#"["app.example", "www.app.example"]"#,
                "If given, a request for any other host gets 421. Needed where there are `sites`.",
            ),
            key(
                "origin",
                Nothing,
                &[r#""https://app.internal.example/v2""#],
                r#""https://app.internal.example""#,
                "Where requests go: the address of your application, deployed by a DNS name and no IP address. Absent: the same URL, for a Worker on a route of your application's own zone. `make dev` needs it.",
            ),
            key(
                "origin_timeout",
                Is(r#""1m""#),
                &[r#""1h""#],
                r#""20s""#,
                "How long your application may take until its answer begins; then the client gets 504. Counted from when it is asked, so the client's time for a body of up to 16 KiB is within. Requests with a longer body, or of unknown length, have no such limit. Where `origin` is itself proxied by Cloudflare, that gives it up after [about two minutes](platform.md#where-the-application-gives-no-answer) in any case.",
            ),
            key(
                "login",
                Is(r#""/login""#),
                &[r#""https://login.example""#],
                r#""/auth/sign-in""#,
                "The path that a browser without a session is sent to, with `return_to` and perhaps `step_up`. It needs a route of its own with `access = \"optional\"` and `commands`.",
            ),
            key(
                "admin_host",
                Nothing,
                &[r#""https://admin.example""#],
                r#""admin.example""#,
                "The operators' own host: browsers may make administrators' calls there, and your application is never served on it. Absent: none, and such calls come from programs only.",
            ),
            key(
                "idle_timeout",
                Is(r#""30m""#),
                &[r#""0s""#],
                r#""1h""#,
                "A session ends when nothing was asked with it for so long. It may live a tenth longer, since not every use is written down. A shorter value [counts for sessions that begin later](upgrading.md#when-the-configuration-changes).",
            ),
            key(
                "absolute_timeout",
                Is(r#""12h""#),
                &[r#""10m""#],
                r#""30d""#,
                "A session ends after so long in any case, unless its start named a `ttl`.",
            ),
            key(
                "rotation_grace",
                Is(r#""15s""#),
                &[r#""0s""#],
                r#""30s""#,
                "How long an old secret is served after the first use of its successor. See [rotation](reference.md#rotation).",
            ),
            key(
                "max_sessions",
                Is("0"),
                &["-1"],
                "5",
                "How many sessions one subject may have at a time. 0: any number.",
            ),
            key(
                "on_limit",
                Is(r#""end_oldest""#),
                &[r#""end""#],
                r#""refuse""#,
                "What happens to a log-in that would be one too many: the oldest sessions end to make room, or it gets 409 `session_limit`.",
            ),
            key(
                "on_replay",
                Is(r#""observe""#),
                &[r#""kill""#],
                r#""end""#,
                "What the use of an old secret after its grace leads to, besides the event `token_replayed` and the refusal: nothing, or the end of the session.",
            ),
            key(
                "max_header_bytes",
                Is("32768"),
                &["512"],
                "65536",
                "Of a request's header names and values, and four for each field; more get 431. No more than your application takes.",
            ),
            key(
                "trusted_origins",
                Is("[]"),
                &[r#"["*"]"#],
                r#"["https://www.example"]"#,
                "Other web origins that may send unsafe methods to this site. Each can act in the name of whoever visits it. Their [preflights](reference.md#preflights) pass on every route, without a session, identity or signature.",
            ),
            key(
                "cross_origin",
                Is(r#""standard""#),
                &[r#""off""#],
                r#""strict""#,
                "`\"standard\"`: a request without `Origin` and `Sec-Fetch-Site` comes from no current browser, and passes. `\"strict\"`: unsafe methods need one of the two.",
            ),
            key(
                "require_signed_commands",
                Is("false"),
                &["1"],
                "true",
                "Whether only commands count that your application has signed. Needs the secret `WARIFU_ORIGIN_KEYS`. See [signatures](signatures.md#commands-that-your-application-signs).",
            ),
            key(
                "case_insensitive",
                Is("false"),
                &["1"],
                "true",
                "For applications that route `/TRANSFER` as `/transfer`: routes are matched without regard to case. Express and ASP.NET do so if nothing else was said.",
            ),
            key(
                "bound",
                Is(r#""2s""#),
                &[r#""100ms""#],
                r#""500ms""#,
                "B: for how long after its receipt an ended session can still be accepted somewhere. [How to choose it](consistency.md#how-to-choose-b).",
            ),
            key(
                "fence",
                Is(r#""write""#),
                &[r#""none""#],
                r#""read""#,
                "What stands behind a session object's answer: a write that was confirmed after the question had arrived, or only a read of its storage, which is cheaper and as good as the platform's word.",
            ),
            key(
                "replica",
                Is(r#""away""#),
                &[r#""on""#],
                r#""off""#,
                "When records of sessions are kept in KV, and read there before the object is asked. `\"away\"`: sessions of a map row with a `region`, where a request enters on another continent. `\"always\"` needs the binding `REPLICA`.",
            ),
            key(
                "replica_horizon",
                Is(r#""10m""#),
                &[r#""1h""#],
                r#""5m""#,
                "How old the proof of a record in KV may be, and how much of the feed an edge asks for when it begins.",
            ),
            key(
                "continue_for",
                Is(r#""1m""#),
                &[r#""1h""#],
                r#""30s""#,
                "For routes with `on_outage = \"continue\"`: how old the last proof may be while nobody can be asked. All receipts of the site then count this, if it is more than `bound`.",
            ),
            key(
                "audit_retention",
                Is(r#""30d""#),
                &[r#""1m""#],
                r#""90d""#,
                "How long each shard keeps [what happened](reference.md#what-happened). `\"0s\"`: nothing more is written.",
            ),
        ],
    },
    Section {
        table: "map[]",
        base: r#"{"map":[{"generation":2}]}"#,
        text: "Where sessions live: one row for each generation of shards. Without any there is one row of the defaults. Rows are added, never changed: the last takes new sessions, those of the others live on. A row that is taken out ends its sessions, and its generation is never used again. [Upgrading](upgrading.md#more-shards-or-another-region) says how to add one.",
        keys: &[
            key("generation", Is("1"), &["0"], "3", "The row's number, greater than that of the row before it."),
            key(
                "shards",
                Is("64"),
                &["0"],
                "256",
                "How many objects share the sessions. About a thousand requests a second, or a few hundred writes, are one object's limit.",
            ),
            key(
                "region",
                Is(r#""auto""#),
                &[r#""mars""#],
                r#""weur""#,
                "A hint for where the objects are made; they do not move afterwards. It is a hint and no promise: see [residency](operations/residency.md).",
            ),
        ],
    },
    Section {
        table: "cookie",
        base: r#"{"cookie":{}}"#,
        text: "How the session cookie is written. `Path=/`, `Secure` and `HttpOnly` are always there, a `Domain` never.",
        keys: &[
            key(
                "name",
                Is(r#""__Host-Http-warifu""#),
                &[r#""sid""#],
                r#""__Host-sid""#,
                "Another name logs everybody out.",
            ),
            key(
                "same_site",
                Is(r#""lax""#),
                &[r#""loose""#],
                r#""strict""#,
                "Whether the cookie comes along when another site leads here. `\"none\"` is for sites that are shown inside of others. With `\"strict\"`, whoever comes back from an identity provider has to land on a page that goes on by itself, and not on a redirect, which browsers count to the other site still: they would be asked to log in again and again.",
            ),
            key(
                "partitioned",
                Is("false"),
                &["1"],
                "true",
                "Whether the cookie is one of its own for each site that shows this one in a frame (CHIPS). In such a frame browsers keep none without `same_site = \"none\"`.",
            ),
            key(
                "persistent",
                Is("true"),
                &["1"],
                "false",
                "`true`: the cookie has a `Max-Age` up to the absolute expiry. `false`: the browser forgets it when it is closed.",
            ),
        ],
    },
    Section {
        table: "routes[]",
        base: r#"{"routes":[{"path":"/x","access":"required"}]}"#,
        text: "What each part of the application asks for. The first rule that matches a request's path and method wins. What matches none is `required`.",
        keys: &[
            key(
                "path",
                Required,
                &[r#""/a/../b""#],
                r#""/account""#,
                "`/account` is that path alone; `/api/*` is `/api` and everything below it. Where another rule, or none, names a path that differs by a `/` at its end, the stricter of the two counts: `/account/` is not laxer than `/account`.",
            ),
            key(
                "methods",
                Nothing,
                &[r#"["FETCH"]"#],
                r#"["GET", "HEAD"]"#,
                "Only these methods, and HEAD where GET is one; absent: all.",
            ),
            key(
                "access",
                Required,
                &[r#""private""#],
                r#""strict""#,
                "`public`: no check and no identity. `optional`: identity, if there is a live session. `required`: only with one. `strict`: the same, and the session's object is asked each time, so that an end counts at once.",
            ),
            key(
                "level",
                Is("0"),
                &["256"],
                "2",
                "The least level of the session; others are sent to the login with `step_up`. Needs `required` or `strict`.",
            ),
            key(
                "max_auth_age",
                Nothing,
                &[r#""5 minutes""#],
                r#""5m""#,
                "The longest time since the person proved who they are. Needs `required` or `strict`.",
            ),
            key(
                "commands",
                Is("false"),
                &[r#""yes""#],
                r#""nonce""#,
                "Whether answers of your application may start, change and end sessions here. `\"nonce\"`: only with the nonce of the request. See [whose command it is](reference.md#whose-command-it-is). Not on `public`.",
            ),
            key(
                "activity",
                Is("true"),
                &["1"],
                "false",
                "`false`: a request here does not keep the session from going idle. For pages that poll.",
            ),
            key(
                "on_outage",
                Is(r#""closed""#),
                &[r#""open""#],
                r#""continue""#,
                "While the session's object gives no answer: 503, or the last verdict goes on counting, for `continue_for`. Not on `strict`.",
            ),
            key(
                "on_end",
                Is(r#""close""#),
                &[r#""cut""#],
                r#""keep""#,
                "What becomes of WebSockets and event streams when their session ends: they are cut, or stay. Not on `public`.",
            ),
        ],
    },
    Section {
        table: "identity",
        base: r#"{"identity":{}}"#,
        text: "How the application is told who is there, besides the `Warifu-` headers.",
        keys: &[
            key(
                "user_header",
                Nothing,
                &[r#""X-Forwarded-For""#],
                r#""Remote-User""#,
                "One more header for the subject, for applications that expect a name of their own. A client's own header of that name is removed on every route.",
            ),
            key(
                "sign",
                WithOriginKeys,
                &["1"],
                "false",
                "Whether forwarded requests are signed. See [signatures](signatures.md).",
            ),
        ],
    },
    Section {
        table: "limits",
        base: r#"{"limits":{}}"#,
        text: "How many of a kind may come from one network in how long: a number and a span, or `\"off\"`. What is over gets 429 `rate_limited`. See [rate limits](reference.md#rate-limits).",
        keys: &[
            key(
                "starts",
                Is(r#""300/1m""#),
                &[r#""many""#],
                r#""60/10s""#,
                "Log-ins: `do=start`, and those of custody. The application has answered by then.",
            ),
            key(
                "bad_macs",
                Is(r#""300/1m""#),
                &[r#""0/1m""#],
                r#""off""#,
                "Requests with a session cookie that was made up. On `optional` routes they go on as ever.",
            ),
            key(
                "admin_failures",
                Is(r#""30/1m""#),
                &[r#""30""#],
                r#""10/1m""#,
                "Administrators' calls without a key that is good for them.",
            ),
        ],
    },
    Section {
        table: "custody",
        base: r#"{"custody":{"cookies":["token"]}}"#,
        text: "For an application that logs people in with tokens of its own and stays as it is. See [custody](custody.md).",
        keys: &[
            key(
                "cookies",
                Is("[]"),
                &[r#"["a b"]"#, r#"["1","2","3","4","5","6","7","8","9"]"#],
                r#"["jwt", "refresh"]"#,
                "Cookies of the application's that no browser gets. The first says who it is.",
            ),
            key(
                "subject",
                Is(r#""/sub""#),
                &[r#""sub""#],
                r#""/user/id""#,
                "Where the claims of the first cookie, or of the first token, say who it is. Needs one of the two.",
            ),
            key(
                "ends_others",
                Is("[]"),
                &[r#"["/a/*"]"#, r#"["/1","/2","/3","/4","/5","/6","/7","/8","/9"]"#],
                r#"["/password"]"#,
                "Paths where a good answer to an unsafe method means that the person's other sessions are to end, such as that of a new password. Not on `public` routes.",
            ),
        ],
    },
    Section {
        table: "custody.bearer[]",
        base: r#"{"custody":{"bearer":[{"path":"/api/login","tokens":["/access_token"]}]}}"#,
        text: "One for each path whose JSON answers hold tokens, or end them.",
        keys: &[
            key("path", Required, &[r#""/api/*""#], r#""/api/sign-in""#, "The path. Not on a `public` route."),
            key(
                "tokens",
                Required,
                &[r#"["access_token"]"#, r#"["/1","/2","/3","/4","/5","/6","/7","/8","/9"]"#],
                r#"["/data/access", "/data/refresh"]"#,
                "Where the tokens are in the answer; the first goes with requests as `Authorization: Bearer`. Not needed with `ends`.",
            ),
            key(
                "body",
                Is("[]"),
                &[r#"["refresh_token"]"#],
                r#"["/refresh_token"]"#,
                "Where the body of a request has the placeholder of a token, which is exchanged for it.",
            ),
            key(
                "ends",
                Is("false"),
                &["1", "true"],
                "true",
                "`true`: a good answer here to an unsafe method ends the session. Then without `tokens`.",
            ),
        ],
    },
    Section {
        table: "adopt",
        base: r#"{"adopt":{"cookie":"sid","probe":"/api/me","subject":"/id","until":"2027-03-31"}}"#,
        text: "For people who are logged in to the application already. See [moving in](moving-in.md).",
        keys: &[
            key(
                "cookie",
                Required,
                &[r#""a b""#],
                r#""connect.sid""#,
                "The cookie by which the application knows its old sessions.",
            ),
            key(
                "probe",
                Required,
                &[r#""api/me""#],
                r#""/whoami?short=1""#,
                "Where the application says whose an old session is, in JSON.",
            ),
            key("subject", Required, &[r#""id""#], r#""/user/id""#, "Where that answer says so."),
            key(
                "until",
                Required,
                &[r#""soon""#],
                r#""2027-06-30""#,
                "From the beginning of this day (UTC) the old kind is refused. Choose the day on which the last old session would have expired.",
            ),
            key("path", Is(r#""/""#), &[r#""app""#], r#""/app""#, "The `Path` that the application gave its cookie."),
            key(
                "domain",
                Nothing,
                &[r#""a b""#],
                r#""example.com""#,
                "The `Domain` that it gave its cookie; absent: it gave none.",
            ),
        ],
    },
];

/// Not a table that the reader of one site knows: it is taken apart before.
pub const SITES: &str = "Several sites in one Worker, told apart by their hosts: a list of tables, each with its own `site` and `hosts`, its own `origin`, and whatever else differs. The rest of `[vars.WARIFU]` gives the defaults: keys of tables are added to those of the common table, lists take their place. `site`, `hosts` and `admin_host` have no common default. The sites share the secrets and nothing else; sessions, cookies and ends of one mean nothing at another. With the keys that an application verifies with, it can sign too, also what another site's application gets: give applications that must not trust each other a Worker each. Where sites share an application, give each `origin` a host name of its own, which the [signature](signatures.md#what-it-does-not-protect-from) covers.";
