//! A law's equation as HTML: Greek letters, fractions and exponents, with names or with fitted values.

use std::collections::BTreeMap;

use super::html::{escape, wide_minus};

/// `text`, such as `L = E + A/N^alpha + B/D^beta`, typeset. A name found in `values` is replaced by its value.
///
/// A sum of terms is understood; a term `x/y` without brackets becomes a fraction. Anything else stays in
/// one line, with its exponents raised. What follows the first comma is a remark in words.
pub fn typeset(text: &str, values: &BTreeMap<String, String>) -> String {
    let (formula, remark) =
        text.split_once(", ").map_or((text, None), |(formula, remark)| (formula, Some(remark)));
    let formula = formula.split(' ').map(|word| term(word, values)).collect::<Vec<_>>().join(" ");
    match remark {
        Some(remark) => format!("{formula}, <small>{}</small>", escape(remark)),
        None => formula,
    }
}

fn term(word: &str, values: &BTreeMap<String, String>) -> String {
    match word.split_once('/') {
        Some((above, below)) if !word.contains(['(', ')', '[', ']']) => format!(
            "<span class=\"frac\"><span>{}</span><span>{}</span></span>",
            inline(above, values),
            inline(below, values)
        ),
        _ => inline(word, values),
    }
}

/// Names, numbers and signs in one line; what follows a `^` is raised.
fn inline(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = name_length(rest);
        if let Some(after) = rest.strip_prefix('^') {
            let (exponent, after) = after.split_at(exponent_length(after));
            let bare = exponent.strip_prefix('(').and_then(|x| x.strip_suffix(')')).unwrap_or(exponent);
            out.push_str(&format!("<sup>{}</sup>", inline(bare, values)));
            rest = after;
        } else if length > 0 {
            out.push_str(&atom(&rest[..length], values));
            rest = &rest[length..];
        } else {
            match first {
                '-' => out.push('\u{2212}'),
                '*' => out.push('·'),
                other => out.push_str(&escape(&other.to_string())),
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Bytes of the name or number that `text` begins with.
fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Bytes of the exponent that `text` begins with: a bracket with all inside, or a name with its sign.
fn exponent_length(text: &str) -> usize {
    if !text.starts_with('(') {
        let sign = usize::from(text.starts_with('-'));
        return sign + name_length(&text[sign..]);
    }
    let mut depth = 0;
    for (place, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            return place + 1;
        }
    }
    text.len()
}

fn atom(name: &str, values: &BTreeMap<String, String>) -> String {
    if let Some(value) = values.get(name) {
        return format!("<b>{}</b>", wide_minus(&escape(value)));
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return escape(name);
    }
    format!("<i>{}</i>", symbol(name))
}

/// The letter of a parameter or variable, in HTML: `alpha` is α, `N_c` has an index.
pub fn symbol(name: &str) -> String {
    let (name, index) = name.split_once('_').map_or((name, None), |(name, index)| (name, Some(index)));
    let letter = match name {
        "alpha" => "α",
        "beta" => "β",
        "gamma" => "γ",
        "delta" => "δ",
        "eta" => "η",
        "sigma" => "σ",
        "rho" => "ρ",
        other => other,
    };
    match index {
        Some(index) => format!("{}<sub>{}</sub>", escape(letter), symbol(index)),
        None => escape(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_fractions_is_typeset_with_names_or_values() {
        let none = BTreeMap::new();
        assert_eq!(
            typeset("L = E + A/N^alpha", &none),
            "<i>L</i> = <i>E</i> + <span class=\"frac\"><span><i>A</i></span><span><i>N</i><sup><i>α</i></sup></span></span>"
        );
        let values: BTreeMap<String, String> =
            [("A", "406"), ("alpha", "0.34")].map(|(k, v)| (k.to_string(), v.to_string())).into();
        assert_eq!(
            typeset("A/N^alpha", &values),
            "<span class=\"frac\"><span><b>406</b></span><span><i>N</i><sup><b>0.34</b></sup></span></span>"
        );
        assert_eq!(
            typeset("((a/N)^(b/c) + d)^-eta, M = D/N", &none),
            "((<i>a</i>/<i>N</i>)<sup><i>b</i>/<i>c</i></sup> + <i>d</i>)<sup>\u{2212}<i>η</i></sup>, <small>M = D/N</small>"
        );
        assert_eq!(typeset("2^", &none), "2<sup></sup>");
        assert_eq!(typeset("x^(a", &none), "<i>x</i><sup>(<i>a</i></sup>");
        assert_eq!(typeset("(N_c/N)^alpha", &none), "(<i>N<sub>c</sub></i>/<i>N</i>)<sup><i>α</i></sup>");
        assert_eq!(typeset("<x>", &none), "&lt;<i>x</i>&gt;");
    }
}
