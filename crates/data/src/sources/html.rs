//! The text of an HTML page of the toolchain's documentation: books and source pages.

/// Elements whose content is not text.
const DROPPED: [&str; 6] = ["script", "style", "nav", "button", "svg", "rustdoc-toolbar"];

/// Elements that begin a line.
const BLOCKS: [&str; 17] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "blockquote",
    "section",
];

/// The text of the page's `<main>`, without tags; `None` if the page has none, as a redirection has.
pub(crate) fn html_to_text(html: &str) -> Option<String> {
    let start = html.find("<main")?;
    let main = &html[start..];
    let mut rest = &main[..main.rfind("</main>").unwrap_or(main.len())];
    let mut text = String::with_capacity(rest.len() / 3);
    while let Some(open) = rest.find('<') {
        push_unescaped(&mut text, &rest[..open]);
        rest = &rest[open..];
        if rest.starts_with("<!--") {
            rest = rest.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some((tag, after)) = rest[1..].split_once('>') else { break };
        rest = after;
        let name =
            tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or("").to_ascii_lowercase();
        // `data-nosnippet` marks the line numbers of source pages.
        if !tag.starts_with('/') && (DROPPED.contains(&name.as_str()) || tag.contains("data-nosnippet")) {
            rest = rest.split_once(&format!("</{name}>")).map_or("", |(_, after)| after);
        } else if BLOCKS.contains(&name.as_str()) && !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
    }
    push_unescaped(&mut text, rest);
    Some(text.trim().to_string())
}

fn push_unescaped(text: &mut String, mut escaped: &str) {
    while let Some(amp) = escaped.find('&') {
        text.push_str(&escaped[..amp]);
        escaped = &escaped[amp..];
        let known =
            escaped.split_once(';').and_then(|(entity, after)| Some((character(&entity[1..])?, after)));
        match known {
            Some((character, after)) => {
                text.push(character);
                escaped = after;
            }
            None => {
                text.push('&');
                escaped = &escaped[1..];
            }
        }
    }
    text.push_str(escaped);
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = entity.strip_prefix('#')?;
            match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            }
            .and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_tags_line_numbers_and_scripts_go() {
        let check = |html: &str, expected: Option<&str>| {
            assert_eq!(html_to_text(html).as_deref(), expected, "{html}");
        };
        check("<body>Redirecting</body>", None);
        check(
            "<nav>menu</nav><main><h1>Title</h1><p>a &lt; b &amp;&amp; c</p></main>x",
            Some("Title\n\na < b && c"),
        );
        check(
            "<main><pre><code><a href=#1 id=1 data-nosnippet>1</a><span>fn</span> f() {\n\
             <a href=#2 id=2 data-nosnippet>2</a>}</code></pre></main>",
            Some("fn f() {\n}"),
        );
        check(
            "<main>1<script>if (a < b) {}</script>2<!-- <p> -->3 &unknown; &#39;&#x27;</main>",
            Some("123 &unknown; ''"),
        );
        check("<main>cut <b", Some("cut <b"));
    }
}
