//! Rows of metrics as the trainer writes them, read at the speed of memory: no string is made, no key is looked up.
//! Rows written in any other way are left to the JSON parser: this is an optimisation and changes no result.

use super::curve::{Curve, Series};

/// Measurements of a row, at most. A row with more is left to the JSON parser.
const MAX_VALUES: usize = 64;

/// Powers of ten that an f64 holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Decimal digits that a u64 always holds.
const MAX_DIGITS: usize = 19;

/// Appends the row at the start of `bytes`, which has its line end, and returns its length; nothing, and the curve as
/// it was, where the row is not written as the trainer does, or has a measurement that no row before it had.
pub(crate) fn push_row(curve: &mut Curve, bytes: &[u8]) -> Option<usize> {
    let line = u32::try_from(curve.steps.len()).ok()?;
    let mut scan = Scan { bytes, at: 0 };
    scan.literal(b"{\"step\":")?;
    let step = scan.whole()?;
    scan.literal(b",\"tokens\":")?;
    let tokens = scan.whole()?;
    scan.literal(b",\"flops\":")?;
    let flops = scan.real()?;
    scan.literal(b",\"wall_seconds\":")?;
    let wall_seconds = scan.real()?;
    scan.literal(b",\"values\":{")?;
    let mut values = [(0, 0.0); MAX_VALUES];
    let mut n_values = 0;
    let mut expected = 0;
    loop {
        let idx = scan.series_idx(&curve.series, expected)?;
        *values.get_mut(n_values)? = (idx, scan.real()?);
        n_values += 1;
        expected = idx + 1;
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.literal(b"}\n")?;

    curve.steps.push(step);
    curve.tokens.push(tokens);
    curve.flops.push(flops);
    curve.wall_seconds.push(wall_seconds);
    for &(idx, value) in &values[..n_values] {
        let series = &mut curve.series[idx];
        series.lines.push(line);
        series.values.push(value);
    }
    Some(scan.at)
}

/// Whether JSON writes a name without an escape.
pub(crate) fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest().starts_with(text).then(|| self.at += text.len())
    }

    /// A quoted name with its colon, as the position of its series; `expected` is tried first.
    fn series_idx(&mut self, series: &[Series], expected: usize) -> Option<usize> {
        let rest = self.rest().strip_prefix(b"\"")?;
        let is_named = |series: &Series| {
            rest.strip_prefix(series.metric.as_bytes()).is_some_and(|rest| rest.starts_with(b"\":"))
        };
        let idx = match series.get(expected).is_some_and(is_named) {
            true => expected,
            false => series.iter().position(is_named)?,
        };
        self.at += 1 + series[idx].metric.len() + 2;
        Some(idx)
    }

    fn whole(&mut self) -> Option<u64> {
        let (value, n_digits) = self.digits(0);
        let has_idle_zero = n_digits > 1 && self.bytes[self.at - n_digits] == b'0';
        let is_over = !matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E'));
        (1..=MAX_DIGITS).contains(&n_digits).then_some(value).filter(|_| !has_idle_zero && is_over)
    }

    /// A number that is not negative, rounded correctly.
    fn real(&mut self) -> Option<f64> {
        let start = self.at;
        let (mut mantissa, n_whole) = self.digits(0);
        let starts_with_zero = n_whole > 0 && self.bytes[start] == b'0';
        if n_whole == 0 || n_whole > 1 && starts_with_zero {
            return None;
        }
        let mut n_fraction = 0;
        // Zeros before the first digit that counts.
        let mut n_idle = usize::from(starts_with_zero);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if starts_with_zero {
                let n_zeros = self.rest().iter().take_while(|byte| **byte == b'0').count();
                self.at += n_zeros;
                n_fraction = n_zeros;
                n_idle += n_zeros;
            }
            let (with_fraction, n_digits) = self.digits(mantissa);
            mantissa = with_fraction;
            n_fraction += n_digits;
            if n_fraction == 0 {
                return None;
            }
        }
        let is_exact = n_whole + n_fraction - n_idle <= MAX_DIGITS && mantissa < 1 << f64::MANTISSA_DIGITS;
        let has_exponent = matches!(self.bytes.get(self.at), Some(b'e' | b'E'));
        if is_exact && !has_exponent && n_fraction < EXACT_POWERS.len() {
            // Both are exact, so their quotient is rounded once (Clinger 1990).
            return Some(mantissa as f64 / EXACT_POWERS[n_fraction]);
        }
        if has_exponent {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'-' | b'+')) {
                self.at += 1;
            }
            if self.digits(0).1 == 0 {
                return None;
            }
        }
        let text = str::from_utf8(&self.bytes[start..self.at]).ok()?;
        text.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// `before` with the digits from here on behind it, and how many they are; beyond [`MAX_DIGITS`] in all the value
    /// is of no use.
    fn digits(&mut self, before: u64) -> (u64, usize) {
        let start = self.at;
        let mut value = before;
        while let Some(chunk) = self.rest().first_chunk().and_then(|chunk| eight_digits(*chunk)) {
            value = value.wrapping_mul(100_000_000).wrapping_add(chunk);
            self.at += 8;
        }
        while let Some(digit) =
            self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10)
        {
            value = value.wrapping_mul(10).wrapping_add(digit.into());
            self.at += 1;
        }
        (value, self.at - start)
    }
}

/// The number that eight decimal digits are, if they all are (Lemire 2022, "Faster eight-digit parsing": neighbours
/// are joined three times, in parallel within one word).
fn eight_digits(chunk: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let word = u64::from_le_bytes(chunk);
    // A byte is a digit where its high half is 3, also after 6 is added.
    if word & HIGH != ZEROS || word.wrapping_add(0x0606_0606_0606_0606) & HIGH != ZEROS {
        return None;
    }
    let digits = word - ZEROS;
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scalelaw_schema::metrics::MetricsRow;

    use super::super::metrics;
    use super::*;

    fn real(text: &str) -> Option<f64> {
        let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
        scan.real().filter(|_| scan.at == text.len())
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        let mut state = 1_u64;
        let mut texts: Vec<String> = (0..200_000)
            .map(|case| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                // Any bits, values about one with 17 digits, and short decimals.
                let value = match case % 4 {
                    0 => f64::from_bits(state >> 1),
                    1 => (state >> 11) as f64 / (1_u64 << 53) as f64,
                    2 => (state >> 40) as f64 / 1000.0,
                    _ => f64::from((state >> 32) as f32) * 1e-12,
                };
                serde_json::to_string(&value).unwrap()
            })
            .filter(|text| text != "null")
            .collect();
        texts.extend(
            "0 0.0 1 10 12345678 123456789 9007199254740993 9007199254740992.0 9007199254740993.0 0.1 1e22 1e23 1E5 \
             1e+5 1e-5 0.00000000000000000000000123 18446744073709551615 18446744073709551616 5e-324 \
             1234567890.12345678901234567890 0.000012345678901234567890123 99999999.99999999"
                .split(' ')
                .map(String::from),
        );
        for text in &texts {
            let expected: f64 = serde_json::from_str(text).unwrap();
            assert_eq!(real(text).map(f64::to_bits), Some(expected.to_bits()), "{text}: {:?}", real(text));
        }
    }

    #[test]
    fn anything_but_a_json_number_is_left_to_the_parser() {
        for text in
            ["", "-1", "+1", ".5", "5.", "01", "00", "1e", "1e+", "1.e5", "inf", "NaN", "1e999", "0x1", "1_0"]
        {
            assert_eq!(real(text), None, "{text}");
        }
        for (text, value) in
            [("0", Some(0)), ("7,", Some(7)), ("9999999999999999999", Some(9999999999999999999))]
        {
            assert_eq!(Scan { bytes: text.as_bytes(), at: 0 }.whole(), value, "{text}");
        }
        for text in ["", "-1", "01", "1.0", "1e3", "18446744073709551616"] {
            assert_eq!(Scan { bytes: text.as_bytes(), at: 0 }.whole(), None, "{text}");
        }
    }

    #[test]
    fn eight_digits_are_distinguished_from_all_other_bytes() {
        assert_eq!(eight_digits(*b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(*b"00000000"), Some(0));
        assert_eq!(eight_digits(*b"99999999"), Some(99_999_999));
        for place in 0..8 {
            for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
                let mut chunk = *b"90909090";
                chunk[place] = byte;
                assert_eq!(eight_digits(chunk), None, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn rows_of_the_trainer_need_no_parser_but_for_names_that_are_new() {
        let row = |step: u64, names: &[&str]| MetricsRow {
            step,
            tokens: 8 * step,
            flops: 1.5e30 * step as f64,
            wall_seconds: 0.1 * step as f64,
            values: names
                .iter()
                .map(|name| (name.to_string(), 1.0 / step as f64))
                .collect::<BTreeMap<_, _>>(),
        };
        let line = |row: &MetricsRow| serde_json::to_string(row).unwrap() + "\n";
        let (first, second) = (row(1, &["a", "a/b", "c"]), row(2, &["a/b", "c"]));
        let mut curve = metrics::parse("0123456789ab".parse().unwrap(), line(&first).as_bytes()).unwrap();
        let before = curve.clone();
        assert_eq!(push_row(&mut curve, line(&row(2, &["a", "new"])).as_bytes()), None);
        assert_eq!(push_row(&mut curve, line(&second).trim_end().as_bytes()), None, "a line without its end");
        assert_eq!(curve, before);
        let text = line(&second);
        assert_eq!(push_row(&mut curve, text.as_bytes()), Some(text.len()));
        assert_eq!((curve.steps.clone(), curve.tokens.clone()), (vec![1, 2], vec![8, 16]));
        assert_eq!((curve.flops[1], curve.wall_seconds[1]), (second.flops, second.wall_seconds));
        assert_eq!(curve.values("a").collect::<Vec<_>>(), [(0, 1.0)]);
        assert_eq!(curve.values("a/b").collect::<Vec<_>>(), [(0, 1.0), (1, 0.5)]);
    }
}
