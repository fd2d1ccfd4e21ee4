//! What Cloudflare would refuse of a configuration that is fine for the gateway,
//! or not keep to.

use core::time::Duration;

use warifu::config::{Config, Mistake};
use warifu::time::show_span;

/// A variable, or a secret, that Cloudflare would not take.
pub fn too_large(key: &str, text: &str) -> Option<Mistake> {
    let form = form_of(key);
    (text.len() > VARIABLE_BYTES_MAX).then(|| Mistake {
        key: key.to_owned(),
        says: format!(
            "found {} bytes{form}; it must be at most {VARIABLE_BYTES_MAX}: Cloudflare takes no more for a variable",
            text.len()
        ),
    })
}

/// One that soon will be. `table` is that of the file's variables, in which no secret is.
pub fn remind_of_size(key: &str, table: &str, text: &str) {
    if text.len() > VARIABLE_BYTES_FINE {
        let within = if key == "WARIFU" { format!("{table}.") } else { String::new() };
        crate::remark(&format!(
            "note: {within}{key} is {} bytes{}; Cloudflare takes at most 5 KB for a variable, {VARIABLE_BYTES_MAX} bytes",
            text.len(),
            form_of(key)
        ));
    }
}

/// The table is measured in the form that it is stored in.
fn form_of(key: &str) -> &'static str {
    if key == "WARIFU" { " as JSON" } else { "" }
}

/// A wait that is longer than Cloudflare's own.
pub fn remind_of_timeout(config: &Config, of: &str) {
    let timeout = config.origin_timeout;
    if timeout > PROXY_TIMEOUT {
        crate::remark(&format!(
            "note: origin_timeout{of} is {:?}; where the origin's host is proxied by Cloudflare, it gives up after \
             about two minutes, and the client gets 504 then",
            show_span(timeout)
        ));
    }
}

/// "5 KB" among the limits of Workers, first announced as 5 KiB.
const VARIABLE_BYTES_MAX: usize = 5_120;
/// Above, the next route or key may be one too many.
pub const VARIABLE_BYTES_FINE: usize = 4_500;
/// Of a proxied host, before its answer begins: error 524.
const PROXY_TIMEOUT: Duration = Duration::from_secs(120);
