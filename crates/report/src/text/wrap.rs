//! Text in lines of a terminal.

/// Lines of at most `width` columns, each after `indent` spaces, continued ones two further. A number stays with its
/// percent sign and an interval in one piece; a word longer than a line is cut.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for piece in pieces(text) {
        let mut rest = piece.as_str();
        loop {
            let room = width.saturating_sub(line.chars().count() + usize::from(!is_empty));
            if rest.chars().count() <= room {
                if !is_empty {
                    line.push(' ');
                }
                line.push_str(rest);
                is_empty = false;
                break;
            }
            if is_empty {
                let cut = rest.char_indices().nth(room.max(1)).map_or(rest.len(), |(place, _)| place);
                line.push_str(&rest[..cut]);
                rest = &rest[cut..];
            }
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent + 2);
            is_empty = true;
        }
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

/// Words, with those joined that belong together.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match pieces.last_mut() {
            Some(last) if word.starts_with('%') || is_open(last) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => pieces.push(word.to_string()),
        }
    }
    pieces
}

/// Whether an interval of two numbers has begun and not ended.
fn is_open(piece: &str) -> bool {
    piece.rsplit_once('[').is_some_and(|(_, inside)| {
        !inside.contains(']')
            && inside.matches(' ').count() < 3
            && inside.starts_with(|c: char| c.is_ascii_digit() || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_what_belongs_together_stays_so() {
        assert_eq!(wrap("one two three four", 2, 12), "  one two\n    three\n    four\n");
        assert_eq!(
            wrap("the value is 0.46 [0.41, 0.52] at 95 % here", 0, 20),
            "the value is 0.46\n  [0.41, 0.52] at\n  95 % here\n"
        );
        assert_eq!(wrap("abcdefghijkl", 0, 5), "abcde\n  fgh\n  ijk\n  l\n");
        assert_eq!(wrap("", 2, 20), "\n");
    }
}
