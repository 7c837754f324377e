//! The picture as one page: nothing is fetched, values show under the pointer.

use std::io;

use super::data::Picture;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page.
///
/// # Errors
/// Never in practice: all that is in a picture can be written as JSON.
pub fn page(picture: &Picture) -> io::Result<String> {
    let title = escape(&picture.title);
    // Within a script element only `<` could end it or begin a comment, and JSON has another way to write it.
    let data = serde_json::to_string(picture)?.replace('<', "\\u003c");
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    let mut rest = PAGE;
    // Once through, so that nothing filled in is taken for a place to fill.
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(match name {
            "title" => &title,
            "css" => STYLE.trim_end(),
            "js" => SCRIPT.trim_end(),
            _ => &data,
        });
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::data::tests::{every_verdict, picture};
    use super::*;
    use serde_json::Value;

    fn data(page: &str) -> Value {
        let (_, after) = page.split_once("id=\"data\">").unwrap();
        let (json, _) = after.split_once("</script>").unwrap();
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn holds_the_run_and_fetches_nothing() {
        let page = page(&picture("host", &every_verdict())).unwrap();
        let data = data(&page);
        assert_eq!(data["dots"][1], serde_json::json!([2, 0.1, 360.0, "late"]));
        assert_eq!(
            data["dots"][2],
            serde_json::json!([3, 0.2, null, "lost-there"])
        );
        assert_eq!(data["seconds"][0]["throughput"], 2048.0);
        for address in ["http:", "https:", "//cdn", "src=", "url(", "import "] {
            assert!(!page.contains(address), "{address}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"));
    }

    #[test]
    fn names_are_text_and_never_markup() {
        for name in [
            "</script><script>alert(1)</script>",
            "<!--<script>",
            "{{js}}",
            "\"'&",
        ] {
            let page = page(&picture(name, &every_verdict())).unwrap();
            // Ours, and no other: the data and the code.
            assert_eq!(page.matches("<script").count(), 2, "{name}");
            assert_eq!(page.matches("</script").count(), 2, "{name}");
            let title = data(&page)["title"].as_str().unwrap().to_owned();
            assert!(title.contains(name), "{title}");
        }
    }
}
