//! A browser in two words, out of what it says of itself.

/// `Firefox, Windows`; or how the text begins, where it is no browser's.
pub fn short(user_agent: &str) -> String {
    let named = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) if user_agent.starts_with("Mozilla/") => format!("{browser}, {system}"),
        _ => user_agent.chars().take(CHARS_MAX).collect(),
    }
}

/// In this order, since most also claim to be those below them.
const BROWSERS: [(&str, &str); 11] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Firefox/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];
const CHARS_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors hold the pages' reading too (`www/shared/user_agent.js`).
    #[test]
    fn browsers_are_told_apart() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/user_agent.json")).expect("JSON");
        let cases = file["cases"].as_array().expect("cases");
        assert!(cases.len() >= 15);
        for case in cases {
            let user_agent = case["user_agent"].as_str().expect("a text");
            let expected = match (case["expect"]["browser"].as_str(), case["expect"]["system"].as_str()) {
                (Some(browser), Some(system)) => format!("{browser}, {system}"),
                _ => user_agent.chars().take(CHARS_MAX).collect(),
            };
            assert_eq!(short(user_agent), expected, "{user_agent}");
        }
    }
}
