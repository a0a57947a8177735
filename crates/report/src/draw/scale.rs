//! Scales: from data to a place on the page, and where the ticks stand.

use crate::text;

/// How equal steps are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleKind {
    /// Equal differences.
    Linear,
    /// Equal ratios.
    Log,
}

/// How a tick's number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickText {
    /// `10K`, `2M`: counts of parameters and tokens.
    Si,
    /// `10¹²`: FLOPs.
    Power,
    /// `2.5`.
    Plain,
    /// No ticks: the marks name their places.
    Hidden,
}

/// A stretch of numbers, ends included, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Equal differences or equal ratios.
    pub kind: ScaleKind,
    /// Smallest number shown.
    pub low: f64,
    /// Largest number shown.
    pub high: f64,
}

/// A place on a scale that is marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// Labelled at every width of the page; the others only where there is room.
    pub is_major: bool,
    /// Its number.
    pub text: String,
}

/// Share of the stretch that is added at each end, so that no point lies on the frame.
const PADDING: f64 = 0.05;

impl Scale {
    /// From the smallest to the largest of `values`, with some room; none where no value is usable (a
    /// logarithm needs positive ones).
    pub fn over(kind: ScaleKind, values: impl IntoIterator<Item = f64>) -> Option<Scale> {
        let usable = |x: &f64| x.is_finite() && (kind == ScaleKind::Linear || *x > 0.0);
        let (low, high) = values
            .into_iter()
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            return None;
        }
        Some(match kind {
            ScaleKind::Linear => {
                let span = high - low;
                let room = if span > 0.0 { span * PADDING } else { low.abs().max(1.0) * 0.1 };
                Scale { kind, low: low - room, high: high + room }
            }
            ScaleKind::Log => {
                let span = (high / low).ln();
                let room = if span > 1e-9 { span * PADDING } else { 2f64.ln() };
                Scale { kind, low: low * (-room).exp(), high: high * room.exp() }
            }
        })
    }

    /// Where `x` lies: 0 at the lower end, 1 at the upper one, beyond them outside.
    pub fn share(&self, x: f64) -> f64 {
        match self.kind {
            ScaleKind::Linear => (x - self.low) / (self.high - self.low),
            ScaleKind::Log => (x / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Where `x` lies between the smallest and the largest value that the scale was made over.
    pub fn inner_share(&self, x: f64) -> f64 {
        self.share(x) * (1.0 + 2.0 * PADDING) - PADDING
    }

    /// The number at `share` of the stretch.
    pub fn value(&self, share: f64) -> f64 {
        match self.kind {
            ScaleKind::Linear => self.low + share * (self.high - self.low),
            ScaleKind::Log => self.low * (share * (self.high / self.low).ln()).exp(),
        }
    }

    /// `n` numbers in equal steps of the scale from the lower to the upper end.
    pub fn samples(&self, n: usize) -> impl Iterator<Item = f64> {
        let scale = *self;
        (0..n).map(move |idx| scale.value(idx as f64 / (n.max(2) - 1) as f64))
    }

    /// Ticks inside the stretch, at most about `most` with a number.
    pub fn ticks(&self, text: TickText, most: usize) -> Vec<Tick> {
        if text == TickText::Hidden {
            return Vec::new();
        }
        let ticks = match self.kind {
            ScaleKind::Linear => self.linear_ticks(most),
            ScaleKind::Log => self.log_ticks(most),
        };
        let step = ticks.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(f64::INFINITY, f64::min);
        ticks
            .into_iter()
            .map(|(value, is_major)| Tick { value, is_major, text: tick_text(value, step, text) })
            .collect()
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn linear_ticks(&self, most: usize) -> Vec<(f64, bool)> {
        let raw = (self.high - self.low) / most.max(1) as f64;
        let decade = 10f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|s| *s >= raw * 0.999).unwrap_or(raw);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|multiple| (multiple as f64 * step, true)).collect()
    }

    /// Powers of ten, thinned where there are many; between them 2 and 5 where there are few; on less than
    /// a decade multiples as on a linear scale.
    fn log_ticks(&self, most: usize) -> Vec<(f64, bool)> {
        let decades = (self.high / self.low).log10();
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |x: f64| x >= self.low * (1.0 - 1e-9) && x <= self.high * (1.0 + 1e-9);
        // `10f64.powi` is off by a bit for large exponents, the parser is not.
        let ten = |exponent: i32| format!("1e{exponent}").parse().unwrap_or(f64::NAN);
        let fine: Vec<(f64, bool)> = (first..=last)
            .flat_map(|exponent| [1.0, 2.0, 5.0].map(|m| (m * ten(exponent), m == 1.0)))
            .filter(|(x, _)| inside(*x))
            .collect();
        let n_powers = fine.iter().filter(|(_, is_power)| *is_power).count();
        if decades < 1.0 && fine.len() < 4 {
            self.linear_ticks(most.min(6))
        } else if fine.len() <= most {
            // Where no more than one power of ten is inside, all are needed to read the scale.
            fine.into_iter().map(|(x, is_power)| (x, is_power || n_powers < 2)).collect()
        } else {
            let every = n_powers.div_ceil(most.max(1)).max(1) as i32;
            (first..=last)
                .filter(|exponent| exponent % every == 0)
                .map(|exponent| (ten(exponent), true))
                .filter(|(x, _)| inside(*x))
                .collect()
        }
    }
}

/// The number of a tick; `step` to the next one decides how many digits a plain number needs.
fn tick_text(value: f64, step: f64, kind: TickText) -> String {
    match kind {
        TickText::Si => {
            let (size, unit) = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")]
                .into_iter()
                .find(|(size, _)| value.abs() >= size * (1.0 - 1e-9))
                .unwrap_or((1.0, ""));
            format!("{}{unit}", shortest(value / size))
        }
        TickText::Power => {
            let exponent = value.abs().log10().floor();
            let factor = value / 10f64.powf(exponent);
            let is_whole = (factor - factor.round()).abs() < 1e-6;
            power_of_ten(value, if is_whole { 0 } else { 1 })
        }
        TickText::Plain if step.is_finite() && step > 0.0 => {
            minus(&text::fixed(value + 0.0, (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize))
        }
        TickText::Plain | TickText::Hidden => shortest(value),
    }
}

/// Up to three digits after the point, none of them a trailing zero.
fn shortest(x: f64) -> String {
    minus(text::fixed(x, 3).trim_end_matches('0').trim_end_matches('.'))
}

/// A power of ten with a factor, as an axis has it: `5×10¹¹`, `10¹²`.
fn power_of_ten(x: f64, decimals: usize) -> String {
    let scientific = format!("{x:.decimals$e}");
    let (factor, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (factor, exponent) = (minus(factor), superscript(exponent));
    if factor == "1" { format!("10{exponent}") } else { format!("{factor}×10{exponent}") }
}

/// The typographic minus sign, which is as wide as a plus.
fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

fn superscript(exponent: &str) -> String {
    exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or('⁰'),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(kind: ScaleKind, low: f64, high: f64, text: TickText, most: usize) -> String {
        let ticks = Scale { kind, low, high }.ticks(text, most);
        ticks.into_iter().map(|tick| tick.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_stand_where_a_person_would_put_them() {
        use ScaleKind::{Linear, Log};
        for (kind, low, high, text, most, expected) in [
            (Linear, 0.0, 1.0, TickText::Plain, 5, "0.0 0.2 0.4 0.6 0.8 1.0"),
            (Linear, -0.013, 0.012, TickText::Plain, 5, "\u{2212}0.010 \u{2212}0.005 0.000 0.005 0.010"),
            (Linear, 2.13, 5.72, TickText::Plain, 6, "3 4 5"),
            (Log, 9e3, 1.1e6, TickText::Si, 10, "10K 20K 50K 100K 200K 500K 1M"),
            (Log, 9e3, 1.1e12, TickText::Si, 10, "10K 100K 1M 10M 100M 1B 10B 100B 1T"),
            (Log, 2.2e11, 4.1e12, TickText::Power, 8, "5×10¹¹ 10¹² 2×10¹²"),
            (Log, 1e9, 1e13, TickText::Power, 8, "10⁹ 10¹⁰ 10¹¹ 10¹² 10¹³"),
            (Log, 1e2, 1e24, TickText::Power, 8, "10³ 10⁶ 10⁹ 10¹² 10¹⁵ 10¹⁸ 10²¹ 10²⁴"),
            (Log, 2.05, 3.4, TickText::Plain, 6, "2.5 3.0"),
            (Log, 2.9, 3.4, TickText::Plain, 6, "2.9 3.0 3.1 3.2 3.3 3.4"),
        ] {
            assert_eq!(texts(kind, low, high, text, most), expected, "{kind:?} {low} {high}");
        }
    }

    #[test]
    fn a_scale_and_its_inverse_agree() {
        for scale in [
            Scale { kind: ScaleKind::Linear, low: -2.0, high: 6.0 },
            Scale { kind: ScaleKind::Log, low: 1e3, high: 1e9 },
        ] {
            for share in [0.0, 0.25, 1.0] {
                assert!((scale.share(scale.value(share)) - share).abs() < 1e-12, "{scale:?} {share}");
            }
        }
        let log = Scale { kind: ScaleKind::Log, low: 1.0, high: 100.0 };
        assert!((log.share(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_scale_over_unusable_values_is_none_and_over_one_value_has_room() {
        assert_eq!(Scale::over(ScaleKind::Log, [-1.0, 0.0, f64::NAN]), None);
        assert_eq!(Scale::over(ScaleKind::Linear, []), None);
        let one = Scale::over(ScaleKind::Log, [5.0]).unwrap();
        assert!(one.low < 5.0 && one.high > 5.0);
        let one = Scale::over(ScaleKind::Linear, [5.0]).unwrap();
        assert!(one.low < 5.0 && one.high > 5.0);
    }

    #[test]
    fn inner_share_runs_from_0_to_1_over_the_values_themselves() {
        let scale = Scale::over(ScaleKind::Log, [1e3, 1e6]).unwrap();
        for (x, share) in [(1e3, 0.0), (1e6, 1.0), (31_622.776_601_683_79, 0.5)] {
            assert!((scale.inner_share(x) - share).abs() < 1e-9, "{x}");
        }
    }
}
