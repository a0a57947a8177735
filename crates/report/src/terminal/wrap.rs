//! Text broken into lines.

/// Breaks `text` into lines of `width`, each after `indent`, the later ones two further.
pub(crate) fn push_wrapped(out: &mut String, indent: &str, text: &str, width: usize) {
    let mut line = indent.to_string();
    let mut is_first_word = true;
    for word in text.split_whitespace() {
        if !is_first_word && line.chars().count() + 1 + word.chars().count() > width {
            *out += &line;
            out.push('\n');
            line = format!("{indent}  {word}");
        } else {
            if !is_first_word {
                line.push(' ');
            }
            line += word;
        }
        is_first_word = false;
    }
    *out += &line;
    out.push('\n');
}
