//! Colours, each for light and for dark paper. Their names are CSS variables in the page and plain
//! values in a picture of its own.
//!
//! Categories are from Okabe and Ito's palette, which colour-blind people can tell apart; ordered
//! quantities go along viridis (budgets) and plasma (sizes), cut where the contrast to the paper would
//! fall below about 3 to 1.

use std::fmt::Write as _;

/// Steps of a sequence of colours.
pub const N_STEPS: usize = 9;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Text and frames.
    Ink,
    /// Text that stands back.
    Muted,
    /// Lines of the grid.
    Grid,
    /// What is not the point: runs behind a frontier.
    Faint,
    /// The paper, for halos.
    Paper,
    /// The chosen law.
    Law,
    /// The minima of IsoFLOP parabolas.
    Approach2,
    /// The envelope of learning curves.
    Approach1,
    /// A run that diverged.
    Bad,
    /// One of a few skills, from 0.
    Skill(usize),
    /// A step of the sequence for budgets, from 0.
    Budget(usize),
    /// A step of the sequence for sizes and tokens, from 0.
    Size(usize),
}

/// Light and dark value of each step for budgets, the smallest first.
const BUDGETS: [(&str, &str); N_STEPS] = [
    ("#450c5e", "#2e6e8e"),
    ("#482576", "#277f8e"),
    ("#423c82", "#22928b"),
    ("#3b518a", "#24a485"),
    ("#32668e", "#33b47b"),
    ("#2b778e", "#55c467"),
    ("#24898d", "#7ed24e"),
    ("#209c89", "#addc30"),
    ("#2cac80", "#dde328"),
];

/// The same for sizes.
const SIZES: [(&str, &str); N_STEPS] = [
    ("#0d0887", "#ad2792"),
    ("#370499", "#c03b83"),
    ("#5b02a3", "#d14e72"),
    ("#7c06a6", "#df6263"),
    ("#9b169e", "#ec7754"),
    ("#b42e8d", "#f58e45"),
    ("#c9467a", "#fba637"),
    ("#dc5e66", "#fdc02b"),
    ("#ec7754", "#f8db24"),
];

/// Colours of skills, no two alike to colour-blind eyes; beyond them they begin again.
const SKILLS: [(&str, &str); 6] = [
    ("#0067a8", "#5bb5f0"),
    ("#c84f00", "#ff9249"),
    ("#00845f", "#35c9a0"),
    ("#9a4686", "#e09acb"),
    ("#7d6a00", "#dcc53a"),
    ("#5b4a8a", "#a99be0"),
];

/// Colours that are no sequence.
const NAMED: [(Color, &str, &str, &str); 9] = [
    (Color::Ink, "ink", "#1b1e24", "#e8eaed"),
    (Color::Muted, "muted", "#5b6270", "#a0a7b4"),
    (Color::Grid, "grid", "#e6e8ec", "#2b2f37"),
    (Color::Faint, "faint", "#a6adb8", "#626a78"),
    (Color::Paper, "paper", "#ffffff", "#16181d"),
    (Color::Law, "law", "#0067a8", "#5bb5f0"),
    (Color::Approach2, "approach-2", "#c84f00", "#ff9249"),
    (Color::Approach1, "approach-1", "#00845f", "#35c9a0"),
    (Color::Bad, "bad", "#b3261e", "#ff8a80"),
];

impl Color {
    /// The step that belongs to `idx` of `n` ordered things, the sequence's whole length used.
    pub fn step(idx: usize, n: usize) -> usize {
        if n < 2 { N_STEPS / 3 } else { (idx * (N_STEPS - 1) + (n - 1) / 2) / (n - 1) }
    }

    /// The step at `share` of a stretch, from 0 to 1.
    pub fn step_at(share: f64) -> usize {
        (share.clamp(0.0, 1.0) * (N_STEPS - 1) as f64).round() as usize
    }

    /// Name of the CSS variable.
    pub fn name(self) -> String {
        match self {
            Color::Skill(idx) => format!("s{}", idx % SKILLS.len()),
            Color::Budget(step) => format!("q{step}"),
            Color::Size(step) => format!("n{step}"),
            named => NAMED.iter().find(|row| row.0 == named).map_or("ink", |row| row.1).to_string(),
        }
    }

    /// The value on light paper.
    pub fn light(self) -> &'static str {
        match self {
            Color::Skill(idx) => SKILLS[idx % SKILLS.len()].0,
            Color::Budget(step) => BUDGETS[step.min(N_STEPS - 1)].0,
            Color::Size(step) => SIZES[step.min(N_STEPS - 1)].0,
            named => NAMED.iter().find(|row| row.0 == named).map_or("#000000", |row| row.2),
        }
    }
}

/// The CSS variables of all colours.
pub fn css() -> String {
    let mut css = String::from(":root{");
    let mut add = |name: &str, light: &str, dark: &str| {
        // Writing to a string cannot fail.
        let _ = write!(css, "--{name}:light-dark({light},{dark});");
    };
    for (_, name, light, dark) in NAMED {
        add(name, light, dark);
    }
    let sequences: [(&str, &[(&str, &str)]); 3] = [("s", &SKILLS), ("q", &BUDGETS), ("n", &SIZES)];
    for (prefix, steps) in sequences {
        for (step, (light, dark)) in steps.iter().enumerate() {
            add(&format!("{prefix}{step}"), light, dark);
        }
    }
    css.push_str("}\n");
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let x = u8::from_str_radix(&hex[at..at + 2], 16).unwrap() as f64 / 255.0;
            if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn marks_stand_out_from_the_paper_and_text_is_readable() {
        let marks = NAMED[5..].iter().map(|row| (row.2, row.3)).chain(SKILLS).chain(BUDGETS).chain(SIZES);
        for (light, dark) in marks {
            assert!(contrast(light, "#ffffff") > 2.85, "{light} on light paper");
            assert!(contrast(dark, "#16181d") > 2.85, "{dark} on dark paper");
        }
        for row in &NAMED[..2] {
            assert!(contrast(row.2, "#ffffff") > 4.5 && contrast(row.3, "#16181d") > 4.5, "{}", row.1);
        }
    }

    #[test]
    fn ordered_things_use_the_whole_sequence() {
        for (n, expected) in [(1, vec![3]), (2, vec![0, 8]), (3, vec![0, 4, 8]), (5, vec![0, 2, 4, 6, 8])] {
            assert_eq!((0..n).map(|idx| Color::step(idx, n)).collect::<Vec<_>>(), expected);
        }
        assert_eq!(Color::step(99, 100), 8);
    }
}
